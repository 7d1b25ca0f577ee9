"""Who keeps the pools: those of the file and those of triggers, while both change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scaler.cli.follower import REREAD, Follower
from scaler.cli.keeper import Keeper
from scaler.config.check import checked
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError
from scaler.live.clock import VirtualClock
from scaler.live.registry import Registry
from tests.config.material import said
from tests.support.wait import eventually

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
CODER, WRITER = PoolKey("agents", "coder"), PoolKey("agents", "writer")
FILE = """\
sources: {prometheus: {url: "http://prometheus:9090"}}
classes:
  coding:
    max: 9
    signals: {queue: 'queued{n="{namespace}", p="{name}"}'}
    replicas: replicas{n="{namespace}", d="{name}"}
pools:
  agents/coder: {class: coding, min: 2}
"""


class World:
    """A keeper of the file above, its registry, and a clock."""

    def __init__(self) -> None:
        self.clock, self.registry = VirtualClock(NOON), Registry()
        self.keeper = Keeper(checked(FILE), self.registry, self.clock)

    def bounds(self, key: PoolKey) -> tuple[int, int] | None:
        """Fewest and most replicas of a pool, None where nobody knows it."""
        spec = self.keeper.find(key)
        return None if spec is None else (spec.policy.min_replicas, spec.policy.max_replicas)


@pytest.fixture
async def world() -> World:
    """At the start."""
    return World()


async def test_the_files_pools_are_there_from_the_start(world: World) -> None:
    """KEDA need not ask for a pool before it is evaluated."""
    assert world.bounds(CODER) == (2, 9)
    assert world.bounds(WRITER) is None


async def test_a_trigger_brings_its_pool_and_takes_it_away(world: World) -> None:
    """With the class of the file; the same again changes nothing; silence for long ends it."""
    brought = world.keeper.admit(WRITER, said({"class": "coding", "max": "4"}))
    assert world.bounds(WRITER) == (0, 4)
    assert world.keeper.admit(WRITER, said({"class": "coding", "max": "4"})) is brought
    world.keeper.dismiss(WRITER)
    assert world.bounds(WRITER) is None


async def test_a_pool_of_the_file_outlives_its_trigger(world: World) -> None:
    """Without the trigger the file alone holds again, and what was learnt stays."""
    world.keeper.admit(CODER, said({"max": "4"}))
    assert world.bounds(CODER) == (2, 4)
    pool = world.registry.get(CODER)
    world.keeper.dismiss(CODER)
    assert world.bounds(CODER) == (2, 9)
    assert world.registry.get(CODER) is pool


async def test_a_trigger_that_contradicts_the_file_leaves_the_pool_as_it_was(world: World) -> None:
    """The error goes to who asked; whoever wrote sense before keeps it."""
    world.keeper.admit(CODER, said({"max": "4"}))
    with pytest.raises(ConfigError, match="must be at least min, which is 2"):
        world.keeper.admit(CODER, said({"max": "1"}))
    assert world.bounds(CODER) == (2, 4)


async def test_new_settings_hold_for_pools_of_file_and_trigger(world: World) -> None:
    """What the trigger says still goes before what the file says now, and pools of neither are gone."""
    world.keeper.admit(WRITER, said({"class": "coding", "min": "1"}))
    world.keeper.reload(checked(FILE.replace("max: 9", "max: 7")))
    assert (world.bounds(CODER), world.bounds(WRITER)) == ((2, 7), (1, 7))
    world.keeper.reload(checked(FILE.replace("agents/coder", "agents/other")))
    assert world.bounds(CODER) is None
    assert world.bounds(PoolKey("agents", "other")) == (2, 9)


async def test_new_settings_that_contradict_a_trigger_leave_that_pool_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """One tenant's trigger cannot keep the file from changing for the others."""
    world.keeper.admit(WRITER, said({"class": "coding", "min": "5"}))
    world.keeper.reload(checked(FILE.replace("max: 9", "max: 4")))
    assert (world.bounds(CODER), world.bounds(WRITER)) == ((2, 4), (5, 9))
    assert "pool agents/writer keeps its former settings" in caplog.text


@pytest.fixture
async def file(world: World, tmp_path: Path) -> AsyncIterator[Path]:
    """The file that is followed."""
    file = tmp_path / "pools.yaml"
    file.write_text(FILE)
    following = asyncio.create_task(Follower(file, FILE).follow(world.keeper, world.clock))
    await asyncio.sleep(0)  # it sets its alarm
    yield file
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def looked(world: World, seen: Callable[[], bool]) -> None:
    """Let the follower look at the file until it has seen what it should."""

    async def probe() -> bool | None:
        """The follower has seen it."""
        await world.clock.advance_to(world.clock.now() + REREAD)
        return True if seen() else None

    await eventually(probe)


async def test_a_file_that_changes_is_read_again(world: World, file: Path) -> None:
    """A mounted ConfigMap changes under the program, and needs no restart."""
    await asyncio.to_thread(file.write_text, FILE.replace("max: 9", "max: 7"))
    assert world.bounds(CODER) == (2, 9)
    await looked(world, lambda: world.bounds(CODER) == (2, 7))


async def test_a_file_that_cannot_be_used_is_told_once_and_changes_nothing(world: World, file: Path) -> None:
    """However often it is looked at, each problem is one line of the log, and pools go on as they were."""
    with capture_logs() as log:
        await asyncio.to_thread(file.write_text, "pools: {agents/coder: {maxx: 3, mun: 2}}")
        await looked(world, lambda: len(log) >= 2)
        await asyncio.to_thread(file.unlink)
        await looked(world, lambda: len(log) >= 3)
        assert world.bounds(CODER) == (2, 9)
        await asyncio.to_thread(file.write_text, FILE.replace("max: 9", "max: 7"))
        await looked(world, lambda: world.bounds(CODER) == (2, 7))
    assert [line["event"] for line in log] == [
        *["the configuration cannot be used and stays as it was"] * 2,
        "the configuration cannot be read and stays as it was",
        "the configuration has changed; timeouts and concurrency of sources wait for a restart",
    ]
    assert 'maxx = 3: unknown key; did you mean "max"?' in log[0]["why"]
