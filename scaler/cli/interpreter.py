"""How Python itself behaves in a process that serves: what suits a script would keep KEDA's calls waiting here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Coroutine
from typing import Final

import uvloop

from scaler.core.types import Seconds

# What thousands of pools remember from tick to tick is a million objects. With the interpreter's own thresholds the
# search for garbage that refers to itself goes through all of them for a third of the time, and stops everything for a
# third of a second every two. Counting references frees them; what refers to itself is what calls leave behind, which
# is found among the newest objects: those are searched often, in some 10 ms, and the others once in a long while.
SEARCHES: Final = (2_000, 1_000, 10)

# A thread that reads a large file or renders the metrics gives way after so long to the one that answers calls. With
# the interpreter's own 5 ms an answer that takes a few turns of the event loop would take tens of milliseconds.
GIVES_WAY: Final[Seconds] = 0.0005


def serve_well(work: Coroutine[None, None, None]) -> None:
    """Serve in this process, until the work is done.

    Each call of KEDA's takes several turns of the event loop, and those of the interpreter's own are run in Python.
    """
    gc.set_threshold(*SEARCHES)
    sys.setswitchinterval(GIVES_WAY)
    uvloop.run(work)
