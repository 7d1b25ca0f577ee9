"""What is examined: a gate behind a URL, and the few things that can be done to it."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

PATIENCE: Final = 10.0  # seconds for one answer
AGAIN: Final = 0.05  # seconds between two looks at what is in another process

Claims: TypeAlias = Mapping[str, str | int]
Sign: TypeAlias = Callable[[Claims], str]
Ended: TypeAlias = Callable[[], bool]  # waits for the end of a piece of work; False where it was refused


class BrokenError(Exception):
    """The contract is not kept, and how."""


class CannotTellError(Exception):
    """This cannot be examined, and why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. ``said`` is empty where the body is no JSON object."""

    status: int
    said: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {json.dumps(dict(self.said))[:200]}"


@dataclass(frozen=True, slots=True)
class Subject:
    """A gate, and what its keeper can do.

    Attributes:
        url: where ``/activity`` is, without it.
        sign: makes an order of claims, with a key that the gate knows.
        now: seconds since the epoch.
        work: gives the agent a piece of work that lasts for some seconds; None where nobody can.
        restart: restarts the agent and returns; None where nobody can.
    """

    url: str
    sign: Sign
    now: Callable[[], float]
    work: Callable[[], Ended] | None = None
    restart: Callable[[], None] | None = None

    def begin_work(self) -> Ended:
        """Give the agent a piece of work.

        Raises:
            CannotTellError: nobody can.
        """
        if self.work is None:
            raise CannotTellError("nobody can give this agent work: --work")
        return self.work()

    def begin_anew(self) -> None:
        """Restart the agent.

        Raises:
            CannotTellError: nobody can.
        """
        if self.restart is None:
            raise CannotTellError("nobody can restart this agent: --restart")
        self.restart()

    def activity(self) -> Mapping[str, object]:
        """What the gate says of itself."""
        return expect(self.call("GET", "/activity"), 200).said

    def order(self, act: str, epoch: int, *, path: str = "", **claims: str | int) -> Answer:
        """Send an order that is as it must be, but for these claims."""
        return self.send(path or f"/{act}", self.sign(self.claims(act, epoch, **claims)))

    def claims(self, act: str, epoch: int, **claims: str | int) -> Claims:
        """The claims of an order for this pod, good for a minute from now on, but for these."""
        now = int(self.now())
        proper: Claims = {"aud": "agent-scaler/gate", "act": act, "epoch": epoch, "iat": now, "exp": now + 60}
        return {"sub": str(self.activity()["uid"]), **proper, **claims}

    def send(self, path: str, order: str) -> Answer:
        """Send an order."""
        return self.call("POST", path, json.dumps({"order": order}).encode())

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Ask, and read the answer, whatever its status is.

        Raises:
            BrokenError: there was none.
        """
        request = urllib.request.Request(self.url.rstrip("/") + path, body, {}, method=method)  # noqa: S310 (the URL is the user's own)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 (the same)
                return Answer(answer.status, _said(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _said(error.read()))
        except (OSError, http.client.HTTPException) as error:
            raise BrokenError(f"{method} {path} was not answered: {error}") from error


def expect(answer: Answer, status: int, **said: object) -> Answer:
    """The answer, if it has this status and says this.

    Raises:
        BrokenError: it has not.
    """
    wrong = {key: value for key, value in said.items() if answer.said.get(key) != value}
    if answer.status != status or wrong:
        raise BrokenError(
            f"the answer is {answer}; it must be {status}" + (f" with {json.dumps(wrong)}" if wrong else "")
        )
    return answer


def until(probe: Callable[[], bool], what: str, *, within: float = 60.0, now: Callable[[], float]) -> None:
    """Look again and again, until it is so.

    Raises:
        BrokenError: it was not so in time.
    """
    late, pause = now() + within, threading.Event()
    while not probe():
        if now() > late:
            raise BrokenError(f"{what}: not within {within:.0f} s")
        pause.wait(AGAIN)


def altered(order: str) -> str:
    """The same order for the next epoch, under the signature that it had."""
    header, payload, signature = order.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{_text({**claims, 'epoch': claims['epoch'] + 1})}.{signature}"


def unsigned(order: str) -> str:
    """The same order, which says that it needs no signature."""
    return f"{_text({'alg': 'none'})}.{order.split('.')[1]}."


def _text(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _said(body: bytes) -> Mapping[str, object]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
