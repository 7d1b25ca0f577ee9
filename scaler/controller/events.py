"""Kubernetes Events: what befalls a pod or a pool, told where people look for it.

What is repeated is told once in five minutes. They are written aside and never waited for; one that cannot be
written is lost, and the metrics and the log have it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from scaler.controller.api import ApiError, Json, Request
from scaler.controller.dig import stamp
from scaler.controller.facts import PodFacts
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


def about_pod(pod: PodFacts) -> Told:
    """An Event of this pod."""
    return Told(version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)


class Events:
    """Writes Events. Belongs to one event loop."""

    def __init__(self, pen: Pen, clock: Clock) -> None:
        self._pen, self._clock = pen, clock
        self._told: OrderedDict[str, Instant] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, about: Told, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell this of the object, unless it was told lately; returns at once."""
        what, now = _what(about, reason, message), self._clock.now()
        told = self._told.get(what)
        if told is not None and abs(now - told) < AGAIN:
            return
        if len(self._tasks) >= WAITING:
            self._pen.deeds.untold += 1
            return
        self._told[what] = now
        self._told.move_to_end(what)
        if len(self._told) > KNOWN:
            self._told.popitem(last=False)
        period = int(now // AGAIN)  # two leaders that tell the same tell it once
        event = _event(about, f"{about.name[:200]}.{what}{period:x}", reason, message)
        event |= {"type": "Warning" if warning else "Normal", "count": 1} | _stamps(now)
        task = asyncio.get_running_loop().create_task(self._write(about.namespace, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, namespace: str, event: dict[str, Json]) -> None:
        path = f"/api/v1/namespaces/{namespace}/events"
        try:
            answer = await self._pen.write("event", Request(method="POST", path=path, body=event, within=PATIENCE))
        except (ApiError, NotLeadingError):
            self._pen.deeds.untold += 1
        else:
            done = answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status == HTTPStatus.CONFLICT
            self._pen.deeds.untold += not done


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


def _what(about: Told, reason: str, message: str) -> str:
    """The same for the same thing told."""
    return hashlib.sha256(f"{about.uid}\n{reason}\n{message}".encode()).hexdigest()[:16]


def _stamps(now: Instant) -> dict[str, Json]:
    return {"firstTimestamp": stamp(now), "lastTimestamp": stamp(now)}
