"""What changed between two observations of one pool, as a small JSON value, and back without losing a bit.

A tick sees what the one before it saw, a little later. So a change holds only what is not the same, and instants as
seconds from one that is known already: the sample's former instant, or the tick's own. Its keys are

- ``r``: the replicas; ``s``: the signals, in their order, or by name where other signals are listed than before. Each
  is 0 where nothing changed, seconds where only the instant did, ``[value, seconds]`` or ``{"unknown": why}``.
- ``p``: the pods: ``{"unknown": why}``, ``{"all": columns}`` (``SPARSE`` ones where there is any), or what changed:
  under ``uids`` the new order, as runs ``[from, to]`` of former rows and uids of new pods; under a column's name its
  new values by row, where ``*`` is the instant that every row came to which had one. A new pod begins with zeros, and
  with no instants.
- ``a``: what is announced, whole.
- ``g``: why the guards do not hold, or null from when on they do.

Where a sum of floats cannot give an instant back, it stands as ``[instant]`` in the place of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scaler.core.pods import NO_ZONE, Ints, Pods
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.types import Announcement, Instant, Known, Observation, PodUid, Sample, Signal, Unknown

Change: TypeAlias = dict[str, Json]
Column: TypeAlias = npt.NDArray[Any]  # Floats or Ints
_NOT_SEEN = Unknown("not seen")
NOTHING = Observation(replicas=_NOT_SEEN, pods=_NOT_SEEN)  # what the first change of a pool is one of
COLUMNS = tuple(f.name for f in fields(Pods) if f.name != "uids")
INSTANTS = frozenset({"created_at", "since", "seen_at"})
SPARSE: Mapping[str, Json] = {"displaced": False, "for_node": False, "zone": NO_ZONE}  # a column that is not told
DIGITS = 7  # tenths of a microsecond: finer than a float tells two instants of this century apart


def change(was: Observation, now: Observation, at: Instant) -> Change:
    """What must be known beside ``was`` (``NOTHING`` before the first) to have ``now``, observed at ``at``."""
    found = {
        "r": _sample_change(was.replicas, now.replicas, at),
        "s": _signals_change(was.signals, now.signals, at),
        "p": _pods_change(was.pods, now.pods, at),
        "a": None if repr(was.announced) == repr(now.announced) else to_json(now.announced),
    }
    said = {key: value for key, value in found.items() if value not in (0, None)}
    return said if was.unguarded == now.unguarded else said | {"g": to_json(now.unguarded)}


def changed(was: Observation, found: Change, at: Instant) -> Observation:
    """The observation that ``change`` was made from.

    Raises:
        RecordError: this is no change, or not one of this observation.
    """
    try:
        return Observation(
            replicas=_sample(was.replicas, found.get("r", 0), at),
            pods=_pods(was.pods, found["p"], at) if "p" in found else was.pods,
            signals=_signals(was.signals, found.get("s", 0), at),
            announced=from_json(tuple[Announcement, ...], found["a"]) if "a" in found else was.announced,
            unguarded=_unguarded(found["g"]) if "g" in found else was.unguarded,
        )
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError) as error:
        raise RecordError(f"not a change of this observation: {error!r:.200}") from error


def _unguarded(found: Json) -> Unknown | None:
    return None if found is None else from_json(Unknown, found)


def span(instant: Instant, since: Instant) -> Json:
    """How far an instant is from another: as few digits as bring it back with ``after``."""
    exact = instant - since
    for seconds in (round(exact, DIGITS), exact):
        if since + seconds == instant != 0 and math.isfinite(instant):
            return seconds or 0
    return [to_json(instant)]


def after(seconds: Json, since: Instant) -> Instant:
    """The instant that ``span`` was told of.

    Raises:
        ValueError: this is no span (a RecordError, or a list of another length).
    """
    if isinstance(seconds, list):
        (instant,) = seconds
        return from_json(float, instant)
    return since + from_json(float, seconds)


def _sample_change(was: Sample, now: Sample, at: Instant) -> Json:
    if now is was or (isinstance(now, Unknown) and now == was):
        return 0
    if isinstance(now, Unknown):
        return to_json(now)
    if not isinstance(was, Known):
        return [to_json(now.value), span(now.at, at)]
    later = span(now.at, was.at)
    same = repr(was.value) == repr(now.value) and not isinstance(later, list)  # tells -0.0 from 0.0, and NaN is NaN
    return later if same else [to_json(now.value), later]


def _sample(was: Sample, found: Json, at: Instant) -> Sample:
    if isinstance(found, dict):
        return from_json(Unknown, found)
    if isinstance(found, list):
        value, later = found
        return Known(from_json(float, value), after(later, was.at if isinstance(was, Known) else at))
    if found == 0:
        return was
    if isinstance(was, Unknown):
        raise TypeError(f"{found!r:.80} moves a sample that there was not")
    return Known(was.value, after(found, was.at))


def _signals_change(was: Mapping[Signal, Sample], now: Mapping[Signal, Sample], at: Instant) -> Json:
    if list(was) != list(now):
        return {str(name): _sample_change(_NOT_SEEN, sample, at) for name, sample in now.items()}
    found = [_sample_change(was[name], sample, at) for name, sample in now.items()]
    return found if any(f != 0 for f in found) else 0


def _signals(was: Mapping[Signal, Sample], found: Json, at: Instant) -> Mapping[Signal, Sample]:
    if isinstance(found, dict):
        return {Signal(name): _sample(_NOT_SEEN, sample, at) for name, sample in found.items()}
    if found == 0:
        return was
    return {name: _sample(sample, moved, at) for (name, sample), moved in zip(was.items(), found, strict=True)}


def _pods_change(was: Pods | Unknown, now: Pods | Unknown, at: Instant) -> Json:
    if isinstance(now, Unknown):
        return None if now == was else to_json(now)
    if not isinstance(was, Pods):
        return {"all": _whole(now)}
    found: Change = {}
    if was.uids != now.uids:
        found["uids"] = _order(was.uids, now.uids)
        was = _ordered(was, found["uids"])
    for name in COLUMNS:
        column = _column_change(getattr(was, name), getattr(now, name), at if name in INSTANTS else None)
        if column:
            found[name] = column
    return found or None


def _whole(pods: Pods) -> Json:
    """All columns, but for those that most pools have nothing in."""
    return {name: found for name, found in to_json(pods).items() if name not in SPARSE or getattr(pods, name).any()}


def _pods(was: Pods | Unknown, found: Change, at: Instant) -> Pods | Unknown:
    if "unknown" in found:
        return from_json(Unknown, found)
    if "all" in found:
        rows = len(found["all"]["uids"])
        return from_json(Pods, {name: [nothing] * rows for name, nothing in SPARSE.items()} | found["all"])
    if not isinstance(was, Pods):
        raise TypeError("pods that changed, and none before them")
    before = _ordered(was, found["uids"]) if "uids" in found else was
    if len(set(before.uids)) < len(before):
        raise ValueError("two pods share a uid")
    if unheard_of := found.keys() - {"uids", *COLUMNS}:
        raise KeyError(*unheard_of)
    columns = {
        name: _column(getattr(before, name), found.get(name), at if name in INSTANTS else None) for name in COLUMNS
    }
    return Pods(uids=before.uids, **columns)


def _order(was: tuple[PodUid, ...], now: tuple[PodUid, ...]) -> list[Json]:
    """The rows of ``now`` as runs of rows of ``was``, and uids that were not there."""
    where = {uid: row for row, uid in enumerate(was)}
    runs: list[Json] = []
    for uid in now:
        row = where.get(uid)
        if row is None:
            runs.append(uid)
        elif runs and isinstance(runs[-1], list) and runs[-1][1] == row:
            runs[-1][1] = row + 1
        else:
            runs.append([row, row + 1])
    return runs


def _ordered(was: Pods, runs: list[Json]) -> Pods:
    """The pods in this order; what is not known of new ones is zero, or no instant."""
    rows: list[int] = []
    uids: list[PodUid] = []
    for run in runs:
        if isinstance(run, str):
            rows.append(-1)
            uids.append(run)
        else:
            first, last = run
            if not 0 <= first < last <= len(was):
                raise IndexError(f"rows {run!r:.80} of {len(was)}")
            taken = range(first, last)
            rows += taken
            uids += (was.uids[row] for row in taken)
    place = np.array(rows, dtype=np.int64)
    columns = {name: _taken(getattr(was, name), place) for name in COLUMNS}
    return Pods(uids=tuple(uids), **columns)


def _taken(column: Column, rows: Ints) -> Column:
    """The entries of these rows; nothing for the row -1."""
    nothing = np.nan if column.dtype.kind == "f" else 0
    return np.append(column, np.array([nothing], dtype=column.dtype))[rows]


def _differing(was: Column, now: Column) -> list[int]:
    """The rows in which two columns have not the same bits."""
    if was.tobytes() == now.tobytes():
        return []
    bits = np.dtype(f"i{was.itemsize}")
    rows: list[int] = (was.view(bits) != now.view(bits)).nonzero()[0].tolist()
    return rows


def _column_change(was: Column, now: Column, at: Instant | None) -> Change:
    """The rows that are others, as instants where ``at`` is given."""
    rows = [] if now is was else _differing(was, now)
    if not rows or at is None:
        return {str(row): int(now[row]) for row in rows}
    together: Change = {}
    last = float(np.fmax.reduce(now))  # NaN where there is nothing else
    if len(rows) > 1 and not math.isnan(last):
        rest = _differing(_moved(was, last), now)
        if len(rest) < len(rows):
            rows, together = rest, {"*": span(last, at)}
    return together | {str(row): None if np.isnan(now[row]) else span(float(now[row]), at) for row in rows}


def _column(was: Column, found: Json, at: Instant | None) -> Column:
    if found is None:
        return was
    now = was.copy() if at is None or "*" not in found else _moved(was, after(found["*"], at))
    for row, value in found.items():
        if row != "*":
            now[_row(row, len(now))] = from_json(int, value) if at is None else _when(value, at)
    return now


def _row(text: str, rows: int) -> int:
    row = int(text)
    if not 0 <= row < rows:
        raise IndexError(f"row {row} of {rows}")
    return row


def _when(found: Json, at: Instant) -> Instant:
    return np.nan if found is None else after(found, at)


def _moved(was: Column, to: Instant) -> Column:
    """The column with every instant that there is moved to one."""
    return np.where(np.isnan(was), np.nan, to)
