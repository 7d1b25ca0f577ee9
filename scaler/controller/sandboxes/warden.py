"""Carries out what claimed sandboxes need: labels, notes, closed gates, later expiries. It deletes nothing.

Each step is one write that tests what it is for, so that one that comes late changes nothing, and after a crash at any
point the next round goes on from the labels.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol, TypeAlias

import structlog

from scaler.config.pool import PoolKey
from scaler.controller.api import MERGE, PATCH, Answer, ApiError, Json, Request
from scaler.controller.facts import PodFacts
from scaler.controller.gates import Reply
from scaler.controller.names import PHASE, PHASES, POOL_ASKED
from scaler.controller.patches import Asked, UnfitError, patch
from scaler.controller.pen import NotLeadingError
from scaler.controller.sandboxes.facts import Claim, Id
from scaler.controller.sandboxes.kinds import WORKED, Kind
from scaler.controller.sandboxes.wards import BUSY, IDLE, UNHEARD, Need, Terms, Ward, extended, is_idle, need, wards
from scaler.controller.sandboxes.world import World
from scaler.core.pods import Phase
from scaler.core.types import Instant, Order, Seconds, Unknown, Verb
from scaler.live.clock import Clock
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed

ROUND: Final[Seconds] = 2.0
PATIENCE: Final[Seconds] = 5.0
AT_ONCE: Final = 16  # wards that are seen to at once
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
Ask: TypeAlias = Callable[[Iterable[str]], Awaitable[Mapping[str, Report | Failed]]]


class Writes(Protocol):
    """Who writes, while this process leads."""

    async def write(self, what: str, request: Request) -> Answer:
        """Make a write, which the metrics call ``what``; a refusal is an answer.

        Raises:
            NotLeadingError: the term is over.
            ApiError: nobody knows whether it was made.
        """
        ...


class Tells(Protocol):
    """Who speaks to gates."""

    async def close(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Ask the pod to take nothing more, in this epoch."""
        ...

    async def open(self, pod: PodFacts, epoch: int) -> Reply | Unknown:
        """Let the pod take work again, in this epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Hands:
    """How agents are asked and told, and the cluster is written."""

    pen: Writes
    gates: Tells
    ask: Ask


class Warden:
    """Looks after every ward, now and then. Belongs to one event loop."""

    def __init__(self, world: World, hands: Hands, terms: Callable[[PoolKey], Terms], clock: Clock) -> None:
        self._world, self._hands = world, hands
        self._terms, self._clock = terms, clock
        self._idle: dict[str, Instant] = {}  # since when each is idle, by the uid of its pod
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            await self.round()
            await self._clock.sleep_until(self._clock.now() + ROUND)

    async def round(self) -> None:
        """Ask every agent once, and take each ward one step further."""
        found = list(wards(self._world))
        answers = await self._hands.ask(ward.facts.gate for ward in found if ward.facts.gate)
        heard = [(ward, _believed(ward, answers.get(ward.facts.gate))) for ward in found]
        states = ((_key(ward), _state(ward, said)) for ward, said in heard)
        self._world.wards = Counter(states)
        now = self._clock.now()
        self._idle = {w.facts.uid: self._idle.get(w.facts.uid, now) for w, said in heard if is_idle(w, said)}
        await asyncio.gather(*(self._see_to(ward, said) for ward, said in heard))

    async def _see_to(self, ward: Ward, heard: Report | None) -> None:
        """One step. What fails is tried again in the next round, by what stands then."""
        async with self._places:
            try:
                await self._step(ward, heard)
                if ward.claim is not None:
                    await self._extend(ward.claim, heard)
            except NotLeadingError:
                return
            except (ApiError, UnfitError) as error:
                LOG.debug("a claimed sandbox is seen to again", sandbox=_name(ward.sandbox.id), why=str(error))

    def _unused(self, ward: Ward) -> bool:
        """Whether it has been idle for so long that it is released though it never worked."""
        since, most = self._idle.get(ward.facts.uid), self._terms(_key(ward)).unused
        return since is not None and most is not None and self._clock.now() - since >= most

    async def _step(self, ward: Ward, heard: Report | None) -> None:
        match need(ward, heard, unused=self._unused(ward)):
            case Need.NOTHING:
                return
            case Need.NOTE:
                noted: Json = {"metadata": {"uid": ward.facts.uid, "annotations": {WORKED: "true"}}}
                await self._merge(ward.facts.path, noted)
            case Need.MARK:
                await self._order(ward, Verb.MARK, (ward.facts.epoch or 0) + 1)
            case Need.CLOSE:
                await self._close(ward)
            case Need.REOPEN:
                await self._hands.gates.open(ward.facts, ward.facts.epoch or 0)
            case Need.FREE:
                await self._free(ward)

    async def _close(self, ward: Ward) -> None:
        """Close the gate. One that has found work meanwhile is called back."""
        epoch = ward.facts.epoch or 0
        reply = await self._hands.gates.close(ward.facts, epoch)
        if isinstance(reply, Unknown) or reply.epoch != epoch:
            return
        if reply.state == PHASES[Phase.DRAINED]:
            await self._order(ward, Verb.COMMIT, epoch)
            LOG.info("a claimed sandbox is released", sandbox=_name(ward.sandbox.id), epoch=epoch)
        else:
            await self._order(ward, Verb.CANCEL, epoch + 1)

    async def _order(self, ward: Ward, verb: Verb, epoch: int) -> None:
        asked = Asked(POOL_ASKED, self._clock.now())
        body: Json = list(patch(ward.facts, Order(verb, ward.facts.uid, epoch), asked))
        await self._write(Request(method="PATCH", path=ward.facts.path, body=body, content=PATCH, within=PATIENCE))

    async def _free(self, ward: Ward) -> None:
        """The sandbox before its claim: who deletes the claim has the sandbox deleted."""
        label: Json = {PHASE: PHASES[Phase.DRAINED]}
        for kind, one in ((Kind.SANDBOX, ward.sandbox), (Kind.CLAIM, ward.claim)):
            if one is not None and not one.drained:
                path = kind.of(one.id.namespace, one.id.name)
                await self._merge(path, {"metadata": {"uid": one.id.uid, "labels": label}})

    async def _extend(self, claim: Claim, heard: Report | None) -> None:
        ahead = self._terms(claim.key).ahead
        later = None if ahead is None else extended(claim, heard, ahead, self._clock.now())
        if later is None:
            return
        field = "/spec/lifecycle/shutdownTime"
        body: Json = [
            {"op": "test", "path": "/metadata/uid", "value": claim.id.uid},
            {"op": "test", "path": field, "value": claim.shutdown},
            {"op": "replace", "path": field, "value": later},
        ]
        path = Kind.CLAIM.of(claim.id.namespace, claim.id.name)
        await self._write(Request(method="PATCH", path=path, body=body, content=PATCH, within=PATIENCE))

    async def _merge(self, path: str, body: Json) -> None:
        if body is not None:
            await self._write(Request(method="PATCH", path=path, body=body, content=MERGE, within=PATIENCE))

    async def _write(self, request: Request) -> None:
        """Write it.

        Raises:
            ApiError: it was not taken: what stands is another thing by now, or a guard refuses.
        """
        answer = await self._hands.pen.write("claimed sandbox", request)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ApiError(f"{request.path}: HTTP {answer.status} {answer.message}")


def _believed(ward: Ward, answer: Report | Failed | None) -> Report | None:
    """What the ward's own agent says, and not one that has its address now."""
    return answer if isinstance(answer, Report) and answer.uid == ward.facts.uid else None


def _key(ward: Ward) -> PoolKey:
    return PoolKey(ward.sandbox.id.namespace, ward.pool)


def _state(ward: Ward, heard: Report | None) -> str:
    if ward.facts.phase is not Phase.ACTIVE:
        return PHASES[ward.facts.phase]
    if heard is None:
        return UNHEARD
    return BUSY if heard.inflight or heard.sessions else IDLE


def _name(one: Id) -> str:
    return f"{one.namespace}/{one.name}"
