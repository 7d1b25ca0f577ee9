"""One look at the playground: the work, the pods, and what our scaler makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import urllib3

from scaler.controller.dig import at, objects, text
from scaler.core.types import Instant
from tests.cluster.harness.api import Json
from tests.cluster.playground.stage import NAME, NAMESPACE, POOL, Stage

_HTTP: Final = urllib3.PoolManager(retries=False, timeout=2.0)


@dataclass(frozen=True, slots=True)
class Glance:
    """How it stands at an instant. What somebody did not answer is None.

    Attributes:
        rate: tasks per second that arrive.
        waiting: tasks in the queue; ``running`` are those at work.
        target: replicas that our scaler asks for.
        replicas: what the Deployment is to have, which the HPA writes.
        agents: ready pods; ``starting`` and ``leaving`` are the others.
        done: tasks that have ended; ``cut`` is how often one lost its pod and began anew.
        why: our scaler's sentence.
    """

    at: Instant
    rate: float | None
    waiting: int | None
    running: int | None
    target: int | None
    replicas: int | None
    agents: int | None
    starting: int | None
    leaving: int | None
    done: int | None
    cut: int | None
    why: str


def look(stage: Stage, now: Instant) -> Glance:
    """Ask the agents, our scaler and the API server."""
    pool = _get(f"{stage.crew.url}/pools/{POOL}")
    outcome = at(_scaler_row(stage), "outcome")
    rate = at(pool, "rate")
    return Glance(
        at=now,
        rate=rate if isinstance(rate, int | float) else None,
        waiting=_count(pool, "queue"),
        running=_count(pool, "inflight"),
        target=_count(outcome, "target"),
        replicas=_replicas(stage),
        agents=_count(pool, "agents"),
        starting=_count(pool, "starting"),
        leaving=_count(pool, "leaving"),
        done=_count(pool, "ended"),
        cut=_count(pool, "killed"),
        why=text(outcome, "sentence") or "the scaler does not answer",
    )


def _scaler_row(stage: Stage) -> Json:
    """The pool among those of our scaler."""
    listed = objects(_get(f"{stage.scaler}/api/v1/pools"), "pools")
    return next((row for row in listed if (row.get("namespace"), row.get("name")) == (NAMESPACE, NAME)), None)


def _replicas(stage: Stage) -> int | None:
    try:
        found = stage.cluster.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}")
    except urllib3.exceptions.HTTPError:
        return None
    return _count(found, "spec", "replicas")


def _get(url: str) -> Mapping[str, Json]:
    """A JSON object; an empty one where nobody answers with one."""
    try:
        said = json.loads(_HTTP.request("GET", url).data)
    except (urllib3.exceptions.HTTPError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _count(found: Json, *path: str) -> int | None:
    value = at(found, *path)
    return int(value) if isinstance(value, int | float) else None
