"""The laws that hold for every single tick, each a function that asserts it."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from itertools import pairwise

import numpy as np

from scaler.core import drain, explain, record
from scaler.core.nodes import PATIENCE
from scaler.core.numbers import whole
from scaler.core.pods import Phase, Stage
from scaler.core.policy import Guarantee, Mode, Workload
from scaler.core.types import Known, Outcome, Signal, Unknown, Verb
from tests.properties.ticked import Ticked


def stays_in_bounds(t: Ticked) -> None:
    """Never below the floor, and above it never over the cap."""
    if t.decided:
        assert t.floor <= t.target <= max(t.cap, t.floor)


def chains(t: Ticked) -> None:
    """Each step starts where the one before it ended; the first at the last target, the last at the decision."""
    trail, replicas = t.outcome.trail, t.outcome.decision.replicas
    assert trail
    assert all(a.after == b.before for a, b in pairwise(trail))
    if isinstance(replicas, int):
        assert trail[0].before == t.last
        assert trail[-1].after == replicas


def obeys_mode(t: Ticked) -> None:
    """Off and recommend answer the live replicas and only open gates; auto answers what it decided. In doubt: none."""
    report, last = t.outcome.report, t.last
    if t.given.policy.mode is Mode.AUTO:
        assert report == t.outcome.decision.replicas or t.in_doubt
    else:
        assert report == last or t.in_doubt or (isinstance(report, Unknown) and isinstance(last, Unknown))
        assert t.ordered(Verb.CANCEL) == {order.uid for order in t.outcome.orders}
        assert t.ordered(Verb.CANCEL) == {pod.uid for pod in t.pods if pod.phase is Phase.DRAINING}
    assert t.outcome.active == (report if isinstance(report, Unknown) else report > 0)


def takes_back_nothing_unknown(t: Ticked) -> None:
    """No number is told that is below pods which came unasked after the live replicas were read.

    A stamp from the future, left by a clock that was set back, does not say when that was.
    """
    live, report, since = t.given.observation.replicas, t.outcome.report, t.outcome.memory.crowd.since
    if since is not None:
        assert isinstance(live, Unknown) or live.at < since or live.at > t.given.now
        assert t.blind or isinstance(report, Unknown) or t.stand <= max(report, t.asked)


def obeys_pauses(t: Ticked) -> None:
    """Paused upwards, only pods that stand already raise the target; paused downwards, only the bounds lower it."""
    if not t.decided:
        return
    if t.given.policy.pause_up:
        assert t.target <= t.stays
    if t.given.policy.pause_down:
        keeps(t)


def keeps(t: Ticked) -> None:
    """Nothing falls but what the bounds forbid, nobody starts to leave and nobody's leave becomes final."""
    assert t.target >= min(t.was, max(t.cap, t.floor))
    assert t.ordered(Verb.MARK) | t.ordered(Verb.COMMIT) == set()


def holds_on_ignorance(t: Ticked) -> None:
    """While a signal is missing or stale nothing falls; while nothing speaks of demand nothing rises for it.

    Where no task began or ended lately, no wait and no service time are missing.
    """
    if not t.decided:
        return
    if not t.informed or (t.blind and t.given.policy.guarantee is Guarantee.PROTECTED):
        keeps(t)
    demand = (Signal.QUEUE, Signal.PENDING, Signal.INFLIGHT, Signal.TOKENS)
    signals = t.given.observation.signals
    if t.blind and not any(t.usable(signals[s]) for s in demand if s in signals):
        announced = t.outcome.evidence.announced
        assert t.target <= max(t.stays, min(t.cap, max(t.given.policy.min_replicas, math.ceil(announced))))


def marks_only_who_can_go(t: Ticked) -> None:
    """Who holds a session or is not heard, ready or active is never marked; a busy pod only as the next law says.

    And what is marked leaves enough for the work that there is. Who leaves with its node has a law of its own.
    """
    marked = t.ordered(Verb.MARK) - t.displaced
    assert all(t.idle(pod) or t.tasks(pod) for pod in t.pods if pod.uid in marked)
    evidence = t.outcome.evidence
    assert not marked or evidence.supply.wanted - len(marked) >= min(evidence.demand.need_up, t.cap)
    if t.given.policy.workload is Workload.STATEFUL_SET and marked:
        lowest = min(pod.ordinal for pod in t.pods if pod.uid in marked)
        assert {p.uid for p in t.pods if p.ordinal >= lowest and p.phase is Phase.ACTIVE} - t.displaced == marked


def empties_the_emptiest(t: Ticked) -> None:
    """A busy pod takes no more only in a pool of gates, and none with fewer tasks is left.

    As many as serve more than there may be are told so whatever they run; beyond these, those of a ReplicaSet that have
    room. Those that are left serve the work: none that is on its way, or silent, stands in for them.
    """
    marked = t.ordered(Verb.MARK) - t.displaced
    busy = [t.tasks(pod) for pod in t.pods if pod.uid in marked and not t.idle(pod)]
    if not busy:
        return
    policy, beyond = t.given.policy, max(0, t.serving - t.cap)
    assert policy.guarantee is Guarantee.PROTECTED
    assert t.serving - len(marked) >= min(t.outcome.evidence.demand.need_up, t.cap)
    if policy.workload is Workload.STATEFUL_SET:
        assert len(busy) <= beyond
        return
    assert sum(tasks >= policy.slots_per_pod for tasks in busy) <= beyond
    named = t.outcome.memory.pods
    fresh = {uid for uid, count in zip(named.uids, named.named, strict=True) if 0 < count < policy.pace.namings}
    left = [t.tasks(pod) for pod in t.pods if t.sparse(pod) and pod.uid not in marked | fresh | t.displaced]
    assert max(busy) <= min(left, default=max(busy))


