"""Where a gate stands: which pod it is, where its state is kept, and whose orders it believes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

UID: Final = "POD_UID"
STATE: Final = "AGENT_SCALER_STATE"
KEYS: Final = "AGENT_SCALER_KEYS"
_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class PlaceError(ValueError):
    """The gate is not told where it stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gate stands.

    Attributes:
        uid: of the pod.
        folder: where the state is kept; it must outlive the container, as an ``emptyDir`` does.
        keys: the file with the key set that orders are signed with; None believes no order.
    """

    uid: str
    folder: Path
    keys: Path | None = None

    def __post_init__(self) -> None:
        if not _UID.fullmatch(self.uid):
            raise PlaceError(f"{UID} is {self.uid[:40]!r}; it must be 1 to 253 letters, digits, '-', '_' or '.'")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As the pod's environment says.

        Raises:
            PlaceError: it does not say which pod this is or where to keep the state.
        """
        uid = _told(environment, UID, "the downward API's metadata.uid")
        folder = _told(environment, STATE, "a folder in an emptyDir, as in /run/agent-scaler")
        keys = environment.get(KEYS)
        return cls(uid, Path(folder), Path(keys) if keys else None)


def _told(environment: Mapping[str, str], key: str, what: str) -> str:
    value = environment.get(key, "")
    if not value:
        raise PlaceError(f"{key} is not set; it must be {what}")
    return value
