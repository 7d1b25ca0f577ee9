"""One tick with all that went into it, and the laws that hold for every single one.

What a law compares with is worked out anew from the observation, never taken from the core.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise

from scaler.core import drain, explain, record
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Phase, Pod, Stage
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Instant, Known, Observation, Outcome, PodUid, Sample, Signal, Unknown, Verb


@dataclass(frozen=True, slots=True)
class Moment:
    """What a tick is given."""

    policy: Policy
    memory: Memory
    observation: Observation
    now: Instant

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that are seen; none while they cannot be."""
        seen = self.observation.pods
        return () if isinstance(seen, Unknown) else tuple(seen)

    def tick(self) -> Ticked:
        """The same with the answer."""
        return Ticked(self, tick(self.policy, self.memory, self.observation, self.now))


@dataclass(frozen=True, slots=True)
class Ticked:
    """A tick's arguments and its answer."""

    given: Moment
    outcome: Outcome

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that were seen; none while they cannot be."""
        return self.given.pods

    @property
    def blind(self) -> bool:
        """Whether the pods could not be seen."""
        return isinstance(self.given.observation.pods, Unknown)

    @property
    def standing(self) -> int:
        """Pods seen that are not drained."""
        return sum(pod.phase is not Phase.DRAINED for pod in self.pods)

    @property
    def last(self) -> int | Unknown:
        """The last target; where there is none or it is not followed the live replicas, and in auto all that stand."""
        policy, live = self.given.policy, self.given.observation.replicas
        replicas = int(live.value) if isinstance(live, Known) else live
        if policy.mode is not Mode.AUTO:
            return replicas
        if self.given.memory.target is not None:
            return self.given.memory.target
        if self.blind or (policy.guarantee is Guarantee.BEST_EFFORT and isinstance(live, Known)):
            return replicas
        return self.standing if isinstance(replicas, Unknown) else max(replicas, self.standing)

    @property
    def was(self) -> int:
        """The last target of a tick that had one."""
        last = self.last
        assert isinstance(last, int)
        return last

    @property
    def target(self) -> int:
        """What was decided, where something was."""
        replicas = self.outcome.decision.replicas
        assert isinstance(replicas, int)
        return replicas

    @property
    def decided(self) -> bool:
        """Whether the rules were walked: neither off, nor without any count of replicas."""
        return self.given.policy.mode is not Mode.OFF and isinstance(self.last, int)

    @property
    def cap(self) -> int:
        """The most the operator allows, in pods or in money."""
        policy = self.given.policy
        if policy.budget_per_hour is None or policy.pod_price_per_hour is None:
            return policy.max_replicas
        return min(policy.max_replicas, math.floor(policy.budget_per_hour / policy.pod_price_per_hour + 1e-9))

    @property
    def floor(self) -> int:
        """The lowest target that takes nobody's work away."""
        policy, last = self.given.policy, self.was
        if policy.guarantee is Guarantee.BEST_EFFORT:
            return min(last, self.standing - sum(map(self.idle, self.pods)) if not self.blind else self._running)
        if self.blind:
            return last
        tops = [pod.ordinal - policy.ordinals_start + 1 for pod in self.pods if pod.phase is not Phase.DRAINED]
        highest = max(tops, default=0) if policy.workload is Workload.STATEFUL_SET else 0
        return min(max(self.standing, highest), self.asked)

    @property
    def asked(self) -> int:
        """The most that anybody asked for; pods beyond it stand by another's arithmetic."""
        replicas = self.given.observation.replicas
        return max(self.was, int(replicas.value) if isinstance(replicas, Known) else len(self.pods))

    @property
    def _running(self) -> int:
        """Pods that the tasks in flight fill, all of the last target where nobody counts them."""
        policy, inflight = self.given.policy, self.given.observation.signals.get(Signal.INFLIGHT)
        if inflight is None or not self.usable(inflight):
            return self.was
        assert isinstance(inflight, Known)
        return math.ceil(inflight.value / policy.slots_per_pod - 1e-9)

    def age(self, at: Instant) -> float:
        """How far an instant lies from now, on either side."""
        return abs(self.given.now - at)

    def usable(self, sample: Sample) -> bool:
        """Whether a sample says anything at all."""
        return isinstance(sample, Known) and self.age(sample.at) <= self.given.policy.pace.lost_after

    def fresh(self, sample: Sample) -> bool:
        """Whether a sample lets anything fall."""
        soon = self.given.policy.stale_after
        return self.usable(sample) and isinstance(sample, Known) and self.age(sample.at) <= soon

    def idle(self, pod: Pod) -> bool:
        """Whether a pod is active, ready, heard of late, and does and holds nothing."""
        act = pod.activity
        heard = isinstance(act, Activity) and self.age(act.at) <= self.given.policy.stale_after
        quiet = isinstance(act, Activity) and act.inflight == 0 and act.sessions == 0
        return heard and quiet and pod.phase is Phase.ACTIVE and pod.stage is Stage.READY

    @property
    def informed(self) -> bool:
        """Whether every signal of the pool is known and fresh."""
        return all(map(self.fresh, self.given.observation.signals.values()))

    def ordered(self, verb: Verb) -> set[PodUid]:
        """The pods that are given this order."""
        return {order.uid for order in self.outcome.orders if order.verb is verb}

    def gave(self, *reasons: Reason) -> int:
        """Replicas that steps with these reasons took off the target."""
        return sum(step.before - step.after for step in self.outcome.trail if step.reason in reasons)

    @property
    def text(self) -> str:
        """The outcome as one line of JSON."""
        return json.dumps(record.to_json(self.outcome))


