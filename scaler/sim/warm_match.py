"""Warm pools side by side: every policy against the same claims, and what others need to miss as few."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass
from typing import Final

from scaler.core.warmpool_types import WarmPolicy
from scaler.sim.compare import interval
from scaler.sim.compose import Recipe, compose, expected
from scaler.sim.traces import Trace
from scaler.sim.warm import Claiming, Tally, WarmPool, play, wait_p95
from scaler.sim.warm_equal import Equal, Run, equals, limits, smallest
from scaler.sim.warm_limit import PERIOD
from scaler.sim.warm_ours import OurSizer
from scaler.sim.warm_peers import (
    HIGH,
    LOW,
    SECONDS,
    SHARES,
    TARGETS,
    BufferSizer,
    FixedSizer,
    HistogramSizer,
    RateSizer,
    ValueSizer,
)
from scaler.sim.warm_sight import Sizer
from scaler.sim.workload import Lognormal

OURS: Final = "ours"
SHIPPED: Final[Mapping[str, str]] = {  # knobs as the projects ship them
    "rate": "20",
    "hpa": "0.5",
    "buffer": "5",
    "histogram": "60",
}
NAMES: Final = (OURS, "fixed", "rate", "hpa", "buffer", "histogram")
KNOBS: Final = "fixed=SIZE, rate=SECONDS, hpa=CLAIMS_PER_SECOND, buffer=SIZE or buffer=PERCENT%, histogram=SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of warm pools.

    Attributes:
        recipe: how claims come; the lengths are for how long each keeps its sandbox.
        policy: ours, with the miss target and the bounds that hold for all.
        start: sandboxes that stand ready at first; None for the fixed size that would keep the target.
        equal: whether to look for what the others need to miss as few.
    """

    recipe: Recipe
    lead: Lognormal
    policy: WarmPolicy
    policies: tuple[str, ...] = NAMES
    seeds: int = 3
    start: int | None = None
    equal: bool = True

    def __post_init__(self) -> None:
        """Refuse more sandboxes at first than there may ever be.

        Raises:
            ValueError: there are.
        """
        most = self.policy.max_size
        if self.start is not None and self.start > most:
            raise ValueError(f"start = {self.start} is more than max = {most}: start with at most that, or raise max")


