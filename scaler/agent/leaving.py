"""SIGTERM: finish, then leave."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeAlias

from scaler.agent.gate import Gate

_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


def finish_on_sigterm(gate: Gate, *, grace: float) -> None:
    """Let SIGTERM close the gate, and reach whoever had it before only when nothing is open any more.

    ``grace`` is the pod's ``terminationGracePeriodSeconds``: what it tells those who save their work. A second SIGTERM
    does not wait. Call it in the main thread, after the web server or the queue's library has set its own handler. A
    program that handles signals on an asyncio loop calls ``gate.must_go`` and awaits ``gate.finished()`` there instead.
    """
    _Leaving(gate, grace, signal.getsignal(signal.SIGTERM)).watch()


class _Leaving:
    """One process's way out."""

    def __init__(self, gate: Gate, grace: float, before: _Handler) -> None:
        self._gate = gate
        self._grace = grace
        self._before = before
        self._asked = False

    def watch(self) -> None:
        """From here on we hear SIGTERM first."""
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, number: int, _: FrameType | None) -> None:
        """The first one begins the end; the second, which is ours when all is done, goes to whoever had it before.

        The interrupted code may have the gate's lock, so everything that takes it is done in a thread.
        """
        if not self._asked:
            self._asked = True
            threading.Thread(target=self._finish, name="gate-leaving", daemon=True).start()
            return
        signal.signal(signal.SIGTERM, signal.SIG_DFL if self._before is None else self._before)
        os.kill(os.getpid(), number)

    def _finish(self) -> None:
        self._gate.must_go(self._grace)
        self._gate.wait_finished()
        os.kill(os.getpid(), signal.SIGTERM)
