"""What a pool has taught, in less than a kibibyte, for the process that comes after this one.

Kept are the startups, the histogram of idle gaps, the measured capacity, the price of waiting, and of each forecast its
margin, losses, trials and skill. What is rounded, and nothing else is:

- startups to 0.1 s, each at most 6,553.5 s;
- counts of gaps to 11 bits, which is one part in 2,048;
- capacities, margins, losses and skills to five digits, and instants to whole seconds, that of the last capacity for
  all of them;
- a forecast's misses to eleven of their quantiles at 11 bits, from which forty-one evenly spaced ones are drawn again.

The two startup quantiles and the idle timer are worked out anew. What the last tick knew, yesterday's profile and the
forecasts under way are not kept: a resumed pool is newly born, and lowers nothing before one idle timer has passed.
"""

from __future__ import annotations

import json
from base64 import b85decode, b85encode
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scaler.core import idle, startup
from scaler.core.forecast import CANDIDATES, RESIDUALS_ENOUGH, Record
from scaler.core.idle import EDGES, Gaps
from scaler.core.memory import Lessons, Memory
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.startup import Startups
from scaler.core.types import Instant, Known

TENTHS, HALVES = np.dtype("<u2"), np.dtype("<f2")
LARGEST_HALF = 65_504.0
QUANTILES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0])  # a margin is one of the upper
DRAWN = 41


Skill: TypeAlias = tuple[float, float, float, int, float | None, str]  # as in Record, but the misses last, and a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is written down. Texts are base85 of columns of two bytes: ``startups`` in 0.1 s; gaps by ``scale``.

    Instants but ``at`` count back from it.
    """

    at: Instant
    startups: str
    gaps: str
    scale: float
    faded: float
    capacity: tuple[float, ...]
    measured: float
    price: float
    priced: float
    skills: tuple[Skill, ...]


def pack(memory: Memory) -> str:
    """What is kept of this memory, as JSON."""
    lessons, at = memory.lessons, float(round(memory.at))
    counts = np.concatenate((lessons.gaps.ended, lessons.gaps.left))
    scale = _short(max(1.0, float(counts.max()) / LARGEST_HALF * 1.001))
    tenths = np.clip(np.round(np.array(lessons.startups.samples) * 10), 0, 65_535)
    kept = Kept(
        at=at,
        startups=_text(tenths, TENTHS),
        gaps=_text(counts / scale, HALVES),
        scale=scale,
        faded=float(round(at - lessons.gaps.at)),
        capacity=tuple(_short(known.value) for known in lessons.capacity),
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
    kept = from_json(Kept, packed)
    fresh = Memory.fresh(now, pace)
    at = min(kept.at, now)  # a clock that was set back makes nothing younger than now
    startups = startup.learn(Startups.none(pace), _column(kept.startups, TENTHS) / 10, pace)
    if len(kept.skills) != len(CANDIDATES):
        raise RecordError(f"skills of {len(kept.skills)} forecasts, there are {len(CANDIDATES)}")
    lessons = Lessons(
        startups=startups,
        gaps=_gaps(kept, startups.p90 + pace.drain_overhead, pace=pace, at=at, now=now),
        capacity=tuple(Known(value, at - kept.measured) for value in kept.capacity),
        wait_price=min(pace.wait_price_high, max(pace.wait_price_low, kept.price)),
        priced_at=at - kept.priced,
    )
    records = tuple(_record(skill) for skill in kept.skills)
    return replace(fresh, lessons=lessons, forecast=replace(fresh.forecast, records=records))


def _gaps(kept: Kept, restart: float, *, pace: Pace, at: Instant, now: Instant) -> Gaps:
    counts = _column(kept.gaps, HALVES) * kept.scale
    if len(counts) != 2 * len(EDGES):
        raise RecordError(f"{len(counts)} counts of gaps, expected {2 * len(EDGES)}")
    ended, left = counts[: len(EDGES)], counts[len(EDGES) :]
    gaps = Gaps(ended=ended, left=left, at=at - kept.faded, timer=0.0, timer_at=now, restart=restart)
    return replace(gaps, timer=idle.best_timer(gaps, restart=restart, pace=pace))


def _skill(record: Record) -> Skill:
    enough = len(record.residuals) >= RESIDUALS_ENOUGH
    misses = np.quantile(record.residuals, QUANTILES) if enough else np.zeros(0)
    skill = None if record.skill is None else _short(record.skill)
    losses = (_short(record.margin), _short(record.own), _short(record.persistence))
    return *losses, record.trials, skill, _text(np.clip(misses, -LARGEST_HALF, LARGEST_HALF), HALVES)


def _record(skill: Skill) -> Record:
    margin, own, persistence, trials, ratio, text = skill
    misses = _column(text, HALVES)
    if len(misses):
        misses = np.interp(np.linspace(0.0, 1.0, DRAWN), QUANTILES, misses)
    return Record(misses, margin, own, persistence, trials, ratio)


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _text(column: Floats, kind: np.dtype[np.generic]) -> str:
    return b85encode(column.astype(kind).tobytes()).decode()


def _column(text: str, kind: np.dtype[np.generic]) -> Floats:
    """The numbers of a text, all of them finite.

    Raises:
        RecordError: it is no such text.
    """
    try:
        column: npt.NDArray[np.float64] = np.frombuffer(b85decode(text), dtype=kind).astype(np.float64)
    except ValueError as error:
        raise RecordError(f"{text!r:.40} is no column: {error}") from error
    if not np.isfinite(column).all():
        raise RecordError(f"{text!r:.40} holds what is no number")
    return column
