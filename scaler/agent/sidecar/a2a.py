"""A2A, as far as a gate must read it: which calls begin work, and what is said of tasks, in JSON-RPC.

Both spellings of the protocol are read: that of 0.2 and 0.3 (``message/send``, ``working``) and that of 1.0
(``SendMessage``, ``TASK_STATE_WORKING``). What a task's state means is decided by what is known to be over: every other
state, one that nobody has heard of included, is work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

BEGIN: Final = frozenset(
    {
        *("message/send", "message/stream", "tasks/send", "tasks/sendSubscribe"),
        *("SendMessage", "SendStreamingMessage"),
    }
)
READ: Final = frozenset(
    {
        *("tasks/get", "tasks/cancel", "tasks/resubscribe", "tasks/list", "agent/getAuthenticatedExtendedCard"),
        *("GetTask", "CancelTask", "SubscribeToTask", "ListTasks", "GetExtendedAgentCard"),
    }
)
OVER: Final = frozenset({"completed", "failed", "canceled", "cancelled", "rejected", "input-required", "auth-required"})
NOT_FOUND: Final = -32001  # the error of an agent that has no such task
DEEPEST: Final = 4  # levels below a result at which tasks are told
READER: Final = json.JSONDecoder(strict=False, parse_int=float)  # no agent's parser takes what this one does not

Said: TypeAlias = Mapping[str, object]


class TooDeepError(ValueError):
    """What is said is nested deeper than we can read, and others may read it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A JSON-RPC call, or a batch of them.

    Attributes:
        method: of a batch, that of the call which matters most: one that begins work, or that is no mere question.
        task: the task that its message continues, empty where it begins one.
        answers: how many it has.
    """

    method: str
    task: str = ""
    answers: int = 1

    @property
    def begins(self) -> bool:
        """Whether the agent works for it."""
        return self.method in BEGIN

    @property
    def reads(self) -> bool:
        """Whether it asks for a task that there is, or stops one: what somebody may want to know of a closed pod."""
        return self.method in READ

    @property
    def asks(self) -> str:
        """The method by which one asks for a task in the same spelling."""
        return "tasks/get" if "/" in self.method else "GetTask"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A task, and whether it is work still."""

    task: str
    open: bool


def call(body: bytes) -> Call | None:
    """The call in a request's body; None where it is none.

    Raises:
        TooDeepError: nobody can say.
    """
    calls = [each for each in map(_call, _objects(body)) if each is not None]
    if len(calls) <= 1:
        return calls[0] if calls else None
    foremost = min(calls, key=lambda each: (not each.begins, each.reads))
    return Call(foremost.method, answers=len(calls))


def _call(said: Said) -> Call | None:
    """A call. Some agents do not look for the version."""
    method = said.get("method")
    if not isinstance(method, str) or (said.get("jsonrpc") != "2.0" and method not in BEGIN):
        return None
    message = _at(_at(said, "params"), "message")
    task = message.get("taskId")
    return Call(method, task if isinstance(task, str) else "")


def sightings(body: bytes) -> tuple[Sighting, ...]:
    """What an answer, or one event of a stream, says of tasks."""
    return tuple(seen for said in _answers(body) for seen in _seen(_at(said, "result"), DEEPEST))


def concludes(body: bytes, call: Call) -> bool:
    """Whether an answer, or an event, tells what was begun: tasks by their names, a message instead, or an error."""
    answers = _answers(body)
    return len(answers) >= call.answers and all(map(_tells, answers))


def is_gone(body: bytes) -> bool:
    """Whether the agent says that it has no such task."""
    return any(_at(said, "error").get("code") == NOT_FOUND for said in _answers(body))


def question(method: str, task: str) -> bytes:
    """The call that asks for a task."""
    said = {"jsonrpc": "2.0", "id": f"gate-{task}", "method": method, "params": {"id": task}}
    return json.dumps(said).encode()


def _seen(said: Said, depth: int) -> Iterator[Sighting]:
    """Tasks have an id and a status, news of them a taskId and a status or artifact; 1.0 wraps each in an object."""
    task = said.get("taskId") or said.get("task_id") or said.get("id")
    is_news = isinstance(said.get("status"), Mapping) or "artifact" in said or said.get("kind") == "task"
    if is_news and isinstance(task, str):
        yield Sighting(task, not _over(_at(said, "status").get("state")))
        return
    for value in said.values():
        if depth and isinstance(value, Mapping):
            yield from _seen(value, depth - 1)


def _over(state: object) -> bool:
    return isinstance(state, str) and state.removeprefix("TASK_STATE_").lower().replace("_", "-") in OVER


def _tells(answer: Said) -> bool:
    result = _at(answer, "result")
    is_message = bool({"messageId", "message_id", "message"} & result.keys()) or result.get("kind") == "message"
    return answer.get("error") is not None or is_message or any(_seen(result, DEEPEST))


def _answers(body: bytes) -> list[Said]:
    try:
        return _objects(body)
    except TooDeepError:
        return []


def _objects(body: bytes) -> list[Said]:
    """The object in a body, or those of its list. What stands behind it is passed over, as some agents do."""
    text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff \t\r\n")
    try:
        said, _ = READER.raw_decode(text)
    except RecursionError as error:
        raise TooDeepError("it is nested too deep to be read") from error
    except ValueError:
        return []
    return [each for each in (said if isinstance(said, list) else [said]) if isinstance(each, dict)]


def _at(said: Said, key: str) -> Said:
    value = said.get(key)
    return value if isinstance(value, Mapping) else {}