@dataclass(frozen=True, slots=True)
class Match:
    """One policy, by its name and perhaps its knob, on one seed."""

    question: Question
    policy: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one run came to.

    Attributes:
        misses: claims that found no ready sandbox; ``cold`` ones started their own, ``unready`` ones took one on its
            way.
        idle_sandbox_hours: ready and unclaimed; ``pool_sandbox_hours`` also has those on their way.
        max_size: the largest size that was asked for.
    """

    policy: str
    seed: int
    claims: int
    misses: int
    miss_rate: float
    wait_p95_s: float
    idle_sandbox_hours: float
    max_size: int
    cold: int
    unready: int
    pool_sandbox_hours: float


@dataclass(frozen=True, slots=True)
class Played:
    """A row, and beside ours what the others need to miss as few."""

    row: Row
    equals: Mapping[str, Equal | None]


def check(name: str, most: int) -> str:
    """The name of a policy, with its knob where it has one.

    Raises:
        ValueError: there is no such policy, or its knob is out of range.
    """
    kind, given, knob = name.partition("=")
    if kind not in NAMES:
        raise ValueError(f"policies: {name} is none; there are {', '.join(NAMES)}, and knobs like {KNOBS}")
    if given and kind == OURS:
        raise ValueError(f"policies: {name}: it has no knob; write {kind}")
    if given or kind in SHIPPED:
        _sizer(name, WarmPolicy(max_size=most), knob if given else _shipped(kind, most))
    return name


def matches(question: Question) -> list[Match]:
    """All runs, ours first: they take longest."""
    order = sorted(question.policies, key=lambda name: name != OURS)
    return [Match(question, name, seed) for name in order for seed in range(1, question.seeds + 1)]


def work_out(todo: Sequence[Match], executor: Executor | None, *, told: Callable[[], None]) -> list[Played]:
    """What each came to, in their order; ``told`` is called as each is done."""
    if executor is None:
        return [_noted(played(match), told) for match in todo]
    asked = [executor.submit(played, match) for match in todo]
    for found in as_completed(asked):
        _noted(found.result(), told)
    return [found.result() for found in asked]


def played(match: Match) -> Played:
    """Work one out."""
    question, seed = match.question, match.seed
    claiming = claims_of(question.recipe, seed)

    def run(sizer: Sizer, start: int) -> Tally:
        return play(claiming, sizer, WarmPool(start, question.lead, seed))

    policy = question.policy
    best = smallest(run, policy.miss_target, policy.max_size)
    start = best if question.start is None else question.start
    kind, _, knob = match.policy.partition("=")
    if kind == "fixed":
        size = _whole(knob, 0, policy.max_size) if knob else best
        return Played(_row(match, run(FixedSizer(size), size)), {})
    tally = run(_sizer(match.policy, policy, knob or _shipped(kind, policy.max_size)), start)
    even = _matched(question, run, tally, start) if kind == OURS and question.equal else {}
    return Played(_row(match, tally), even)


def _matched(question: Question, run: Run, tally: Tally, start: int) -> dict[str, Equal | None]:
    """What the others need to miss as few as ours; and who knows the rate, where a curve says it and nothing else."""
    recipe, most = question.recipe, question.policy.max_size
    found = equals(run, tally.missed, most, start)
    if not isinstance(recipe.arrivals, Trace) and recipe.bursts <= 1.0:
        lead = question.lead.quantile(question.lead.sigma / 2.0)
        known = expected(recipe, recipe.arrivals, PERIOD), lead
        found |= limits(run, tally.missed, most, start, known)
    return found


def claims_of(recipe: Recipe, seed: int) -> Claiming:
    """The claims of one seed."""
    tasks = compose(recipe, start=0.0, seed=seed)
    return Claiming(at=tasks.arrived_at, held=tasks.seconds, ends=recipe.ends)


def summary(question: Question, found: Sequence[Played]) -> dict[str, object]:
    """Means over the seeds, and how much less time sandboxes stand idle under ours than where as few miss."""
    rows = [each.row for each in found]
    names = dict.fromkeys(row.policy for row in rows)
    equals = [each for each in found if each.equals]
    peers = dict.fromkeys(name for each in equals for name in each.equals)
    return {
        "seeds": question.seeds,
        "miss_target": question.policy.miss_target,
        "wait_price": question.policy.wait_price,
        "lead_time": {"mu": question.lead.mu, "sigma": question.lead.sigma},
        "policies": {name: _means([row for row in rows if row.policy == name]) for name in names},
        "at_equal_misses": {peer: _saved(peer, equals) for peer in peers},
    }


def _shipped(kind: str, most: int) -> str:
    """The knob of a policy as its project ships it; a buffer is no larger than the pool may be."""
    knob = SHIPPED.get(kind, "")
    return str(min(int(knob), most)) if kind == "buffer" else knob


def _sizer(name: str, policy: WarmPolicy, knob: str) -> Sizer:
    """A policy at work, without a past."""
    kind, most = name.partition("=")[0], policy.max_size
    try:
        if kind == "buffer":
            percent = knob.endswith("%")
            value = _whole(knob.removesuffix("%"), *(SHARES if percent else (0, most)))
            return BufferSizer(0, value, most) if percent else BufferSizer(value, 0, most)
        makers: Mapping[str, Callable[[], Sizer]] = {
            OURS: lambda: OurSizer(policy),
            "fixed": lambda: FixedSizer(_whole(knob, 0, most)),
            "rate": lambda: RateSizer(_within(knob, *SECONDS), most),
            "hpa": lambda: ValueSizer(_within(knob, *TARGETS), low=min(LOW, most), high=min(HIGH, most)),
            "histogram": lambda: HistogramSizer(_within(knob, *SECONDS), most),
        }
        return makers[kind]()
    except ValueError as error:
        raise ValueError(f"policies: {name}: {error}; write {KNOBS}") from None


def _within(knob: str, low: float, high: float) -> float:
    """The knob as a number in its range.

    Raises:
        ValueError: it is none.
    """
    try:
        value = float(knob)
    except ValueError:
        raise ValueError(f"{knob!r} is no number") from None
    if not low <= value <= high:
        raise ValueError(f"{knob} is out of range, from {low:g} to {high:g}")
    return value


def _whole(knob: str, low: float, high: float) -> int:
    """The knob as a whole number in its range.

    Raises:
        ValueError: it is none.
    """
    value = _within(knob, low, high)
    if value != int(value):
        raise ValueError(f"{knob} is no whole number")
    return int(value)


def _row(match: Match, tally: Tally) -> Row:
    return Row(
        policy=match.policy,
        seed=match.seed,
        claims=tally.claims,
        misses=tally.cold + tally.unready,
        miss_rate=round(tally.missed, 6),
        wait_p95_s=round(wait_p95(tally), 3),
        idle_sandbox_hours=round(tally.idle / 3600.0, 4),
        max_size=tally.largest,
        cold=tally.cold,
        unready=tally.unready,
        pool_sandbox_hours=round(tally.standing / 3600.0, 4),
    )


def _means(rows: Sequence[Row]) -> dict[str, float]:
    columns = [asdict(row) for row in rows]
    return {
        name: round(math.fsum(column[name] for column in columns) / len(columns), 6)
        for name in columns[0]
        if name not in {"policy", "seed"}
    }


def _saved(peer: str, found: Iterable[Played]) -> dict[str, object]:
    """The knob, and the share of the peer's idle time that ours does without, negative where it has more.

    Of no idle time there is no share; and there is no knob either where none lets as few miss.
    """
    pairs = [(each.row, each.equals[peer]) for each in found]
    known = [(row, equal) for row, equal in pairs if equal is not None]
    if len(known) < len(pairs):
        return {"knob": None, "idle_saved": None}
    knobs = math.fsum(equal.knob for _, equal in known) / len(known)
    idles = all(equal.idle > 0 for _, equal in known)
    saved = [1.0 - row.idle_sandbox_hours * 3600.0 / equal.idle for row, equal in known] if idles else []
    return {"knob": round(knobs, 2), "idle_saved": interval(saved)}


def _noted(found: Played, told: Callable[[], None]) -> Played:
    told()
    return found
