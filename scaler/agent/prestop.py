"""What a preStop hook does for a container that dies of SIGTERM at once: close the gate, and wait for the work.

The container gets SIGTERM when the hook returns, or when the pod's ``terminationGracePeriodSeconds`` are over.
"""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Final

from scaler.agent.clock import Clock, SystemClock
from scaler.agent.conformance.subject import BrokenError, until
from scaler.agent.desk import WORD

PATIENCE: Final = 10.0  # seconds for one answer
A_DAY: Final = 86_400.0


class NotIdleError(Exception):
    """The agent is not known to be idle."""


def wait(url: str, folder: Path, *, within: float = A_DAY, clock: Clock | None = None) -> None:
    """Close the gate at this URL with the word from its folder, and return when it says that nothing is open.

    Raises:
        NotIdleError: there is no gate, or it was not idle in time.
    """
    try:
        word = json.loads((folder / WORD).read_bytes())["word"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NotIdleError(f"{folder / WORD} has no word for the gate: {error}; mount the gate's own folder") from error
    try:
        steady = (clock or SystemClock()).steady
        until(lambda: _closed(url, word), "the agent closes its gate", within=within, now=steady)
        until(lambda: _idle(url), "the agent is idle", within=within, now=steady)
    except (OSError, ValueError, HTTPException, BrokenError) as error:
        raise NotIdleError(str(error)) from error


def _closed(url: str, word: str) -> bool:
    """Whether it has closed its gate. One that is too busy to answer in time is asked again."""
    try:
        _ask(url, "/leave", word)
    except OSError as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            return False
        raise
    return True


def _idle(url: str) -> bool:
    """Whether it says so. A gate that we have closed and that says nothing is not known to be idle."""
    try:
        said = _ask(url, "/activity")
    except (OSError, ValueError, HTTPException):
        return False
    return said.get("inflight") == 0 and said.get("sessions") == 0


def _ask(url: str, path: str, word: str = "") -> dict[str, object]:
    headers = {"Authorization": f"Bearer {word}"} if word else {}
    request = urllib.request.Request(url.rstrip("/") + path, b"" if word else None, headers)  # noqa: S310 (the user's own)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 (the same)
        said = json.loads(answer.read())
    return said if isinstance(said, dict) else {}
