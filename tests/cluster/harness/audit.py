"""What was asked of the API server, by whom, and what came of it: its audit log, read as it grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scaler.core.types import Instant

LONGEST = 1 << 20  # bytes of one line
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  # What the API server asks of itself, probes and discovery tell nobody's story.
  - {level: None, users: ["system:apiserver"]}
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*", "/version", "/api", "/api/*", "/apis", "/apis/*"]
  # When an HPA looks.
  - {level: Metadata, resources: [{group: external.metrics.k8s.io}]}
  # What the machinery reads and renews all day; what it writes is told.
  - {level: None, users: ["system:kube-scheduler", "system:kube-controller-manager", "kwok"], verbs: [get, list, watch]}
  - {level: None, userGroups: ["system:serviceaccounts:kube-system"], verbs: [get, list, watch]}
  - {level: None, users: ["kwok"], verbs: [create, update, patch]}
  - level: Metadata
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, answered.

    Attributes:
        verb: as RBAC names it: get, list, watch, create, update, patch, delete, deletecollection.
        user: who asked; a ServiceAccount is ``system:serviceaccount:NAMESPACE:NAME``.
        group, resource, subresource: of what, in the plural; empty where it is no resource.
        namespace, name: of which; empty for the cluster's own, or for a collection.
        path: the whole request URI.
        status: the HTTP status.
        decision: the authorizer's word, ``allow`` or ``forbid``; empty where it was not asked.
        reason: why it said so: the binding and the role.
        agent: the program that asked.
        received: when it came in, in seconds since the epoch.
        at: when it was answered.
    """

    verb: str
    user: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    path: str
    status: int
    decision: str
    reason: str
    agent: str
    received: Instant = 0.0
    at: Instant = 0.0


class AuditLog:
    """The log of one API server. It is written before a request is answered, so what was answered is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """Here and now: the end of the last whole line, for ``since``."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as log:
            begin = log.seek(max(0, log.seek(0, os.SEEK_END) - LONGEST))
            return begin + log.read().rfind(b"\n") + 1

    def since(self, mark: int = 0) -> Iterator[Request]:
        """What has been answered since then, in order. A line that is still being written is left for the next time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(mark)
            for line in log:
                if line.endswith(b"\n"):
                    yield _request(json.loads(line))

    def read(self, mark: int, holding: bytes) -> tuple[list[Request], int]:
        """What has been answered since then of which the line holds this, and where to go on."""
        if not self.path.exists():
            return [], mark
        with self.path.open("rb") as log:
            log.seek(mark)
            whole, newline, _ = log.read().rpartition(b"\n")
        found = [_request(json.loads(line)) for line in whole.split(b"\n") if holding in line]
        return found, mark + len(whole) + len(newline)


def _request(event: dict[str, dict[str, str]]) -> Request:
    about, annotations = event.get("objectRef", {}), event.get("annotations", {})
    return Request(
        verb=str(event["verb"]),
        user=event["user"]["username"],
        group=about.get("apiGroup", ""),
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        path=str(event["requestURI"]),
        status=int(event.get("responseStatus", {}).get("code", 0)),
        decision=annotations.get("authorization.k8s.io/decision", ""),
        reason=annotations.get("authorization.k8s.io/reason", ""),
        agent=str(event.get("userAgent", "")),
        received=_instant(event.get("requestReceivedTimestamp")),
        at=_instant(event.get("stageTimestamp")),
    )


def _instant(stamp: object) -> Instant:
    return datetime.fromisoformat(stamp).timestamp() if isinstance(stamp, str) else 0.0
