"""Kubernetes Events: what befalls a pod or a pool, told where people look for it. A repeated one is counted, not added.

They are written aside and never waited for; one that cannot be written is lost, and the metrics and the log have it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from scaler.controller.api import MERGE, ApiError, Json, Request
from scaler.controller.dig import text
from scaler.controller.names import MANAGER
from scaler.controller.pen import NotLeadingError, Pen
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock

PATIENCE: Final[Seconds] = 5.0
AGAIN: Final[Seconds] = 300.0  # the same Event is written once in so long
KNOWN: Final = 4_096  # Events that are remembered
WAITING: Final = 256  # Events on their way; more are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an Event is about."""

    version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class _Known:
    count: int
    at: Instant


class Events:
    """Writes Events. Belongs to one event loop."""

    def __init__(self, pen: Pen, clock: Clock) -> None:
        self._pen, self._clock = pen, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, about: Told, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell this of the object, unless it was told lately; returns at once."""
        name = _name(about, reason, message)
        known, now = self._known.get(name), self._clock.now()
        if known is not None and abs(now - known.at) < AGAIN:
            known.count += 1
            return
        if len(self._tasks) >= WAITING:
            self._pen.deeds.untold += 1
            return
        count = 1 if known is None else known.count + 1
        self._known[name] = _Known(count, now)
        self._known.move_to_end(name)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        event = _event(about, name, reason, message) | {"type": "Warning" if warning else "Normal"}
        path = f"/api/v1/namespaces/{about.namespace}/events"
        task = asyncio.get_running_loop().create_task(self._write(path, event, count))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, path: str, event: dict[str, Json], count: int) -> None:
        """Write a new one; what was told before has its count raised, unless it is gone by now."""
        stamp = _stamp(self._clock.now())
        change: dict[str, Json] = {"count": count, "lastTimestamp": stamp}
        fresh = event | change | {"firstTimestamp": stamp}
        requests = [Request(method="POST", path=path, body=fresh, within=PATIENCE)]
        if count > 1:
            one = f"{path}/{text(event, 'metadata', 'name')}"
            requests.insert(0, Request(method="PATCH", path=one, body=change, content=MERGE, within=PATIENCE))
        try:
            for request in requests:
                answer = await self._pen.write("event", request)
                if answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status == HTTPStatus.CONFLICT:
                    return
        except (ApiError, NotLeadingError):
            pass
        self._pen.deeds.untold += 1


def _event(about: Told, name: str, reason: str, message: str) -> dict[str, Json]:
    involved: dict[str, Json] = {
        "apiVersion": about.version,
        "kind": about.kind,
        "namespace": about.namespace,
        "name": about.name,
        "uid": about.uid,
    }
    return {
        "metadata": {"name": name, "namespace": about.namespace},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
    }


def _name(about: Told, reason: str, message: str) -> str:
    """The same for the same Event, so that one that is told twice by two leaders is one."""
    told = hashlib.sha256(f"{about.uid}\n{reason}\n{message}".encode()).hexdigest()
    return f"{about.name[:200]}.{told[:16]}"


def _stamp(now: Instant) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
