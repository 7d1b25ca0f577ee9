"""Warm pools as Hypothesis draws them, the laws of one tick, and a story for each reason that only they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from hypothesis import strategies as st

from scaler.core.policy import Mode
from scaler.core.reasons import Reason
from scaler.core.types import Announcement, Hold, Instant, Known, Seconds, Unknown
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmObservation, WarmOutcome, WarmPolicy

START: Instant = 1_772_452_800.0
BLIND = Unknown("nobody looked")


@dataclass(frozen=True, kw_only=True)
class Look:
    """One tick as it is drawn: what is seen, so many seconds after the last one; None for what is not known."""

    claims: int | None = 0
    stuck: int | None = 0
    settled: bool | None = True
    foreign: int | None = None
    seen: bool = True
    leads: tuple[Seconds, ...] = ()
    cold: int = 0
    unready: int = 0
    fanout: int = 0
    allowance: int | None = None
    step: Seconds = 5.0


LOOKS = st.builds(
    Look,
    claims=st.one_of(st.none(), st.integers(0, 3), st.integers(0, 60)),
    stuck=st.sampled_from((0, 0, 0, 2, None)),
    settled=st.sampled_from((True, True, True, False, None)),
    foreign=st.sampled_from((None, None, None, None, 0, 7, 30)),
    seen=st.sampled_from((True, True, True, True, False)),
    leads=st.lists(st.floats(0.5, 120.0), max_size=6).map(tuple),
    cold=st.sampled_from((0, 0, 1, 9)),
    unready=st.sampled_from((0, 0, 1, 9)),
    fanout=st.sampled_from((0, 0, 0, 15)),
    allowance=st.sampled_from((None, None, None, 0, 10)),
    step=st.sampled_from((5.0, 5.0, 5.0, 0.0, 1.0, 30.0, 400.0, -60.0)),
)
POLICIES = st.builds(
    WarmPolicy,
    mode=st.sampled_from((Mode.AUTO, Mode.AUTO, Mode.AUTO, Mode.RECOMMEND, Mode.OFF)),
    min_size=st.integers(0, 5),
    max_size=st.integers(5, 60),
    miss_target=st.sampled_from((0.001, 0.01, 0.2)),
    wait_price=st.sampled_from((None, None, 1.0, 20.0)),
    pause_up=st.sampled_from((False, False, True)),
    pause_down=st.sampled_from((False, False, True)),
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One tick: what it was given and what it answered."""

    policy: WarmPolicy
    memory: WarmMemory
    seen: WarmObservation
    now: Instant
    outcome: WarmOutcome


def observe(look: Look, live: int, now: Instant) -> WarmObservation:
    """What is seen of a pool of this size."""
    end = now + 60.0
    hints = (Announcement(name="fan-out", pods=look.fanout, start=now, end=end, added=True),) if look.fanout else ()
    return WarmObservation(
        size=Known(float(live), now) if look.seen else BLIND,
        claims=BLIND if look.claims is None else look.claims,
        unschedulable=BLIND if look.stuck is None else Known(float(look.stuck), now),
        settled=BLIND if look.settled is None else look.settled,
        leads=look.leads,
        cold=look.cold,
        unready=look.unready,
        announced=hints,
        allowance=look.allowance,
    )


def played(policy: WarmPolicy, looks: list[Look], live: int = 3) -> list[Told]:
    """One tick for each look; the pool has the size that was reported last, unless somebody else has set it."""
    memory, now, told = WarmMemory.fresh(START, policy.pace), START, []
    for look in looks:
        live = live if look.foreign is None else look.foreign
        seen = observe(look, live, now)
        outcome = tick_pool(policy, memory, seen, now)
        told.append(Told(policy=policy, memory=memory, seen=seen, now=now, outcome=outcome))
        live = live if isinstance(outcome.report, Unknown) else outcome.report
        memory, now = outcome.memory, now + look.step
    return told


def keeps_every_law(t: Told) -> None:
    """What holds in any tick, whatever it was given."""
    outcome, decision, trail = t.outcome, t.outcome.decision, t.outcome.trail
    assert trail
    assert all(a.after == b.before for a, b in pairwise(trail))
    if isinstance(decision, Hold):
        assert outcome.report == decision.replicas
        assert trail[0].before == trail[-1].after
        return
    base, n = trail[0].before, decision.replicas
    assert trail[-1].after == n
    assert isinstance(t.seen.claims, int), "decided without knowing the claims"
    assert n <= t.policy.max_size
    assert t.seen.allowance is None or n <= t.seen.allowance
    if n > base:
        assert isinstance(t.seen.unschedulable, Known)
        assert t.seen.unschedulable.value == 0, "added beside sandboxes that find no node"
        assert not t.policy.pause_up
    bound = min(t.policy.max_size, base if t.seen.allowance is None else t.seen.allowance)
    if n < min(base, bound):
        assert t.seen.settled is True
        assert not t.policy.pause_down
    if t.policy.mode is not Mode.AUTO:
        assert outcome.report in {BLIND, base}
        assert outcome.memory.size is None


def _looks(*looks: Look, policy: WarmPolicy | None = None, live: int = 3) -> WarmOutcome:
    return played(policy or WarmPolicy(), list(looks), live)[-1].outcome


_BUSY = Look(claims=9)
_HOUR = (Look(claims=9, step=60.0),) * 60
STORIES: Mapping[Reason, WarmOutcome] = MappingProxyType(
    {
        Reason.LEAD_TIME: _looks(_BUSY, _BUSY),
        Reason.SURPLUS: _looks(*_HOUR, Look(claims=9, foreign=90)),
        Reason.SURPLUS_TIMER: _looks(*_HOUR, Look(claims=60), Look(claims=0), Look(claims=0)),
        Reason.UNCLAIMED: _looks(*(Look(claims=0, step=400.0),) * 11, live=1),
        Reason.UNSCHEDULABLE: _looks(_BUSY, replace(_BUSY, stuck=1)),
        Reason.UNSETTLED: _looks(*_HOUR, Look(claims=9, foreign=90, settled=False)),
    }
)
