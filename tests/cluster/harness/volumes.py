"""A pod's volumes as folders, and its variables.

Processes share the file system of the machine, so a volume cannot stand at its mount path. It is a folder of the pod's
own that lives as long as the pod, and wherever the command, a variable or a ConfigMap names the mount path, it is given
the folder's instead. A ServiceAccount's credentials are, for the same reason, a kubeconfig that ``KUBECONFIG`` names.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Final

from scaler.controller.dig import at, objects, strings, text
from tests.cluster.harness.api import Api, Json
from tests.cluster.harness.podspec import Container, PodSpec, UnsupportedError

HOUR: Final = 3600
VARIABLE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class Volumes:
    """The folders of one pod. What a ConfigMap or a Secret holds is read once, before a container starts first."""

    def __init__(self, api: Api, pod: PodSpec, folder: Path, ip: str) -> None:
        self._api = api
        self._pod = pod
        self._folder = folder
        self._ip = ip

    def folder(self, volume: str) -> Path:
        """Where a volume is."""
        return self._folder / "volumes" / volume

    async def fill(self) -> None:
        """Make every folder, with what is in it from the start.

        Raises:
            ApiError: a ConfigMap or a Secret cannot be read.
        """
        for volume in self._pod.volumes:
            folder = self.folder(text(volume, "name"))
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in (await self._content(volume)).items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    async def environment(self, container: Container, given: Mapping[str, str]) -> dict[str, str]:
        """The variables that are given and the container's own, each filled in with those before it."""
        env = dict(given)
        for entry in container.env:
            name, plain = text(entry, "name"), entry.get("value")
            value = plain if isinstance(plain, str) else await self._value(entry)
            env[name] = self.placed(container, _expanded(value, env))
        return env

    def command(self, container: Container, env: Mapping[str, str]) -> list[str]:
        """What is run, with variables and paths filled in."""
        return [self.placed(container, _expanded(word, env)) for word in container.command]

    def placed(self, container: Container, word: str) -> str:
        """The word with every mount path in it replaced by the volume's folder."""
        for volume, path in sorted(container.mounts, key=lambda mount: -len(mount[1])):
            word = re.sub(rf"(?<![\w./-]){re.escape(path.rstrip('/'))}(?![\w.-])", str(self.folder(volume)), word)
        return word

    def _placed(self, content: str) -> str:
        """The same for what every container of the pod reads."""
        return reduce(lambda text, container: self.placed(container, text), self._pod.containers, content)

    async def _content(self, source: Mapping[str, Json]) -> dict[str, bytes]:
        """The files of one volume, or of one source of a projected one."""
        if isinstance(projected := source.get("projected"), Mapping):
            parts = [await self._content(part) for part in objects(projected, "sources")]
            return {name: content for part in parts for name, content in part.items()}
        if isinstance(kept := source.get("configMap"), Mapping):
            found = await self._kept("configmaps", text(kept, "name"))
            return _chosen(kept, {k: self._placed(v).encode() for k, v in strings(found, "data").items()})
        if isinstance(kept := source.get("secret"), Mapping):
            found = await self._kept("secrets", text(kept, "secretName") or text(kept, "name"))
            return _chosen(kept, {k: base64.b64decode(v) for k, v in strings(found, "data").items()})
        if isinstance(told := source.get("downwardAPI"), Mapping):
            return {
                text(i, "path"): self._field(text(i, "fieldRef", "fieldPath")).encode() for i in objects(told, "items")
            }
        if isinstance(token := source.get("serviceAccountToken"), Mapping):
            return {text(token, "path"): (await self.token(text(token, "audience"))).encode()}
        return {}

    async def token(self, audience: str = "") -> str:
        """A token of the pod's ServiceAccount, bound to the pod."""
        pod = self._pod
        bound: Json = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
        spec: Json = {"audiences": [audience] if audience else [], "expirationSeconds": HOUR, "boundObjectRef": bound}
        path = f"/api/v1/namespaces/{pod.namespace}/serviceaccounts/{pod.account}/token"
        body: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return text(await self._api.send("POST", path, body), "status", "token")

    async def kubeconfig(self, cluster: Mapping[str, str]) -> Path:
        """The credentials of the pod's ServiceAccount, as a kubeconfig for that cluster."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"token": await self.token()}}],
            "contexts": [
                {"name": "pod", "context": {"cluster": "cluster", "user": "pod", "namespace": self._pod.namespace}}
            ],
            "current-context": "pod",
        }
        path = self._folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path

    async def _value(self, entry: Mapping[str, Json]) -> str:
        """What a variable is taken from."""
        if field := text(entry, "valueFrom", "fieldRef", "fieldPath"):
            return self._field(field)
        for kind, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if name := text(entry, "valueFrom", kind, "name"):
                found = strings(await self._kept(plural, name), "data")
                value = found[text(entry, "valueFrom", kind, "key")]
                return value if plural == "configmaps" else base64.b64decode(value).decode()
        if "valueFrom" in entry:
            raise UnsupportedError(f"env {text(entry, 'name')}: only fieldRef, configMapKeyRef and secretKeyRef")
        return ""

    def _field(self, path: str) -> str:
        """A field of the pod, as the downward API has it."""
        known = {"status.podIP": self._ip, "status.podIPs": self._ip, "status.hostIP": "127.0.0.1"}
        if path in known:
            return known[path]
        if found := SUBSCRIPT.fullmatch(path):
            return strings(self._pod.object, "metadata", found[1]).get(found[2], "")
        return text(self._pod.object, *path.split("."))

    async def _kept(self, plural: str, name: str) -> Mapping[str, Json]:
        return await self._api.get(f"/api/v1/namespaces/{self._pod.namespace}/{plural}/{name}")


def _chosen(source: Mapping[str, Json], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """All keys, or those that are named with their paths."""
    if not isinstance(at(source, "items"), list):
        return dict(files)
    return {text(item, "path"): files[text(item, "key")] for item in objects(source, "items")}


def _expanded(word: str, env: Mapping[str, str]) -> str:
    """The word with ``$(NAME)`` filled in where there is such a variable."""
    return VARIABLE.sub(lambda found: env.get(found[1], found[0]), word)


def surroundings(home: Path) -> dict[str, str]:
    """What every process of a pod has beside its own variables."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "NO_PROXY": "*", "no_proxy": "*"}
