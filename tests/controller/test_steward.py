"""Pools looked after, on an API server as small as that: what is applied, who is adopted, and whether guards hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import Found, PoolKey, PoolSpec
from scaler.config.resolve import resolve
from scaler.controller import steward as stewards
from scaler.controller.drainer import Drainer
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.gates import open_gates
from scaler.controller.names import EPOCH, GUARD, MANAGED, PHASE, POOL
from scaler.controller.orders import Signer
from scaler.controller.pen import Pen
from scaler.controller.steward import Steward
from scaler.core.types import Unknown
from scaler.live.board import Board
from scaler.live.charge import Charge
from scaler.live.clock import SystemClock
from scaler.live.office import ALONE, Office
from scaler.live.registry import UNTRIED, Pool, Registry
from tests.config.material import QUERY, READABLE, Section, parsed
from tests.controller.objects import Object, pod_object
from tests.controller.served import BUDGETS, DEPLOYMENTS, PODS, Server, reached
from tests.support.office import Chair
from tests.support.wait import eventually

KEY = PoolKey("agents", "coder")
FOUND = Found(least=0, most=9, workload=("deployments", "coder"))


def spec(key: PoolKey) -> PoolSpec:
    """A pool of the Deployment, under this name."""
    read: Section = {"signals": {"queue": QUERY}}
    settings = parsed({**READABLE, "classes": {"coding": read}, "pools": {str(key): {"class": "coding"}}})
    return resolve(settings, key, TriggerMetadata(), FOUND)


async def roomy(_: PoolKey) -> bool:
    """There is room for whoever is to be deleted."""
    return True


@asynccontextmanager
async def steward(folder: Path, server: Server, office: Office = ALONE) -> AsyncIterator[Registry]:
    """A steward at work, with one pool to look after."""
    async with reached(folder, server) as api, open_gates(Signer.new(), SystemClock()) as gates:
        charge = Charge(Registry(), Board(), office, SystemClock())
        charge.registry.put(spec(KEY), charge.clock.now())
        pen, estate = Pen(api, office, charge.deeds), Estate(api)
        events = Events(pen, charge.clock)
        drainer = Drainer(estate, pen, gates, events, roomy)
        going = asyncio.create_task(Steward(charge, estate, pen, events, drainer).run())
        try:
            yield charge.registry
        finally:
            going.cancel()
            with suppress(asyncio.CancelledError):
                await going
            estate.keep(set())


@asynccontextmanager
async def looked_after(folder: Path, server: Server, office: Office = ALONE) -> AsyncIterator[Pool]:
    """The one pool that a steward at work looks after."""
    async with steward(folder, server, office) as registry:
        pool = registry.get(KEY)
        assert pool is not None
        yield pool


def stranger(name: str, **more: object) -> Object:
    """A pod of the Deployment that nobody of ours has labelled."""
    return pod_object(name, owner="set-1", **more)


async def holds(pool: Pool | None, *, within: float = 30.0) -> None:
    """Return once its guards are known to hold."""
    assert pool is not None

    async def known() -> bool | None:
        """The guards are known to hold."""
        return pool.unguarded is None or None

    await eventually(known, within=within)


async def test_a_pool_gets_what_it_owns_and_its_pods_are_adopted(tmp_path: Path) -> None:
    """A word on the namespace, a mark on the workload, a budget, and labels on the pods that were there before."""
    server = Server([stranger("coder-a"), stranger("coder-b")])
    async with looked_after(tmp_path, server) as pool:
        await holds(pool)
    assert {pod["metadata"]["labels"].get(POOL) for pod in server.pods} == {"coder"}
    assert set(server.writes) == {
        "PATCH /api/v1/namespaces/agents",
        "PATCH /apis/apps/v1/namespaces/agents/deployments/coder",
        "PATCH /apis/policy/v1/namespaces/agents/poddisruptionbudgets/agent-scaler-coder",
        "PATCH /api/v1/namespaces/agents/pods/coder-a",
        "PATCH /api/v1/namespaces/agents/pods/coder-b",
    }
    assert server.writes["PATCH /api/v1/namespaces/agents/pods/coder-a"] == 1


async def test_guards_that_do_not_hold_are_told_and_tried_until_they_do(tmp_path: Path) -> None:
    """Somebody applies them late: then the pool is free to fall, and no process has to be restarted."""
    server = Server([stranger("coder-a")], guarded=False)
    async with looked_after(tmp_path, server) as pool:

        async def bare() -> bool | None:
            """It is known why they do not hold."""
            why = pool.unguarded
            return (isinstance(why, Unknown) and "could be deleted" in why.why) or None

        await eventually(bare)
        server.guarded = True
        await holds(pool)


async def test_where_nobody_is_to_be_protected_nothing_is_held_up(tmp_path: Path) -> None:
    """A new leader finds drained pods alone: they would stay for ever if it waited for one to try the guards on."""
    drained = {"app": "coder", MANAGED: "true", POOL: "coder", PHASE: "drained"}
    server = Server([stranger("coder-a", labels=drained)])
    async with looked_after(tmp_path, server) as pool:
        assert pool.unguarded is not None
        await holds(pool)


async def test_a_pod_that_is_drained_while_it_tries_them_proves_nothing(tmp_path: Path) -> None:
    """It may be deleted, and its neighbours may not: the guards are tried on another, and nobody is alarmed."""
    first, second = stranger("coder-a"), stranger("coder-b")
    server = Server([first, second])
    server.lets = {"coder-b"}
    async with looked_after(tmp_path, server) as pool:

        def drained() -> None:
            second["metadata"]["labels"][PHASE] = "drained"
            second["metadata"]["resourceVersion"] = "99"
            server.changed.set()

        server.moves = drained
        await holds(pool)
    assert not [write for write in server.writes if "events" in write]


async def test_who_stands_by_writes_nothing(tmp_path: Path) -> None:
    """It watches, and is ready to look after them the moment it leads."""
    server = Server([stranger("coder-a")])
    chair = Chair()
    async with looked_after(tmp_path, server, chair) as pool:
        with pytest.raises(AssertionError, match="The guards are known to hold"):
            await holds(pool, within=3.0)
    assert server.writes == Counter()


async def test_pods_that_take_no_label_are_not_guarded(tmp_path: Path) -> None:
    """Nothing stands before them, so nothing may fall, until somebody lets them be labelled."""
    server = Server([stranger("coder-a")], sealed=True)
    async with looked_after(tmp_path, server) as pool:

        async def bare() -> bool | None:
            """It is known that they are bare."""
            return pool.unguarded == Unknown("1 pods cannot be labelled, coder-a among them") or None

        await eventually(bare)
        server.sealed = False
        await holds(pool)


def labelled(name: str, **more: str) -> Object:
    """A pod of the pool, under its guard unless ``more`` says something else."""
    return stranger(name, labels={"app": "coder", MANAGED: "true", POOL: "coder", GUARD: "deny", **more})


async def test_guards_are_not_tried_on_pods_that_they_only_audit_yet(tmp_path: Path) -> None:
    """A pool that comes back finds its pods as it gave them up: they are guarded first, and then the guards tried."""
    server = Server([labelled("coder-a", **{GUARD: "audit"})], guarded=False)
    async with looked_after(tmp_path, server) as pool:

        async def tried() -> bool | None:
            """It is known whether they hold."""
            return pool.unguarded != UNTRIED or None

        await eventually(tried)
        assert isinstance(pool.unguarded, Unknown)
        assert "could be deleted" in pool.unguarded.why


def draining(name: str, phase: str) -> Object:
    """A pod of the pool in the midst of its third drain, or at its end."""
    pod = labelled(name, **{PHASE: phase})
    pod["metadata"]["annotations"] = {EPOCH: "3"}
    return pod


async def given_up(server: Server, within: float = 30.0) -> None:
    """Return once the budget of the pool has been taken away."""

    async def gone() -> bool | None:
        """The budget has been deleted."""
        return server.writes[f"DELETE {BUDGETS}/agent-scaler-coder"] > 0 or None

    await eventually(gone, within=within)


async def test_drains_of_a_pool_that_nobody_asks_for_are_called_back(tmp_path: Path) -> None:
    """Nobody would end them: the pods take work again at once, and are guarded until the pool is given up."""
    server = Server([draining("coder-a", "draining")])
    async with steward(tmp_path, server) as registry:
        await holds(registry.get(KEY))
        registry.remove(KEY)

        async def open_again() -> bool | None:
            """The gate was told to open."""
            return server.writes["POST /resume"] > 0 or None

        await eventually(open_again)
    found = server.pods[0]["metadata"]
    assert (found["labels"][PHASE], found["annotations"][EPOCH]) == ("active", "4")
    assert found["labels"][GUARD] == "deny"


async def test_a_pool_that_was_given_up_leaves_nobody_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pods are anybody's, the drained make room for others, and each that may be shut is told to open."""
    monkeypatch.setattr(stewards, "GONE", 0.0)
    server = Server([draining("coder-a", "active"), draining("coder-b", "drained")])
    async with steward(tmp_path, server) as registry:
        await holds(registry.get(KEY))
        registry.remove(KEY)

        async def let_go() -> bool | None:
            """The one is told, and the other is deleted."""
            return (server.writes["POST /resume"] > 0 and server.writes[f"DELETE {PODS}/coder-b"] > 0) or None

        await eventually(let_go)
        await given_up(server)
    assert {pod["metadata"]["labels"][GUARD] for pod in server.pods} == {"audit"}
    assert server.said[f"PATCH {DEPLOYMENTS}/coder"][-1]["metadata"]["labels"] == {}


async def test_a_pool_under_another_name_keeps_its_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ScaledObject was renamed: when the old name is given up, pods and workload are the new one's."""
    other = PoolKey("agents", "writer")
    server = Server([stranger("coder-a"), stranger("coder-b")])
    async with steward(tmp_path, server) as registry:
        await holds(registry.get(KEY))
        registry.put(spec(other), 0.0)
        registry.remove(KEY)
        await holds(registry.get(other))
        monkeypatch.setattr(stewards, "GONE", 0.0)
        await given_up(server)
    labels = [change["metadata"]["labels"] for pod in "ab" for change in server.said[f"PATCH {PODS}/coder-{pod}"]]
    assert {label[POOL] for label in labels} == {"coder", "writer"}
    assert {label.get(GUARD, "deny") for label in labels} == {"deny"}
    assert all(mark["metadata"]["labels"] for mark in server.said[f"PATCH {DEPLOYMENTS}/coder"])
