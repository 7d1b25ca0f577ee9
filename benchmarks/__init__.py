"""Figures, each measured beside its reference in the same run.

A benchmark is a module ``bench_NAME.py`` here with a ``run() -> Iterable[Result]``: it yields a result as soon as it is
measured, and raises ``CannotMeasureError`` where something it needs is missing. One that can
be told how long or with how much takes ``minutes``, ``pools`` or ``pods``. ``python -m benchmarks -h`` runs them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal


class CannotMeasureError(Exception):
    """What is missing, and how to get it."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the figure in its own unit, or on its ratio to the reference: ``Goal("ratio", ">=", 0.8)``."""

    of: Literal["figure", "ratio"]
    sense: Literal["<=", ">="]
    bound: float

    def met_by(self, value: float) -> bool:
        """Whether this value is on the right side of the bound, which itself counts."""
        return value <= self.bound if self.sense == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.of} {self.sense} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure and its reference, both in ``unit`` and both measured in this run."""

    name: str
    figure: float
    unit: str
    reference: float
    goal: Goal

    @property
    def ratio(self) -> float:
        """The figure in multiples of its reference."""
        return self.figure / self.reference

    @property
    def holds(self) -> bool:
        """Whether the goal is met."""
        return self.goal.met_by(self.figure if self.goal.of == "figure" else self.ratio)

    def sentence(self) -> str:
        """The result for a reader."""
        figure, reference = (f"{_rounded(n, 4):,g} {self.unit}" for n in (self.figure, self.reference))
        verdict = "holds" if self.holds else "MISSED"
        return f"{self.name}: {figure} beside {reference} (x {self.ratio:.3g}), goal {self.goal}: {verdict}"

    def line(self) -> str:
        """The result for a program: one JSON object without a line break."""
        fields = {
            "name": self.name,
            "figure": _rounded(self.figure, 6),
            "unit": self.unit,
            "reference": _rounded(self.reference, 6),
            "ratio": _rounded(self.ratio, 6),
            "goal": str(self.goal),
            "holds": self.holds,
        }
        return json.dumps(fields)


def _rounded(number: float, digits: int) -> float:
    """The number to this many significant digits."""
    return float(f"{number:.{digits}g}")
