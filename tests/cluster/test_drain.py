"""The drain protocol on a real control plane, with KEDA and the HPA as the writers of replicas and agents at work.

One scaler looks after the pools of all stories, one pool each. Whatever is done to a pool, at the end of its story
nothing was lost: by the agents' own journal, joined with the API server's audit log.
"""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from scaler.controller.dig import at
from scaler.controller.names import ACCOUNT, FORCE, HOLDS, LEAST
from tests.cluster.draining import LOOK, SLOW, Guarded, Pool, Story, labels, name, story
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.rest import APPLY, JSON_PATCH, MERGE, Document, Json, RefusedError
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda")
POOLS = (
    "plain",
    "unready",
    "lowered",
    "evicted",
    "rolled",
    "deleted",
    "parallel",
    "ordered",
    "rolling",
    "shifted",
    "bare",
    "banded",
    "narrow",
    "claimed",
    "audited",
    "strayed",
    "dropped",
    "capped",
    "ranked",
)
REMOVALS, DENIALS = 300, 50  # fewer would prove nothing
AT_ONCE = 6  # stories side by side
MANY = 12  # tasks that wait, at the least, where no agent is ever to be idle: one for each of them
Acts = Mapping[str, "Future[None]"]


@pytest.fixture(scope="module")
def told(guards: Guarded) -> Iterator[Story]:
    """One scaler that looks after the pools of all stories."""
    with story(guards, "drains") as going:
        going.begin(teach=POOLS)
        yield going


@pytest.fixture(scope="module")
def acts(told: Story, request: pytest.FixtureRequest) -> Iterator[Acts]:
    """The stories that were asked for, all of them going on side by side; each test waits for its own."""
    asked = {item.name for item in request.session.items}
    wanted = [each for each in STORIES if any(f"[{each.__name__}]" in title for title in asked)]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        yield {each.__name__: threads.submit(each, told) for each in wanted}


def filled(told: Story, scaled: Scaled, tasks: int = 0, seconds: float = 0.0) -> Pool:
    """A pool whose agents are all under the guards, and so many of them at work for so long."""
    made = told.pool(replace(scaled, cooldown=5), tasks, seconds)
    until(lambda: _guarded(made) or None, within=SLOW, every=LOOK)
    return made


def _guarded(pool: Pool) -> bool:
    """Every pod is labelled, and the workload as well."""
    found = pool.cluster.api.get(pool.path) or {}
    return HOLDS in labels(found) and pool.is_guarded()


def set_ready(pool: Pool, pod: str, *, ready: bool) -> None:
    """The kubelet says that the pod is ready, or is not."""
    condition: Document = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-11-21T12:00:00Z"}
    path = f"/api/v1/namespaces/{pool.namespace}/pods/{pod}/status"
    body: Document = {"status": {"conditions": [condition]}}
    pool.cluster.api.request("PATCH", path, body, content="application/strategic-merge-patch+json")


def idle_agents_leave_and_busy_ones_stay(told: Story) -> None:
    """Sixty agents, tasks for some: the others leave, none is started in their place, and in the end all are gone."""
    pool = filled(told, Scaled(name="plain", replicas=60), 10, 60)
    pool.falls(20)
    pool.settles(0)
    assert told.removals("plain")[0] == 60


def an_agent_that_is_not_ready_starves_nobody(told: Story) -> None:
    """Its ReplicaSet would pick it first and for ever; we delete the drained ones ourselves, and all settles."""
    pool = filled(told, Scaled(name="unready", replicas=40), 40, 40)
    busy = [name(pod) for pod in pool.agents()][:5]
    for pod in busy:
        set_ready(pool, pod, ready=False)
    told.work(pool, burst=5, seconds=150)
    pool.falls(10)
    for pod in busy:
        set_ready(pool, pod, ready=True)
    pool.settles(0)


def whoever_lowers_the_replicas_takes_nobody_away(told: Story) -> None:
    """A person and an HPA gone mad, again and again, while all work: denied each time, and the target comes back."""
    pool = filled(told, Scaled(name="lowered", replicas=20), 20, 90)
    stop = threading.Event()

    def lower() -> None:
        for replicas in [3, 0, 11, 1] * 100:
            pool.lower(replicas)
            if stop.wait(1.0):
                return

    mad = threading.Thread(target=lower)
    mad.start()
    try:
        until(lambda: told.removals("lowered")[1] >= DENIALS or None, within=SLOW, every=LOOK)
        assert len(pool.agents()) >= 20
    finally:
        stop.set()
        mad.join()
    pool.settles(0)


