"""What is wrong with what somebody wrote: every problem at once, with key, value, allowed range and way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace

VALUE_SHOWN = 60  # characters of a value that a message repeats
DIGITS = 4_000  # of a whole number that is read as one, so that its range can be told; Python itself reads few more


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: the key, from the top, joined by dots.
        value: what stands there, as text; None where nothing does or it must not be repeated.
        allowed: what may stand there.
        way_out: what to do about it.
        line: line in the file, counted from 1, where there is a file.
    """

    path: str
    value: str | None
    allowed: str
    way_out: str
    line: int | None = None

    def __str__(self) -> str:
        at = "" if self.line is None else f"line {self.line}: "
        value = "" if self.value is None else f" = {self.value}"
        return f"{at}{printable(self.path)}{value}: {self.allowed}; {self.way_out}"


class ConfigError(ValueError):
    """A configuration that cannot be used, with every problem found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class MetadataError(ConfigError):
    """Trigger metadata that cannot be used. It travels in a gRPC trailer, so the message stays short."""

    SHOWN = 5
    LONGEST = 2_000  # characters; a trailer holds 8 KiB

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(problems)
        rest = len(self.problems) - self.SHOWN
        told = [str(p) for p in self.problems[: self.SHOWN]] + ([f"and {rest} more"] if rest > 0 else [])
        self.args = (" | ".join(told)[: self.LONGEST],)


class ForeignPoolError(MetadataError):
    """Trigger metadata of one namespace that names a pool of another."""


def shown(value: object) -> str:
    """A value as it may stand in a message: quoted where it is text, cut where it is long."""
    text = repr(value)
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def printable(text: str) -> str:
    """The text with \ufffd for each character that cannot be printed.

    So no terminal takes orders from it, and half a surrogate pair, which JSON and YAML can hold, meets no encoder.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """``did you mean "x"?`` for the nearest known word, or ``otherwise`` where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{near[0]}"?' if near else otherwise


def under(prefix: str, problem: Problem, *, line: int | None) -> Problem:
    """The problem with ``prefix`` before its path, at ``line``."""
    return replace(problem, path=f"{prefix}.{problem.path}", line=line)
