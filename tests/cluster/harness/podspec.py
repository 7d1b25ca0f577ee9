"""What of a pod a node agent needs to know, and what of it that node agent cannot do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scaler.controller.dig import at, objects, text, whole
from scaler.core.types import Seconds
from tests.cluster.harness.api import Json

VOLUMES: Final = ("emptyDir", "configMap", "secret", "projected", "downwardAPI")
HOOKS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
REFUSED: Final = ("initContainers", "ephemeralContainers", "activeDeadlineSeconds")


class UnsupportedError(Exception):
    """A pod asks for what is not done here; the message names it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe: what it asks, and how often.

    Attributes:
        asks: the JSON object with ``httpGet``, ``exec`` or ``tcpSocket``.
    """

    asks: Mapping[str, Json]
    delay: Seconds
    period: Seconds
    timeout: Seconds
    failures: int
    successes: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its pod describes it.

    Attributes:
        command: what is run, before paths and variables are filled in.
        env: the entries as they stand.
        mounts: mount path by the volume's name.
        pre_stop: the hook's JSON object; empty where there is none.
        ports: port number by name.
    """

    name: str
    image: str
    command: tuple[str, ...]
    env: tuple[Mapping[str, Json], ...]
    mounts: tuple[tuple[str, str], ...]
    ports: Mapping[str, int]
    pre_stop: Mapping[str, Json]
    startup: Probe | None
    readiness: Probe | None
    liveness: Probe | None


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod as it was bound to the node."""

    uid: str
    namespace: str
    name: str
    account: str
    grace: Seconds
    restart: str
    containers: tuple[Container, ...]
    volumes: tuple[Mapping[str, Json], ...]
    object: Mapping[str, Json]


def pod_spec(pod: Mapping[str, Json], images: Mapping[str, Sequence[str]]) -> PodSpec:
    """The pod, with the entry points of images that are known.

    Raises:
        UnsupportedError: it cannot be run as it asks.
    """
    if why := next(_unsupported(pod), None):
        raise UnsupportedError(why)
    return PodSpec(
        uid=text(pod, "metadata", "uid"),
        namespace=text(pod, "metadata", "namespace"),
        name=text(pod, "metadata", "name"),
        account=text(pod, "spec", "serviceAccountName") or "default",
        grace=float(whole(pod, "spec", "terminationGracePeriodSeconds", otherwise=30)),
        restart=text(pod, "spec", "restartPolicy") or "Always",
        containers=tuple(_container(each, images) for each in objects(pod, "spec", "containers")),
        volumes=tuple(objects(pod, "spec", "volumes")),
        object=pod,
    )


def _unsupported(pod: Mapping[str, Json]) -> Iterator[str]:
    for key in REFUSED:
        if at(pod, "spec", key):
            yield f"spec.{key}"
    for volume in objects(pod, "spec", "volumes"):
        if not any(kind in volume for kind in VOLUMES):
            yield f"spec.volumes[{text(volume, 'name')}]: only {', '.join(VOLUMES)}"
    for container in objects(pod, "spec", "containers"):
        yield from (f"{text(container, 'name')}: {why}" for why in _unsupported_of(container))


def _unsupported_of(container: Mapping[str, Json]) -> Iterator[str]:
    if container.get("envFrom"):
        yield "envFrom"
    if at(container, "lifecycle", "postStart") is not None:
        yield "lifecycle.postStart"
    for mount in objects(container, "volumeMounts"):
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"volumeMounts[{text(mount, 'name')}].subPath"
    for place in (("lifecycle", "preStop"), ("startupProbe",), ("readinessProbe",), ("livenessProbe",)):
        asked = at(container, *place)
        if isinstance(asked, Mapping) and not any(hook in asked for hook in HOOKS):
            yield f"{'.'.join(place)}: only {', '.join(HOOKS)}"


def _container(spec: Mapping[str, Json], images: Mapping[str, Sequence[str]]) -> Container:
    image = text(spec, "image")
    entry = _strings(spec, "command") or tuple(images.get(bare(image), ()))
    if not entry:
        raise UnsupportedError(f"{text(spec, 'name')}: it has no command, and the entry point of {image} is not known")
    hook = at(spec, "lifecycle", "preStop")
    return Container(
        name=text(spec, "name"),
        image=image,
        command=(*entry, *_strings(spec, "args")),
        env=tuple(objects(spec, "env")),
        mounts=tuple((text(mount, "name"), text(mount, "mountPath")) for mount in objects(spec, "volumeMounts")),
        ports={text(port, "name"): whole(port, "containerPort", otherwise=0) for port in objects(spec, "ports")},
        pre_stop=hook if isinstance(hook, Mapping) else {},
        startup=_probe(spec, "startupProbe"),
        readiness=_probe(spec, "readinessProbe"),
        liveness=_probe(spec, "livenessProbe"),
    )


def bare(image: str) -> str:
    """An image's name without registry, tag and digest: what ``--image`` names."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def entry_point(option: str) -> tuple[str, list[str]]:
    """``NAME=COMMAND`` as image and entry point."""
    name, _, command = option.partition("=")
    return name, shlex.split(command)


def _strings(spec: Mapping[str, Json], key: str) -> tuple[str, ...]:
    value = spec.get(key)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _probe(spec: Mapping[str, Json], key: str) -> Probe | None:
    asked = spec.get(key)
    if not isinstance(asked, Mapping):
        return None
    return Probe(
        asks=asked,
        delay=float(whole(asked, "initialDelaySeconds", otherwise=0)),
        period=float(whole(asked, "periodSeconds", otherwise=10)),
        timeout=float(whole(asked, "timeoutSeconds", otherwise=1)),
        failures=whole(asked, "failureThreshold", otherwise=3),
        successes=whole(asked, "successThreshold", otherwise=1),
    )
