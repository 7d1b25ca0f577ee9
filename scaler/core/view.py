"""What one tick makes of what it was given: demand, forecast and announcements, before anything is decided."""

from __future__ import annotations

from dataclasses import replace

from scaler.core import announced
from scaler.core import demand as demands
from scaler.core import forecast as forecasts
from scaler.core.demand import Work
from scaler.core.learn import learn
from scaler.core.memory import Lessons, Memory, Reading
from scaler.core.numbers import whole
from scaler.core.passing import maker, passing
from scaler.core.senses import Given
from scaler.core.types import Demand, Forecast, Instant, Unknown

_new_question = maker(forecasts.Question)


@passing
class View:
    """One tick's figures before anything is decided.

    ``memory`` is the last tick's, and what it has learnt decides; ``lessons`` and ``past`` are for the next one. A tick
    that decided with its own lessons could ask for less because it saw more work.
    """

    given: Given
    memory: Memory
    lessons: Lessons
    queue_since: Instant | None
    readings: tuple[Reading, ...]
    hints: announced.Hints
    past: forecasts.ForecastMemory
    work: Work
    demand: Demand
    forecast: Forecast
    ahead: float

    def besides(self) -> int:
        """Pods asked for by anything but present work: what was announced, what is foreseen, and the minimum."""
        foreseen = self.forecast.pods
        expected = 0 if isinstance(foreseen, Unknown) else whole(foreseen)
        return max(whole(self.ahead), expected, self.given.policy.min_replicas)


_new_view = maker(View)


def measure(given: Given, memory: Memory) -> View:
    """Learn from this instant, and measure demand and forecast."""
    known, lessons = memory.lessons, learn(given, memory.lessons)
    queue_since = demands.waiting_since(given, memory.queue_since)
    work = demands.measure(given, known, lessons.tokens)
    readings = demands.read(given, memory.readings, work)
    startup = known.startups.p90
    stood = readings[-1].up if readings else 0.0
    hints = announced.hints(given, memory.hints, demand=stood, startup=startup)
    past, forecast = _foresee(given, forecasts.grown(memory.forecast), known, work)
    return _new_view(
        given=given,
        memory=memory,
        lessons=lessons,
        queue_since=queue_since,
        readings=readings,
        hints=hints,
        past=past,
        work=work,
        demand=demands.dampen(given, readings, work, demands.oldest_wait(given, queue_since)),
        forecast=forecast,
        ahead=announced.ahead(given, hints, startup=startup),
    )


def _foresee(
    given: Given, past: forecasts.ForecastMemory, lessons: Lessons, work: Work
) -> tuple[forecasts.ForecastMemory, Forecast]:
    """What is expected within one startup, at the newsvendor's quantile w / (w + c); and the memory for the next.

    Tasks in pods that drain count while it is watched, and not in what it asks for: that a pod takes no more, or takes
    some again, is neither a fall of demand nor a rise.
    """
    horizon, q = lessons.startups.p90, lessons.wait_price / (lessons.wait_price + 1)
    closing = 0.0 if isinstance(given.fleet, Unknown) else given.fleet.closing / given.policy.slots_per_pod
    signals = given.senses.usable
    ask = _new_question(demand=work.up + closing, horizon=horizon, q=q, now=given.now, signals=signals)
    if isinstance(work.bound, Unknown):
        return past, forecasts.silent(ask, work.bound)
    said = forecasts.points(past, given.policy, ask)
    forecast = forecasts.forecast(past, given.policy, ask, said)
    if work.complete:  # a signal that blinks would teach a rise that never was
        past = forecasts.learn(past, given.policy, ask, said)
    if closing and not isinstance(forecast.pods, Unknown):
        forecast = replace(forecast, pods=forecast.pods - closing)
    return past, forecast
