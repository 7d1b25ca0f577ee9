"""Hints for programs and for people."""

from __future__ import annotations

from datetime import UTC, datetime

from scaler.core.types import Instant
from scaler.live.hints import Hint
from scaler.web.views import Json


def as_json(hint: Hint) -> dict[str, Json]:
    """A hint that stands."""
    return {
        "id": hint.wish.id,
        "caller": hint.caller,
        "pool": str(hint.wish.pool),
        "slots": {"wished": hint.wish.slots, "granted": hint.slots},
        "start": _at(hint.start),
        "end": _at(hint.end),
        "reason": hint.wish.reason,
    }


def in_words(hint: Hint) -> str:
    """The same in one line."""
    slots = str(hint.slots) if hint.slots == hint.wish.slots else f"{hint.slots} of {hint.wish.slots}"
    span = f"from {_at(hint.start)} to {_at(hint.end)}"
    return f"hint {hint.wish.id} of {hint.caller}: {slots} slots {span}: {hint.wish.reason}"


def _at(instant: Instant) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")
