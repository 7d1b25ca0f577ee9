"""What a pod says of itself on ``GET /activity``: a JSON object, strict in what it must say and open to more.

===========  ========  =====================================================================================
key          required  value
===========  ========  =====================================================================================
uid          yes       the pod's uid: 1 to 253 letters, digits, ``-``, ``_`` or ``.``
inflight     yes       tasks running now, >= 0
sessions     no (0)    sessions held between their tasks, >= 0
ready        no (true) whether the agent has finished starting and takes work
started_at   no        seconds since the epoch at which the pod was created; otherwise when it was first heard
phase        no        ``active`` (default), ``draining`` or ``drained``
epoch        no (0)    the drain epoch the agent knows, >= 0
acked        no        the drain epoch it acknowledged: its gate is closed and it is idle
accepting    no        whether a task may begin; where it is true, nothing was acknowledged
ordinal      no        a StatefulSet pod's ordinal, >= 0
oldest_task  no        for how many seconds the oldest task has run, >= 0; null where none does
===========  ========  =====================================================================================

Any other key (``slots``, ``idle_since``, token counters) is for other readers. A key of the table with a
value it does not allow spoils the whole answer: half an answer about work that may be running is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scaler.core.pods import NO_ACK, NO_ORDINAL, Phase
from scaler.core.types import Instant, PodUid, Seconds
from scaler.sources.health import Failed, Fault

MOST = 1_000_000  # no pod runs more tasks, and no drain has a higher epoch
LATEST: Instant = 1e11  # a later start is in milliseconds
UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
PHASES = {"active": Phase.ACTIVE, "draining": Phase.DRAINING, "drained": Phase.DRAINED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A pod's answer. ``started_at`` is by the pod's clock, and None where it does not say; so is ``oldest_task``."""

    uid: PodUid
    inflight: int
    sessions: int
    ready: bool
    started_at: Instant | None
    phase: Phase
    epoch: int
    acked: int
    ordinal: int
    oldest_task: Seconds | None = None


class _SpoiltError(ValueError):
    """A key with a value it does not allow."""


def report(body: bytes) -> Report | Failed:
    """Read an answer's body."""
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return Failed(Fault.GARBAGE, f"the answer is not JSON: {body[:80].decode('utf-8', 'replace')!r}")
    if not isinstance(said, dict):
        return Failed(Fault.GARBAGE, "the answer is not a JSON object")
    try:
        return _report(said)
    except _SpoiltError as spoilt:
        return Failed(Fault.GARBAGE, str(spoilt))


def _report(said: Mapping[str, object]) -> Report:
    return Report(
        uid=_uid(said),
        inflight=_count(said, "inflight", None),
        sessions=_count(said, "sessions", 0),
        ready=_truth(said, "ready", otherwise=True),
        started_at=_instant(said, "started_at"),
        phase=_phase(said),
        epoch=_count(said, "epoch", 0),
        acked=_acked(said),
        ordinal=_count(said, "ordinal", NO_ORDINAL),
        oldest_task=None if said.get("oldest_task") is None else _instant(said, "oldest_task"),
    )


def _spoilt(key: str, said: Mapping[str, object], allowed: str) -> _SpoiltError:
    seen = f"is {str(said[key])[:40]!r}" if key in said else "is missing"
    return _SpoiltError(f"{key} {seen}; it must be {allowed}")


def _uid(said: Mapping[str, object]) -> PodUid:
    uid = said.get("uid")
    if not isinstance(uid, str) or not UID.fullmatch(uid):
        raise _spoilt("uid", said, "1 to 253 letters, digits, '-', '_' or '.'")
    return uid


def _count(said: Mapping[str, object], key: str, otherwise: int | None) -> int:
    value = said.get(key, otherwise)
    if key not in said and otherwise is not None:
        return otherwise
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise _spoilt(key, said, f"a whole number from 0 to {MOST}")
    return value


def _acked(said: Mapping[str, object]) -> int:
    """The epoch it acknowledged; none where its gate is open all the same."""
    acked = _count(said, "acked", NO_ACK)
    return NO_ACK if said.get("accepting") is True else acked


def _truth(said: Mapping[str, object], key: str, *, otherwise: bool) -> bool:
    value = said.get(key, otherwise)
    if not isinstance(value, bool):
        raise _spoilt(key, said, "true or false")
    return value


def _instant(said: Mapping[str, object], key: str) -> Instant | None:
    value = said.get(key)
    if key not in said:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < LATEST:
        raise _spoilt(key, said, "seconds since the epoch")
    return float(value)


def _phase(said: Mapping[str, object]) -> Phase:
    phase = said.get("phase", "active")
    if not isinstance(phase, str) or phase not in PHASES:
        raise _spoilt("phase", said, "one of " + ", ".join(PHASES))
    return PHASES[phase]
