"""One evaluation of one warm pool: how many sandboxes shall stand idle, and why.

Learn from the claims and lead times seen, expect the claims of one lead time, take the smallest size at which no more
of them than the target would miss, and walk the rules. It rises at once and falls slowly. Pure: the same arguments give
the same outcome, for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from scaler.core.policy import Mode
from scaler.core.reasons import Reason
from scaler.core.types import Hold, Instant, Known, ScaleTo, Step, Unknown
from scaler.core.warmpool_memory import CANDIDATES, WarmMemory
from scaler.core.warmpool_model import idle, miss
from scaler.core.warmpool_scene import Scene, scene
from scaler.core.warmpool_types import WarmEvidence, WarmObservation, WarmOutcome, WarmPolicy
from scaler.core.watch import Watch

Rule: TypeAlias = Callable[[Scene, int], Step | None]


def rise(s: Scene, n: int) -> Step | None:
    """Have what the claims of one lead time need."""
    offered = s.belief.offered
    if s.wanted <= n:
        return None
    note = f"{offered.claims:.2f} in {s.leads.mean:.1f} s, dispersion {offered.dispersion:.1f}, {_aim(s.policy)}"
    return Step(Reason.LEAD_TIME, n, s.wanted, note)


def announce(s: Scene, n: int) -> Step | None:
    """Have what hints and the schedule ask for besides: they are orders, not guesses."""
    if s.asked <= max(n, s.wanted):
        return None
    return Step(Reason.ANNOUNCED, n, s.asked, f"{s.announced:g} claims announced beside {s.wanted} sandboxes")


def fall(s: Scene, n: int) -> Step | None:
    """Give up what nobody is expected to claim, once keeping it has cost as much as making it anew would."""
    if s.wish >= s.base or n > s.base:
        return None
    veto = _veto(s)
    if veto is not None:
        return Step(veto[0], n, n, veto[1])
    reason = Reason.UNCLAIMED if s.dormant else Reason.SURPLUS
    return Step(reason, n, max(s.watch.most, s.found), f"no more was wanted for {s.timer:.0f} s")


def minimum(s: Scene, n: int) -> Step | None:
    """Never fewer than the pool's minimum."""
    least = s.policy.min_size
    return None if n >= least else Step(Reason.MINIMUM, n, least, f"min_size {least}")


def pause(s: Scene, n: int) -> Step | None:
    """Add nothing while additions are paused."""
    return Step(Reason.PAUSED, n, s.base, "pause_up") if s.policy.pause_up and n > s.base else None


def fit(s: Scene, n: int) -> Step | None:
    """Add nothing while a sandbox finds no node, or nobody knows whether each does."""
    stuck = s.seen.unschedulable
    if n <= s.base or (isinstance(stuck, Known) and stuck.value <= 0):
        return None
    why = stuck.why if isinstance(stuck, Unknown) else f"{stuck.value:g} find no node"
    return Step(Reason.UNSCHEDULABLE, n, s.base, why)


def maximum(s: Scene, n: int) -> Step | None:
    """Never more than the pool's maximum."""
    most = s.policy.max_size
    return None if n <= most else Step(Reason.MAXIMUM, n, most, f"max_size {most}")


def afford(s: Scene, n: int) -> Step | None:
    """Never more than the budget shared with other pools leaves to this one."""
    most = s.seen.allowance
    return None if most is None or n <= most else Step(Reason.BUDGET, n, most, f"the shared budget leaves {most}")


RULES: tuple[Rule, ...] = (
    rise,  # what claims need within one lead time
    announce,  # and those announced
    fall,  # what is spare, slowly
    minimum,  # the operator's lower bound
    pause,  # additions held by the operator
    fit,  # where sandboxes find no node, more of them find none either
    maximum,  # the operator's upper bound
    afford,  # and that of all pools together
)


def tick_pool(policy: WarmPolicy, memory: WarmMemory, seen: WarmObservation, now: Instant) -> WarmOutcome:
    """Decide on one warm pool.

    Args:
        policy: the policy in force; it may differ from the last tick's.
        memory: the last outcome's, or ``WarmMemory.fresh(now, policy.pace)``.
        seen: what is known at ``now``.
        now: seconds since the epoch, read once. It may lie before the last tick's: a clock that was set back.
    """
    memory = memory.at_or_before(now)
    base = _base(policy, memory, seen, now)
    s = scene(policy, memory, seen, now, 0 if isinstance(base, Unknown) else base)
    hold = _hold(policy, seen, base)
    if hold is not None:
        return _outcome(s, memory, hold, (Step(hold.reason, s.base, s.base, hold.why),))
    n, trail = _walk(s)
    if policy.mode is Mode.RECOMMEND:
        trail = (*trail, Step(Reason.RECOMMEND, n, n, f"the live size stays at {s.base}"))
    return _outcome(s, memory, ScaleTo(n), trail)


