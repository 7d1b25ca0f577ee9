"""Orders carried out: each a write that tests what it is for, so that it may come twice, late, or never.

Nothing is remembered between two orders. The next tick sees what became of each by the labels, and orders again what
has not come about; so a process may end after any write, and the one after it goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog

from scaler.config.pool import PoolKey
from scaler.controller.api import PATCH, Answer, ApiError, Json, Request
from scaler.controller.dig import parsed, text
from scaler.controller.estate import Estate
from scaler.controller.events import Events, about_pod
from scaler.controller.facts import PodFacts
from scaler.controller.gates import Gates, Reply
from scaler.controller.names import NODE_ASKED, OWNER_ASKED, POOL_ASKED
from scaler.controller.patches import Asked, UnfitError, patch
from scaler.controller.pen import NotLeadingError, Pen
from scaler.core.pods import Phase
from scaler.core.types import Order, PodUid, Seconds, Unknown, Verb

AT_ONCE: Final = 64  # pods that something is done to at one time
PATIENCE: Final[Seconds] = 15.0  # a write given up is made all the same, and its connection is lost
CHANGED: Final = {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}  # the pod is not what we took it for
TOLD: Final = {  # what people are told of the pod
    Verb.COMMIT: ("Drained", "the gate is closed and the pod is idle: it may go (epoch {epoch})"),
    Verb.CANCEL: ("DrainCancelled", "the pod is wanted again: its gate opens (epoch {epoch})"),
}
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
Room: TypeAlias = Callable[[PoolKey], Awaitable[bool | Unknown]]


class Drainer:
    """Carries out what ticks order for single pods. Belongs to one event loop.

    ``room`` says of a pool whether its workload asks for no more pods than the target, read live: only then may a
    drained pod be deleted, for otherwise another would be started in its place.
    """

    def __init__(self, estate: Estate, pen: Pen, gates: Gates, events: Events, room: Room) -> None:
        self._estate, self._pen, self._gates, self._events, self._room = estate, pen, gates, events, room
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[PodUid, asyncio.Task[None]] = {}
        self._deeds = pen.deeds

    def carry_out(self, key: PoolKey, orders: tuple[Order, ...]) -> None:
        """Begin with these; one whose pod is still being dealt with comes again with the next tick."""
        room: asyncio.Task[bool | Unknown] | None = None
        for order in orders:
            if order.uid in self._tasks:
                continue
            if order.verb is Verb.DELETE:  # all deletions of one tick ask once
                room = room or asyncio.ensure_future(self._room(key))
                self._begin(order.uid, self._delete_once(key, order, room))
            else:
                self._begin(order.uid, self._carry(key, order))

    def retire(self, key: PoolKey, orders: tuple[Order, ...]) -> None:
        """Begin with these, which are for pods that nobody would start again, or that others are started for."""
        for order in orders:
            if order.uid not in self._tasks:
                self._begin(order.uid, self._carry(key, order, OWNER_ASKED))

    def reopen(self, pod: PodFacts) -> None:
        """Open the gate of a pod whose drain was called back, and that has not heard of it."""
        if pod.uid not in self._tasks:
            self._begin(pod.uid, self._open(pod))

    def _begin(self, uid: PodUid, work: Coroutine[None, None, None]) -> None:
        task = self._tasks[uid] = asyncio.get_running_loop().create_task(self._guarded(work))
        task.add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Do it, and let what stands in its way stand: the next tick sees it."""
        try:
            async with self._places:
                await work
        except (UnfitError, NotLeadingError):
            pass
        except ApiError as error:
            LOG.warning("an order could not be carried out", why=str(error))
        except Exception:
            LOG.exception("an order failed")
        finally:
            work.close()

    async def _carry(self, key: PoolKey, order: Order, asks: str = POOL_ASKED) -> None:
        """Carry it out; ``asks`` is who wants the pod to go, where its node does not."""
        pod = self._estate.pod(key.namespace, order.uid)
        if pod is None:
            return
        if order.verb is Verb.CLOSE:
            await self._close(pod, order.epoch)
            return
        if order.verb is Verb.DELETE:
            await self._delete(pod)
            return
        asked = Asked(f"{NODE_ASKED}{pod.node}" if self._estate.why_displaced(pod) else asks, self._gates.clock.now())
        changed = await self._patch(pod, order, asked)
        if changed is None:
            return
        if order.verb is Verb.MARK:
            self._tell_begun(changed, await self._close(changed, order.epoch))
            return
        self._tell(pod, order)
        if order.verb is Verb.CANCEL:
            await self._open(changed)

    async def _patch(self, pod: PodFacts, order: Order, asked: Asked) -> PodFacts | None:
        """Write the order to the pod; returns the pod as it is then, None where it was not written."""
        body = patch(pod, order, asked)
        request = Request(method="PATCH", path=pod.path, body=body, content=PATCH, within=PATIENCE)
        answer = await self._pen.write(order.verb.value, request)
        if answer.status in CHANGED:
            await self._reread(pod)
            return None
        if not self._took(pod, order.verb, answer):
            return None
        place = self._estate.place(pod.namespace)
        return None if place is None else place.pods.put(parsed(answer.body))

    def _tell(self, pod: PodFacts, order: Order) -> None:
        """Tell people of the pod what was done."""
        reason, message = TOLD[order.verb]
        self._events.tell(about_pod(pod), reason, message.format(epoch=order.epoch))

    def _tell_begun(self, pod: PodFacts, reply: Reply | Unknown) -> None:
        """Tell people of a drain that began. Events are writes: an idle pod's that nobody asked for is soon over."""
        holds = 0 if isinstance(reply, Unknown) else reply.inflight + reply.sessions
        if holds or pod.asked_by != POOL_ASKED:
            message = f"{self._estate.who_asked(pod)}: the pod takes no more work, and goes when it is done"
            self._events.tell(about_pod(pod), "DrainStarted", f"{message} (epoch {pod.epoch})")

    async def _close(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Ask the agent to close its gate. What it acknowledges is read with its activity, by whoever leads then."""
        reply = await self._gates.close(pod, epoch)
        self._deeds.gates["close", "failed" if isinstance(reply, Unknown) else "done"] += 1
        if isinstance(reply, Unknown):
            LOG.warning("a gate was not closed", pod=f"{pod.namespace}/{pod.name}", why=reply.why)
            message = f"the pod drains and its agent does not hear of it, so it counts as busy and stays: {reply.why}"
            self._events.tell(about_pod(pod), "GateNotClosed", message, warning=True)
        return reply

    async def _open(self, pod: PodFacts) -> None:
        reply = await self._gates.open(pod, pod.epoch or 0)
        self._deeds.gates["open", "failed" if isinstance(reply, Unknown) else "done"] += 1
        if isinstance(reply, Unknown):
            LOG.warning("a gate was not opened", pod=f"{pod.namespace}/{pod.name}", why=reply.why)
            message = f"the pod is wanted again and its agent does not hear of it, so it takes no work: {reply.why}"
            self._events.tell(about_pod(pod), "GateNotOpened", message, warning=True)

    async def _delete_once(self, key: PoolKey, order: Order, room: asyncio.Task[bool | Unknown]) -> None:
        pod = self._estate.pod(key.namespace, order.uid)
        if pod is not None and await asyncio.shield(room) is True:
            await self._delete(pod)

    async def _delete(self, pod: PodFacts) -> None:
        """Delete a drained pod, this very one.

        Raises:
            UnfitError: it is not drained.
        """
        if pod.phase is not Phase.DRAINED:
            raise UnfitError(f"pod {pod.name} is not drained")
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": pod.uid}}
        answer = await self._pen.write(
            Verb.DELETE.value, Request(method="DELETE", path=pod.path, body=body, within=PATIENCE)
        )
        place = self._estate.place(pod.namespace)
        if answer.status == HTTPStatus.CONFLICT:
            await self._reread(pod)
        elif self._took(pod, Verb.DELETE, answer) and place is not None:
            found = parsed(answer.body)
            if text(found, "kind") == "Pod":
                place.pods.put(found)

    def _took(self, pod: PodFacts, verb: Verb, answer: Answer) -> bool:
        """Whether it was done. A pod that is gone is forgotten; a guard's no is counted and told."""
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._deeds.orders[verb.value, "done"] += 1
            return True
        if answer.status == HTTPStatus.NOT_FOUND:
            place = self._estate.place(pod.namespace)
            if place is not None:
                place.pods.drop(pod.uid)
            return False
        if answer.status != HTTPStatus.FORBIDDEN:
            raise ApiError(f"{verb} of pod {pod.namespace}/{pod.name}: HTTP {answer.status}: {answer.message}")
        self._deeds.orders[verb.value, "refused"] += 1
        self._events.tell(about_pod(pod), "DrainRefused", f"{verb} was refused: {answer.message}", warning=True)
        return False

    async def _reread(self, pod: PodFacts) -> None:
        """Take in the pod as it is, for it is not what we took it for. Where that is not said, it stands as it was."""
        place = self._estate.place(pod.namespace)
        answer = await self._pen.read(Request(method="GET", path=pod.path, within=PATIENCE))
        if place is None:
            return
        another = answer.status == HTTPStatus.OK and place.pods.put(parsed(answer.body)).uid != pod.uid
        if answer.status == HTTPStatus.NOT_FOUND or another:
            place.pods.drop(pod.uid)
