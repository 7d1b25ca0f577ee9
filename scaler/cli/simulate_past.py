"""A journal's own past as work for the simulator: ``--journal`` and ``--pool``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import typer
from rich.console import Console

from scaler.cli.output import refuse
from scaler.core.pods import Pods
from scaler.core.policy import Policy
from scaler.core.types import Instant, Known, Observation, Signal
from scaler.live.reading import JournalError, Reading
from scaler.sim.past import Look, Past, past

ALL: Final = ""  # a pod that stands for all, where pods cannot be asked one by one


def past_of(journal: Path, pool: str | None) -> tuple[Past, Policy]:
    """What a pool had to do, and its policy when that was last written down; tells what is not known of it."""
    try:
        with Console(stderr=True).status(f"reading {journal}"):
            looks, policy, name = _looked(journal, pool)
    except (OSError, JournalError) as error:
        refuse(f"--journal {journal} cannot be read: {error}")
    found = past(looks)
    if not found.tasks:
        refuse(
            f"--journal {journal} has no task of {name} in {found.lasted / 3600:.1f} hours, so there is nothing to run"
        )
    typer.echo(f"{name}: {_told(found)}", err=True)
    return found, policy


def _told(found: Past) -> str:
    told = f"{len(found.tasks)} tasks in {found.lasted / 3600:.1f} hours of the journal"
    if found.cut:
        told += f"; {found.cut} still ran at its end, and are taken to end there"
    return told + (f"; {found.never} were never seen to run, and are left out" if found.never else "")


def _looked(journal: Path, pool: str | None) -> tuple[list[Look], Policy, str]:
    looks: dict[str, list[Look]] = {}
    policies: dict[str, Policy] = {}
    for entry in Reading(journal):
        policies[entry.pool] = entry.policy
        if pool in (None, entry.pool) and (seen := look(entry.observation, entry.at)) is not None:
            looks.setdefault(entry.pool, []).append(seen)
    if not policies:
        refuse(f"--journal {journal} has no tick of any pool: give what serve --journal wrote")
    if (pool is None and len(policies) > 1) or pool not in (None, *policies):
        refuse(f"--pool {pool or 'is not given'}: {journal} has {', '.join(sorted(policies))}; give one of them")
    name = pool or next(iter(policies))
    return looks.get(name, []), policies[name], name


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
