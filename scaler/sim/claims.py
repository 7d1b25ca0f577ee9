"""What a scenario is expected to show, as comparisons of figures: ``ours.killed == 0``, ``ours.price < hpa.price``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

from scaler.config.fields import refusal

SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One comparison; each side is a number, or ``POLICY.FIGURE``."""

    left: str
    sign: str
    right: str

    def holds(self, means: Mapping[str, Mapping[str, float | None]]) -> bool:
        """Whether it is so, given the figures of each policy.

        Raises:
            ValueError: a figure is named that there is not.
        """
        return SIGNS[self.sign](_value(self.left, means), _value(self.right, means))


def claim(text: str) -> Claim:
    """Read one.

    Raises:
        ValueError: it is none.
    """
    parts = text.split()
    if len(parts) != 3 or parts[1] not in SIGNS:  # noqa: PLR2004 - a sign between two sides
        raise ValueError(f"{text!r}: write POLICY.FIGURE, one of {' '.join(SIGNS)}, and a number or POLICY.FIGURE")
    return Claim(*parts)


def _value(side: str, means: Mapping[str, Mapping[str, float | None]]) -> float:
    policy, _, figure = side.partition(".")
    if policy not in means:
        return float(side)
    value = means[policy].get(figure)
    if value is None:
        raise ValueError(f"{side}: there is no such figure; there are {', '.join(means[policy])}")
    return value


def _written(text: str) -> str:
    try:
        claim(text)
    except ValueError as error:
        raise refusal("must be a claim", str(error)) from None
    return text


Written = Annotated[str, AfterValidator(_written)]
