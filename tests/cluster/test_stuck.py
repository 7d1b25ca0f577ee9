"""Agents that never answer, answer slowly, lie, or hang for ever: what the operator sees of each, and how it ends.

A minute is a minute here. Ten of them, and an hour, are told by the marks on the pods, which are set back for it. Since
when an agent is silent no mark says, only who has listened; so an hour of that passes on a clock of our own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import urllib3

from scaler.config.pool import PoolKey, WatchedPods
from scaler.controller import view
from scaler.controller.api import open_api
from scaler.controller.dig import at, stamp
from scaler.controller.estate import Estate
from scaler.controller.events import Events
from scaler.controller.facts import pod as facts
from scaler.controller.names import ACCOUNT, ASKED_BY, GATE_PORT, SINCE
from scaler.controller.pen import Pen
from scaler.controller.vigil import Seen, Vigil
from scaler.core.stuck import NAMES
from scaler.core.types import Seconds
from scaler.live.clock import SystemClock, VirtualClock
from scaler.live.deeds import Deeds
from scaler.live.office import ALONE
from scaler.live.registry import Registry
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, name, story
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.impostor import Manner, impostor
from tests.cluster.harness.ports import free
from tests.cluster.harness.rest import MERGE, Document
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until
from tests.support.pools import spec

pytestmark = pytest.mark.usefixtures("keda")
POOL: Final = "stuck"
HOUR: Final[Seconds] = 3600.0
HOURS: Final = 2 * HOUR
TICK: Final[Seconds] = 5.0
BUSY: Final[Document] = {"state": "busy", "inflight": 1, "sessions": 0}
MANNERS: Final = {  # None answers nothing at all
    "silent": None,
    "slow": Manner(says={"inflight": 0}, replies=BUSY, after=10.0),
    "lying": Manner(says={"inflight": 0}, replies=BUSY),
    "hanging": Manner(says={"inflight": 1, "oldest_task": HOURS}, replies=BUSY),
}
FREES: Final = "we never end it: scaler release --pod {} does, with what it holds"


@pytest.fixture
def told(guards: Guarded) -> Iterator[Story]:
    """One scaler that looks after the pool."""
    with story(guards, "stuck") as going:
        going.begin(teach=(POOL,))
        yield going


def posed(told: Story, pool: Pool, stack: ExitStack) -> dict[str, str]:
    """An agent of each manner in a pod of the pool; the value is the pods' names by it."""
    found = {}
    for manner, pod in zip(MANNERS, pool.agents(), strict=True):
        found[manner], port = name(pod), free()
        body: Document = {"metadata": {"annotations": {GATE_PORT: str(port)}}}
        told.cluster.api.request("PATCH", path(told, name(pod)), body, content=MERGE)
        if (how := MANNERS[manner]) is not None:
            stack.enter_context(impostor((str(at(pod, "status", "podIP")), port), str(at(pod, "metadata", "uid")), how))
    return found


def path(told: Story, pod: str) -> str:
    """Where the pod is."""
    return f"/api/v1/namespaces/{told.namespace}/pods/{pod}"


def seen(told: Story, pod: str, reason: str) -> list[str]:
    """What was told of the pod for this reason, each with how loudly, the latest last."""
    found = told.cluster.api.items(
        f"/api/v1/namespaces/{told.namespace}/events?fieldSelector=involvedObject.name%3D{pod}"
    )
    ours = [event for event in found if event.get("reason") == reason]
    ours.sort(key=lambda event: str(at(event, "metadata", "creationTimestamp")))
    return [f"{event['type']} {event['message']}" for event in ours]


def says(told: Story, pod: str, reason: str, *words: str) -> None:
    """Return once an Event of the pod for this reason has all these words, and what frees it."""
    every = (*words, FREES.format(f"{told.namespace}/{pod}"))

    def heard() -> bool | None:
        """The Event is there."""
        return any(all(word in said for word in every) for said in seen(told, pod, reason)) or None

    until(heard, within=SLOW, every=LOOK)


def described(cluster: Cluster, namespace: str, pod: str) -> str:
    """What kubectl says of the pod."""
    kubectl = (str(Assets.usual().binary("kubectl")), "--kubeconfig", str(cluster.admin), "-n", namespace)
    return subprocess.run([*kubectl, "describe", "pod", pod], capture_output=True, text=True, check=True).stdout


def aged(told: Story, pod: str, minutes: float) -> None:
    """The pod's mark was set so many minutes ago."""
    since = stamp(SystemClock().now() - 60 * minutes)
    controller = told.cluster.api.acting(ACCOUNT, ["system:authenticated"])
    controller.request("PATCH", path(told, pod), {"metadata": {"annotations": {SINCE: since}}}, content=MERGE)


