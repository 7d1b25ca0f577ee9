"""What one tick makes of what it was given, before anything is decided about a warm pool."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TypeAlias

from scaler.core import warmpool_learn as learnt
from scaler.core.numbers import whole
from scaler.core.types import Announcement, Instant, Seconds, Unknown
from scaler.core.warmpool_learn import Belief, Stretch
from scaler.core.warmpool_memory import Claims, Late, Leads, WarmMemory
from scaler.core.warmpool_types import WarmObservation, WarmPolicy
from scaler.core.watch import Watch

TIMER_LEAST: Seconds = 30.0  # a size that follows every lull is noise to whoever watches it
CHANCE = 2.0  # standard deviations by which claims exceed the usual ones before a hint is thought to have come

Hints: TypeAlias = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that the rules look at.

    Attributes:
        base: the last size.
        belief: what claims are expected; ``leads``, ``claims`` and ``late`` are for the next tick.
        wanted: the smallest size that keeps the target for them; 0 where the pool is ``dormant``: nobody has claimed
            for so long that a miss costs less than an idle sandbox has.
        hints: claims that hints have announced and that have not come, by name; ``planned`` the sandboxes that the
            schedule asks for in all.
        watch: what was wanted lately, this tick included; ``timer`` for how many seconds spare sandboxes stay: as long
            as it takes to make one anew.
        found: what stays of the size that we found, while this process is younger than the timer, or claims were
            counted in fewer lead times than the target speaks of: one in a hundred is seen in a hundred. Then 0.
    """

    policy: WarmPolicy
    seen: WarmObservation
    now: Instant
    base: int
    belief: Belief
    leads: Leads
    claims: Claims
    late: Late
    wanted: int
    dormant: bool
    hints: Hints
    planned: float
    watch: Watch
    timer: Seconds
    found: int

    @property
    def announced(self) -> float:
        """Claims yet to come of all hints; together they may ask for the policy's share of the maximum."""
        left = math.fsum(claims for _, claims in self.hints)
        return min(left, self.policy.pace.hint_share * self.policy.max_size)

    @property
    def asked(self) -> int:
        """Sandboxes for the claims expected and for those announced."""
        return max(self.wanted + whole(self.announced), whole(self.planned))

    @property
    def wish(self) -> int:
        """The same, and no fewer than the operator wants."""
        return max(self.asked, self.policy.min_size)


def scene(policy: WarmPolicy, memory: WarmMemory, seen: WarmObservation, now: Instant, base: int) -> Scene:
    """Learn from this instant and say what is expected.

    The claims of this very tick count at once. What they teach about dispersion, and about who foresees best, decides
    from the next tick on: otherwise more claims could mean a smaller pool.
    """
    leads = learnt.leads(memory.leads, seen.leads, policy.pace)
    running = _running(policy, seen, leads, now)
    claims, hints = _counted(policy, replace(memory, leads=leads), seen, running, now)
    before = replace(claims, losses=memory.claims.losses, errors=memory.claims.errors)
    known = replace(memory, leads=leads, claims=before)
    belief = learnt.believe(known, policy, now)
    timer = max(TIMER_LEAST, leads.last.p90)
    dormant = now - claims.last > max(timer, policy.price * leads.mean)
    s = Scene(
        policy=policy,
        seen=seen,
        now=now,
        base=base,
        belief=belief,
        leads=leads,
        claims=claims,
        late=learnt.late(memory.late, cold=seen.cold, unready=seen.unready),
        wanted=0 if dormant else learnt.size(policy, belief.offered),
        dormant=dormant,
        hints=hints,
        planned=max((a.pods for a in running if not a.added), default=0.0),
        watch=memory.watch,
        timer=timer,
        found=base if memory.found is None else memory.found,
    )
    new = now - memory.born < timer or now - (claims.since or now) < leads.mean / (1.0 - policy.fractile)
    return replace(s, watch=_watched(s), found=s.found if new else 0)


def _running(policy: WarmPolicy, seen: WarmObservation, leads: Leads, now: Instant) -> list[Announcement]:
    """What was announced and is in force: early enough for sandboxes to be ready when it begins, until it ends."""
    early = leads.last.p90 + policy.delay
    return [a for a in seen.announced if a.start - early <= now < a.end]


def _counted(
    policy: WarmPolicy, memory: WarmMemory, seen: WarmObservation, running: list[Announcement], now: Instant
) -> tuple[Claims, Hints]:
    """Claims learnt from, without those that were announced, and the hints without those that have come."""
    known = dict(memory.hints)
    hints = tuple((a.name, known.get(a.name, a.pods)) for a in running if a.added)
    if isinstance(seen.claims, Unknown):
        return learnt.unwatched(memory.claims), hints
    begun, since = {a.name for a in running if a.start <= now}, min(memory.claims.until, memory.at)
    usual = learnt.usual(memory.claims) * (now - since)
    hints, told = _met(hints, begun, _beyond(usual, seen.claims))
    stretch = Stretch(seen.claims - told, since, now, watched=since == memory.at)
    return learnt.learn(memory.claims, policy, memory.leads.mean, stretch), hints


def _beyond(usual: float, came: int) -> float:
    """Claims above the usual ones, where they are so many more that it is not chance."""
    return came - usual if came > usual + CHANCE * math.sqrt(usual) else 0.0


def _met(hints: Hints, begun: AbstractSet[str], came: float) -> tuple[Hints, float]:
    """The hints with these claims taken off the first that have begun, and how many that were."""
    left, rest = came, []
    for name, claims in hints:
        met = min(claims, left) if name in begun else 0.0
        left -= met
        rest.append((name, claims - met))
    return tuple(rest), came - left


def _watched(s: Scene) -> Watch:
    """What was wanted lately, with this tick; nothing where nobody knows of claims."""
    if isinstance(s.seen.claims, Unknown):
        return Watch()
    return s.watch.wished(s.wish, s.now, s.timer, s.policy.pace.namings)
