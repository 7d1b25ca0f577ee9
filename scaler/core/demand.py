"""Pods that the work asks for: from tasks, sessions and tokens, never from how many pods there are.

Slots are hard: a task takes one or waits. Token capacity is soft: a pod is full at 0.85 of it, and a removal must
leave at most 0.70 in use, so that constant load cannot flap. Unknown activity is nothing in flight when additions are
judged and a full pod when removals are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from scaler.core import capacity
from scaler.core.memory import Lessons, Reading
from scaler.core.numbers import whole
from scaler.core.passing import maker, passing
from scaler.core.senses import Given
from scaler.core.types import Demand, Instant, Known, Sample, Seconds, Signal, Unknown

SILENT = Unknown("no signal says anything about demand")
COALESCE: Seconds = 1.0  # readings closer than this are one, at their highest
_new_demand = maker(Demand)
_new_reading = maker(Reading)
_new_known = maker(Known)


@passing
class Work:
    """Demand of one instant in pods, before dampening: ``up`` for additions, ``down`` for removals.

    ``complete`` says that no signal the pool is measured by was missing, and no pod fell silent just now.
    """

    by_signal: Mapping[str, Sample]
    bound: str | Unknown
    up: float
    down: float
    complete: bool


_new_work = maker(Work)


def measure(given: Given, lessons: Lessons, tokens: Known | None) -> Work:
    """What each valid signal asks for, and the most any of them does; ``tokens`` is the averaged rate."""
    pace, fleet = given.policy.pace, given.fleet
    by_signal = _by_signal(given, capacity.pods(given, lessons, tokens))
    work, pending, soft = _value(by_signal["work"]), _value(by_signal["pending"]), _value(by_signal["tokens"])
    hard, most = max(work, pending, 0.0), max(work, pending, soft / pace.soft_up)
    bound = "work" if most == work else "pending" if most == pending else "tokens"
    blind, blinking, others = (
        (0, 0, 0) if isinstance(fleet, Unknown) else (fleet.unknown, fleet.blinking, fleet.stood_for)
    )
    kept = max(hard, work + others / given.policy.slots_per_pod)  # who stands in for a pod stays until that is done
    return _new_work(
        by_signal=by_signal,
        bound=bound if most >= 0 else SILENT,
        up=max(hard, soft / pace.soft_up),
        down=max(kept + blind, soft / pace.soft_down),
        complete=given.senses.stale is None and not blinking,
    )


def _value(sample: Sample) -> float:
    """The value, below every demand where there is none."""
    return sample.value if isinstance(sample, Known) else -math.inf


def _by_signal(given: Given, tokens: Sample) -> dict[str, Sample]:
    """Pods asked for by tasks where they are, and by tokens.

    ``work`` is what runs, is held and waits; it is Known when any part of it is.
    """
    senses, fleet, slots = given.senses, given.fleet, given.policy.slots_per_pod
    queue, running = senses.usable.get(Signal.QUEUE), senses.usable.get(Signal.INFLIGHT)
    inflight, sessions = running.value if running else 0.0, 0
    seen = running is not None
    if not isinstance(fleet, Unknown):
        inflight, sessions, seen = max(inflight, fleet.inflight), fleet.sessions, True
    work = (queue.value if queue else 0.0) + inflight + sessions

    def pods(tasks: float) -> Known:
        return _new_known(tasks / slots, given.now)

    return {
        "queue": pods(queue.value) if queue else senses.missing(Signal.QUEUE),
        "inflight": pods(inflight) if seen else senses.missing(Signal.INFLIGHT),
        "sessions": fleet if isinstance(fleet, Unknown) else pods(sessions),
        "work": pods(work) if seen or queue else Unknown("neither the queue nor the pods are seen"),
        "pending": pods(p.value) if (p := senses.usable.get(Signal.PENDING)) else senses.missing(Signal.PENDING),
        "tokens": tokens,
    }


def read(given: Given, before: tuple[Reading, ...], work: Work) -> tuple[Reading, ...]:
    """The readings of the slow window with this instant's. A blind tick never reads lower than the one before it."""
    now = given.now
    if isinstance(work.bound, Unknown):
        return before
    down = work.down if work.complete or not before else max(work.down, before[-1].down)
    reading = _new_reading(now, work.up, down)
    if len(before) > 1 and now - before[-2].at < COALESCE:
        last = before[-1]
        before, reading = before[:-1], _new_reading(last.at, max(last.up, reading.up), max(last.down, reading.down))
    return (*_within(before, now - given.policy.pace.slow_window), reading)


def _within(readings: tuple[Reading, ...], oldest: Instant) -> tuple[Reading, ...]:
    """The readings that speak of the time after ``oldest``: the last one before it holds until the next."""
    first = 0
    while first + 1 < len(readings) and readings[first + 1].at <= oldest:
        first += 1
    return readings[first:]


def dampen(given: Given, readings: tuple[Reading, ...], work: Work, waiting: Seconds) -> Demand:
    """Additions by now or the fast mean, whichever is more; removals by the larger of the fast and the slow mean."""
    pace, now = given.policy.pace, given.now
    fast_up, fast_down = _means(readings, pace.fast_window, now)
    # What was read before a blackout keeps what there is, and adds nothing.
    up = 0.0 if isinstance(work.bound, Unknown) else max(work.up, fast_up)
    down = max(fast_down, _means(readings, pace.slow_window, now)[1])
    return _new_demand(
        by_signal=work.by_signal,
        bound=work.bound,
        now=work.up,
        up=up,
        down=down,
        need_up=whole(up),
        need_down=whole(down),
        waiting=waiting,
    )


def _means(readings: tuple[Reading, ...], window: Seconds, now: Instant) -> tuple[float, float]:
    """Means over the window of values that hold until the next reading; the last ones where no time has passed."""
    start, end, up, down = now - window, now, 0.0, 0.0
    for reading in reversed(readings):
        last = reading.at <= start
        begin = start if last else reading.at
        up += reading.up * (end - begin)
        down += reading.down * (end - begin)
        end = begin
        if last:
            break
    span = now - end
    if span > 0:
        return up / span, down / span
    return (readings[-1].up, readings[-1].down) if readings else (0.0, 0.0)


def waiting_since(given: Given, since: Instant | None) -> Instant | None:
    """Since when tasks have waited without a break, as far as is known."""
    tasks = _waiting(given)
    if tasks is None:
        return since
    if tasks <= 0:
        return None
    return given.now if since is None else since


def _waiting(given: Given) -> float | None:
    """Tasks that wait, None while unknown: the queue, or where there is none what is pending and not running."""
    usable, fleet = given.senses.usable, given.fleet
    if Signal.QUEUE in given.observation.signals or Signal.PENDING not in usable:
        queue = usable.get(Signal.QUEUE)
        return None if queue is None else queue.value
    running = usable.get(Signal.INFLIGHT)
    inflight = running.value if running else 0.0
    return usable[Signal.PENDING].value - max(inflight, 0 if isinstance(fleet, Unknown) else fleet.inflight)


def oldest_wait(given: Given, since: Instant | None) -> Seconds:
    """Seconds the oldest task has waited; in a pool without that signal, how long tasks have waited."""
    oldest = given.senses.usable.get(Signal.OLDEST_WAIT)
    if oldest is not None:
        return oldest.value
    if since is None or Signal.OLDEST_WAIT in given.observation.signals:
        return 0.0  # a signal that is missing must not raise anything
    return given.now - since
