"""Lengths as people write them: a distribution by its figures, a file to draw from, or a plain number of seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from pydantic_core import PydanticCustomError

from scaler.config.fields import seconds as parsed_seconds
from scaler.core.pods import Floats
from scaler.sim.traces import read_durations
from scaler.sim.workload import Lognormal

STARTUP_SIGMA: Final = 0.3  # of a startup of which only the median is told
MU: Final = (-7.0, 18.0)  # of a distribution: a median from a millisecond to two years
SIGMA_MOST: Final = 10.0
ROUNDING: Final = 1e-9
STARTUP_LONGEST: Final = 86_400.0  # median: nobody waits a day for a pod
PREFIX: Final = "lognormal:"


class Distribution(Protocol):
    """Something that lengths are drawn from."""

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """That many, shape (count,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Lengths that were measured; each is as likely to come again."""

    values: Floats

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """That many of them, with repetition."""
        return rng.choice(self.values, count)


def lognormal(text: str) -> Lognormal:
    """``lognormal:MU,SIGMA``: mean and standard deviation of the logarithm of seconds.

    Raises:
        ValueError: it is not written so.
    """
    try:
        mu, sigma = (float(part) for part in text.removeprefix(PREFIX).split(","))
    except ValueError:
        mu = sigma = math.nan
    if not (text.startswith(PREFIX) and MU[0] <= mu <= MU[1] and 0 <= sigma <= SIGMA_MOST):
        raise ValueError(
            f"{text!r} is no distribution: write lognormal:MU,SIGMA, like lognormal:5.49,1.54, with MU from {MU[0]:g} "
            f"to {MU[1]:g} and SIGMA from 0 to {SIGMA_MOST:g}; they are of the logarithm of seconds"
        )
    return Lognormal(mu, sigma, "as asked for")


def durations(text: str, folder: Path) -> Distribution:
    """``lognormal:MU,SIGMA``, or the file with a column ``duration_s``; one in ``folder`` unless it says otherwise.

    Raises:
        ValueError: neither, or the file cannot be read.
    """
    return lognormal(text) if text.startswith(PREFIX) else Sampled(read_durations(folder / text))


def startup(text: str) -> Lognormal:
    """``lognormal:MU,SIGMA``, or the median: ``18s``, ``1m33s``, ``18``.

    Raises:
        ValueError: neither, or longer than anybody waits.
    """
    found = lognormal(text) if text.startswith(PREFIX) else _about(text)
    if found.quantile(0.0) > STARTUP_LONGEST * (1.0 + ROUNDING):
        raise ValueError(f"{text!r} is too long for a startup: its median may be 24h at most")
    return found


def _about(text: str) -> Lognormal:
    """Of which only the median is told."""
    try:
        median = parsed_seconds(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except PydanticCustomError:
        raise ValueError(f"{text!r} is no startup: write its median like 18s or 1m33s, or lognormal:MU,SIGMA") from None
    return Lognormal(math.log(median), STARTUP_SIGMA, "as asked for")
