"""The names that Kubernetes takes. The standard library alone, for the gate's commands need it too."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 63  # a namespace by RFC 1123, a ScaledObject because its name becomes a label

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")


def is_namespace(text: str) -> bool:
    """Whether Kubernetes would take this as a namespace."""
    return len(text) <= LONGEST and _LABEL.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether Kubernetes and KEDA would take this as the name of a ScaledObject."""
    return len(text) <= LONGEST and SUBDOMAIN.fullmatch(text) is not None
