"""Traces of real work, read from files: plain CSV, and the public formats that are named like their publishers.

A format is known by its header, or by its first line where that is JSON. Every error names the file, the line and the
column, and says what was expected there.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from scaler.core.pods import Floats, Ints
from scaler.core.types import Seconds
from scaler.sim.workload import NO_SESSION

Curve: TypeAlias = "tuple[tuple[Seconds, float], ...]"  # seconds, and tasks per minute then; straight in between

WAY_OUT: Final = (
    "a trace has a column arrival_s, in seconds, or TIMESTAMP, with dates, and where they are known duration_s, tokens "
    "and session; Azure's (TIMESTAMP, ContextTokens, GeneratedTokens), BurstGPT's and Mooncake's own files are read too"
)


class TraceError(ValueError):
    """A file that cannot be read as what it was given for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Columns of equal length, by arrival; one that the file does not have is None.

    Attributes:
        arrived_at: seconds from the first arrival on.
        seconds: how long each ran.
        tokens: tokens that each produced in all.
        session: the conversation of each, ``NO_SESSION`` for none.
    """

    arrived_at: Floats
    seconds: Floats | None = None
    tokens: Floats | None = None
    session: Ints | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a file, and where it stands."""

    file: Path
    line: int
    column: str
    text: str

    def number(self, *, least: float = 0.0) -> float:
        """The value as a finite number of at least that much.

        Raises:
            TraceError: it is none.
        """
        try:
            value = float(self.text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            dates = f"; dates stand in a column {DATED}" if self.column == PLAIN.arrival else ""
            raise self.wrong(f"a number from {least:g} on{dates}")
        return value

    def instant(self) -> float:
        """Seconds since the epoch, from a date and time.

        Raises:
            TraceError: it is none.
        """
        try:
            at = datetime.fromisoformat(self.text[:26].strip())  # Azure writes seven decimals of a second, Python six
        except ValueError:
            raise self.wrong("a date and time like 2023-11-16 18:17:03.9799600") from None
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp()

    def wrong(self, expected: str) -> TraceError:
        """What is wrong with it."""
        return TraceError(f"{self.file}, line {self.line}, {self.column} = {self.text!r}: expected {expected}")


class Row(dict[str, Cell]):
    """The values of one line, by the names of their columns."""

    def __init__(self, file: Path, line: int, values: Iterable[tuple[str, str]]) -> None:
        super().__init__((name, Cell(file, line, name, text)) for name, text in values)
        self._place = f"{file}, line {line}"

    def __missing__(self, name: str) -> Cell:
        raise TraceError(f"{self._place}: no {name}; give it on every line, or on none where it is not needed")


@dataclass(frozen=True, slots=True)
class Format:
    """How one publisher's columns are called; None where there is no such column."""

    name: str
    arrival: str
    seconds: str | None = None
    tokens: str | None = None
    session: str | None = None
    dated: bool = False  # arrivals are dates
    unit: float = 1.0  # seconds in one unit of the arrivals


DATED: Final = "TIMESTAMP"
PLAIN: Final = Format("plain", "arrival_s", "duration_s", "tokens", "session")
FORMATS: Final = (
    PLAIN,
    Format("Azure", DATED, "duration_s", "GeneratedTokens", "session", dated=True),  # or one's own, with dates
    Format("BurstGPT", "Timestamp", "Elapsed time", "Response tokens", "Session ID"),
    Format("Mooncake", "timestamp", tokens="output_length", unit=0.001),
)
POINTS: Final = 2  # of a curve at least
LEAST: Final[Seconds] = 0.001  # that a task takes
ALIASES: Final = {"output_tokens": "tokens", "session_inferred": "session"}  # of the plain format, where it has none


def read_trace(file: Path) -> Trace:
    """The arrivals of a file, and what else it knows of them.

    Raises:
        TraceError: it cannot be read.
    """
    rows = _rows(file)
    header, rows = _peek(rows, file)
    known = next((form for form in FORMATS if form.arrival in header), None)
    if known is None:
        raise TraceError(f"{file}, line 1: no column of arrivals among {', '.join(header)}; {WAY_OUT}")
    wanted = [name for name in (known.arrival, known.seconds, known.tokens, known.session) if name in header]
    columns: dict[str, list[Cell]] = {str(name): [] for name in wanted}
    for row in rows:
        for name, cells in columns.items():
            cells.append(row[name])
    return _assembled(known, columns)


def read_rate(file: Path) -> Curve:
    """A curve of arrivals: (seconds, tasks per minute), ascending.

    Raises:
        TraceError: it cannot be read.
    """
    points: list[tuple[Seconds, float]] = []
    for row in _having(file, ("arrival_s", "rate_per_min")):
        at, rate = row["arrival_s"], row["rate_per_min"]
        if points and at.number() <= points[-1][0]:
            raise at.wrong(f"more than the line before it has, {points[-1][0]:g}")
        points.append((at.number(), rate.number()))
    if len(points) < POINTS:
        raise TraceError(f"{file} has one point, and a curve lies between two: give the rate at its end too")
    return tuple(points)


def read_durations(file: Path) -> Floats:
    """Lengths of tasks, to be drawn from. Where rows say whether they ``ended`` and are ``clean``, only those that are.

    Raises:
        TraceError: it cannot be read.
    """
    whole = [row for row in _having(file, ("duration_s",)) if _is_whole(row)]
    lengths = [row["duration_s"].number() for row in whole]
    if not any(lengths):
        raise TraceError(f"{file}: no duration_s above 0; give one length in seconds on each line")
    return np.array([length for length in lengths if length > 0])


def _is_whole(row: Row) -> bool:
    return all(row[name].text.strip() not in {"0", "false"} for name in ("ended", "clean") if name in row)


def _having(file: Path, names: Sequence[str]) -> Iterator[Row]:
    """The rows of a file that must have these columns."""
    header, rows = _peek(_rows(file), file)
    for name in names:
        if name not in header:
            raise TraceError(f"{file}, line 1: no column {name} among {', '.join(header)}; add it")
    return rows


def _peek(rows: Iterator[Row], file: Path) -> tuple[list[str], Iterator[Row]]:
    """The names of the columns, and all rows."""
    first = next(rows, None)
    if first is None:
        raise TraceError(f"{file} has no rows; {WAY_OUT}")
    return list(first), itertools.chain([first], rows)


def _rows(file: Path) -> Iterator[Row]:
    """Each row of a CSV or JSONL file, compressed or not, by the names of its columns."""
    try:
        packed = file.read_bytes()
        text = (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).decode("utf-8-sig")
    except OSError as error:
        raise TraceError(f"{file} cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise TraceError(f"{file} is cut off: its compressed text has no end; fetch it again") from None
    except (zlib.error, UnicodeDecodeError) as error:
        raise TraceError(
            f"{file} is no text: {error}; give a CSV or JSONL file, as it is or compressed by gzip"
        ) from None
    read: Callable[[Path, str], Iterable[Row]] = _json_rows if text.lstrip().startswith(("{", "[")) else _csv_rows
    return iter(read(file, text))


def _csv_rows(file: Path, text: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        full = (row for row in lines if any(map(str.strip, row)))
        header = next(full, [])
        names = _names(file, lines.line_num, header)
        for row in full:
            if len(row) != len(names):
                raise TraceError(f"{file}, line {lines.line_num}: {len(row)} values for {len(names)} columns")
            yield Row(file, lines.line_num, zip(names, row, strict=True))
    except csv.Error as error:
        raise TraceError(f"{file}, line {lines.line_num} is no CSV: {error}") from None


def _names(file: Path, line: int, header: Sequence[str]) -> list[str]:
    """The names of the columns, which must be told apart, as those that are parted by commas can be."""
    plain = [name.strip() for name in header]
    names = [name if ALIASES.get(name, name) in plain else ALIASES[name] for name in plain]
    if twice := [name for name, count in Counter(filter(None, names)).items() if count > 1]:
        raise TraceError(f"{file}, line {line}: {twice[0]} stands over two columns: leave one of them out")
    if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise TraceError(f"{file}, line {line}: columns are parted by {other!r}; write commas, and points in numbers")
    return names


def _json_rows(file: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TraceError(f"{file}, line {number} is no JSON: {error}; write one object on each line") from None
        if not isinstance(row, dict):
            raise TraceError(f"{file}, line {number}: expected one object, like {{...}}, on each line")
        yield Row(file, number, ((name, str(value)) for name, value in row.items()))


def _assembled(known: Format, columns: Mapping[str, list[Cell]]) -> Trace:
    at = np.array([c.instant() if known.dated else c.number() * known.unit for c in columns[known.arrival]])
    order = np.argsort(at, kind="stable")

    def numbers(name: str | None) -> Floats | None:
        cells = columns.get(name or "")
        return None if cells is None else np.array([cell.number() for cell in cells])[order]

    seconds = numbers(known.seconds)
    return Trace(
        arrived_at=(at - at.min())[order],
        seconds=None if seconds is None else np.maximum(seconds, LEAST),
        tokens=numbers(known.tokens),
        session=_sessions(columns.get(known.session or ""), order),
    )


def _sessions(cells: Sequence[Cell] | None, order: Ints) -> Ints | None:
    """Sessions as whole numbers, in the order in which they first appear; an empty one is none."""
    if cells is None:
        return None
    numbers: dict[str, int] = {"": NO_SESSION, str(NO_SESSION): NO_SESSION}
    column = [numbers.setdefault(cells[i].text.strip(), len(numbers)) for i in order.tolist()]
    return np.array(column, dtype=np.int64)
