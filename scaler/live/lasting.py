"""What a pool has taught, in less than a kibibyte, for the process that comes after this one.

Kept are the startups, the histogram of idle gaps, the measured capacity, the price of waiting, and of each forecast its
margin, losses and trials. What is rounded, and nothing else is:

- startups to 0.1 s, each at most 6,553.5 s;
- counts of gaps and capacities to 11 bits, which is one part in 2,048, and what both are multiples of to five digits;
- margins and losses to 24 bits, and instants to whole seconds, that of the last capacity for all of them;
- a forecast's misses to eleven of their quantiles at 11 bits, from which forty-one evenly spaced ones are drawn again.

Of trials so many are counted that more would prove no more. The two startup quantiles, the idle timer and the skills
are worked out anew. What the last tick knew, yesterday's profile and the forecasts under way are not kept: a resumed
pool is newly born, and lowers nothing before one idle timer has passed.
"""

from __future__ import annotations

import json
from base64 import b85decode, b85encode
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scaler.core import capacity, idle, startup
from scaler.core.forecast import CANDIDATES, RESIDUALS_ENOUGH, Record, grown, skill
from scaler.core.idle import EDGES, Gaps
from scaler.core.memory import Lessons, Memory
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.startup import Startups
from scaler.core.types import Instant, Known

TENTHS, HALVES, SINGLES = np.dtype("<u2"), np.dtype("<f2"), np.dtype("<f4")
SMALLEST_HALF, LARGEST_HALF, LARGEST_SINGLE = 2.0**-24, 65_504.0, 3e38
UNPROVEN = -1.0  # in the place of a skill, where there is one
LARGEST = 1e15  # of any number that stands by itself
LEAST = {"scale": 1.0, "most": capacity.LEAST}  # of those that are not below nought
QUANTILES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0])  # a margin is one of the upper
DRAWN = 41
TRIALS = 9_999  # counted at most
FORMER = 3  # forecasts that the first version had; of those that came later it knows nothing


