"""Schedule rules as windows in absolute time: the one place where wall-clock times and time zones are dealt with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from scaler.config.pool import ScheduleRule
from scaler.core.types import Announcement, Instant, Seconds

AHEAD: Seconds = 86_400.0  # windows that begin later than this are not announced yet; no startup takes a day


def windows(rules: tuple[ScheduleRule, ...], now: Instant) -> tuple[Announcement, ...]:
    """The windows that have not ended and begin within a day, each from its rule's first wall-clock minute to its last.

    Where a wall-clock time exists twice or not at all that day (the clocks change), the window is the longer of the
    two readings: pods stand too long rather than too short.
    """
    found = (w for rule in rules for w in _around(rule, now))
    return tuple(sorted((w for w in found if now < w.end and w.start <= now + AHEAD), key=lambda w: (w.start, w.name)))


def _around(rule: ScheduleRule, now: Instant) -> Iterator[Announcement]:
    today = datetime.fromtimestamp(now, rule.zone).date()
    overnight = rule.end <= rule.start
    for day in (today + timedelta(days=n) for n in range(-2, 3)):
        if day.weekday() in rule.days:
            last = day + timedelta(days=1) if overnight else day
            yield Announcement(
                name=f"{rule.name} {day.isoformat()}",
                pods=float(rule.replicas),
                start=min(_readings(day, rule.start, rule)),
                end=max(_readings(last, rule.end, rule)),
                added=False,
            )


def _readings(day: date, at: time, rule: ScheduleRule) -> tuple[Instant, Instant]:
    """The instants that this wall-clock time may mean; they differ only where the clocks change."""
    first, second = (datetime.combine(day, at.replace(fold=fold), rule.zone).timestamp() for fold in (0, 1))
    return first, second
