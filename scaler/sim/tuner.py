"""The same search for everybody: so many trials over an autoscaler's knobs, the cheapest wins.

The first trial is what its project ships. Half of the rest spread evenly over the ranges, and the others look around
the best so far, ever closer. Batches have a fixed size, so what is tried does not depend on how many processes try it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_type_hints

from scaler.sim.compare import cores
from scaler.sim.peers.sight import Range

BUDGET = 40  # trials
BATCH = 4  # tried together, before the next are chosen
WIDEST, CLOSEST = 0.25, 0.05  # how far around the best, in shares of the ranges


class Configuration(Protocol):
    """A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


K = TypeVar("K", bound=Configuration)


class TunerError(ValueError):
    """A search that cannot be: says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A field that may be tuned."""

    name: str
    range: Range
    whole: bool

    def at(self, share: float) -> float:
        """The value at this share of its range."""
        value = self.range.at(share)
        return round(value) if self.whole else value


@dataclass(frozen=True, slots=True)
class Paid:
    """What a configuration costs: the price, which is what is searched by, and what it is made of.

    Where tasks were never done (``unfinished``, on average), the price is of less than was asked for: it wins nothing.
    """

    price: float
    pod_hours: float
    wait_p95_s: float
    unfinished: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial(Generic[K]):
    """One configuration and what it cost."""

    knobs: K
    paid: Paid

    @property
    def price(self) -> float:
        """What it costs."""
        return self.paid.price

    @property
    def rank(self) -> tuple[float, float]:
        """What is searched by, the least first."""
        return self.paid.unfinished, self.paid.price


@dataclass(frozen=True, slots=True)
class Tuned(Generic[K]):
    """All trials in order, the shipped configuration first."""

    trials: tuple[Trial[K], ...]

    @property
    def best(self) -> Trial[K]:
        """The cheapest of those that leave the fewest tasks undone; of several, the first."""
        return min(self.trials, key=lambda trial: trial.rank)


def knobs_of(base: object) -> tuple[Knob, ...]:
    """The fields whose annotation has a range, in their order."""
    found = []
    for name, hint in get_type_hints(type(base), include_extras=True).items():
        kind, *notes = get_args(hint) or (hint,)
        found += [Knob(name, note, kind is int) for note in notes if isinstance(note, Range)]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How to search.

    Attributes:
        budget: trials, what is shipped included; ``seed`` decides which.
        jobs: processes that try at the same time. The outcome does not depend on it.
        journal: a file with a line for each trial done; a search that finds its own there goes on from it.
    """

    budget: int = BUDGET
    seed: int = 0
    jobs: int = 1
    journal: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a search without a trial."""
        if self.budget < 1:
            raise TunerError(f"budget = {self.budget} is not allowed: must be >= 1 trial")


def tune(base: K, trial: Callable[[K], Paid], search: Search, *, told: Callable[[], None] = lambda: None) -> Tuned[K]:
    """Search from ``base``, whose fields without a range stay; ``trial`` says what a configuration costs.

    ``told`` is called as each trial is done.

    Raises:
        TunerError: the journal is of another search.
    """
    done = _recorded(base, search.journal)
    trials: list[Trial[K]] = []
    with cores(search.jobs) as pool:
        for batch in _batches(base, trials, search):
            known, done = _known(batch, done, search.journal)
            asked = batch[len(known) :]
            costs = map(trial, asked) if pool is None else pool.map(trial, asked)
            fresh = []
            for knobs, paid in zip(asked, costs, strict=True):
                fresh.append(Trial(knobs, paid))
                told()
            _record(search.journal, fresh)
            trials += known + fresh
    return Tuned(tuple(trials))


def _batches(base: K, trials: Sequence[Trial[K]], search: Search) -> Iterator[list[K]]:
    """What to try next; the trials so far are looked at anew each time."""
    knobs, rng, budget = knobs_of(base), random.Random(search.seed), search.budget
    spread = _spread(rng, len(knobs))
    wide = 1 + (budget - 1) // 2
    yield [base]
    tried = 1
    while tried < budget:
        end = wide if tried < wide else budget
        size = min(BATCH, end - tried)
        if tried < wide:
            shares = [next(spread) for _ in range(size)]
        else:
            best = min(trials, key=lambda trial: trial.rank).knobs
            near = WIDEST * (CLOSEST / WIDEST) ** ((tried - wide) / max(1, budget - wide))
            shares = [_around(rng, knobs, best, near) for _ in range(size)]
        yield [_set(base, knobs, share) for share in shares]
        tried += size


def _spread(rng: random.Random, count: int) -> Iterator[list[float]]:
    """Points that fill the unit cube evenly: an additive recurrence on powers of the generalised golden ratio.

    From M. Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018).
    """
    ratio = 2.0
    for _ in range(60):
        ratio = math.pow(1.0 + ratio, 1.0 / (count + 1))
    point = [rng.random() for _ in range(count)]
    while True:
        point = [(share + math.pow(ratio, -(row + 1))) % 1.0 for row, share in enumerate(point)]
        yield point


def _around(rng: random.Random, knobs: Sequence[Knob], best: object, near: float) -> list[float]:
    """A point near the best, inside the ranges."""
    return [min(1.0, max(0.0, _share(knob, getattr(best, knob.name)) + rng.gauss(0.0, near))) for knob in knobs]


def _share(knob: Knob, value: float) -> float:
    """Where the value stands in its range."""
    low, high = knob.range.low, knob.range.high
    if knob.range.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _set(base: K, knobs: Sequence[Knob], shares: Sequence[float]) -> K:
    values = {knob.name: knob.at(share) for knob, share in zip(knobs, shares, strict=True)}
    return dataclasses.replace(base, **values)


def _recorded(base: K, journal: Path | None) -> list[Trial[K]]:
    """The trials of the journal. A last line that was cut in two is taken off it."""
    if journal is None or not journal.exists():
        return []
    text = journal.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        journal.write_text(whole, encoding="utf-8")
    rows = [json.loads(line) for line in whole.splitlines()]
    return [Trial(dataclasses.replace(base, **row["knobs"]), Paid(**row["paid"])) for row in rows]


def _known(batch: list[K], done: list[Trial[K]], journal: Path | None) -> tuple[list[Trial[K]], list[Trial[K]]]:
    """The trials of this batch that were done before, and those that are left for later batches."""
    known = done[: len(batch)]
    if [trial.knobs for trial in known] != batch[: len(known)]:
        raise TunerError(f"{journal} is the journal of another search: give another file, or remove it")
    return known, done[len(batch) :]


def _record(journal: Path | None, trials: Sequence[Trial[K]]) -> None:
    if journal is None:
        return
    with journal.open("a", encoding="utf-8") as file:
        for trial in trials:
            file.write(
                json.dumps({"knobs": dataclasses.asdict(trial.knobs), "paid": dataclasses.asdict(trial.paid)}) + "\n"
            )
