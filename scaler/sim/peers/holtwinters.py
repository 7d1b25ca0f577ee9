"""Holt and Winters: level, trend and season of a series, each followed at its own pace. All three additive.

The recursion, and the start from the first seasons, are those of statsmodels' ``ExponentialSmoothing`` (0.13,
``initialization_method="heuristic"``), which the predictive HPA runs.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FIRST = 10  # points of the smoothed series that level and trend are read from
MOST_SEASONS = 5  # of the start


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Shares of what is new, of 1: in the level, in the trend, in the season."""

    alpha: float
    beta: float
    gamma: float


class HoltWinters:
    """One series, point by point. Until it has seen enough it predicts nothing."""

    def __init__(self, smoothing: Smoothing, season: int) -> None:
        self._smoothing, self._season = smoothing, season
        self._needed = max(2 * season, FIRST + 2 * (season // 2))
        self._seen: list[float] = []
        self._level = self._trend = math.nan
        self._seasonal: deque[float] = deque()  # the effect of the next point first

    def record(self, value: float) -> None:
        """The next point."""
        if self._seasonal:
            self._follow(value)
            return
        self._seen.append(value)
        if len(self._seen) >= self._needed:
            self._begin()

    def ahead(self) -> float | None:
        """The next point as it is expected, or None while too little was seen."""
        return self._level + self._trend + self._seasonal[0] if self._seasonal else None

    def _begin(self) -> None:
        """Read the start from what was seen, and follow it from there."""
        seen = self._seen
        seasons = max(min(MOST_SEASONS, len(seen) // self._season), math.ceil(self._needed / self._season))
        series = np.array(seen[: seasons * self._season])
        smooth = _moving_average(series, self._season)
        effects = _effects(series - smooth, self._season)
        within = smooth[np.isfinite(smooth)][:FIRST]
        self._trend, self._level = (float(x) for x in np.polyfit(np.arange(1, len(within) + 1), within, 1))
        self._seasonal.extend(effects.tolist())
        for value in seen:
            self._follow(value)
        self._seen = []

    def _follow(self, value: float) -> None:
        smoothing, before, drifted = self._smoothing, self._level, self._level + self._trend
        effect = self._seasonal.popleft()
        self._level = smoothing.alpha * (value - effect) + (1 - smoothing.alpha) * drifted
        self._trend = smoothing.beta * (self._level - before) + (1 - smoothing.beta) * self._trend
        self._seasonal.append(smoothing.gamma * (value - drifted) + (1 - smoothing.gamma) * effect)


def _moving_average(series: npt.NDArray[np.float64], season: int) -> npt.NDArray[np.float64]:
    """Over one season, centred, shape (n,); NaN where it would reach past an end."""
    weights = np.full(season, 1.0 / season)
    if season % 2 == 0:
        weights = np.convolve(weights, [0.5, 0.5])
    smooth = np.full(len(series), math.nan)
    reach = len(weights) // 2
    smooth[reach : len(series) - reach] = np.convolve(series, weights, mode="valid")
    return smooth


def _effects(detrended: npt.NDArray[np.float64], season: int) -> npt.NDArray[np.float64]:
    """The mean effect of each place in a season, shape (season,); together they are nothing."""
    padded = np.full(math.ceil(len(detrended) / season) * season, math.nan)
    padded[: len(detrended)] = detrended
    effects = np.nanmean(padded.reshape(-1, season), axis=0)
    centred: npt.NDArray[np.float64] = effects - effects.mean()
    return centred
