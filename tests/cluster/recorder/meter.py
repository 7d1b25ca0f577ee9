"""Metrics that a story dictates: the aggregated APIs that an HPA asks for external metrics and for those of pods."""

from __future__ import annotations

import functools
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web

from tests.cluster.harness.api import Api, ApiError, Json
from tests.cluster.harness.ports import free
from tests.support.certificates import authority
from tests.support.wait import eventually

EXTERNAL, CUSTOM = "external.metrics.k8s.io", "custom.metrics.k8s.io"
VERSIONS = {EXTERNAL: "v1beta1", CUSTOM: "v1beta2"}
SERVICE = "meter"
NOW = "2026-01-05T08:00:00Z"

Thousandths: TypeAlias = int | None
Said: TypeAlias = "Thousandths | Mapping[str, Thousandths]"
Ask: TypeAlias = Callable[[], Awaitable[Said]]


class Meter:
    """Answers by metric, whose names are each told here beforehand. An answer is in thousandths; None is an error."""

    def __init__(self) -> None:
        self.answers: dict[str, Ask] = {}

    def pages(self) -> web.Application:
        """Discovery, and the metrics."""
        pages = web.Application()
        for group, version in VERSIONS.items():
            pages.router.add_get(f"/apis/{group}/{version}", self._discover)
        pages.router.add_get(f"/apis/{EXTERNAL}/v1beta1/namespaces/{{namespace}}/{{metric}}", self._external)
        pages.router.add_get(f"/apis/{CUSTOM}/v1beta2/namespaces/{{namespace}}/pods/*/{{metric}}", self._of_pods)
        return pages

    async def _discover(self, request: web.Request) -> web.Response:
        _, _, group, version = request.path.split("/")
        pods = {"name": "pods/use", "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
        served = [pods] if group == CUSTOM else []
        listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
        return web.json_response(listed | {"resources": served})

    async def _external(self, request: web.Request) -> web.Response:
        metric = request.match_info["metric"]
        said = await self.answers[metric]()
        if not isinstance(said, int):
            raise web.HTTPInternalServerError
        value: Json = {"metricName": metric, "metricLabels": {}, "timestamp": NOW, "value": f"{said}m"}
        return _listed(EXTERNAL, "ExternalMetricValueList", [value])

    async def _of_pods(self, request: web.Request) -> web.Response:
        metric, namespace = request.match_info["metric"], request.match_info["namespace"]
        said = await self.answers[metric]()
        if not isinstance(said, Mapping):
            raise web.HTTPInternalServerError
        values: list[Json] = [
            {
                "describedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "apiVersion": "/v1"},
                "metric": {"name": metric},
                "timestamp": NOW,
                "value": f"{use}m",
            }
            for pod, use in said.items()
            if use is not None
        ]
        return _listed(CUSTOM, "MetricValueList", values)


def _listed(group: str, kind: str, items: list[Json]) -> web.Response:
    return web.json_response({"kind": kind, "apiVersion": f"{group}/{VERSIONS[group]}", "metadata": {}, "items": items})


@asynccontextmanager
async def metering(api: Api) -> AsyncIterator[Meter]:
    """Serve both APIs, in a cluster where nobody else does, until the end of the block."""
    meter, port = Meter(), free()
    runner = web.AppRunner(meter.pages(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=_identity()).start()
        await _register(api, port)
        yield meter
    finally:
        await runner.cleanup()


def _identity() -> ssl.SSLContext:
    identity, context = authority("meter").server(SERVICE), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile() as pem:  # the ssl module takes certificates from a file only
        pem.write(identity.certificate + identity.key)
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


async def _register(api: Api, port: int) -> None:
    """Tell the API server who serves these groups, and return when it has found out."""
    leads_out: Json = {"type": "ExternalName", "externalName": "localhost"}
    service: Json = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE}, "spec": leads_out}
    await api.send("POST", "/api/v1/namespaces/default/services", service)
    for group, version in VERSIONS.items():
        spec: Json = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": SERVICE, "port": port},
        }
        named: Json = {"name": f"{version}.{group}"}
        body: Json = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": named, "spec": spec}
        await api.send("POST", "/apis/apiregistration.k8s.io/v1/apiservices", body)
        await eventually(functools.partial(_served, api, f"/apis/{group}/{version}"))


async def _served(api: Api, path: str) -> bool | None:
    """The aggregated API answers."""
    try:
        await api.get(path)
    except ApiError:
        return None
    return True
