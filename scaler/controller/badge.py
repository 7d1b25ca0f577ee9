"""The label by which the Service finds the leader: the one who leads wears it, and takes it off everybody else.

Every write demands the version that was read, so one that comes late changes nothing. The label only routes: whoever
wears it without leading answers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import BaseModel, Field, ValidationError

from scaler.controller.api import JSON, MERGE, Api, ApiError, Json, Request, StaleError
from scaler.controller.leader import Leader
from scaler.core.types import Seconds

LABEL: Final = "agent-scaler.io/leader"
WORN: Final = "true"
CHECK: Final[Seconds] = 5.0  # somebody may have taken the label off, or a crashed leader still wears it
AGAIN: Final[Seconds] = 0.5
PATIENCE: Final[Seconds] = 3.0
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"  # a pod is long
ONE: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PodName:
    """The pod of this process, if it runs in one."""

    namespace: str
    name: str


class _Metadata(BaseModel):
    name: str
    uid: str
    version: str = Field(alias="resourceVersion")


class _Pod(BaseModel):
    metadata: _Metadata


class _Pods(BaseModel):
    items: list[_Pod] | None = None


class Badge:
    """Keeps the label where it belongs."""

    def __init__(self, api: Api, pod: PodName) -> None:
        self._api, self._pod = api, pod
        self._all = f"/api/v1/namespaces/{pod.namespace}/pods"
        self._trouble = ""

    async def follow(self, leader: Leader) -> None:
        """Follow who leads, until cancelled. One that does not lead looks only until its own label is off."""
        while True:
            term = leader.term
            settled = await self._settle(worn=term is not None)
            wait = CHECK if settled else AGAIN
            await leader.turned(term, within=None if settled and term is None else wait)

    async def take_off(self) -> None:
        """Take the label off our own pod.

        Raises:
            ApiError: it could not be done.
            StaleError: the pod was changed at the same time.
        """
        for pod in await self._wearing():
            if pod.metadata.name == self._pod.name:
                await self._label(pod, None)

    async def _settle(self, *, worn: bool) -> bool:
        """Bring the labels to what they should be. False if that did not work."""
        try:
            await (self._put_on() if worn else self.take_off())
        except StaleError:
            return False
        except ApiError as error:
            self._fail(str(error))
            return False
        return True

    def _fail(self, why: str) -> None:
        """Say it once, until it is another reason."""
        if why != self._trouble:
            self._trouble = why
            LOG.warning("the leader cannot be labelled", why=why)

    async def _put_on(self) -> None:
        """Take the label off the others first, for calls that reach them are in vain."""
        wearing = await self._wearing()
        for pod in wearing:
            if pod.metadata.name != self._pod.name:
                await self._label(pod, None)
        if self._pod.name in [pod.metadata.name for pod in wearing]:
            return
        ours = await self._pods("fieldSelector", f"metadata.name={self._pod.name}")
        for pod in ours:
            await self._label(pod, WORN)
        if not ours:
            self._fail(f"there is no pod {self._pod.namespace}/{self._pod.name}; name it with --identity")

    async def _wearing(self) -> list[_Pod]:
        return await self._pods("labelSelector", f"{LABEL}={WORN}")

    async def _pods(self, selector: str, what: str) -> list[_Pod]:
        request = Request(
            method="GET", path=self._all, query={selector: what}, accept=f"{METADATA},{JSON}", within=PATIENCE
        )
        body = await self._api.send(request)
        try:
            return _Pods.model_validate_json(body).items or []
        except ValidationError as error:
            raise ApiError(f"{self._all} is no list of pods: {error.errors()[0]['msg']}") from None

    async def _label(self, pod: _Pod, value: str | None) -> None:
        """Set the label of this very pod as it was read; None takes it off."""
        found = pod.metadata
        change: Json = {"uid": found.uid, "resourceVersion": found.version, "labels": {LABEL: value}}
        path, body = f"{self._all}/{found.name}", {"metadata": change}
        request = Request(method="PATCH", path=path, body=body, content=MERGE, accept=f"{ONE},{JSON}", within=PATIENCE)
        await self._api.send(request)
