"""One tick with all that went into it.

What a law compares with is worked out anew from the observation, never taken from the core.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from scaler.core import record
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Phase, Pod, Stage
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Instant, Known, Observation, Outcome, PodUid, Sample, Seconds, Signal, Unknown, Verb


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
        """Pods seen that are not released."""
        return sum(not self.released(pod) for pod in self.pods)

    @property
    def serving(self) -> int:
        """Pods that take work, as far as one knows, and are not asked away."""
        ready = (pod for pod in self.pods if pod.phase is Phase.ACTIVE and pod.stage is Stage.READY)
        return sum(self.heard(pod) and not pod.displaced for pod in ready)

    @property
    def displaced(self) -> set[PodUid]:
        """The pods that their nodes ask away."""
        return {pod.uid for pod in self.pods if pod.displaced}

    @property
    def waited(self) -> Seconds:
        """For how long no pod has begun to leave with its node, as far as this process knows."""
        memory = self.given.memory.at_or_before(self.given.now)
        return self.given.now - (memory.born if memory.left_at is None else memory.left_at)

    def heard(self, pod: Pod) -> bool:
        """Whether what a pod said may be believed."""
        return isinstance(pod.activity, Activity) and self.age(pod.activity.at) <= self.given.policy.stale_after

    def works(self, pod: Pod) -> bool:
        """Whether a pod is known to run a task or to hold a session."""
        act = pod.activity
        return self.heard(pod) and isinstance(act, Activity) and bool(act.inflight or act.sessions)

    def released(self, pod: Pod) -> bool:
        """Whether a pod is drained, and not known to work all the same."""
        return pod.phase is Phase.DRAINED and not self.works(pod)

    @property
    def last(self) -> int | Unknown:
        """The last target; where there is none or it is not followed the live replicas, and in auto all that stand."""
        policy, live = self.given.policy, self.given.observation.replicas
        replicas = int(live.value) if isinstance(live, Known) else live
        if isinstance(live, Known) and self.age(live.at) > policy.pace.lost_after:
            replicas = Unknown("known too long ago")
        if policy.mode is not Mode.AUTO:
            return Unknown("known from before our target was left, or this process began") if self.left else replicas
        if self.given.memory.target is not None:
            return self.given.memory.target
        if self.blind and isinstance(live, Known) and live.at < self.given.memory.at_or_before(self.given.now).born:
            return Unknown("known from before this process")
        if isinstance(replicas, Unknown) or self.blind or policy.guarantee is Guarantee.BEST_EFFORT:
            return replicas
        return max(replicas, self.stand)

    @property
    def left(self) -> bool:
        """Whether our last target, or another process's, may have been followed since the live replicas were read."""
        memory, live = self.given.memory.at_or_before(self.given.now), self.given.observation.replicas
        if isinstance(live, Unknown) or live.value == memory.target:
            return False
        told = memory.told_at
        return live.at < (memory.born if told is None else told + self.given.policy.pace.followed_after)

    @property
    def in_doubt(self) -> bool:
        """Whether no number is told because more pods stand than anybody is known to have asked for."""
        stand = self.given.memory.crowd.stand if self.blind else self.stand
        return isinstance(self.outcome.report, Unknown) and isinstance(self.last, int) and stand > self.asked

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
        policy, kept = self.given.policy, max(self.was, self.raised)
        if policy.guarantee is Guarantee.BEST_EFFORT:
            idle, working = sum(map(self.idle, self.pods)), sum(map(self.works, self.pods))
            return self._running if self.blind else max(min(kept, self.standing - idle), min(self.asked, working))
        if self.blind:
            return kept
        return min(self.stand, self.asked)

    @property
    def stand(self) -> int:
        """The number of replicas that would keep every pod that is not released."""
        policy = self.given.policy
        tops = [pod.ordinal - policy.ordinals_start + 1 for pod in self.pods if not self.released(pod)]
        highest = max(tops, default=0) if policy.workload is Workload.STATEFUL_SET else 0
        return max(self.standing, highest)

    @property
    def raised(self) -> int:
        """What somebody else has raised the live replicas to since the last tick; 0 where nobody did."""
        memory, live = self.given.memory, self.given.observation.replicas
        if memory.target is None or memory.live is None or isinstance(live, Unknown):
            return 0
        return int(live.value) if live.value > max(memory.target, memory.live) else 0

    @property
    def stays(self) -> int:
        """The target at which nothing is begun: the last one, more where more stands or somebody asked for more."""
        return max(self.was, self.floor, self.raised)

    @property
    def asked(self) -> int:
        """The most that anybody asked for; pods beyond it stand by another's arithmetic."""
        replicas = self.given.observation.replicas
        return max(self.was, int(replicas.value) if isinstance(replicas, Known) else self.given.memory.live or 0)

    @property
    def _running(self) -> int:
        """Pods that the tasks in flight may need, one each; all of the last target where nobody counts them now.

        No more than anybody asked for.
        """
        inflight = self.given.observation.signals.get(Signal.INFLIGHT)
        if inflight is None or not self.usable(inflight) or not self.informed:
            return max(self.was, self.raised)
        assert isinstance(inflight, Known)
        return min(math.ceil(inflight.value - 1e-9), max(self.asked, self.raised))

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

    def tasks(self, pod: Pod) -> int:
        """What an active, ready pod without sessions is known to run; 0 where it is none, or not known."""
        act = pod.activity
        if not isinstance(act, Activity) or self.age(act.at) > self.given.policy.stale_after or act.sessions:
            return 0
        return act.inflight if pod.phase is Phase.ACTIVE and pod.stage is Stage.READY else 0

    def sparse(self, pod: Pod) -> bool:
        """Whether such a pod runs something and has room for more."""
        return 0 < self.tasks(pod) < self.given.policy.slots_per_pod

    @property
    def informed(self) -> bool:
        """Whether every signal of the pool is known and fresh, but for what tells of tasks begun or ended lately."""
        signals = self.given.observation.signals
        return all(self.fresh(signals[s]) for s in signals.keys() - {Signal.WAIT_P95, Signal.SERVICE})

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
