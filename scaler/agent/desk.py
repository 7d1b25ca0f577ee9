"""The three routes, and two more, for whatever serves HTTP: what is asked, and what is answered.

====================  =================================================================================================
``GET /activity``     how the gate stands
``POST /drain``       close, for an order that is believed
``POST /resume``      open, for an order that is believed
``GET /metrics``      the same figures for Prometheus
``POST /leave``       close until the process ends: for a preStop hook, which reads the word for it from our folder
====================  =================================================================================================
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from scaler.agent import metrics
from scaler.agent.book import NO_EPOCH, Activity
from scaler.agent.gate import Done, Gate, NotKept, Stale
from scaler.agent.orders import DisbelievedError, Keyring, Order

LARGEST: Final = 65_536  # bytes of a body
WORD: Final = "leave.json"  # the file with the word that lets a process of this pod, and no other, close the gate
READS: Final = ("/activity", "/metrics")
WRITES: Final = ("/drain", "/resume", "/leave")

Json: TypeAlias = "Mapping[str, str | int | float | bool | None]"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of ours."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as far as we look at it. ``bearer`` is the ``Authorization`` header as it came."""

    method: str
    path: str
    body: bytes = b""
    bearer: str = ""


def ours(path: str) -> bool:
    """Whether the desk answers there."""
    return path in READS or path in WRITES


def closed(after: int = 5) -> Reply:
    """What a closed gate answers to work: another pod takes it, now."""
    return _json(503, {"error": "this pod takes no more tasks; ask again, and another pod answers"}, retry_after=after)


def unread() -> Reply:
    """What is answered to a call of which nobody could say whether it begins a task that outlives its answer."""
    why = (
        "the body is packed in a way that cannot be read, damaged, too long or too deep; send JSON as it is, or as gzip"
    )
    return _json(415, {"error": why})


class Desk:
    """Answers for one gate. ``answer`` may block on the disk, for orders alone."""

    def __init__(self, gate: Gate, keyring: Keyring | None = None) -> None:
        self.gate = gate
        self._keys = keyring or Keyring(gate.place.keys, gate.now)
        self._word = secrets.token_urlsafe(32)
        gate.folder.write(WORD, {"word": self._word})

    def answer(self, question: Question) -> Reply:
        """Answer a request to a path that is ``ours``."""
        allowed = "GET" if question.path in READS else "POST"
        method = "GET" if question.method == "HEAD" else question.method
        if method != allowed:
            error = f"{question.path} takes {allowed} alone"
            return Reply(405, _body({"error": error}), {**_JSON, "Allow": allowed})
        if len(question.body) > LARGEST:
            return _json(413, {"error": f"a body here has {LARGEST} bytes at the most"})
        return self._routes[question.path](self, question)

    def _activity(self, _: Question) -> Reply:
        return _json(200, told(self.gate))

    def _metrics(self, _: Question) -> Reply:
        return Reply(200, metrics.page(self.gate).encode(), {"Content-Type": metrics.CONTENT_TYPE})

    def _leave(self, question: Question) -> Reply:
        if not hmac.compare_digest(question.bearer.encode(errors="replace"), f"Bearer {self._word}".encode()):
            return _json(403, {"error": f"only who reads {self.gate.place.folder / WORD} may ask for this"})
        self.gate.leave()
        return _json(200, told(self.gate))

    def _drain(self, question: Question) -> Reply:
        return self._order(question, "drain", self.gate.drain)

    def _resume(self, question: Question) -> Reply:
        return self._order(question, "resume", self.gate.resume)

    def _order(self, question: Question, act: str, carry_out: Callable[[int], Done | Stale | NotKept]) -> Reply:
        token = _token(question.body)
        if token is None:
            return _json(400, {"error": 'the body must be a JSON object with the order: {"order": "<JWT>"}'})
        try:
            order = self._keys.read(token, act)
        except DisbelievedError as error:
            return _json(403, {"error": f"the order is not believed: {error}"})
        if order.uid != self.gate.place.uid:
            return _another(self.gate.place.uid, order.uid)
        return _outcome(carry_out(order.epoch), order)

    _routes: Final[Mapping[str, Callable[[Desk, Question], Reply]]] = {
        "/activity": _activity,
        "/metrics": _metrics,
        "/drain": _drain,
        "/resume": _resume,
        "/leave": _leave,
    }


def told(gate: Gate) -> Json:
    """The answer of ``GET /activity``."""
    seen, trouble = gate.activity(), "; ".join(filter(None, (gate.trouble, gate.unknown)))
    return {
        "uid": gate.place.uid,
        "inflight": seen.inflight,
        "sessions": seen.sessions,
        "slots": gate.slots,
        "ready": seen.known,
        "accepting": seen.accepting,
        "phase": seen.phase,
        "epoch": max(0, seen.epoch),
        **({"acked": seen.epoch} if seen.acked else {}),
        "idle_since": seen.idle_since,
        "oldest_task": seen.oldest_task,
        "tokens_in": seen.tokens_in,
        "tokens_out": seen.tokens_out,
        **({"trouble": trouble} if trouble else {}),
    }


def _another(uid: str, asked: str) -> Reply:
    return _json(409, {"error": f"this is pod {uid}, and the order is for {asked}", "uid": uid, "asked": asked})


def _outcome(outcome: Done | Stale | NotKept, order: Order) -> Reply:
    match outcome:
        case Done(seen):
            return _json(200, _state(seen))
        case Stale(known):
            said = (
                "not known, so only a drain is taken"
                if known == NO_EPOCH
                else f"{known}, and only a later one is taken"
            )
            error = f"the order to {order.act} has epoch {order.epoch}; the last one carried out is {said}"
            return _json(409, {"error": error, "epoch": max(0, known), "asked": order.epoch})
        case NotKept(why):
            return _json(503, {"error": f"the gate cannot be written down, so nothing is acknowledged: {why}"})


def _state(seen: Activity) -> Json:
    if seen.open:
        return {"state": "active", "epoch": seen.epoch}
    if seen.acked:
        return {"state": "drained", "epoch": seen.epoch}
    busy: Json = {"inflight": seen.inflight, "sessions": seen.sessions, "eta": seen.eta}
    return {"state": "busy", "epoch": seen.epoch, **busy}


def _token(body: bytes) -> str | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    order = said.get("order") if isinstance(said, dict) else None
    return order if isinstance(order, str) else None


_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}


def _json(status: int, body: Json, *, retry_after: int | None = None) -> Reply:
    later = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status, _body(body), {**_JSON, **later})


def _body(body: Json) -> bytes:
    return json.dumps(body).encode()