def kubectl_drain_ends_when_the_agents_do(told: Story) -> None:
    """Every eviction is refused until its pod is drained, and what is evicted is replaced without our doing."""
    pool = filled(told, Scaled(name="evicted", replicas=20), 20, 60)
    evicted = [name(pod) for pod in pool.agents()]
    left, refused = set(evicted), 0

    def evict() -> bool | None:
        """Every pod that was there has been evicted, or has left by itself."""
        nonlocal refused
        for pod in tuple(left):
            refused += not _evicted(pool, pod)
            if pod not in {name(found) for found in pool.agents()}:
                left.discard(pod)
        return not left or None

    until(evict, within=SLOW, every=LOOK)
    assert refused >= 20
    pool.settles(0)


def _evicted(pool: Pool, pod: str) -> bool:
    """Whether an eviction was granted, or the pod is gone."""
    body: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    try:
        pool.cluster.api.request("POST", f"/api/v1/namespaces/{pool.namespace}/pods/{pod}/eviction", body)
    except RefusedError as error:
        if error.status not in {404, 429}:
            raise
        return error.status == 404
    return True


def a_rollout_waits_for_the_agents_and_ends(told: Story) -> None:
    """New pods come at once; old ones take nothing more, finish what they have, and go one by one."""
    pool = filled(told, Scaled(name="rolled", replicas=12), 12, 45)
    before = {name(pod) for pod in pool.agents()}
    told.work(pool, rate=0.6, shorten=40)  # work goes on, so the pool stays
    template: Document = {"spec": {"template": {"metadata": {"annotations": {"rollout": "2"}}}}}
    told.cluster.api.request("PATCH", pool.path, template, content="application/strategic-merge-patch+json")

    def rolled() -> bool | None:
        """None of the old pods is left, and new ones are there."""
        there = {name(pod) for pod in pool.agents()}
        return (not there & before and bool(there)) or None

    until(rolled, within=SLOW, every=LOOK)
    told.work(pool, rate=0)
    pool.settles(0)


def a_deployment_is_not_deleted_under_its_agents(told: Story) -> None:
    """Refused by name; by a person who may it is deleted at once, and its pods go when they are done."""
    pool = filled(told, Scaled(name="deleted", replicas=15), 15, 60)
    kubectl = (str(Assets.usual().binary("kubectl")), "--kubeconfig", str(told.cluster.admin), "-n", told.namespace)
    asked = subprocess.run(
        [*kubectl, "delete", "deployment", "deleted", "--wait=false"], capture_output=True, text=True, check=False
    )
    assert asked.returncode != 0
    assert "holds agent pods that are not drained" in asked.stderr
    person = told.cluster.api.acting("person", ["system:masters"])
    found = told.cluster.api.get(pool.path)
    assert found is not None
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    forced: Document = {"metadata": {"annotations": {FORCE: metadata["uid"]}}}
    person.request("PATCH", pool.path, forced, content=MERGE)
    person.request("DELETE", pool.path, {"propagationPolicy": "Background"})
    assert pool.replicas() == -1
    assert len(pool.agents()) == 15

    def gone() -> bool | None:
        """No pod is left."""
        return not pool.agents() or None

    until(gone, within=SLOW, every=LOOK)
    told.cluster.api.delete(f"/apis/keda.sh/v1alpha1/namespaces/{told.namespace}/scaledobjects/deleted")


def a_stateful_set_gives_up_its_highest_idle_pods(told: Story) -> None:
    """Down to the highest busy one, however idle those below it are; and in the end all are gone."""
    pool = filled(told, Scaled(name="parallel", replicas=40, kind="StatefulSet"), 40, 40)
    told.work(pool, burst=6, seconds=60)
    pool.settles(0)


def an_ordered_stateful_set_gives_up_its_highest_idle_pods(told: Story) -> None:
    """Its controller takes one at a time, and none while a lower one is not ready; we take the drained ones."""
    pool = filled(told, Scaled(name="ordered", replicas=20, kind="StatefulSet", starts="OrderedReady"), 20, 40)
    told.work(pool, burst=6, seconds=60)
    pool.settles(0)


def a_stateful_set_that_starts_elsewhere_is_trimmed_at_both_ends(told: Story) -> None:
    """Of its pods 3 to 12 the highest idle ones leave; told to start at 5, it gives up the two below."""
    pool = filled(told, Scaled(name="shifted", replicas=10, first=3, kind="StatefulSet"), 10, 30)
    told.work(pool, burst=4, seconds=90)
    pool.falls(9)
    above: Document = {"spec": {"ordinals": {"start": 5}}}
    told.cluster.api.request("PATCH", pool.path, above, content=MERGE)
    lower = {"shifted-3", "shifted-4"}
    until(lambda: not lower & {name(pod) for pod in pool.agents()} or None, within=SLOW, every=LOOK)
    pool.settles(0)


