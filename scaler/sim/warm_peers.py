"""How warm pools are sized elsewhere. Each is its project's arithmetic, and shares nothing with our decision.

Rates are read as Prometheus gives them: the increase of the counter of claims over its window, scraped every 15 s.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from scaler.core.types import Instant, Seconds
from scaler.sim.hpa import SYNC, Hpa, HpaMemory, Metric, Scale, follow
from scaler.sim.keda import ScaledObject
from scaler.sim.peers.buffer import by_percent
from scaler.sim.warm_sight import Stock

SCRAPE: Final[Seconds] = 15.0
WINDOW: Final[Seconds] = 60.0
TOLERANCE: Final = 0.1
LOW, HIGH = 10, 100  # bounds of the HPA in its example
SECONDS: Final = (1.0, 1000.0)  # a rate may be multiplied by: KEDA writes a target in thousandths; and bins may be wide
TARGETS: Final = (0.001, 1e6)  # claims per second that the HPA's target may be
SHARES: Final = (1, 99)  # per cent of a fleet that a buffer may be


class FixedSizer:
    """As many as somebody once thought right."""

    def __init__(self, size: int) -> None:
        self.period: Seconds = 3600.0
        self._size = size

    def decide(self, _: Stock) -> int:
        """The number it was given."""
        return self._size


class Rate:
    """Claims per second over the last minute, from scrapes."""

    def __init__(self) -> None:
        self._scrapes: deque[tuple[Instant, int]] = deque()

    def read(self, now: Instant, claims: int) -> float:
        """The rate at this scrape."""
        self._scrapes.append((now, claims))
        while now - self._scrapes[0][0] > WINDOW:
            self._scrapes.popleft()
        began, before = self._scrapes[0]
        return (claims - before) / (now - began) if now > began else 0.0


class RateSizer:
    """The rate times a constant: agent-sandbox's examples/keda-scale-to-zero, where that is 20 s.

    A ScaledObject on the rate of claims: AverageValue 0.05, active above 0, polled every 15 s, cooldown 300 s.
    """

    def __init__(self, seconds: Seconds, most: int) -> None:
        self.period: Seconds = SYNC
        self._target = 1.0 / seconds
        self._rate, self._scaled = Rate(), ScaledObject(low=0, high=most)
        self._began = False

    def decide(self, stock: Stock) -> int:
        """What KEDA, then the HPA, writes."""
        rate = self._rate.read(stock.now, stock.claims)
        active, self._began = rate > 0 or not self._began, True  # it was active before the run began
        spec = self._scaled.poll(stock.now, spec=stock.size, active=active)
        scale = Scale(spec, stock.ready + stock.starting)
        return self._scaled.sync(stock.now, Metric(rate, self._target), scale=scale)


class ValueSizer:
    """The HPA of agent-sandbox's examples/hpa-swp-scaling: the rate of claims as ``type: Value``, target 0.5 a second.

    Such a metric is a ratio that multiplies the ready members, so that any size is right at the target.
    """

    def __init__(self, target: float, *, low: int, high: int) -> None:
        self.period: Seconds = SYNC
        self._target, self._rate = target, Rate()
        self._hpa, self._memory = Hpa(low=low, high=high), HpaMemory()

    def decide(self, stock: Stock) -> int:
        """What the HPA writes."""
        ratio = self._rate.read(stock.now, stock.claims) / self._target
        wish = stock.size if abs(ratio - 1.0) <= TOLERANCE else math.ceil(ratio * stock.ready)
        size, self._memory = follow(self._hpa, self._memory, [wish], spec=stock.size, now=stock.now)
        return size


@dataclass(frozen=True, slots=True)
class BufferSizer:
    """Agones' FleetAutoscaler of type Buffer, looking every 30 s: ``buffer`` ready, or that share of the fleet."""

    buffer: int
    percent: int
    most: int
    period: Seconds = 30.0

    def decide(self, stock: Stock) -> int:
        """A warm pool's size is without what is in use, so it is the buffer alone."""
        share = by_percent(stock.in_use, self.percent) - stock.in_use if self.percent else 0
        return min(max(self.buffer, share), self.most)


class HistogramSizer:
    """The hybrid histogram of "Serverless in the Wild" (ATC 2020), for sandboxes that serve once.

    It counts the gaps between claims in 240 bins of ``width`` seconds, which in the paper are sixty. What a claim took
    is replaced when the shortest gaps (5th percentile) have passed and kept until the longest (99th) have: so many
    stand as claims came within that stretch. Until its histogram says something, or where gaps are longer than it
    holds, it keeps for ten minutes, as fixed keep-alives do.
    """

    BINS: Final = 240
    FEWEST: Final = 10
    KEPT: Final[Seconds] = 600.0

    def __init__(self, width: Seconds, most: int) -> None:
        self.period: Seconds = 5.0
        self._width, self._most, self._claims = width, most, 0
        self._gaps: Counter[int] = Counter()
        self._came: deque[tuple[Instant, int]] = deque()

    def decide(self, stock: Stock) -> int:
        """Replacements that are due now."""
        came, self._claims = stock.claims - self._claims, stock.claims
        if came:
            if self._came:
                self._gaps[min(self.BINS, int((stock.now - self._came[-1][0]) // self._width))] += 1
            self._gaps[0] += came - 1
            self._came.append((stock.now, came))
        first, last = self._windows()
        while self._came and len(self._came) > 1 and stock.now - self._came[0][0] > last:
            self._came.popleft()
        due = sum(n for at, n in self._came if first <= stock.now - at <= last)
        return min(due, self._most)

    def _windows(self) -> tuple[Seconds, Seconds]:
        """From when on, and until when, a replacement is kept."""
        total = sum(self._gaps.values())
        if total < self.FEWEST or self._gaps[self.BINS] > total / 2:
            return 0.0, self.KEPT
        return self._width * self._percentile(0.05, total), self._width * (self._percentile(0.99, total) + 1)

    def _percentile(self, share: float, total: int) -> int:
        seen = 0
        for gap in sorted(self._gaps):
            seen += self._gaps[gap]
            if seen >= share * total:
                return gap
        return self.BINS
