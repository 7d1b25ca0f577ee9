"""What stands before claimed sandboxes in each namespace that has any that ask for it.

A budget against evictions, and a word on the namespace by which the admission policy labels their pods at birth.

The budget's selector is by labels that agent-sandbox itself sets and takes away, so it holds from the very write by
which a sandbox is adopted. A number is all that a budget may say of pods whose controller has no scale.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Final

from scaler.controller.api import APPLY, MERGE, ApiError, Json, Request
from scaler.controller.names import MANAGER, PHASE, PHASES, POOLS, SENTINEL, TRUE, WORD, budget_name
from scaler.controller.pen import NotLeadingError, Pen
from scaler.controller.sandboxes.kinds import ASKS, GUARD, POOLED, Kind
from scaler.controller.sandboxes.world import World
from scaler.core.pods import Phase
from scaler.core.types import Seconds
from scaler.live.clock import Clock

ROUND: Final[Seconds] = 2.0
REFRESH: Final[Seconds] = 60.0  # somebody may have deleted what we applied
PATIENCE: Final[Seconds] = 5.0
NAME: Final = "sandboxes"  # in the place of a pool's name
TOLD: Final = f"selector:{ASKS}={GUARD};guard:deny;tolerate:NoExecute"
FORCE: Final = {"fieldManager": MANAGER, "force": "true"}


class Budgets:
    """Keeps them while a namespace has pods that ask to be guarded."""

    def __init__(self, world: World, pen: Pen, clock: Clock) -> None:
        self._world, self._pen, self._clock = world, pen, clock
        self._applied: dict[str, float] = {}

    async def run(self) -> None:
        """Keep them until cancelled."""
        while True:
            with suppress(ApiError, NotLeadingError):  # the next round tries again
                await self.round()
            await self._clock.sleep_until(self._clock.now() + ROUND)

    async def round(self) -> None:
        """Apply what is missing, and take away what nobody needs.

        Raises:
            ApiError, NotLeadingError: it could not be done.
        """
        if Kind.POD in self._world.blind:
            return
        wanted, now = {pod.facts.namespace for pod in self._world.pods.values()}, self._clock.now()
        for namespace in sorted(wanted):
            if now - self._applied.get(namespace, -REFRESH) >= REFRESH:
                await self._put(namespace)
                self._applied[namespace] = now
        for namespace in self._applied.keys() - wanted:
            await self._take_away(namespace)
            del self._applied[namespace]

    async def _put(self, namespace: str) -> None:
        one = Request(
            method="PATCH", path=path(namespace), query=FORCE, body=budget(namespace), content=APPLY, within=PATIENCE
        )
        await self._write(one)
        await self._say(namespace, {"labels": {POOLS: TRUE}, "annotations": {f"{WORD}{NAME}": TOLD}})

    async def _take_away(self, namespace: str) -> None:
        """The label stays: other pools of the namespace may need it."""
        await self._write(Request(method="DELETE", path=path(namespace), within=PATIENCE))
        await self._say(namespace, {"annotations": {f"{WORD}{NAME}": None}})

    async def _say(self, namespace: str, metadata: Json) -> None:
        """What pods of the namespace are given at birth; merged, for an apply would make a namespace that is gone."""
        body: Json = {"metadata": metadata}
        where = f"/api/v1/namespaces/{namespace}"
        await self._write(Request(method="PATCH", path=where, body=body, content=MERGE, within=PATIENCE))

    async def _write(self, request: Request) -> None:
        answer = await self._pen.write("guard of sandboxes", request)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES and answer.status != HTTPStatus.NOT_FOUND:
            raise ApiError(f"{request.path}: HTTP {answer.status} {answer.message}")


def path(namespace: str) -> str:
    """Where the budget of a namespace is."""
    return f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{budget_name(NAME)}"


def budget(namespace: str) -> Json:
    """The sentinel: it asks for more pods than anybody has, of those that a claim has and that are not drained."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": budget_name(NAME), "namespace": namespace},
        "spec": {
            "minAvailable": SENTINEL,
            "unhealthyPodEvictionPolicy": "IfHealthyBudget",
            "selector": {
                "matchLabels": {ASKS: GUARD},
                "matchExpressions": [
                    {"key": POOLED, "operator": "DoesNotExist"},
                    {"key": PHASE, "operator": "NotIn", "values": [PHASES[Phase.DRAINED]]},
                ],
            },
        },
    }
