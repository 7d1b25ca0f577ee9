"""How a server ends: in order at the first signal, at once at the second, and never later than a stated bound.

The process is left with ``_exit``: a thread that waits for a source which does not answer would otherwise be waited for
when the interpreter ends. Nothing is lost by it, for all that must be written is written before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final, NoReturn

import structlog

from scaler.cli.output import FAILED
from scaler.core.types import Seconds

BOUND: Final[Seconds] = 4.8  # the steps of an orderly end have bounds of their own, which add up to less
AT_ONCE: Final = 128  # a second signal ends the process with this and the signal's number, as shells have it
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Ending:
    """Waits for the first signal. To be made on the running event loop, in the main thread.

    Attributes:
        asked: set once the server shall end.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._begin, number)

    def _begin(self, number: signal.Signals) -> None:
        """The next signal needs no event loop to be heard, and neither does the bound."""
        for each in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(each)
            signal.signal(each, _at_once)
        overdue = threading.Timer(BOUND, _overdue)
        overdue.daemon = True
        overdue.start()
        LOG.info("stopping", signal=number.name)
        self.asked.set()


def stop(code: int) -> NoReturn:
    """End in order: everything is closed and written."""
    LOG.info("stopped")
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process now, with what was logged on its way."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _at_once(number: int, _: FrameType | None) -> NoReturn:
    os._exit(AT_ONCE + number)


def _overdue() -> NoReturn:
    LOG.error("stopping took too long", seconds=BOUND)
    leave(FAILED)
