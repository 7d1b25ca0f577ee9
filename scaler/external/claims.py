"""Which trigger is heard where several speak for one pool and contradict each other.

A trigger that is edited says something else from then on, and what it said before is not heard again. Two triggers that
contradict each other are heard in turn, for ever: each would undo the other's settings at every poll. So who comes back
is believed once, for somebody may have taken an edit back; from the second time on the one in force stays.
"""

from __future__ import annotations

from typing import Final

from pydantic.alias_generators import to_camel

from scaler.config.metadata import TriggerMetadata
from scaler.core.types import Instant, Seconds

LATELY: Final[Seconds] = 180.0  # KEDA asks each 30 s unless told otherwise; who was not heard for so long is gone
RETURNS: Final = 2
MOST: Final = 8  # contradictions of one pool that are remembered


class Claims:
    """What the triggers of one pool say. ``in_force`` is heard."""

    def __init__(self, metadata: TriggerMetadata, now: Instant) -> None:
        self.in_force = metadata
        self._repeated_at = now
        self._others: dict[TriggerMetadata, Instant] = {}
        self._returns = 0

    def repeat(self, now: Instant) -> None:
        """What is in force was said again."""
        self._repeated_at = now

    def dispute(self, metadata: TriggerMetadata, now: Instant) -> bool:
        """Whether something else contradicts what goes on being said. If not, it is an edit, and may be taken."""
        self._others = {m: at for m, at in self._others.items() if abs(now - at) <= LATELY}
        if not self._others:
            self._returns = 0
        if abs(now - self._repeated_at) > LATELY:
            return False
        if metadata not in self._others:
            return len(self._others) >= MOST
        self._others[metadata] = now
        self._returns = min(RETURNS, self._returns + 1)
        return self._returns == RETURNS

    def take(self, metadata: TriggerMetadata, now: Instant) -> None:
        """Let something else be in force."""
        self._others.pop(metadata, None)
        self._others[self.in_force] = self._repeated_at
        self.in_force, self._repeated_at = metadata, now


def differences(one: TriggerMetadata, other: TriggerMetadata) -> list[str]:
    """The keys, as they are written, in which two triggers contradict each other."""
    keys = one.model_fields_set | other.model_fields_set
    missing = one.model_fields_set ^ other.model_fields_set
    return sorted(
        to_camel(key.rstrip("_")) for key in keys if key in missing or getattr(one, key) != getattr(other, key)
    )
