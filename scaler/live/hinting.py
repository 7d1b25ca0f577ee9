"""Where hints are taken in: who may give them, how much of each is granted, and the tick that follows at once.

The hints of a pool that stand at any one time get, together, the policy's share of the most pods that the pool's
maximum and its money allow, and at least one slot. The core bounds them once more, by the policy of each tick.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from scaler.config.hints import HintsSection
from scaler.config.pool import PoolKey
from scaler.config.schedule import AHEAD
from scaler.core.policy import Mode, Policy
from scaler.core.types import Instant, Seconds
from scaler.live.hints import Hint, Hints, Wish

MOST_IN_POOL: Final = 128  # hints of one pool at once, whoever gave them: each is looked at on every tick


class Caller(Protocol):
    """Somebody who gives hints, however they were recognised."""

    @property
    def name(self) -> str:
        """Shown beside their hints; no two callers share one."""
        ...

    def may_hint(self, namespace: str) -> bool:
        """Whether they may give hints for pools of this namespace."""
        ...


class Bounds(Protocol):
    """What bounds the hints of a pool."""

    @property
    def key(self) -> PoolKey:
        """The pool."""
        ...

    @property
    def policy(self) -> Policy:
        """Its policy: the most that its hints may ask for follows from it."""
        ...


class Hintable(Protocol):
    """A pool for which hints may be given."""

    @property
    def hints(self) -> Hints:
        """Those that were given."""
        ...

    @property
    def spec(self) -> Bounds:
        """What bounds them."""
        ...


class Pools(Protocol):
    """Where pools are found."""

    def get(self, key: PoolKey) -> Hintable | None:
        """The pool of this name, None where there is none."""
        ...


class Verdict(enum.StrEnum):
    """What became of a hint. The values serve as metric labels."""

    GRANTED = "granted"
    CUT = "cut"  # granted in part
    REPEATED = "repeated"  # it stands already
    WITHDRAWN = "withdrawn"
    FORBIDDEN = "forbidden"  # not this caller, for this namespace
    NO_POOL = "no_pool"
    NO_HINT = "no_hint"  # to withdraw
    TAKEN = "taken"  # another one of the caller's stands under its id
    CROWDED = "crowded"  # the caller or the pool has as many as it may
    SPENT = "spent"  # the pool's share is given away
    FAR = "far"  # it begins later than anything is planned for


class HintError(Exception):
    """A hint that is refused: the kind, a sentence, and when it may be worth trying again."""

    def __init__(self, verdict: Verdict, why: str, *, again: Instant | None = None) -> None:
        super().__init__(why)
        self.verdict, self.again = verdict, again


@dataclass(frozen=True, slots=True)
class Granted:
    """A hint that stands, and in words what bounds it and what keeps it from having an effect."""

    hint: Hint
    bounds: tuple[str, ...]


class HintDesk:
    """Takes hints in. Belongs to one event loop."""

    def __init__(self, registry: Pools, prompt: Callable[[PoolKey], None], section: Callable[[], HintsSection]) -> None:
        """``prompt`` ticks a pool at once; ``section`` gives the configuration in force."""
        self._registry, self._prompt, self.section = registry, prompt, section
        self._given: dict[tuple[str, str], Hint] = {}  # by caller and id
        self._turn = 0
        self._counts = Counter({verdict.value: 0 for verdict in Verdict})

    def counts(self) -> Mapping[str, int]:
        """Hints by what became of them."""
        return dict(self._counts)

    def give(self, caller: Caller, wish: Wish, now: Instant) -> Granted:
        """Take a hint in at ``now`` and tick its pool. The same under the same id changes nothing.

        Raises:
            HintError: it cannot stand.
        """
        try:
            granted, verdict = self._give(caller, wish, now)
        except HintError as error:
            self._counts[error.verdict] += 1
            raise
        self._counts[verdict] += 1
        if verdict is not Verdict.REPEATED:
            self._prompt(wish.pool)
        return granted

    def withdraw(self, caller: Caller, id_: str, now: Instant) -> None:
        """Let one of the caller's hints stand no more. What was started for it leaves as any idle pod does.

        Raises:
            HintError: none of the caller's stands under this id.
        """
        hint = self._standing(now).pop((caller.name, id_), None)
        pool = None if hint is None else self._registry.get(hint.wish.pool)
        if hint is None or pool is None:
            self._counts[Verdict.NO_HINT] += 1
            raise HintError(Verdict.NO_HINT, f"no hint of {caller.name} stands under the id {id_}")
        pool.hints.drop(hint)
        self._counts[Verdict.WITHDRAWN] += 1

    def _give(self, caller: Caller, wish: Wish, now: Instant) -> tuple[Granted, Verdict]:
        pool, given = self._pool(caller, wish.pool), self._standing(now)
        name = caller.name, wish.id
        section = self.section()
        if name in given:
            same = _same(given[name], wish)
            return Granted(same, tuple(_bounds(same, pool.spec.policy, section.longest))), Verdict.REPEATED
        _check_room(caller.name, [hint for hint in given.values() if hint.caller == caller.name], section.most)
        _check_room(str(wish.pool), pool.hints.standing(now), MOST_IN_POOL)
        self._turn += 1
        start = _start(wish, now)
        whole = Hint(caller.name, self._turn, wish, slots=wish.slots, start=start, end=start + wish.duration)
        hint = _within(whole, pool, section.longest, now)
        pool.hints.keep(hint)
        given[name] = hint
        bounds = tuple(_bounds(hint, pool.spec.policy, section.longest))
        return Granted(hint, bounds), Verdict.GRANTED if hint == whole else Verdict.CUT

    def _pool(self, caller: Caller, key: PoolKey) -> Hintable:
        """The pool, if the caller may give hints for it. Who may not is not told whether there is one."""
        if not caller.may_hint(key.namespace):
            raise HintError(Verdict.FORBIDDEN, f"{caller.name} may give no hints for pools of {key.namespace}")
        pool = self._registry.get(key)
        if pool is None:
            why = f"there is no pool {key}: the configuration does not name it and KEDA has not asked for it yet"
            raise HintError(Verdict.NO_POOL, why)
        return pool

    def _standing(self, now: Instant) -> dict[tuple[str, str], Hint]:
        """Every hint that stands. Those that have ended, or whose pool has gone, are forgotten."""
        self._given = {name: hint for name, hint in self._given.items() if self._stands(hint, now)}
        return self._given

    def _stands(self, hint: Hint, now: Instant) -> bool:
        pool = self._registry.get(hint.wish.pool)
        return pool is not None and pool.hints.holds(hint, now)


def share(policy: Policy) -> int:
    """Slots that the hints of a pool may ask for together."""
    return max(1, math.floor(policy.pace.hint_share * policy.cap * policy.slots_per_pod))


def _start(wish: Wish, now: Instant) -> Instant:
    """When a wish begins: not before it is told, and not later than a day from then."""
    start = now if wish.start is None else max(now, wish.start)
    if start > now + AHEAD:
        why = f"the start is {start - now:.0f} s ahead, and must be at most {AHEAD:.0f} s; tell it later"
        raise HintError(Verdict.FAR, why)
    return start


def _same(hint: Hint, wish: Wish) -> Hint:
    """The hint, if this is the wish it was granted for."""
    if hint.wish != wish:
        why = f"another hint of {hint.caller} stands under the id {wish.id}; withdraw it, or choose another id"
        raise HintError(Verdict.TAKEN, why)
    return hint


def _check_room(owner: str, hints: Collection[Hint], most: int) -> None:
    """Refuse where there are as many as there may be."""
    if len(hints) >= most:
        why = f"{len(hints)} hints of {owner} stand, which is the most; withdraw one, or wait until one ends"
        raise HintError(Verdict.CROWDED, why, again=min(hint.end for hint in hints))


def _within(hint: Hint, pool: Hintable, longest: Seconds, now: Instant) -> Hint:
    """The hint, within what its pool has left of its share while it stands."""
    end = min(hint.end, hint.start + longest)
    others = [h for h in pool.hints.standing(now) if h.start < end and hint.start < h.end]
    left = share(pool.spec.policy) - sum(h.slots for h in others)
    if left < 1:
        why = f"hints have the share of {pool.spec.key} that they may have, {share(pool.spec.policy)} slots"
        raise HintError(Verdict.SPENT, f"{why}; wait until one ends", again=min(h.end for h in others))
    return replace(hint, slots=min(hint.slots, left), end=end)


def _bounds(hint: Hint, policy: Policy, longest: Seconds) -> Iterator[str]:
    """In words, what bounds a hint and what keeps it from having an effect."""
    wish = hint.wish
    if hint.slots < wish.slots:
        part = f"all hints of {wish.pool} together may ask for {policy.pace.hint_share:g} of its {policy.cap} pods"
        yield f"slots: {hint.slots} of {wish.slots} are granted, because {part}, which is {share(policy)} slots"
    if wish.duration > longest:
        yield f"duration: {longest:g} s of {wish.duration:g} s are granted, because no hint may stand longer"
    if policy.mode is not Mode.AUTO:
        yield f"mode: it is {policy.mode.value}, so the replicas of {wish.pool} stay as they are"
