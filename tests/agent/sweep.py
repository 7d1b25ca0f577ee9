"""Carry out an order again and again, killed at each line of it in turn: ``python -m tests.agent.sweep DIR ACT``.

Prints for every line a JSON line: whether the order was acknowledged before the kill, and how the next process finds
the gate. The last one was not killed, for there were no more lines.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from scaler.agent.gate import Done, Gate
from scaler.agent.place import Place

ACKED = b"acknowledged"


def kill_at(number: int) -> None:
    """End this process by SIGKILL when so many lines of the agent's room have run."""
    left = number

    def trace(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401 (as the interpreter has it)
        nonlocal left
        if "scaler/agent" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def order(gate: Gate, act: str, number: int, say: int) -> None:
    """What the child does: carry out the order, and say so where it is acknowledged."""
    kill_at(number)
    told = gate.drain(1) if act == "drain" else gate.resume(2)
    if isinstance(told, Done) and (told.activity.acked or act == "resume"):
        os.write(say, ACKED)
    sys.settrace(None)


def once(folder: Path, act: str, number: int) -> bool:
    """One process that is killed, and one that comes after it. False when the first was not killed."""
    place = Place("pod", folder / f"{number}")
    before = Gate(place)
    if act == "resume":
        before.drain(1)
    before.close()
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        order(Gate(place), act, number, say)
        os._exit(0)
    os.close(say)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    acked = os.read(hear, 100) == ACKED
    os.close(hear)
    after = Gate(place)
    seen = after.activity()
    end = {"killed": killed, "acked": acked, "open": seen.open, "epoch": seen.epoch, "known": seen.known}
    print(json.dumps(end), flush=True)  # noqa: T201 (the test reads it)
    after.close()
    return killed


if __name__ == "__main__":
    line = 0
    while once(Path(sys.argv[1]), sys.argv[2], line):
        line += 1