def a_stateful_set_is_rolled_out_pod_by_pod(told: Story) -> None:
    """Its controller would take the highest old pod, busy or not; it waits for it to be drained."""
    pool = filled(told, Scaled(name="rolling", replicas=5, kind="StatefulSet"), 5, 30)
    told.work(pool, rate=0.3, shorten=40)
    before = {_uid(pod) for pod in pool.agents()}
    template: Document = {"spec": {"template": {"metadata": {"annotations": {"rollout": "2"}}}}}
    told.cluster.api.request("PATCH", pool.path, template, content="application/strategic-merge-patch+json")
    until(lambda: not before & {_uid(pod) for pod in pool.agents()} or None, within=SLOW, every=LOOK)
    told.work(pool, rate=0)
    pool.settles(0)


def _uid(pod: Document) -> str:
    metadata = pod["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["uid"])


def a_rise_within_the_hpas_tolerance_lands(told: Story) -> None:
    """From 20 to 22 the HPA never goes by itself; its minimum is held at 22 until it has, and is put back.

    From there to 25 it goes by itself.
    """
    pool = filled(told, Scaled(name="banded", replicas=20, exact=False), 20, 90)
    told.work(pool, burst=2, seconds=90)
    path = f"/apis/keda.sh/v1alpha1/namespaces/{told.namespace}/scaledobjects/banded"

    def landed() -> bool | None:
        """The workload asks for 22, and the ScaledObject's minimum is its own again."""
        found = told.cluster.api.get(path) or {}
        spec = found["spec"]
        assert isinstance(spec, dict)
        return (pool.replicas() == 22 and spec["minReplicaCount"] == 0 and LEAST not in str(found["metadata"])) or None

    until(landed, within=SLOW, every=LOOK)
    told.work(pool, burst=3, seconds=30)
    until(lambda: pool.replicas() != 22 or None, within=SLOW)
    assert pool.replicas() == 25
    pool.settles(0)


def a_fall_within_the_hpas_tolerance_is_told(told: Story) -> None:
    """From 20 to 18 the HPA never goes by itself, and nothing can be held downwards: an Event says what to set.

    To 17 it goes by itself, and exactly there.
    """
    pool = filled(told, Scaled(name="narrow", replicas=20, exact=False), 17, 200)
    told.work(pool, burst=1, seconds=45)
    followed(told, "narrow", "the target is 18 and the HPA stays at 20", "set behavior.scaleDown.tolerance to 0")
    assert pool.replicas() == 20
    assert pool.phases() == {"active": 18, "drained": 2}
    pool.falls(19)
    assert pool.replicas() == 17
    pool.settles(17)
    pool.settles(0)


def who_writes_replicas_beside_us_is_told_and_not_fought(told: Story) -> None:
    """KEDA pauses and somebody applies replicas: nobody follows for two minutes, and an Event says who wrote them."""
    pool = filled(told, Scaled(name="claimed", replicas=6), 3, 200)
    path = f"/apis/keda.sh/v1alpha1/namespaces/{told.namespace}/scaledobjects/claimed"
    hpa = f"/apis/autoscaling/v2/namespaces/{told.namespace}/horizontalpodautoscalers/keda-hpa-claimed"
    paused = "autoscaling.keda.sh/paused"
    told.cluster.api.request("PATCH", path, {"metadata": {"annotations": {paused: "true"}}}, content=MERGE)
    until(lambda: told.cluster.api.get(hpa) is None or None, within=SLOW, every=LOOK)
    applied: Document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "claimed"}}
    query = "?fieldManager=argocd&force=true"
    told.cluster.api.request("PATCH", pool.path + query, applied | {"spec": {"replicas": 7}}, content=APPLY)
    followed(told, "claimed", "the workload asks for 7 and has for 2 minutes, as argocd wrote it")
    assert pool.replicas() == 7
    told.cluster.api.request("PATCH", path, {"metadata": {"annotations": {paused: None}}}, content=MERGE)
    pool.settles(0)


def followed(told: Story, pool: str, *words: str) -> None:
    """Return once an Event of the ScaledObject says with these words that its target is not followed."""
    every = f"/api/v1/namespaces/{told.namespace}/events?fieldSelector=involvedObject.name%3D{pool}"

    def said() -> bool | None:
        """It is there."""
        found = [str(e["message"]) for e in told.cluster.api.items(every) if e.get("reason") == "TargetNotFollowed"]
        return any(all(word in message for word in words) for message in found) or None

    until(said, within=SLOW, every=LOOK)


