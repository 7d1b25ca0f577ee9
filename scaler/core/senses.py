"""What one tick is given: the signals with their freshness judged, and the pods as seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scaler.core.fleet import Fleet, Sight, look
from scaler.core.memory import Memory
from scaler.core.passing import maker, passing
from scaler.core.policy import Guarantee, Policy
from scaler.core.types import Instant, Known, Observation, Sample, Seconds, Signal, Unknown

NOT_CONFIGURED = Unknown("not configured")
OF_TASKS_LATELY: Final = frozenset({Signal.WAIT_P95, Signal.SERVICE})  # where none began or ended, there is none
_new_sight = maker(Sight)


@passing
class Senses:
    """The signals of this tick, split by whether they may be used, with the age of each.

    A signal that is Unknown or older than ``lost_after`` says nothing. One that is missing or older than
    ``stale_after`` freezes falls: ``stale`` names the first such. What tells of tasks that began or ended lately does
    not: of long ones there are none for hours, and no fall is judged by it.
    """

    usable: Mapping[Signal, Known]
    ages: Mapping[Signal, Seconds | Unknown]
    stale: str | None

    def missing(self, signal: Signal) -> Unknown:
        """Why a signal that is not usable is not."""
        age = self.ages.get(signal)
        if age is None:
            return NOT_CONFIGURED
        return age if isinstance(age, Unknown) else Unknown(f"{age:.0f} s old")


_new_senses = maker(Senses)


@passing
class Given:
    """Everything a tick is decided from, but its memory.

    ``live`` is the live replicas as last known, None before; ``raised`` the same where somebody else has raised them
    above our target since the last tick, else 0.
    """

    policy: Policy
    observation: Observation
    now: Instant
    senses: Senses
    fleet: Fleet | Unknown
    live: int | None
    raised: int


_new_given = maker(Given)


def take(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Given:
    """Judge the signals and look at the pods."""
    live = observation.replicas
    return _new_given(
        policy=policy,
        observation=observation,
        now=now,
        senses=sense(policy, observation.signals, now),
        fleet=_look(policy, memory, observation, now),
        live=int(live.value) if isinstance(live, Known) else memory.live,
        raised=_raised(memory, live),
    )


def _raised(memory: Memory, live: Sample) -> int:
    """What somebody else asks for. Our own target reaches the live replicas and never passes it."""
    if memory.target is None or memory.live is None or not isinstance(live, Known):
        return 0
    return int(live.value) if live.value > max(memory.target, memory.live) else 0


def sense(policy: Policy, signals: Mapping[Signal, Sample], now: Instant) -> Senses:
    """Judge each signal's freshness."""
    usable: dict[Signal, Known] = {}
    ages: dict[Signal, Seconds | Unknown] = {}
    stale: str | None = None
    lost_after = policy.pace.lost_after
    stale_after = min(policy.stale_after, lost_after)
    for name, sample in signals.items():
        freezes = stale is None and name not in OF_TASKS_LATELY
        if isinstance(sample, Unknown):
            ages[name] = sample
            if freezes:
                stale = f"{name} is unknown: {sample.why}"
            continue
        age = ages[name] = abs(now - sample.at)  # a stamp from the future is no fresher than an old one
        if age <= lost_after:
            usable[name] = sample
        if age > stale_after and freezes:
            stale = f"{name} is {age:.0f} s old"
    return _new_senses(usable=usable, ages=ages, stale=stale)


def _look(policy: Policy, memory: Memory, observation: Observation, now: Instant) -> Fleet | Unknown:
    if isinstance(observation.pods, Unknown):
        return observation.pods
    sight = _new_sight(
        now=now,
        stale_after=policy.stale_after,
        lost_after=policy.pace.lost_after,
        overdue_after=2 * memory.lessons.startups.p99,
        slots=policy.slots_per_pod,
        gated=policy.guarantee is Guarantee.PROTECTED,
    )
    return look(observation.pods, memory.pods, sight)
