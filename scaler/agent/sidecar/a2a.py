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

BEGIN: Final = frozenset({"message/send", "message/stream", "SendMessage", "SendStreamingMessage"})
READ: Final = frozenset(
    {
        *("tasks/get", "tasks/cancel", "tasks/resubscribe", "tasks/list", "agent/getAuthenticatedExtendedCard"),
        *("GetTask", "CancelTask", "SubscribeToTask", "ListTasks", "GetExtendedAgentCard"),
    }
)
OVER: Final = frozenset({"completed", "failed", "canceled", "cancelled", "rejected", "input-required", "auth-required"})
NOT_FOUND: Final = -32001  # the error of an agent that has no such task
DEEPEST: Final = 4  # levels below a result at which tasks are told

Said: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """A JSON-RPC call. ``task`` is the task that its message continues, empty where it begins one."""

    method: str
    task: str = ""

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
    """The call in a request's body; None where it is none."""
    said = _object(body)
    method = said.get("method")
    if said.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return None
    message = _at(_at(said, "params"), "message")
    task = message.get("taskId")
    return Call(method, task if isinstance(task, str) else "")


def sightings(body: bytes) -> tuple[Sighting, ...]:
    """What an answer, or one event of a stream, says of tasks."""
    result = _object(body).get("result")
    return tuple(_seen(result, DEEPEST)) if isinstance(result, Mapping) else ()


def is_whole(body: bytes) -> bool:
    """Whether an answer could be read: its result, or its error."""
    said = _object(body)
    return "result" in said or "error" in said


def is_gone(body: bytes) -> bool:
    """Whether the agent says that it has no such task."""
    return _at(_object(body), "error").get("code") == NOT_FOUND


def question(method: str, task: str) -> bytes:
    """The call that asks for a task."""
    said = {"jsonrpc": "2.0", "id": f"gate-{task}", "method": method, "params": {"id": task}}
    return json.dumps(said).encode()


def _seen(said: Said, depth: int) -> Iterator[Sighting]:
    """Tasks have an id and a status, news of them a taskId and a status; 1.0 wraps either in an object."""
    status = said.get("status")
    task = said.get("taskId") or said.get("id")
    if isinstance(status, Mapping) and isinstance(task, str):
        yield Sighting(task, not _over(status.get("state")))
        return
    for value in said.values():
        if depth and isinstance(value, Mapping):
            yield from _seen(value, depth - 1)


def _over(state: object) -> bool:
    return isinstance(state, str) and state.removeprefix("TASK_STATE_").lower().replace("_", "-") in OVER


def _object(body: bytes) -> Said:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _at(said: Said, key: str) -> Said:
    value = said.get(key)
    return value if isinstance(value, Mapping) else {}