def stuck(told: Story) -> set[str]:
    """What the metric says of pods that take long."""
    page = urllib3.request("GET", f"{told.scalers[0].url}/metrics").data.decode()
    found = [line for line in page.splitlines() if line.startswith("agent_scaler_pool_stuck_pods{")]
    return {line.partition("trouble=")[2] for line in found if not line.endswith(" 0.0")}


def test_what_is_stuck_is_told_louder_the_longer_it_lasts_and_freed_by_one_command(told: Story) -> None:
    """Each stays as long as nobody gives it up; the pool goes on without them, and in the end all are gone."""
    pool = told.pool(Scaled(name=POOL, metadata=(("class", "particular"),)))
    told.keep(pool, len(MANNERS))
    pool.settles(len(MANNERS))
    with ExitStack() as stack:
        pods = posed(told, pool, stack)
        told.keep(pool, 0)
        says(told, pods["hanging"], "TaskOverLimit", "Warning a task of it has run for an hour longer than", "of 60 s")
        until(lambda: seen(told, pods["lying"], "DrainStarted") or None, within=SLOW, every=LOOK)
        told_at_once = described(told.cluster, told.namespace, pods["lying"])
        for word in (f"{ASKED_BY}: pool", f"{SINCE}: 20", "the pool does not need it: the pod takes no more work"):
            assert word in told_at_once
        for quiet in ("silent", "slow"):
            says(told, pods[quiet], "AgentSilent", "Normal its agent has not said for a minute whether it works")
        says(told, pods["lying"], "DrainTakesLong", "Normal it has drained for a minute, for the pool does not need it")
        aged(told, pods["lying"], 11)
        says(told, pods["lying"], "DrainTakesLong", "Warning it has drained for ten minutes")
        aged(told, pods["lying"], 61)
        says(told, pods["lying"], "DrainTakesLong", "Warning it has drained for an hour")
        assert stuck(told) >= {'"silent",step="1m"} 2.0', '"draining",step="1h"} 1.0', '"long_task",step="1h"} 1.0'}
        assert {name(pod) for pod in pool.agents()} == set(pods.values())
        for pod in pods.values():
            freed(told, pod)
    pool.settles(0)


def freed(told: Story, pod: str) -> None:
    """A person gives the pod up, by one command."""
    command = (Path(sys.executable).with_name("scaler"), "release", "--pod", f"{told.namespace}/{pod}", "--yes")
    done = subprocess.run(
        [*command, "--kubeconfig", told.cluster.admin], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: told.cluster.api.get(path(told, pod)) is None or None, within=SLOW)


async def test_an_hour_of_silence_is_read_with_kubectl(cluster: Cluster, namespace: str) -> None:
    """After a minute, ten minutes and an hour, each told once and since when; the hour ends now."""
    made: Document = {"metadata": {"name": "mute"}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}
    cluster.api.apply([{"apiVersion": "v1", "kind": "Pod", **made}], namespace=namespace)
    place = f"/api/v1/namespaces/{namespace}/pods/mute"
    found = until(lambda: now if (now := facts(cluster.api.get(place))).ready else None, within=SLOW)
    made_for, clock = PoolKey("agents", POOL), VirtualClock(SystemClock().now() - HOUR)
    source, registry = WatchedPods(pool=made_for, kind="deployments", name=POOL), Registry()
    pool = registry.put(spec(POOL, pods=source), clock.now())
    async with open_api(cluster.admin) as api:
        vigil = Vigil(registry, Estate(api), Events(Pen(api, ALONE, Deeds()), clock))
        for _ in range(int(HOUR / TICK) + 1):
            columns = view.columns([found], {}, view.Beside(), clock.now())
            vigil.look(source, Seen(pods=[found], columns=columns, heard={}, now=clock.now()))
            await clock.advance_to(clock.now() + TICK)
        said = await asyncio.to_thread(silences, cluster, namespace)
    assert [line[0] for line in said] == ["Normal", "Warning", "Warning"]
    assert said[0][2] in {"59m", "60m"}
    assert said[1][2] in {"50m", "51m"}
    for line, lasting in zip(said, ("a minute", "ten minutes", "an hour"), strict=True):
        assert f"has not said for {lasting} whether it works" in " ".join(line)
    assert pool.stuck == {("silent", "1h"): 1}


def silences(cluster: Cluster, namespace: str) -> list[list[str]]:
    """The Events that kubectl lists of a silent agent, the oldest first, in words: type, reason, age, whose, why."""

    def listed() -> list[list[str]] | None:
        """All three of them."""
        lines = [line.split() for line in described(cluster, namespace, "mute").splitlines() if "AgentSilent" in line]
        return lines if len(lines) == len(NAMES) else None

    return until(listed, within=SLOW)