def _base(policy: WarmPolicy, memory: WarmMemory, seen: WarmObservation, now: Instant) -> int | Unknown:
    """The size we asked for while it may not have been followed yet, else the live one."""
    asked, at = memory.size, memory.moved_at
    if policy.mode is Mode.AUTO and asked is not None and at is not None and now - at < policy.pace.followed_after:
        return asked
    return seen.size if isinstance(seen.size, Unknown) else round(seen.size.value)


def _hold(policy: WarmPolicy, seen: WarmObservation, base: int | Unknown) -> Hold | None:
    """What there is stays where nobody knows the size or the claims, and where the pool is switched off."""
    if isinstance(base, Unknown):
        return Hold(base, Reason.NO_REPLICAS, base.why)
    if policy.mode is Mode.OFF:
        return Hold(base, Reason.OFF, "mode is off")
    if isinstance(seen.claims, Unknown):
        return Hold(base, Reason.NO_SIGNAL, seen.claims.why)
    return None


def _walk(s: Scene) -> tuple[int, tuple[Step, ...]]:
    """The size after every rule, and the steps that led there."""
    n, trail = s.base, []
    for rule in RULES:
        step = rule(s, n)
        if step is not None:
            trail.append(step)
            n = step.after
    if not trail:
        trail.append(Step(Reason.STEADY, n, n, f"{s.wanted} wanted, {_aim(s.policy)}"))
    return n, tuple(trail)


def _veto(s: Scene) -> tuple[Reason, str] | None:
    """Why nothing is given up yet."""
    if s.policy.pause_down:
        return Reason.PAUSED, "pause_down"
    if s.base <= s.found:
        return Reason.NEWCOMER, f"{s.found} were found, and too little is known to take any of them"
    settled = s.seen.settled
    if settled is not True:
        return Reason.UNSETTLED, settled.why if isinstance(settled, Unknown) else "its status is of an older spec"
    kept = s.watch.kept(s.now)
    if kept < s.timer or s.watch.turns < s.policy.pace.namings:
        return Reason.SURPLUS_TIMER, f"{s.watch.most} would have done for {kept:.0f} s of {s.timer:.0f} s"
    if s.watch.most >= s.base:
        return Reason.SURPLUS_TIMER, f"{s.watch.most} were wanted less than {s.timer:.0f} s ago"
    return None


def _outcome(s: Scene, memory: WarmMemory, decision: ScaleTo | Hold, trail: tuple[Step, ...]) -> WarmOutcome:
    """The decision with its evidence, and the memory for the next tick."""
    n = decision.replicas
    follows = s.policy.mode is Mode.AUTO and not isinstance(n, Unknown)
    live = decision.replicas if isinstance(decision, Hold) else s.base
    size = n if follows and not isinstance(n, Unknown) else None
    known = memory.found if memory.found is not None or isinstance(live, Unknown) else s.base
    return WarmOutcome(
        at=s.now,
        decision=decision,
        report=n if follows else live,
        trail=trail,
        evidence=_evidence(s, n),
        memory=WarmMemory(
            at=s.now,
            born=memory.born,
            leads=s.leads,
            claims=s.claims,
            late=s.late,
            found=known,
            size=size,
            moved_at=None if size is None else memory.moved_at if size == s.base else s.now,
            watch=Watch() if size is None else s.watch,
            hints=s.hints,
        ),
    )


def _evidence(s: Scene, n: int | Unknown) -> WarmEvidence:
    offered, claims = s.belief.offered, s.seen.claims
    size = s.base if isinstance(n, Unknown) else n
    missed = miss(offered, size)
    return WarmEvidence(
        rate=s.belief.rate,
        candidate=CANDIDATES[s.belief.candidate],
        trust=s.belief.trust,
        lead=s.leads.mean,
        lead_p90=s.leads.last.p90,
        leads=s.leads.count,
        offered=offered,
        wanted=claims if isinstance(claims, Unknown) else s.wanted,
        expected_misses=missed,
        expected_idle=idle(offered, size, missed),
        announced=s.announced,
        timer=s.timer,
    )


def _aim(policy: WarmPolicy) -> str:
    """What the size is chosen for."""
    if policy.wait_price is None:
        return f"{policy.miss_target:.2%} may miss"
    return f"waiting costs {policy.wait_price:g}"