def written(moment: Moment) -> str:
    """What a tick is given, as JSON."""
    return json.dumps([record.to_json(moment.memory), record.to_json(moment.observation)])


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
    """Off and recommend answer the live replicas and touch nothing; auto answers what it decided."""
    report, live = t.outcome.report, t.given.observation.replicas
    if t.given.policy.mode is Mode.AUTO:
        assert report == t.outcome.decision.replicas
    else:
        assert report == (int(live.value) if isinstance(live, Known) else live)
        assert t.outcome.orders == ()
    assert t.outcome.active == (report if isinstance(report, Unknown) else report > 0)


def obeys_pauses(t: Ticked) -> None:
    """Paused upwards, only pods that stand already raise the target; paused downwards, only the bounds lower it."""
    if not t.decided:
        return
    if t.given.policy.pause_up:
        assert t.target <= max(t.was, t.floor)
    if t.given.policy.pause_down:
        keeps(t)


def keeps(t: Ticked) -> None:
    """Nothing falls but what the bounds forbid, nobody starts to leave and nobody's leave becomes final."""
    assert t.target >= min(t.was, max(t.cap, t.floor))
    assert t.ordered(Verb.MARK) | t.ordered(Verb.COMMIT) == set()


def holds_on_ignorance(t: Ticked) -> None:
    """While a signal is missing or stale nothing falls; while nothing speaks of demand nothing rises for it."""
    if not t.decided:
        return
    if not t.informed or (t.blind and t.given.policy.guarantee is Guarantee.PROTECTED):
        keeps(t)
    demand = (Signal.QUEUE, Signal.PENDING, Signal.INFLIGHT, Signal.TOKENS)
    signals = t.given.observation.signals
    if t.blind and not any(t.usable(signals[s]) for s in demand if s in signals):
        announced = t.outcome.evidence.announced
        assert t.target <= max(t.was, t.floor, min(t.cap, max(t.given.policy.min_replicas, math.ceil(announced))))


def marks_only_idle(t: Ticked) -> None:
    """Who is busy, holds a session, is not heard, not ready or not active is never marked."""
    marked = t.ordered(Verb.MARK)
    assert all(t.idle(pod) for pod in t.pods if pod.uid in marked)
    if t.given.policy.workload is Workload.STATEFUL_SET and marked:
        lowest = min(pod.ordinal for pod in t.pods if pod.uid in marked)
        assert {p.uid for p in t.pods if p.ordinal >= lowest and p.phase is Phase.ACTIVE} == marked


def gives_legal_orders(t: Ticked) -> None:
    """Every order can be carried out on the pod as it was seen, and no pod is given two."""
    pods = {pod.uid: pod for pod in t.pods}
    assert len({order.uid for order in t.outcome.orders}) == len(t.outcome.orders)
    for order in t.outcome.orders:
        drain.carry(pods[order.uid], order)
    if t.given.policy.guarantee is Guarantee.BEST_EFFORT:
        assert {order.verb for order in t.outcome.orders} <= {Verb.CANCEL, Verb.DELETE}


def deletes_nothing_that_returns(t: Ticked) -> None:
    """Deleting drained pods never has the controller start more pods than the target wants beside those that stand."""
    live = t.given.observation.replicas
    if deleted := len(t.ordered(Verb.DELETE)):
        asked = max(t.target, int(live.value) if isinstance(live, Known) else t.target)
        born = asked - (len(t.pods) - deleted)
        assert born <= max(t.target - t.standing, asked - len(t.pods))


def rises_within_rate(t: Ticked) -> None:
    """One tick at most doubles the target, or adds four; pods that stand already count as they are."""
    pace = t.given.policy.pace
    if t.decided:
        assert t.target <= max(t.was + max(pace.rise_pods, math.floor(pace.rise_ratio * t.was)), t.floor, t.standing)


def has_no_negative_age(t: Ticked) -> None:
    """Whatever the clock did, nothing is older than it can be: ages, waits and lengths are not negative."""
    e = t.outcome.evidence
    assert all(age >= 0 for age in e.ages.values() if not isinstance(age, Unknown))
    lengths = (e.demand.waiting, e.demand.down, e.forecast.horizon, e.learnt.startup_p90, e.learnt.idle_timer)
    assert all(length >= 0 and math.isfinite(length) for length in lengths)
    assert all(n >= 0 for n in record.to_json(e.supply).values())


def survives_json(t: Ticked) -> None:
    """Outcome and memory come back from JSON as they were, to the bit."""
    text = t.text
    assert json.dumps(record.to_json(record.from_json(Outcome, json.loads(text)))) == text


def can_be_told(t: Ticked) -> None:
    """Whatever was decided has a sentence, lines, labels and an Event, all of them in words."""
    assert all(explain.lines(t.outcome))
    assert explain.sentence(t.outcome) in explain.lines(t.outcome)
    assert all((*explain.labels(t.outcome).values(), *explain.event(t.outcome)))


def calls_back_first(t: Ticked) -> None:
    """Nothing is started while a pod that drains could take the work."""
    if t.given.policy.mode is Mode.AUTO and t.decided and t.target > max(t.was, t.floor):
        assert {pod.uid for pod in t.pods if pod.phase is Phase.DRAINING} == t.ordered(Verb.CANCEL)


LAWS = (
    stays_in_bounds,
    chains,
    obeys_mode,
    obeys_pauses,
    holds_on_ignorance,
    marks_only_idle,
    gives_legal_orders,
    deletes_nothing_that_returns,
    calls_back_first,
    rises_within_rate,
    has_no_negative_age,
    survives_json,
    can_be_told,
)


def keeps_every_law(t: Ticked) -> None:
    """All of them."""
    for law in LAWS:
        law(t)
