"""The warden of claimed sandboxes: what it writes in which order, and what becomes of a round that ends in between."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from scaler.config.pool import PoolKey
from scaler.controller.api import Answer, ApiError, Request
from scaler.controller.facts import PodFacts
from scaler.controller.feed import Listed, Put
from scaler.controller.gates import Reply
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger
from scaler.controller.sandboxes.warden import Hands, Warden
from scaler.controller.sandboxes.wards import Terms
from scaler.controller.sandboxes.world import World
from scaler.core.pods import Phase
from scaler.core.types import Unknown
from scaler.live.clock import VirtualClock
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed, Fault
from tests.controller.sandboxed import BORN, Object, claim, stamp
from tests.controller.test_sandbox_wards import ASKS, BUSY, IDLE, guarded, pod

KEY = PoolKey("agents", "python")
GATE = "http://127.64.0.1:8476"


@dataclass
class Cluster:
    """The objects of one ward as the API server has them; each write is made, and seen by the watch."""

    world: World = field(default_factory=lambda: World(Ledger(BORN)))
    objects: dict[Kind, Object] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    most: int = 1_000

    def put(self, kind: Kind, found: Object) -> None:
        """It is so now."""
        self.objects[kind] = found
        self.world.take(kind, Put(found), BORN)

    async def write(self, what: str, request: Request) -> Answer:
        """Make the write, unless as many were made as the process lives for."""
        if len(self.written) >= self.most:
            raise ApiError("the process was killed")
        kind = next(each for each in (Kind.CLAIM, Kind.SANDBOX, Kind.POD) if each.value.split("/")[-1] in request.path)
        found = json.loads(json.dumps(self.objects[kind]))
        changed = _patched(found, request.body) if isinstance(request.body, list) else _merged(found, request.body)
        if changed is None:
            return Answer(422, b"{}")
        self.written.append(f"{kind.name} {_phase(changed)}".strip())
        self.put(kind, changed)
        return Answer(200, b"{}")


@dataclass
class Agent:
    """An agent with a gate, which says what the test says."""

    says: Report | Failed = IDLE
    closes: str = "drained"
    orders: list[tuple[str, int]] = field(default_factory=list)

    async def ask(self, urls: Iterable[str]) -> Mapping[str, Report | Failed]:
        """What it says."""
        return {url: self.says for url in urls if url == GATE}

    async def close(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Close the gate."""
        self.orders.append(("close", epoch))
        return Reply(self.closes, epoch)

    async def open(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Open it again."""
        self.orders.append(("open", epoch))
        return Reply("active", epoch)


def stage(found: Object, clock: VirtualClock | None = None, **spec: object) -> tuple[Cluster, Agent, Warden]:
    """A claimed sandbox with this pod, its agent, and the warden; ``spec`` is of the claim."""
    cluster, agent = Cluster(), Agent()
    for kind in Kind:
        cluster.world.take(kind, Listed(frozenset()), BORN)
    cluster.put(Kind.CLAIM, claim(spec={"additionalPodMetadata": {"labels": ASKS}, **spec}))
    cluster.put(Kind.SANDBOX, guarded())
    cluster.put(Kind.POD, found)
    hands = Hands(cluster, agent, agent.ask)
    return cluster, agent, Warden(cluster.world, hands, lambda _: Terms(300.0, 900.0), clock or VirtualClock(BORN))


async def test_a_ward_is_noted_to_have_worked_then_drained_and_then_freed() -> None:
    """The pod before its sandbox before its claim: who may delete the claim may have all of it deleted."""
    cluster, agent, warden = stage(pod())
    agent.says = BUSY
    await warden.round()
    agent.says = IDLE
    for _ in range(4):
        await warden.round()
    assert cluster.written == ["POD", "POD draining", "POD drained", "SANDBOX drained", "CLAIM drained"]
    assert agent.orders == [("close", 1)]


async def test_one_that_nobody_ever_calls_is_released_after_a_while() -> None:
    """Whoever claimed it may have died; until then its node could not be drained."""
    clock = VirtualClock(BORN)
    cluster, _, warden = stage(pod(), clock)
    await warden.round()
    await clock.advance_to(BORN + 899)
    await warden.round()
    assert cluster.written == []
    await clock.advance_to(BORN + 900)
    for _ in range(4):
        await warden.round()
    assert cluster.written == ["POD draining", "POD drained", "SANDBOX drained", "CLAIM drained"]


async def test_one_that_was_not_heard_all_the_while_is_kept() -> None:
    """It may have worked: the time counts from when it is heard to idle again."""
    clock = VirtualClock(BORN)
    cluster, agent, warden = stage(pod(), clock)
    await warden.round()
    agent.says = Failed(Fault.UNREACHABLE, "refused")
    await clock.advance_to(BORN + 890)
    await warden.round()
    agent.says = IDLE
    for at in (895, 1_700):
        await clock.advance_to(BORN + at)
        await warden.round()
    assert cluster.written == []


async def test_a_gate_that_finds_its_agent_at_work_is_called_back() -> None:
    """Work came between the look and the order; the gate opens again, under a new epoch."""
    cluster, agent, warden = stage(pod(worked=True))
    agent.closes = "busy"
    await warden.round()
    await warden.round()
    assert cluster.written == ["POD draining", "POD active"]
    agent.says = replace(BUSY, phase=Phase.DRAINING, epoch=1)
    await warden.round()
    assert agent.orders == [("close", 1), ("open", 2)]


@pytest.mark.parametrize("most", range(5))
async def test_a_warden_that_ends_after_any_write_is_followed_by_one_that_goes_on(most: int) -> None:
    """From the labels alone."""
    cluster, agent, warden = stage(pod())
    cluster.most, agent.says = most, BUSY
    for said in (BUSY, IDLE, IDLE, IDLE, IDLE):
        agent.says = said
        await warden.round()
    cluster.most = 1_000
    for said in (BUSY, IDLE, IDLE, IDLE, IDLE):
        agent.says = said if _phase(cluster.objects[Kind.POD]) == "" else IDLE
        await warden.round()
    assert cluster.written[-5:] == ["POD", "POD draining", "POD drained", "SANDBOX drained", "CLAIM drained"]


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (BUSY, "busy"),
        (IDLE, "idle"),
        (Failed(Fault.UNREACHABLE, "refused"), "unheard"),
        (replace(BUSY, uid="another"), "unheard"),  # the agent that has the address now
    ],
)
async def test_wards_are_counted_by_what_their_agents_do(says: Report | Failed, state: str) -> None:
    """By the pool that the claim named."""
    cluster, agent, warden = stage(pod(worked=True) if state == "busy" else pod())
    agent.says = says
    await warden.round()
    assert dict(cluster.world.wards) == {(KEY, state): 1}
    assert cluster.written == []


async def test_the_expiry_of_a_busy_claim_is_pushed_ahead() -> None:
    """Only while it is what was seen."""
    cluster, agent, warden = stage(pod(worked=True), lifecycle={"shutdownTime": stamp(BORN + 60)})
    agent.says = BUSY
    await warden.round()
    assert cluster.objects[Kind.CLAIM]["spec"]["lifecycle"]["shutdownTime"] == stamp(BORN + 300)
    assert cluster.written == ["CLAIM"]


def _phase(found: Object) -> str:
    return str(found["metadata"].get("labels", {}).get("agent-scaler.io/phase", ""))


def _merged(found: Object, change: object) -> Object | None:
    """A merge patch; None where the uid is another one."""
    assert isinstance(change, Mapping)
    metadata = dict(change["metadata"])
    if metadata.pop("uid") != found["metadata"]["uid"]:
        return None
    for part, values in metadata.items():
        found["metadata"].setdefault(part, {}).update(values)
    return found


def _patched(found: Object, changes: Iterable[Mapping[str, str]]) -> Object | None:
    """A JSON patch; None where a test fails."""
    for change in changes:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in change["path"].split("/")[1:]]
        place = found
        for part in way:
            place = place[part]
        if change["op"] == "test":
            if place.get(last) != change["value"]:
                return None
        elif change["op"] == "remove":
            del place[last]
        else:
            place[last] = change["value"]
    return found
