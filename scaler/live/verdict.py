"""What replay compares of an outcome: all of it as JSON, its digest, and its shape, which is all but the notes."""

from __future__ import annotations

import json
from collections.abc import Hashable
from hashlib import blake2b
from typing import Final

from scaler.core.record import Json, to_json
from scaler.core.types import Outcome, ScaleTo

PARTS: Final = frozenset({"report", "decision", "trail", "orders"})
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def verdict(outcome: Outcome) -> Json:
    """What was decided and why, without the evidence and the memory."""
    return {
        "report": to_json(outcome.report),
        "decision": to_json(outcome.decision),
        "trail": to_json(outcome.trail),
        "orders": to_json(outcome.orders),
    }


def digest(found: Json) -> str:
    """Sixteen hexadecimal digits that no other verdict is likely to have."""
    return blake2b(_ENCODER.encode(found).encode(), digest_size=8).hexdigest()


def shape(outcome: Outcome) -> Hashable:
    """What changed is written down in full: all but the figures in notes, which may change with every second."""
    decision = outcome.decision
    hold = None if isinstance(decision, ScaleTo) else decision.reason
    steps = tuple((step.reason, step.before, step.after) for step in outcome.trail)
    return outcome.report, decision.replicas, hold, steps, outcome.orders