def an_audited_pool_is_drained_and_refuses_nobody(told: Story) -> None:
    """It is being moved under the guard: whoever deletes an agent at work is warned, and no budget keeps it."""
    pool = filled(told, Scaled(name="audited", replicas=4, metadata=(("guard", "audit"),)), 4, 40)
    pod = name(pool.agents()[0])
    place = f"/api/v1/namespaces/{told.namespace}/pods/{pod}"
    person = told.cluster.api.acting("person", ["system:masters"])
    person.request("DELETE", f"{place}?dryRun=All")
    eviction: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    person.request("POST", f"{place}/eviction?dryRun=All", eviction)
    pool.settles(0)


def a_name_that_leads_nowhere_empties_nobody(told: Story) -> None:
    """A ScaledObject points to a workload that is not there: the pods of the one that is take work, and all stay."""
    pool = filled(told, Scaled(name="strayed", replicas=6), 6, 20)
    before = {_uid(pod) for pod in pool.agents()}
    _aim(told, "strayed", "nowhere")

    def done() -> bool | None:
        """Nothing waits, and nothing runs."""
        figures = told.figures(pool)
        return (not figures["queue"] and not figures["inflight"]) or None

    for _ in range(4):
        told.work(pool, burst=6, seconds=8)
        until(done, within=SLOW, every=LOOK)
    assert {_uid(pod) for pod in pool.agents()} == before
    assert pool.phases() == {"active": 6}
    _aim(told, "strayed", "strayed")
    pool.settles(0)


def _aim(told: Story, scaled: str, workload: str) -> None:
    """Point a ScaledObject to a workload of this name."""
    told.cluster.api.request(
        "PATCH", _scaled(told, scaled), {"spec": {"scaleTargetRef": {"name": workload}}}, content=MERGE
    )


def a_pool_that_is_given_up_while_it_drains_takes_work_again(told: Story) -> None:
    """In the midst of a rollout its ScaledObject is deleted: old agents that were told to take no more open again."""
    pool = filled(told, Scaled(name="dropped", replicas=6), 6, 60)
    scaled_object = told.cluster.api.get(_scaled(told, "dropped")) or {}
    template: Document = {"spec": {"template": {"metadata": {"annotations": {"rollout": "2"}}}}}
    told.cluster.api.request("PATCH", pool.path, template, content="application/strategic-merge-patch+json")
    until(lambda: pool.phases().get("draining") or None, within=SLOW)
    told.cluster.api.delete(_scaled(told, "dropped"))
    until(lambda: "draining" not in pool.phases() or None, within=SLOW, every=LOOK)
    assert told.events("DrainCancelled")
    spec = scaled_object["spec"]
    again: Document = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "dropped"}}
    told.cluster.api.apply([{**again, "spec": spec}], namespace=told.namespace)
    pool.settles(0)


def a_lower_maximum_is_reached_however_much_waits(told: Story) -> None:
    """Twelve at work and none ever idle: told that five are the most, seven end what they have and go, unforced."""
    pool = _saturated(told, Scaled(name="capped", replicas=12, metadata=(("max", "12"),)))
    _lower(told, pool, "triggers/0/metadata/max", "5")
    assert told.removals("capped") == (7, 0)


def a_stateful_set_with_a_lower_bound_gives_up_its_highest_pods(told: Story) -> None:
    """The HPA asks for five at once, and its controller is refused until the highest seven have ended what they had."""
    pool = _saturated(told, Scaled(name="ranked", replicas=12, most=12, kind="StatefulSet"))
    _lower(told, pool, "maxReplicaCount", 5)
    assert {name(pod) for pod in pool.agents()} == {f"ranked-{ordinal}" for ordinal in range(5)}


def _saturated(told: Story, scaled: Scaled) -> Pool:
    """A pool whose agents are all at work, and whose HPA has been told its target."""
    pool = filled(told, scaled, scaled.replicas, 30)
    hpa = f"/apis/autoscaling/v2/namespaces/{told.namespace}/horizontalpodautoscalers/keda-hpa-{pool.name}"
    _under_load(told, pool, lambda: at(told.cluster.api.get(hpa) or {}, "status", "currentMetrics") is not None)
    return pool


def _lower(told: Story, pool: Pool, path: str, value: Json) -> None:
    """Return once the ScaledObject says this there, and exactly five are asked for and are there."""
    change: Json = [{"op": "replace", "path": f"/spec/{path}", "value": value}]
    told.cluster.api.request("PATCH", _scaled(told, pool.name), change, content=JSON_PATCH)
    _under_load(told, pool, lambda: (pool.replicas(), len(pool.agents())) == (5, 5))


