"""A journal's own past as work for the simulator: ``--journal`` and ``--pool``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import typer
from rich.console import Console

from scaler.cli.journals import has_no_tick, lacks, of_one_pool
from scaler.cli.output import refuse
from scaler.cli.replay import clock
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Instant, Known, Observation, Signal
from scaler.core.wording import counted
from scaler.live.reading import Entry, JournalError, Reading
from scaler.sim.past import Look, Past, past

ALL: Final = ""  # a pod that stands for all, where pods cannot be asked one by one


def past_of(journal: Path, pool: str | None) -> tuple[Past, Policy]:
    """What a pool had to do, and its policy when that was last written down; tells what is not known of it."""
    reading = Reading(journal)
    try:
        with Console(stderr=True).status(f"reading {journal}"):
            looks, last = _looked(reading, journal, pool)
    except JournalError as error:
        refuse(f"--journal {journal} cannot be read: {error}")
    except OSError as error:
        refuse(f"--journal {journal} cannot be read: {error.strerror}")
    found = past(looks)
    if not found.tasks:
        refuse(f"--journal {journal} has no task of {last.pool} in {_hours(found)}, so there is nothing to run")
    for told in (f"{last.pool}: {_told(found)}", *_unsure(found), *lacks(reading.flaws)):
        typer.echo(told, err=True)
    return found, last.policy


def _hours(found: Past) -> str:
    return f"{found.lasted / 3600:.1f} hours"


def _told(found: Past) -> str:
    told = f"{counted(len(found.tasks), 'task')} in {_hours(found)} of the journal"
    if found.cut:
        told += f"; {found.cut} still ran at its end, and are taken to end there"
    return told + (f"; {found.never} were never seen to run, and are left out" if found.never else "")


def _unsure(found: Past) -> Iterator[str]:
    """What is not known of the time that the journal covers."""
    if found.back is not None:
        last, first = map(clock, found.back)
        yield f"the clock ran back from {last} to {first} UTC: only what was written after that is run"
    if found.gaps:
        told = f"nothing is known of {found.unseen / 3600:.1f} hours, in {counted(found.gaps, 'gap')}"
        yield f"{told}; {found.halted} ran when these began, and are taken to end there"


def _looked(reading: Reading, journal: Path, pool: str | None) -> tuple[list[Look], Entry]:
    """Each tick that says what there was, and the last one."""
    looks, last = [], None
    for last in of_one_pool(reading, journal, pool):
        if (seen := look(last.observation, last.at)) is not None:
            looks.append(seen)
    if last is None:
        has_no_tick(f"--journal {journal}")
    return looks, last


def look(seen: Observation, at: Instant) -> Look | None:
    """The pool at a tick; None where it is not known what ran, or what waited: then the next tick says."""
    running = _running(seen)
    if running is None:
        return None
    waiting = _value(seen, Signal.QUEUE)
    if waiting is None and (pending := _value(seen, Signal.PENDING)) is not None:
        waiting = max(0, pending - sum(count or 0 for count in running.values()))
    if waiting is None and seen.signals.keys() & {Signal.QUEUE, Signal.PENDING}:
        return None
    return Look(at=at, waiting=waiting or 0, running=running)


def _running(seen: Observation) -> dict[str, int | None] | None:
    if isinstance(seen.pods, Pods):
        heard = (~np.isnan(seen.pods.seen_at)).tolist()
        rows = zip(seen.pods.uids, seen.pods.inflight.tolist(), heard, strict=True)
        return {uid: count if known else None for uid, count, known in rows}
    total = _value(seen, Signal.INFLIGHT)
    return None if total is None else {ALL: total}


def _value(seen: Observation, signal: Signal) -> int | None:
    sample = seen.signals.get(signal)
    return round(sample.value) if isinstance(sample, Known) else None
