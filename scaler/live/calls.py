"""How often each RPC was answered, with which status, and how long that took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from scaler.core.types import Seconds
from scaler.sources.timing import Times, Timing

QUICK: Final[tuple[Seconds, ...]] = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.1, 1.0)  # it is a lookup


class Calls:
    """Counts calls. Belongs to one event loop; the counts may be read from any thread."""

    def __init__(self) -> None:
        self._ended: Counter[tuple[str, str]] = Counter()
        self._took: defaultdict[str, Timing] = defaultdict(lambda: Timing(QUICK))

    def end(self, method: str, code: str, seconds: Seconds | None) -> None:
        """Count a call that ended; without ``seconds`` where it lasts as long as its caller likes."""
        self._ended[method, code] += 1
        if seconds is not None:
            self._took[method].add(seconds)

    def ended(self) -> Mapping[tuple[str, str], int]:
        """Calls by method and the name of their status."""
        return dict(self._ended)

    def took(self) -> Mapping[str, Times]:
        """How long the unary methods took."""
        return {method: timing.times() for method, timing in tuple(self._took.items())}
