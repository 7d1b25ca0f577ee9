"""The rules that turn demand into a target, in one ordered list.

Each rule takes the scene and the target so far, and answers a ``Step`` where it changes or holds something. A rule
never looks at another's step: what comes later in ``RULES`` has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from scaler.core.memory import Moves, Rise
from scaler.core.numbers import whole
from scaler.core.passing import passing
from scaler.core.policy import Pace, Policy
from scaler.core.reasons import Reason
from scaler.core.types import Demand, Forecast, Instant, Seconds, Step, Supply, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Veto:
    """Why nothing may fall this tick."""

    reason: Reason
    why: str


@passing
class Scene:
    """All that the rules look at.

    Attributes:
        base: the last target.
        standing: the target that neither adds nor removes: pods not drained, and those ordered and not seen yet.
        floor: the lowest target that takes nobody's work away.
        ahead: pods that hints and the schedule ask for.
        leaving: replicas given up this tick, with the reason: idle pods of a best-effort pool, or orders never seen.
        chosen, called_back: pods that start to drain, and draining pods called back; ``emptying`` of the former work.
        moved: pods that start to leave with their nodes.
        kept: why spare pods stay, None where none is spare.
        stop, veto: why nobody may leave at all, and why nothing may fall.
    """

    policy: Policy
    moves: Moves
    now: Instant
    base: int
    standing: int
    floor: int
    supply: Supply
    demand: Demand
    forecast: Forecast
    ahead: float
    leaving: int
    leaving_why: Reason
    chosen: int
    emptying: int
    called_back: int
    moved: int
    kept: Veto | None
    stop: Veto | None
    veto: Veto | None


Rule: TypeAlias = Callable[[Scene, int], Step | None]


def settle(s: Scene, n: int) -> Step | None:
    """Follow the pods: fall with each drained one, and rise to those that stand without being asked for."""
    if s.standing == n:
        return None
    reason = Reason.DRAINED if s.standing < n else Reason.STANDING
    return Step(reason, n, s.standing, f"{s.supply.drained} drained")


def leave(s: Scene, n: int) -> Step | None:
    """Give up idle pods of a best-effort pool, and orders that never became pods."""
    if not s.leaving:
        return None
    return Step(s.leaving_why, n, n - s.leaving, f"{s.leaving} of {s.supply.wanted}, {s.demand.need_down} are needed")


def veto(s: Scene, n: int) -> Step | None:
    """Nothing falls while a signal is missing, the direction is paused, the process new, or the flap budget spent."""
    if s.veto is None or n >= s.base:
        return None
    return Step(s.veto.reason, n, s.base, s.veto.why)


def want(s: Scene, n: int) -> Step | None:
    """Add what the work needs beyond supply; pods called back from draining come first and cost no replica."""
    after = _ask(s, n, s.demand.need_up)
    if after == n:
        return None
    note = f"{s.demand.bound} asks for {s.demand.up:.2f} pods, supply is {s.supply.wanted}"
    return Step(Reason.DEMAND, n, after, note)


def foresee(s: Scene, n: int) -> Step | None:
    """Add ahead what a forecast that has earned it expects before a pod could start."""
    f = s.forecast
    if isinstance(f.pods, Unknown) or (after := _ask(s, n, whole(f.pods))) == n:
        return None
    note = f"{f.pods:.2f} pods within {f.horizon:.0f} s at q = {f.quantile:.2f} ({f.candidate})"
    return Step(Reason.FORECAST, n, after, note)


def tolerate(s: Scene, n: int) -> Step | None:
    """Let a rise within a tenth of supply wait, unless a task has queued for a quarter of the wait target.

    One that stands in for pods that leave with their nodes does not wait: they stay until it is there.
    """
    kept, slack = max(s.base, s.standing), math.floor(s.policy.pace.tolerance * s.supply.wanted)
    patience = s.policy.pace.patience * s.policy.target_wait_p95
    if not kept < n <= kept + slack or s.demand.waiting > patience or s.supply.displaced:
        return None
    return Step(Reason.TOLERANCE, n, kept, f"{n - kept} more is within {slack}, longest wait {s.demand.waiting:.0f} s")


def activate(s: Scene, n: int) -> Step | None:
    """Keep an empty pool empty until demand is strictly above the activation threshold."""
    tasks = s.demand.now * s.policy.slots_per_pod
    if not n or s.base or s.standing or tasks > s.policy.activation:
        return None
    return Step(Reason.ACTIVATION, n, 0, f"{tasks:g} tasks, more than {s.policy.activation:g} wake the pool")


def announce(s: Scene, n: int) -> Step | None:
    """Add what hints and the schedule ask for."""
    after = _ask(s, n, whole(s.ahead))
    return None if after == n else Step(Reason.ANNOUNCED, n, after, f"{s.ahead:g} pods announced")


def minimum(s: Scene, n: int) -> Step | None:
    """Never fewer than the pool's minimum; pods that leave with their nodes are replaced to keep it."""
    least = s.policy.min_replicas
    if s.supply.displaced:
        least = max(least, _ask(s, n, least))
    return None if n >= least else Step(Reason.MINIMUM, n, least, f"min_replicas {least}")


def pause(s: Scene, n: int) -> Step | None:
    """Add nothing while additions are paused."""
    kept = max(s.base, s.standing)
    return Step(Reason.PAUSED, n, kept, "pause_up") if s.policy.pause_up and n > kept else None


