"""A journal read back: each tick as it was given and what came out then, ready to be decided again."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from scaler.core.delta import NOTHING, after, changed
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import Json, RecordError, from_json
from scaler.core.types import Instant, Observation
from scaler.live.journal import MIB, VERSION
from scaler.live.lines import FIRST, LineError, unseal
from scaler.live.segments import segments
from scaler.live.verdict import PARTS, digest

LONGEST_LINE: Final = 64 * MIB
LARGEST_MEMORY: Final = 64 * MIB
LATEST: Final[Instant] = 253_402_300_799.0  # the last second that a calendar of four digits knows
_CHANGE: Final = frozenset({"r", "s", "p", "a"})
_FIRST: Final = frozenset({"n", "pool", "on", "lost", "t", "policy", "memory", "out"}) | _CHANGE
_LATER: Final = frozenset({"n", "t", "policy", "out", "d"}) | _CHANGE


class JournalError(ValueError):
    """A journal that cannot be replayed: names the file, the line and what is wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tick as it was written down.

    Attributes:
        place: file and line.
        memory: what the tick was given; None where that is the memory of the pool's entry before this one.
        resumes: whether the memory is another than the pool's entry before this one left, as at the start of a process.
        verdict: what came out in full; None where only its digest is known.
    """

    place: str
    pool: str
    at: Instant
    policy: Policy
    memory: Memory | None
    resumes: bool
    observation: Observation
    verdict: Json | None
    digest: str


@dataclass(slots=True)
class Flaws:
    """What a journal lacks: lines cut short at the end of a file, ticks left out, and stretches that were lost."""

    cut: int = 0
    lost: int = 0
    gaps: int = 0


class Reading:
    """The entries of a file, or of all files of a journal's directory. To be gone through once; then it has flaws."""

    def __init__(self, path: Path) -> None:
        self.flaws = Flaws()
        self.path = path

    def __iter__(self) -> Iterator[Entry]:
        """The entries in the order in which they were written.

        Raises:
            JournalError: a line is damaged, or says what cannot be.
            OSError: a file cannot be read.
        """
        known: set[str] = set()
        for path in segments(self.path) if self.path.is_dir() else [self.path]:
            yield from self._file(path, known)

    def _file(self, path: Path, known: set[str]) -> Iterator[Entry]:
        """The entries of one file. ``known`` are the pools that had entries before."""
        state = _State(self.flaws, known)
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    self.flaws.cut += 1
                    return
                place = f"{path}, line {number}"
                try:
                    entry = state.take(line, place)
                except (LineError, RecordError) as error:
                    raise JournalError(f"{place}: {error}") from error
                if entry is not None:
                    yield entry


class _State:
    """What the lines read so far say about those that follow."""

    def __init__(self, flaws: Flaws, known: set[str]) -> None:
        self._flaws, self._known = flaws, known
        self._chain = FIRST
        self._last: dict[int, Entry] = {}

    def take(self, line: bytes, place: str) -> Entry | None:
        """Read the next line.

        Raises:
            LineError, RecordError: it is damaged, or says what cannot be.
        """
        begins = line.startswith(b'{"v":')
        value, self._chain = unseal(line, FIRST if begins else self._chain)
        try:
            if "t" in value:
                return self._entry(value, place)
            self._mark(value)
            return None
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise error if isinstance(error, RecordError) else RecordError(f"no entry: {error!r:.200}") from error

    def _mark(self, value: Json) -> None:
        """Take in a line that is no tick: the beginning, or that a pool's last ticks are missing."""
        if "v" not in value:
            self._flaws.lost += from_json(int, value["lost"])
            return
        if value["v"] != VERSION:
            raise RecordError(f"version {value['v']!r:.20} of the journal, and this scaler reads {VERSION}")
        self._flaws.gaps += value.get("gap", False)
        self._last = {}

    def _entry(self, value: Json, place: str) -> Entry:
        number = from_json(int, value["n"])
        entry = self._first(value, place) if "pool" in value else _later(value, place, self._last[number])
        self._last[number] = replace(entry, verdict=None, memory=None)
        self._known.add(entry.pool)
        return entry

    def _first(self, value: Json, place: str) -> Entry:
        _check(value, _FIRST)
        at, pool = _instant(from_json(float, value["t"])), from_json(str, value["pool"])
        if not pool.isprintable():
            raise RecordError(f"{pool!r:.80} is no name of a pool")
        self._flaws.lost += from_json(int, value.get("lost", 0))
        return Entry(
            place=place,
            pool=pool,
            at=at,
            policy=from_json(Policy, value["policy"]),
            memory=_unpacked(from_json(str, value["memory"])),
            resumes=not value.get("on", False) or pool not in self._known,
            observation=changed(NOTHING, _change(value), at),
            verdict=_verdict(value["out"]),
            digest=digest(value["out"]),
        )


def _later(value: Json, place: str, last: Entry) -> Entry:
    _check(value, _LATER)
    at, out = _instant(after(value["t"], last.at)), _verdict(value["out"]) if "out" in value else None
    return replace(
        last,
        place=place,
        at=at,
        policy=from_json(Policy, value["policy"]) if "policy" in value else last.policy,
        resumes=False,
        observation=changed(last.observation, _change(value), at),
        verdict=out,
        digest=from_json(str, value["d"]) if out is None else digest(out),
    )


def _check(value: Json, allowed: frozenset[str]) -> None:
    if strange := value.keys() - allowed:
        raise RecordError(f"unknown keys {sorted(strange)}")


def _instant(at: Instant) -> Instant:
    if not 0 <= at <= LATEST:
        raise RecordError(f"t is {at}, which no clock shows")
    return at


def _verdict(out: Json) -> Json:
    if not isinstance(out, dict) or out.keys() != PARTS:
        raise RecordError(f"out has the parts {sorted(PARTS)}, found {out!r:.80}")
    return out


def _change(value: Json) -> dict[str, Json]:
    return {key: value[key] for key in _CHANGE & value.keys()}


def _unpacked(text: str) -> Memory:
    """The memory that a first line holds.

    Raises:
        RecordError: the text is none, or longer than any memory is.
    """
    try:
        inflate = zlib.decompressobj()
        json_text = inflate.decompress(base64.b64decode(text, validate=True), LARGEST_MEMORY)
        return from_json(Memory, json.loads(json_text))
    except (zlib.error, RecursionError) as error:
        raise RecordError(f"no memory: {error}") from error