Skill: TypeAlias = tuple[int, str, str]  # trials; margin and losses of a Record, once its skill too; its misses


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is written down. Texts are base85 of columns: startups in 0.1 s, gaps by ``scale``, capacity by ``most``.

    Instants but ``at`` count back from it.
    """

    at: Instant
    startups: str
    gaps: str
    scale: float
    faded: float
    capacity: str
    most: float
    measured: float
    price: float
    priced: float
    skills: tuple[Skill, ...]


def pack(memory: Memory) -> str:
    """What is kept of this memory, as JSON."""
    lessons, at = memory.lessons, float(round(memory.at))
    counts = np.concatenate((lessons.gaps.ended, lessons.gaps.left))
    scale = short(max(LEAST["scale"], float(counts.max()) / LARGEST_HALF * 1.001))
    measured = np.array([known.value for known in lessons.capacity])
    most = short(max([LEAST["most"], *measured]))
    tenths = np.clip(np.round(np.array(lessons.startups.samples) * 10), 0, 65_535)
    kept = Kept(
        at=at,
        startups=text(tenths, TENTHS),
        gaps=text(counts / scale, HALVES),
        scale=scale,
        faded=float(round(at - lessons.gaps.at)),
        capacity=text(np.clip(measured / most, SMALLEST_HALF, 1.0), HALVES),
        most=most,
        measured=float(round(at - max((known.at for known in lessons.capacity), default=at))),
        price=lessons.wait_price,
        priced=float(round(at - lessons.priced_at)),
        skills=tuple(_skill(record) for record in memory.forecast.records),
    )
    return json.dumps(to_json(kept), separators=(",", ":"), allow_nan=False)


def unpack(packed: Json, pace: Pace, now: Instant) -> Memory:
    """The memory of a pool newly born that has been taught all this.

    Raises:
        RecordError: this is not what ``pack`` wrote.
    """
    kept = _sound(from_json(Kept, packed))
    fresh = Memory.fresh(now, pace)
    at = min(kept.at, now)  # a clock that was set back makes nothing younger than now
    startups = startup.learn(Startups.none(pace), column(kept.startups, TENTHS, range(startup.KEPT + 1)) / 10, pace)
    parts = column(kept.capacity, HALVES, range(capacity.KEPT + 1), least=SMALLEST_HALF)
    lessons = Lessons(
        startups=startups,
        gaps=_gaps(kept, startups.usual + pace.drain_overhead, pace=pace, at=at, now=now),
        capacity=tuple(Known(float(part) * kept.most, at - kept.measured) for part in parts),
        wait_price=min(pace.wait_price_high, max(pace.wait_price, kept.price)),
        priced_at=at - kept.priced,
    )
    records = tuple(_record(skill, pace) for skill in kept.skills)
    return replace(fresh, lessons=lessons, forecast=grown(replace(fresh.forecast, records=records)))


def _sound(kept: Kept) -> Kept:
    """The same, whose numbers are such that a decision can be made with them.

    Raises:
        RecordError: one is not.
    """
    for name in ("at", "scale", "faded", "most", "measured", "price", "priced"):
        number, least = getattr(kept, name), LEAST.get(name, -LARGEST)
        if not least <= number <= LARGEST:
            raise RecordError(f"{name} is {number}, it must be from {least:g} to {LARGEST:g}")
    if not FORMER <= len(kept.skills) <= len(CANDIDATES):
        raise RecordError(f"skills of {len(kept.skills)} forecasts, there are {len(CANDIDATES)}")
    return kept


def _gaps(kept: Kept, restart: float, *, pace: Pace, at: Instant, now: Instant) -> Gaps:
    counts = column(kept.gaps, HALVES, (2 * len(EDGES),)) * kept.scale
    ended, left = counts[: len(EDGES)], counts[len(EDGES) :]
    gaps = Gaps(ended=ended, left=left, at=at - kept.faded, timer=0.0, timer_at=now, restart=restart)
    return replace(gaps, timer=idle.best_timer(gaps, restart=restart, pace=pace))


def _skill(record: Record) -> Skill:
    enough = len(record.residuals) >= RESIDUALS_ENOUGH
    misses = np.quantile(record.residuals, QUANTILES) if enough else np.zeros(0)
    figures = np.array([record.margin, record.own, record.persistence])
    return (
        min(record.trials, TRIALS),
        text(np.clip(figures, 0.0, LARGEST_SINGLE), SINGLES),
        text(np.clip(misses, -LARGEST_HALF, LARGEST_HALF), HALVES),
    )


def _record(kept: Skill, pace: Pace) -> Record:
    trials, figures, quantiles = kept
    misses = column(quantiles, HALVES, (0, len(QUANTILES)), least=-LARGEST_HALF)
    if len(misses):
        misses = np.interp(np.linspace(0.0, 1.0, DRAWN), QUANTILES, misses)
    margin, own, persistence = column(figures, SINGLES, (3, 4), least=UNPROVEN)[:3].tolist()
    return Record(misses, margin, own, persistence, trials, skill(own, persistence, trials, pace))


def short(value: float) -> float:
    """The number to five digits."""
    return float(f"{value:.5g}")


def text(numbers: Floats, kind: np.dtype[np.generic]) -> str:
    """The numbers of a column as text."""
    return b85encode(numbers.astype(kind).tobytes()).decode()


def column(kept: str, kind: np.dtype[np.generic], sizes: Collection[int], *, least: float = 0.0) -> Floats:
    """The numbers of a text: so many, all of them finite, and none below the least.

    Raises:
        RecordError: it is no such text.
    """
    try:
        numbers: npt.NDArray[np.float64] = np.frombuffer(b85decode(kept), dtype=kind).astype(np.float64)
    except ValueError as error:
        raise RecordError(f"{kept!r:.40} is no column: {error}") from error
    if len(numbers) not in sizes:
        raise RecordError(f"{kept!r:.40} holds {len(numbers)} numbers, which is none of {sizes}")
    if not (np.isfinite(numbers) & (numbers >= least)).all():
        raise RecordError(f"{kept!r:.40} holds what is no number, or one below {least:g}")
    return numbers