def _under_load(told: Story, pool: Pool, done: Callable[[], bool]) -> None:
    """Return once that is so; until then more waits than all agents take."""

    def worked() -> bool | None:
        """More waits, or it is so."""
        if told.figures(pool)["queue"] < MANY:
            told.work(pool, burst=MANY, seconds=4)
        return done() or None

    until(worked, within=SLOW, every=LOOK)


def _scaled(told: Story, name: str) -> str:
    """Where the API server has a ScaledObject."""
    return f"/apis/keda.sh/v1alpha1/namespaces/{told.namespace}/scaledobjects/{name}"


STORIES = (  # the longest first
    who_writes_replicas_beside_us_is_told_and_not_fought,
    a_fall_within_the_hpas_tolerance_is_told,
    a_stateful_set_is_rolled_out_pod_by_pod,
    a_rollout_waits_for_the_agents_and_ends,
    a_name_that_leads_nowhere_empties_nobody,
    a_pool_that_is_given_up_while_it_drains_takes_work_again,
    a_stateful_set_that_starts_elsewhere_is_trimmed_at_both_ends,
    a_lower_maximum_is_reached_however_much_waits,
    a_stateful_set_with_a_lower_bound_gives_up_its_highest_pods,
    an_audited_pool_is_drained_and_refuses_nobody,
    a_rise_within_the_hpas_tolerance_lands,
    idle_agents_leave_and_busy_ones_stay,
    an_agent_that_is_not_ready_starves_nobody,
    whoever_lowers_the_replicas_takes_nobody_away,
    kubectl_drain_ends_when_the_agents_do,
    a_deployment_is_not_deleted_under_its_agents,
    a_stateful_set_gives_up_its_highest_idle_pods,
    an_ordered_stateful_set_gives_up_its_highest_idle_pods,
)


@pytest.mark.parametrize("name", [each.__name__ for each in STORIES])
def test_nobody_is_lost_and_all_settles(acts: Acts, told: Story, name: str) -> None:
    """Each story by itself; its docstring says what is done to its pool."""
    acts[name].result()
    assert told.losses() == []


def test_without_its_guards_a_pool_is_not_lowered(told: Story, acts: Acts) -> None:
    """The binding of the delete guard is taken away: nothing leaves, and an Event says why; put back, all goes on."""
    api = told.cluster.api
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/agent-scaler-delete"
    binding = api.get(path)
    assert binding is not None
    api.delete(path)
    try:
        pool = told.pool(Scaled(name="bare", replicas=10, cooldown=5))

        def said() -> bool | None:
            """An Event says that the guards do not hold."""
            events = api.items(f"/api/v1/namespaces/{told.namespace}/events")
            return any(event.get("reason") == "GuardsDoNotHold" for event in events) or None

        until(said, within=SLOW, every=LOOK)
        assert pool.phases() == {"active": 10}
        assert pool.replicas() == 10
    finally:
        metadata = binding["metadata"]
        assert isinstance(metadata, dict)
        kept: Document = {"name": metadata["name"], "labels": metadata.get("labels", {})}
        api.request("PATCH", f"{path}?fieldManager=harness&force=true", {**binding, "metadata": kept}, content=APPLY)
    pool.settles(0)


def test_a_removed_pod_costs_few_writes(told: Story, acts: Acts) -> None:
    """Two patches and an Event, and a deletion unless its ReplicaSet deletes it.

    One patch more if it is older than we, and one Event more if it was at work.
    """
    if (plain := acts.get("idle_agents_leave_and_busy_ones_stay")) is None:
        return
    plain.result()
    did = [r for r in told.cluster.audit.since() if (r.namespace, r.user) == (told.namespace, ACCOUNT)]
    ours = [r for r in did if r.name.startswith("plain-") and r.status < 300 and "dryRun" not in r.path]
    wrote = Counter((r.verb, r.resource) for r in ours if r.verb in {"patch", "delete", "create"} and not r.subresource)
    pods = len({r.name for r in ours if r.verb == "patch"})
    assert pods == told.removals("plain")[0]
    assert wrote["patch", "pods"] <= 3 * pods
    assert wrote["delete", "pods"] <= 1.1 * pods
    assert wrote["create", "events"] <= 1.3 * pods


def test_all_stories_together_prove_something(told: Story, acts: Acts) -> None:
    """Enough pods were removed and enough deletions denied; asked only where all stories were told."""
    removed, denied = told.removals()
    if len(acts) == len(STORIES):
        assert removed >= REMOVALS
        assert denied >= DENIALS
