"""One Lease of the API server, read and written. What others keep in it (labels, annotations) stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaler.controller.api import Api, ApiError, Request, StaleError
from scaler.controller.lease import Record, Wish
from scaler.core.types import Instant, Seconds

GROUP = "/apis/coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class LeaseName:
    """A Lease, which the pods of its candidates are in one namespace with."""

    namespace: str
    name: str


class _Part(BaseModel):
    """A part of an object; what we do not know of it is kept."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True)


class _Metadata(_Part):
    name: str
    namespace: str
    version: str = Field(default="", alias="resourceVersion")
    managed: object = Field(default=None, alias="managedFields", exclude=True)


class _Spec(_Part):
    holder: str | None = Field(default=None, alias="holderIdentity")
    lasts: int | None = Field(default=None, alias="leaseDurationSeconds")
    epoch: int | None = Field(default=None, alias="leaseTransitions")
    acquired: str | None = Field(default=None, alias="acquireTime")
    renewed: str | None = Field(default=None, alias="renewTime")


class _Lease(_Part):
    metadata: _Metadata
    spec: _Spec = Field(default=_Spec())

    def record(self) -> Record:
        """What of it counts."""
        spec = self.spec
        return Record(
            version=self.metadata.version, holder=spec.holder or "", epoch=spec.epoch or 0, lasts=float(spec.lasts or 0)
        )


class Leases:
    """The Lease of one name. ``now`` is the wall's time, for the people who read it there."""

    def __init__(self, api: Api, name: LeaseName, now: Callable[[], Instant]) -> None:
        self._api, self._now = api, now
        self._all = f"{GROUP}/namespaces/{name.namespace}/leases"
        self._one = f"{self._all}/{name.name}"
        self._new = _Lease(metadata=_Metadata(name=name.name, namespace=name.namespace))
        self._last = self._new

    async def read(self, *, within: Seconds) -> Record | None:
        """What stands, None where there is no such Lease.

        Raises:
            ApiError: it could not be read.
        """
        try:
            return await self._take(Request(method="GET", path=self._one, within=within))
        except StaleError:
            return None

    async def write(self, wish: Wish, lasts: Seconds, *, within: Seconds) -> Record:
        """Make the write if what it is over still stands.

        Returns:
            What stands then.

        Raises:
            StaleError: it does not.
            ApiError: nobody knows whether it was made.
        """
        body = self._lease(wish, lasts).model_dump(mode="json", exclude_defaults=True) | {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
        }
        if wish.over is None:
            return await self._take(Request(method="POST", path=self._all, body=body, within=within))
        return await self._take(Request(method="PUT", path=self._one, body=body, within=within))

    async def _take(self, request: Request) -> Record:
        body = await self._api.send(request)
        try:
            self._last = _Lease.model_validate_json(body)
        except ValidationError as error:
            raise ApiError(f"{request.path} is no Lease: {error.errors()[0]['msg']}") from None
        return self._last.record()

    def _lease(self, wish: Wish, lasts: Seconds) -> _Lease:
        """The Lease to write: the last one read, with the wish in it."""
        over, last, now = wish.over, self._last, _micro(self._now())
        goes_on = over is not None and (over.holder, over.epoch) == (wish.holder, wish.epoch)
        spec = {
            "holderIdentity": wish.holder or None,
            "leaseDurationSeconds": round(lasts),
            "leaseTransitions": wish.epoch,
            "acquireTime": last.spec.acquired if goes_on else now if wish.holder else None,
            "renewTime": now,
        }
        if over is None:
            return self._new.model_copy(update={"spec": _Spec.model_validate(spec)})
        metadata = last.metadata.model_copy(update={"version": over.version})
        return last.model_copy(update={"metadata": metadata, "spec": _Spec.model_validate(spec)})


def _micro(now: Instant) -> str:
    """The API's instants have microseconds, also where those are none."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
