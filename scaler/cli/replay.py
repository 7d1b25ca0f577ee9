"""``scaler replay``: decides again on what a journal holds, and says where anything else comes out."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import typer

from scaler.cli.journals import has_no_tick, lacks, of_one_pool, of_pool
from scaler.cli.output import FAILED, as_json, refuse
from scaler.cli.whatif import Comparison
from scaler.config.check import checked
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import Json, to_json
from scaler.core.tick import tick
from scaler.core.types import Instant, Outcome
from scaler.core.wording import counted
from scaler.live.reading import Entry, JournalError, Reading
from scaler.live.verdict import digest, verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """Where something else came out: what was recorded, and what is decided now."""

    entry: Entry
    what: str
    recorded: Json
    now: Json

    def told(self) -> str:
        """For people."""
        head = f"{self.entry.place}: {self.entry.pool} at {clock(self.entry.at)}: another {self.what} comes out"
        return f"{head}\n  recorded: {json_.dumps(self.recorded)}\n  now:      {json_.dumps(self.now)}"


class DiffersError(Exception):
    """The first difference of a replay."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.told())
        self.difference = difference


class Replay:
    """Decides again, entry by entry."""

    def __init__(self) -> None:
        self.ticks = 0
        self.first: Instant | None = None
        self.last: Instant | None = None
        self.pools: dict[str, Memory] = {}
        self._verdicts: dict[str, Json] = {}

    def again(self, entry: Entry) -> Outcome:
        """The outcome of an entry, which is the recorded one.

        Raises:
            DiffersError: it is another.
        """
        outcome = tick(entry.policy, self._memory(entry), entry.observation, entry.at)
        self._compare(entry, verdict(outcome))
        self.pools[entry.pool] = outcome.memory
        self.ticks += 1
        self.first = entry.at if self.first is None else self.first
        self.last = entry.at
        return outcome

    def _memory(self, entry: Entry) -> Memory:
        memory = self.pools.get(entry.pool)
        if memory is None or entry.resumes:
            if entry.memory is None:
                raise JournalError(f"{entry.place}: nothing is known of the pool's memory")
            return entry.memory
        if entry.memory is not None and (was := to_json(entry.memory)) != (now := to_json(memory)):
            name = next(name for name in was if was[name] != now[name])
            raise DiffersError(Difference(entry, f"memory ({name})", was[name], now[name]))
        return memory

    def _compare(self, entry: Entry, now: Json) -> None:
        if entry.verdict is not None:
            self._verdicts[entry.pool] = entry.verdict
        if digest(now) == entry.digest:
            return
        recorded = self._verdicts[entry.pool]  # where only the digest is known, all but its notes is as it was then
        found = [name for name in recorded if recorded[name] != now[name]]
        if not found:
            raise DiffersError(Difference(entry, "note", "known by its digest only", now["trail"]))
        raise DiffersError(Difference(entry, found[0], recorded[found[0]], now[found[0]]))


def clock(at: Instant) -> str:
    """An instant for people, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def run(file: Path, *, policy: Path | None, pool: str | None, json: bool) -> None:
    """Replay the file, or all files of the directory; with a policy, compare it with the recorded one."""
    reading = Reading(file)
    try:
        if policy is None:
            _replay(reading, of_pool(reading, file, pool), json=json)
        else:
            _compare(reading, of_one_pool(reading, file, pool), policy, json=json)
    except JournalError as error:
        refuse(f"{error}; what stands before that line can be replayed, as a file of its own")
    except OSError as error:
        if error.filename is None:
            raise  # it is what is printed that found no place
        refuse(f"{file} cannot be read: {error.strerror}")
    except DiffersError as error:
        _differs(error.difference, json=json)


def _replay(reading: Reading, entries: Iterator[Entry], *, json: bool) -> None:
    replay = Replay()
    for entry in entries:
        replay.again(entry)
    if replay.first is None or replay.last is None:
        has_no_tick(str(reading.path))
    if json:
        flaws = asdict(reading.flaws)
        as_json({"same": True, "ticks": replay.ticks, "pools": sorted(replay.pools), "flaws": flaws})
        return
    ticks, span = counted(replay.ticks, "tick"), f"{clock(replay.first)} to {clock(replay.last)} UTC"
    typer.echo(f"{ticks} of {counted(len(replay.pools), 'pool')}, {span}: every outcome is the same")
    for flaw in lacks(reading.flaws):
        typer.echo(flaw)


def _differs(difference: Difference, *, json: bool) -> NoReturn:
    if json:
        entry = difference.entry
        found = {"what": difference.what, "recorded": difference.recorded, "now": difference.now}
        as_json({"same": False, "place": entry.place, "pool": entry.pool, "at": entry.at, "difference": found})
    else:
        typer.echo(difference.told())
    raise typer.Exit(FAILED)


def _compare(reading: Reading, entries: Iterator[Entry], file: Path, *, json: bool) -> None:
    replay = Replay()
    comparison: Comparison | None = None
    for entry in entries:
        comparison = comparison or Comparison(_policy(file, entry.pool))
        comparison.add(entry, replay.again(entry))
    if comparison is None:
        has_no_tick(str(reading.path))
    if json:
        as_json(comparison.as_json())
        return
    for line in (*comparison.lines(), *lacks(reading.flaws)):
        typer.echo(line)


def _policy(file: Path, pool: str) -> Policy:
    """What the file asks of the pool."""
    namespace, _, name = pool.partition("/")
    try:
        text = file.read_text(encoding="utf-8")
        return resolve(checked(text), PoolKey(namespace, name), TriggerMetadata()).policy
    except ConfigError as error:
        refuse("\n".join(f"{file}: {problem}" for problem in error.problems))
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"--policy {file} cannot be read: {getattr(error, 'strerror', error)}")