def gives_legal_orders(t: Ticked) -> None:
    """Every order can be carried out on the pod as it was seen, and no pod is given two."""
    pods = {pod.uid: pod for pod in t.pods}
    assert len({order.uid for order in t.outcome.orders}) == len(t.outcome.orders)
    for order in t.outcome.orders:
        drain.carry(pods[order.uid], order)
    if t.given.policy.guarantee is Guarantee.BEST_EFFORT:
        assert {order.verb for order in t.outcome.orders} <= {Verb.CANCEL, Verb.DELETE}


def deletes_nothing_that_returns(t: Ticked) -> None:
    """Deleting drained pods never has the controller start more pods than the target wants beside those that stand.

    Nor, of a StatefulSet, one in a place that the target has given up and the live replicas have not.
    """
    live = t.given.observation.replicas
    if deleted := t.ordered(Verb.DELETE):
        asked = max(t.target, int(live.value) if isinstance(live, Known) else t.target)
        born = asked - (len(t.pods) - len(deleted))
        assert born <= max(t.target - t.standing, asked - len(t.pods))
        if t.given.policy.workload is Workload.STATEFUL_SET:
            places = {pod.ordinal - t.given.policy.ordinals_start for pod in t.pods if pod.uid in deleted}
            assert places.isdisjoint(range(t.target, asked))


def rises_within_rate(t: Ticked) -> None:
    """One tick doubles the target, or adds four, or what was announced; pods that stand already count as they are."""
    pace, e = t.given.policy.pace, t.outcome.evidence
    if t.decided:
        announced = t.stays + max(0, whole(e.announced) - e.supply.wanted)
        assert t.target <= max(t.was + max(pace.rise_pods, math.floor(pace.rise_ratio * t.was)), announced)


def has_no_negative_age(t: Ticked) -> None:
    """Whatever the clock did, nothing is older than it can be: ages, waits and lengths are not negative."""
    e = t.outcome.evidence
    assert all(age >= 0 for age in e.ages.values() if not isinstance(age, Unknown))
    lengths = (e.demand.waiting, e.demand.down, e.forecast.horizon, e.learnt.startup_p90, e.learnt.idle_timer)
    assert all(length >= 0 and math.isfinite(length) for length in lengths)
    assert all(n >= 0 for n in record.to_json(e.supply).values())


def survives_json(t: Ticked) -> None:
    """Outcome and memory come back from JSON as they were, to the bit."""
    assert same(record.from_json(Outcome, json.loads(t.text)), t.outcome)


def same(one: object, other: object) -> bool:
    """Whether two values are one and the same, through and through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def can_be_told(t: Ticked) -> None:
    """Whatever was decided has a sentence, lines, labels and an Event, all of them in words."""
    assert all(explain.lines(t.outcome))
    assert explain.sentence(t.outcome) in explain.lines(t.outcome)
    assert all((*explain.labels(t.outcome).values(), *explain.event(t.outcome)))


def calls_back_first(t: Ticked) -> None:
    """Nothing is started while a pod that drains could take the work; one that leaves with its node could not."""
    if t.given.policy.mode is Mode.AUTO and t.decided and t.target > t.stays:
        draining = {pod.uid for pod in t.pods if pod.phase is Phase.DRAINING}
        assert draining - t.displaced <= t.ordered(Verb.CANCEL) <= draining


def leaves_with_its_node(t: Ticked) -> None:
    """A pod that its node asks away is called back by nobody, and whoever is marked leaves enough for the work.

    Enough of those that are ready and heard, that is; where there is not enough anyway, at most one of them goes, and
    none while another that is heard is on its way, unless none began within five minutes. One whose node wants it again
    is called back.
    """
    protected = t.given.policy.guarantee is Guarantee.PROTECTED and t.given.policy.mode is Mode.AUTO
    assert not (protected and t.displaced & t.ordered(Verb.CANCEL))
    stays = {pod.uid for pod in t.pods if pod.phase is Phase.DRAINING and pod.for_node and not pod.displaced}
    assert stays <= t.ordered(Verb.CANCEL)
    assert protected or not t.displaced & t.ordered(Verb.MARK)
    able = {pod.uid for pod in t.pods if pod.phase is Phase.ACTIVE and pod.stage is Stage.READY}
    marked, heard = t.displaced & t.ordered(Verb.MARK) & able, {pod.uid for pod in t.pods if t.heard(pod)}
    if not marked or len(able & heard - marked) >= min(t.outcome.evidence.demand.need_up, t.cap):
        return
    under_way = {pod.uid for pod in t.pods if pod.phase is Phase.DRAINING and t.heard(pod)}
    assert len(marked) == 1
    assert not under_way & t.displaced or t.waited >= PATIENCE


LAWS = (
    stays_in_bounds,
    chains,
    obeys_mode,
    takes_back_nothing_unknown,
    obeys_pauses,
    holds_on_ignorance,
    marks_only_who_can_go,
    empties_the_emptiest,
    gives_legal_orders,
    deletes_nothing_that_returns,
    calls_back_first,
    leaves_with_its_node,
    rises_within_rate,
    has_no_negative_age,
    survives_json,
    can_be_told,
)


def keeps_every_law(t: Ticked) -> None:
    """All of them."""
    for law in LAWS:
        law(t)
