"""A journal for the commands that read one: the entries of the pool that was asked for, and what the journal lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from scaler.cli.output import refuse
from scaler.core.wording import counted
from scaler.live.reading import Entry, Flaws, Reading


def of_pool(reading: Reading, file: Path, pool: str | None) -> Iterator[Entry]:
    """The entries of one pool, or of all where none is named."""
    others: set[str] = set()
    found = False
    for entry in reading:
        if pool in (None, entry.pool):
            found = True
            yield entry
        else:
            others.add(entry.pool)
    if others and not found:
        refuse(f"--pool {pool!r} is in no line of {file}, which has {', '.join(sorted(others))}; name one of these")


def of_one_pool(reading: Reading, file: Path, pool: str | None) -> Iterator[Entry]:
    """The entries of one pool, which must be named where there are several."""
    for entry in of_pool(reading, file, pool):
        pool = pool or entry.pool
        if entry.pool != pool:
            refuse(f"{file} holds several pools, {pool} and {entry.pool} among them; name one with --pool")
        yield entry


def has_no_tick(what: str) -> NoReturn:
    """Refuse what is no journal, or one that nothing was written into: of nothing, nothing can be said."""
    refuse(f"{what} has no tick of any pool: give what serve --journal wrote, its directory or a file of it")


def lacks(flaws: Flaws) -> Iterator[str]:
    """What is missing, for people."""
    if flaws.cut:
        yield f"left out: {counted(flaws.cut, 'line')} cut short at the end of a file"
    if flaws.lost:
        yield f"missing: {counted(flaws.lost, 'tick')} not written down, because the disk could not keep up"
    if flaws.gaps:
        yield f"the journal could not be written for a while, {counted(flaws.gaps, 'time')}"
