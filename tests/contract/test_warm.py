"""What KEDA learns of a warm pool: its size against a target of one, or an error that leaves the pool as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field

import pytest

from scaler.config.pool import PoolKey
from scaler.core.types import Unknown
from scaler.external.client import Metric, Poll, Trigger
from scaler.live.bells import Bells
from scaler.live.board import STALE_AFTER
from scaler.live.warm import WarmAnswer
from tests.contract.door import CODER, Door, at_work, opened, opened_streams
from tests.core.pool import NOW

PYTHON = PoolKey("agents", "python")
TRIGGER = Trigger("agents", "python-warm", {"warmPool": "python", "scalerAddress": "scaler:6000"})


@dataclass
class Decided:
    """Warm pools of which the test decides."""

    sizes: dict[PoolKey, int | Unknown] = field(default_factory=dict)
    bells: Bells = field(default_factory=Bells)

    def answer(self, key: PoolKey) -> WarmAnswer | None:
        """What it was decided to be, at ``NOW``."""
        size = self.sizes.get(key)
        return None if size is None else WarmAnswer(NOW, size)

    def listening(self, key: PoolKey, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """Whoever listens is rung by the test."""
        return self.bells.listening(key, ring)


async def refused(door: Door, trigger: Trigger = TRIGGER) -> tuple[str, str]:
    """The status and the message that both calls of a poll fail with."""
    told = await door.refusal("GetMetrics", trigger)
    assert await door.refusal("IsActive", trigger) == told
    return told


@pytest.mark.parametrize(("size", "active"), [(7, True), (0, False)])
async def test_a_poll_learns_the_size_against_a_target_of_one(size: int, active: bool) -> None:
    """As of replicas; and the pool of pods of the same name is another one."""
    async with opened(warm=Decided({PYTHON: size})) as door:
        door.board.publish(PYTHON, at_work(3))
        assert await door.client.poll(TRIGGER) == Poll(Metric("agent-replicas", 1.0), float(size), active=active)
        assert door.keeper.admitted == []


async def test_a_pool_that_the_file_does_not_name_is_refused_with_the_way_out() -> None:
    """Whoever writes a size must have been asked to; another namespace's pool is none of this one's."""
    async with opened(warm=Decided({PoolKey("other", "python"): 5})) as door:
        told = "agents/python is no warm pool of the configuration; name it under warm_pools.pools"
        assert await refused(door) == ("FAILED_PRECONDITION", told)


async def test_a_size_that_is_not_known_now_is_an_error_and_never_a_zero() -> None:
    """The HPA holds on an error."""
    pools = Decided({PYTHON: Unknown("the pools cannot be seen: HTTP 500")})
    async with opened(warm=pools) as door:
        assert await refused(door) == (
            "UNAVAILABLE",
            "the warm pool agents/python has no size: the pools cannot be seen: HTTP 500",
        )
        pools.sizes[PYTHON] = 4
        await door.clock.advance_to(NOW + STALE_AFTER + 1)
        code, why = await refused(door)
        assert (code, "decided 31 s ago, and a decision holds for 30 s" in why) == ("UNAVAILABLE", True)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"warmPool": "python", "max": "5"}, "max: is not read beside warmPool"),
        ({"warmPool": "python", "pool": "coder"}, "pool: is not read beside warmPool"),
        ({"warmPool": "Python"}, "warmPool"),
        ({"warmPool": "other/python"}, "warmPool"),
    ],
)
async def test_metadata_that_cannot_be_used_is_refused_by_name(metadata: dict[str, str], told: str) -> None:
    """Its policy stands in the file, and its namespace is the trigger's."""
    async with opened(warm=Decided({PYTHON: 5})) as door:
        code, why = await refused(door, Trigger("agents", "python-warm", metadata))
        assert (code, told in why) == ("INVALID_ARGUMENT", True)


async def test_a_stream_tells_when_the_pool_wakes() -> None:
    """At once: from zero KEDA would else wait for its next poll."""
    pools = Decided({PYTHON: 0})
    async with opened(warm=pools) as door, aclosing(door.client.pushes(TRIGGER)) as pushes:
        waiting = asyncio.ensure_future(anext(pushes))
        await opened_streams(door, 1)
        assert not waiting.done()
        pools.sizes[PYTHON] = 2
        pools.bells.ring(PYTHON)
        assert await waiting


async def test_without_warm_pools_pools_of_pods_are_answered_as_ever() -> None:
    """And a trigger that asks for one hears that there is none."""
    async with opened() as door:
        door.board.publish(CODER, at_work(2))
        assert (await door.client.poll(Trigger(*CODER))).value == 2.0
        assert (await refused(door))[0] == "FAILED_PRECONDITION"
