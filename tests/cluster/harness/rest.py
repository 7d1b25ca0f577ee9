"""The API server by plain JSON, synchronously: what is needed before, beside and below the typed client.

Whatever YAML holds can be applied here, of kinds that no client library knows; what the server does not know,
and what is said twice, is an error and never dropped.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import urllib3
import yaml
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config
from urllib3 import HTTPHeaderDict

from scaler.controller import dig
from scaler.controller.dig import text
from tests.cluster.harness.wait import until

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Document: TypeAlias = "dict[str, Json]"
MANAGER = "harness"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
COME_AGAIN, STORAGE = 429, b"storage is (re)initializing"


class RefusedError(Exception):
    """The API server refused.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' word for it, as ``NotFound``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the server serves it. ``base`` is ``/api/v1`` or ``/apis/GROUP/VERSION``."""

    base: str
    plural: str
    namespaced: bool

    def path(self, name: str, namespace: str = "") -> str:
        """Where an object of it is."""
        place = f"/namespaces/{namespace or 'default'}" if self.namespaced else ""
        return f"{self.base}{place}/{self.plural}/{name}"


class Api:
    """One identity's way to the API server: by plain JSON here, by types over ``typed``."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.typed: ApiClient = new_client_from_config(str(kubeconfig))
        settings = self.typed.configuration
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        token = settings.get_api_key_with_prefix("BearerToken")
        self._headers = HTTPHeaderDict({"Authorization": token} if token else {})
        self._pool = urllib3.connection_from_url(
            settings.host, ssl_context=context, timeout=30.0, retries=False, maxsize=4
        )
        self._resources: dict[tuple[str, str], Resource] = {}

    def acting(self, user: str, groups: Sequence[str] = ()) -> Api:
        """The same way, as if this user asked; without groups a ServiceAccount has its own, and anybody else none."""
        other = copy(self)
        other._headers = HTTPHeaderDict(self._headers)  # noqa: SLF001 (a copy of our own)
        other._headers["Impersonate-User"] = user  # noqa: SLF001 (the same)
        for group in groups:
            other._headers.add("Impersonate-Group", group)  # noqa: SLF001 (the same)
        return other

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        self.typed.close()

    def request(
        self, method: str, path: str, body: Json = None, *, content: str = "application/json", timeout: float = 30.0
    ) -> Document:
        """One request, and its answer.

        Raises:
            RefusedError: the answer is no 2xx.
            urllib3.exceptions.HTTPError: there is no answer.
        """
        sent = None if body is None else json.dumps(body)
        return self._sent(method, path, sent, content=content, timeout=timeout)

    def _sent(self, method: str, path: str, body: str | None, *, content: str, timeout: float = 30.0) -> Document:
        headers = self._headers | {"Content-Type": content, "Accept": "application/json"}

        def answered() -> urllib3.BaseHTTPResponse | None:
            """An answer other than to come again; a kind that has just been made, or cannot be read yet, gives it."""
            answer = self._pool.request(method, path, body=body, headers=headers, timeout=timeout)
            return None if answer.status == COME_AGAIN and STORAGE in answer.data else answer

        answer = until(answered, every=0.5)
        if answer.status >= 300:
            raise _refusal(answer)
        document: Document = json.loads(answer.data or b"{}")
        return document

    def get(self, path: str) -> Document | None:
        """What is there; None where nothing is."""
        try:
            return self.request("GET", path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str) -> list[Document]:
        """All that is listed there; nothing where that kind is not served."""
        listed = (self.get(path) or {}).get("items")
        return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []

    def delete(self, path: str, *, grace: int | None = None, timeout: float = 30.0) -> None:
        """Delete what is there, or everything that is listed there; nothing being there is as good."""
        body: Document = {} if grace is None else {"gracePeriodSeconds": grace}
        try:
            self.request("DELETE", path, body | {"propagationPolicy": "Background"}, timeout=timeout)
        except RefusedError as error:
            if error.status not in {404, 405}:
                raise

    def apply(
        self, documents: str | Iterable[Document], *, namespace: str = "", manager: str = MANAGER, dry: bool = False
    ) -> list[Document]:
        """Apply on the server's side what is in the YAML or the documents, strictly.

        Args:
            documents: YAML, or objects.
            namespace: for objects that name none.
            manager: who owns the fields.
            dry: only ask whether it would be accepted.

        Raises:
            RefusedError: one was refused; those before it have been applied.
        """
        query = f"?fieldManager={manager}&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        return [
            self._sent("PATCH", self.path(document, namespace) + query, text, content=APPLY)
            for document, text in _given(documents)
        ]

    def path(self, document: Document, namespace: str = "") -> str:
        """Where this object is, or would be."""
        metadata = document["metadata"]
        assert isinstance(metadata, dict)
        resource = self.resource(str(document["apiVersion"]), str(document["kind"]))
        return resource.path(str(metadata["name"]), str(metadata.get("namespace", namespace)))

    def resource(self, version: str, kind: str) -> Resource:
        """How the server serves this kind.

        Raises:
            LookupError: it does not.
        """
        if (version, kind) not in self._resources:
            base = f"/apis/{version}" if "/" in version else f"/api/{version}"
            for listed in _entries(self.request("GET", base)):
                if "/" not in str(listed["name"]):
                    found = Resource(base, str(listed["name"]), listed["namespaced"] is True)
                    self._resources[version, str(listed["kind"])] = found
        if (version, kind) not in self._resources:
            raise LookupError(f"{version} has no {kind}: is its CRD applied, and established?")
        return self._resources[version, kind]


def condition(document: Document | None, kind: str) -> str | None:
    """The status of a condition of this object: ``True``, ``False``, ``Unknown``, or None where there is none."""
    return text(dig.condition(document, kind), "status") or None


def _given(documents: str | Iterable[Document]) -> Iterator[tuple[Document, str]]:
    """Each document, and its text. YAML is left as it was written: what it says twice is for the server to refuse."""
    if isinstance(documents, str):
        texts = re.split(r"^---.*$", documents, flags=re.MULTILINE)
        yield from ((document, text) for text in texts if (document := yaml.safe_load(text)))
    else:
        yield from ((document, json.dumps(document)) for document in documents)


def _entries(answer: Document) -> Sequence[Document]:
    listed = answer["resources"]
    assert isinstance(listed, list)
    return [entry for entry in listed if isinstance(entry, dict)]


def _refusal(answer: urllib3.BaseHTTPResponse) -> RefusedError:
    """Kubernetes says why in a Status object; a proxy on the way may not."""
    try:
        said = json.loads(answer.data)
        return RefusedError(answer.status, str(said.get("reason", "")), str(said.get("message", "")))
    except (ValueError, AttributeError):
        return RefusedError(answer.status, str(answer.reason), answer.data.decode(errors="replace")[:500])
