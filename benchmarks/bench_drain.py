"""A controller and its pods: what watching over them takes, and how soon a mark reaches the agent it is for.

Kubernetes, KEDA, guards and rights are those of the drain stories, the pods are kwok's, and each has an agent with a
gate that writes its state down before it answers. All of them work through short tasks, which is when watching is
measured; then there is no more work anywhere, and all pods are drained at once, which is the worst that can come.

When a mark was made is in the API server's audit log, when an agent closed its gate in the agents' journal. The agents,
the API server and the controller share the machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from benchmarks import CannotMeasureError, Goal, Result
from benchmarks.bench_soak import Usage
from benchmarks.keda_traffic import quantile
from scaler.controller.names import GATE_PORT, MANAGED, TRUE
from tests.cluster.draining import Pool, Story, guarded, labels, story
from tests.cluster.harness.alone import alone
from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.audit import Request
from tests.cluster.harness.journal import Event
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.shipped import HOME
from tests.cluster.harness.wait import until

PODS: Final = 1_000
EACH: Final = 50  # pods of a pool
MINUTES: Final = 1.0
TASK: Final = 10.0  # seconds that each takes
LOOK: Final = 5.0  # seconds between two looks at all pods, each of which costs the API server
SETTLE: Final = 180.0  # seconds within which the guards know every pod
PATIENCE: Final = 1_800.0
OK: Final = 300  # statuses below say that it was done
US: Final = f"system:serviceaccount:{HOME}:{HOME}"
WRITES: Final = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Watch:
    """What watching took: cores of ours and of the API server, KiB before the pods and now, and what we asked of it.

    Attributes:
        asked: our requests in so many ``seconds``.
        tasks: that agents took up meanwhile.
    """

    cores: float
    beside: float
    memory: tuple[float, float]
    asked: Sequence[Request]
    tasks: int
    seconds: float


def run(pods: int = PODS, minutes: float = MINUTES) -> Iterator[Result]:
    """So many pods, watched over for so long and then drained."""
    assets = Assets.usual()
    if missing := assets.missing("etcd", "kubernetes", "kwok", "keda"):
        raise CannotMeasureError(f"{', '.join(missing)} not built: {way_out(*missing)}")
    with alone(hpa_period=5.0, keda=True) as cluster, guarded(cluster) as guards, story(guards, "many") as told:
        yield from measured(told, pods, minutes * 60)


def measured(told: Story, pods: int, seconds: float) -> Iterator[Result]:
    """The figures of one run."""
    names = [f"agents-{number}" for number in range(max(1, pods // EACH))]
    scaler = told.begin(teach=tuple(names))
    fresh = Usage.of(scaler.part.pid)
    pools = staged(told, names, seconds)
    watch = watched(told, scaler.part.pid, fresh, seconds)
    until(lambda: not any(pool.replicas() for pool in pools) or None, within=PATIENCE, every=LOOK)
    until(lambda: not any(pool.agents() for pool in pools) or None, within=PATIENCE, every=LOOK)
    yield from results(pods, watch, Drain.of(told))


def staged(told: Story, names: Sequence[str], seconds: float) -> list[Pool]:
    """The pools, once every pod has its guard and every agent works, which it does for longer than is measured."""
    address, marks = told.guards.service.address, ((GATE_PORT, str(told.fleet.port)),)
    usual = Scaled(name="", replicas=EACH, most=EACH, push=True, address=address, cooldown=5, annotations=marks)
    made = [replace(usual, name=name, metadata=(("class", "agents"),)) for name in names]
    pools = [Pool(told.cluster, told.namespace, name, "deployments") for name in names]
    told.cluster.api.apply([each.workload() for each in made], namespace=told.namespace)
    for pool in pools:
        pool.fills(EACH)
        told.work(pool, burst=EACH * int((SETTLE + seconds) / TASK), seconds=TASK)
    told.cluster.api.apply([each.scaled_object() for each in made], namespace=told.namespace)
    until(lambda: all(map(is_guarded, pools)) or None, within=SETTLE, every=LOOK)
    return pools


def is_guarded(pool: Pool) -> bool:
    """Whether the guards know every pod of it."""
    return all(labels(pod).get(MANAGED) == TRUE for pod in pool.agents())


def watched(told: Story, pid: int, fresh: Usage, seconds: float) -> Watch:
    """What watching takes for so long, while nobody leaves."""
    server = told.cluster.parts["kube-apiserver"].pid
    place, before, beside = told.cluster.audit.mark(), Usage.of(pid), Usage.of(server)
    time.sleep(seconds)
    after = Usage.of(pid)
    asked = [each for each in told.cluster.audit.read(place, US.encode())[0] if each.user == US]
    began = time.time() - (after.at - before.at)
    return Watch(
        cores=after.cores(before),
        beside=Usage.of(server).cores(beside),
        memory=(fresh.memory, after.memory),
        asked=asked,
        tasks=sum(line.event is Event.START and line.at >= began for line in told.fleet.told()),
        seconds=after.at - before.at,
    )


@dataclass(frozen=True, slots=True)
class Drain:
    """How all pods went: seconds from a mark to its agent, and writes of ours that a pod took to go."""

    took: Sequence[float]
    writes: float
    removed: int

    @classmethod
    def of(cls, told: Story) -> Drain:
        """As the audit log and the agents' journal tell it."""
        closed = {line.pod: line.at for line in reversed(told.fleet.told()) if line.event is Event.CLOSED}
        writes = [each for each in told.requests() if is_ours(each)]
        last: dict[str, float] = {}  # the last write before the gate closed is the mark
        for each in writes:
            if each.at <= closed.get(each.name, 0.0):
                last[each.name] = each.at
        removed, _ = told.removals()
        return cls([closed[name] - at for name, at in last.items()], len(writes) / max(1, removed), removed)


def is_ours(request: Request) -> bool:
    """Whether it is a write of ours that was made, and not only tried."""
    made = request.verb in WRITES and request.status < OK and "dryRun" not in request.path
    return made and request.user == US


def results(pods: int, watch: Watch, drain: Drain) -> Iterator[Result]:
    """What came of it."""
    writes = [each for each in watch.asked if is_ours(each) and each.resource == "pods"]
    memory = tuple(kib / 1024 for kib in watch.memory)
    asked = len(watch.asked) / watch.seconds
    figures = [
        ("cores while it watches", "cores", watch.cores, watch.beside, Goal("figure", "<=", 1.0)),
        ("memory", "MiB", memory[1], memory[0], Goal("figure", "<=", 512)),
        ("requests while it watches", "a second", asked, watch.tasks / watch.seconds, Goal("figure", "<=", 20)),
        ("writes to pods while they work", "writes", len(writes), watch.tasks, Goal("figure", "<=", 0)),
        (
            "mark to agent, p99",
            "ms",
            quantile(drain.took, 0.99) * 1e3,
            median(drain.took) * 1e3,
            Goal("figure", "<=", 1e3),
        ),
        ("writes for a pod that goes", "writes", drain.writes, 1.0, Goal("figure", "<=", 4)),
        ("pods that went", "pods", drain.removed, pods, Goal("ratio", ">=", 1)),
    ]
    for what, unit, figure, beside, goal in figures:
        yield Result(name=f"drain {pods}, {what}", figure=figure, unit=unit, reference=beside, goal=goal)
