"""Says on the terminal how far something long has come; a log gets fewer lines."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

SELDOM = 15.0  # seconds between two lines of a log


def say(text: str) -> None:
    """One line."""
    print(f"== {text}", file=sys.stderr, flush=True)  # noqa: T201 - to tell is its purpose


@dataclass
class Progress:
    """How far one thing has come. On a terminal its line is rewritten, and elsewhere one is added now and then."""

    what: str
    _began: float = field(default_factory=time.perf_counter)
    _told: float = field(default=0.0)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._began

    def tell(self, state: str) -> None:
        """Where it is now."""
        line = f"== {self.what}: {state}, {self.seconds:.0f} s"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)  # noqa: T201
        elif self.seconds - self._told >= SELDOM:
            self._told = self.seconds
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def end(self, state: str) -> None:
        """It is over."""
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        print(f"{clear}== {self.what}: {state}, {self.seconds:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