def limit_rate(s: Scene, n: int) -> Step | None:
    """Rise by at most max(4, 100 %) of what the window began with, or to what was announced, which is no guess."""
    pace, kept = s.policy.pace, max(s.base, s.standing)
    if n <= kept:
        return None
    began = max(0, s.base - sum(r.added for r in s.moves.rises if s.now - r.at < pace.rise_window))
    most = max(_ask(s, kept, whole(s.ahead)), began + max(pace.rise_pods, math.floor(began * pace.rise_ratio)))
    return None if n <= most else Step(Reason.RATE_LIMIT, n, most, f"from {began} within {pace.rise_window:.0f} s")


def maximum(s: Scene, n: int) -> Step | None:
    """Never more than the pool's maximum. Draining pods count."""
    most = s.policy.max_replicas
    return None if n <= most else Step(Reason.MAXIMUM, n, most, f"max_replicas {most}")


def afford(s: Scene, n: int) -> Step | None:
    """Never more than the money per hour pays for. Draining pods count."""
    most = s.policy.affordable
    return None if most is None or n <= most else Step(Reason.BUDGET, n, most, f"{s.policy.budget_per_hour:g} an hour")


def protect(s: Scene, n: int) -> Step | None:
    """Never below the floor, whatever the bounds say."""
    return None if n >= s.floor else Step(Reason.FLOOR, n, s.floor, f"{s.floor} pods hold work or may")


def tell_drains(s: Scene, n: int) -> Step | None:
    """Say what happens to pods without moving the target: drains begun and called back, and why spare pods stay."""
    if s.called_back:
        return Step(Reason.UNDRAINED, n, n, f"{s.called_back} called back")
    if s.chosen:
        idle = s.chosen - s.emptying
        reason = Reason.DRAINING if idle else Reason.EMPTYING
        note = f"{idle} idle, {s.emptying} at work" if s.emptying else f"{idle} idle"
        return Step(reason, n, n, f"{note}, named {s.policy.pace.namings} times")
    return None if s.kept is None else Step(s.kept.reason, n, n, s.kept.why)


def tell_nodes(s: Scene, n: int) -> Step | None:
    """Say what happens to pods that their nodes ask away, without moving the target."""
    if s.moved:
        return Step(Reason.DISPLACED, n, n, f"{s.moved} of {s.supply.displaced}")
    if not s.supply.displaced:
        return None
    if s.stop is not None:
        return Step(s.stop.reason, n, n, f"{s.supply.displaced} are asked away by their nodes: {s.stop.why}")
    return Step(Reason.REPLACING, n, n, f"{s.supply.displaced} stay for now")


RULES: tuple[Rule, ...] = (
    settle,  # the pods that are there, less the drained
    leave,  # what a best-effort pool gives up, and orders never seen
    veto,  # nothing falls on ignorance, pause, youth or a spent flap budget
    want,  # the work itself
    activate,  # an empty pool wakes for work only above its threshold
    foresee,  # what the work will be before a pod could start
    tolerate,  # small rises wait while nobody does
    announce,  # hints and schedule are orders, not guesses
    minimum,  # the operator's lower bound
    pause,  # additions held by the operator
    limit_rate,  # however much is wanted, not all at once unless it was announced
    maximum,  # the operator's upper bound
    afford,  # and the one in money
    protect,  # nobody's work, before any bound
    tell_drains,  # what happens to pods meanwhile
    tell_nodes,  # and to those that their nodes ask away
)


def walk(scene: Scene) -> tuple[int, tuple[Step, ...]]:
    """The target after every rule, and the steps that led there."""
    n, trail = scene.base, []
    for rule in RULES:
        step = rule(scene, n)
        if step is not None:
            trail.append(step)
            n = step.after
    if not trail:
        trail.append(Step(Reason.STEADY, n, n, f"{scene.demand.need_up} needed, {scene.supply.wanted} there"))
    return n, tuple(trail)


def flapping(policy: Policy, moves: Moves, *, startup: Seconds, now: Instant) -> Veto | None:
    """A fall that would turn the target back once more than the hour's budget allows waits until it is no reversal."""
    pace = policy.pace
    if len(moves.turns) < pace.flap_budget or not _turns_back(moves, pace, startup, now):
        return None  # older turns may still be remembered, so this is not yet the count
    turns = sum(now - at < pace.flap_window for at in moves.turns)
    if turns < pace.flap_budget:
        return None
    return Veto(reason=Reason.FLAP_BUDGET, why=f"{turns} reversals within the hour, {pace.flap_budget} are allowed")


def moved(moves: Moves, policy: Policy, *, change: int, startup: Seconds, now: Instant) -> Moves:
    """The moves after the target changed by ``change``, older ones forgotten."""
    if not change and not moves.rises and not moves.turns:
        return moves
    pace = policy.pace
    rises = tuple([r for r in moves.rises if now - r.at < pace.rise_window])
    turns = tuple([at for at in moves.turns if now - at < pace.flap_window])
    if change > 0:
        return Moves(rises=(*rises, Rise(now, change)), last_rise=now, turns=turns)
    if change == 0:
        same = len(rises) == len(moves.rises) and len(turns) == len(moves.turns)
        return moves if same else Moves(rises=rises, last_rise=moves.last_rise, turns=turns)
    if _turns_back(moves, pace, startup, now):
        turns = (*turns, now)
    return Moves(rises=rises, last_rise=None, turns=turns)


def _turns_back(moves: Moves, pace: Pace, startup: Seconds, now: Instant) -> bool:
    """Whether the replicas would turn back quickly with a fall now: they rose last, at most two startups ago.

    They may have followed that rise late, and follow this fall at once.
    """
    return moves.last_rise is not None and now - moves.last_rise <= 2 * startup + pace.followed_after


def _ask(s: Scene, n: int, pods: int) -> int:
    """The target at which supply reaches ``pods``, once those called back serve again; never below ``n``."""
    missing = pods - s.supply.wanted - s.called_back
    return max(n, s.standing + missing) if missing > 0 else n
