"""Numbers as people read them. Needs no numpy: the gate has none."""

from __future__ import annotations


def counted(number: float, one: str, many: str = "") -> str:
    """So many of these, for people; of a mean two places."""
    return f"{figure(number)} {one if number == 1 else many or f'{one}s'}"


def figure(number: float) -> str:
    """A number for people: all of its thousands, and two places where it is a mean."""
    return f"{round(number, 2):,.12g}"
