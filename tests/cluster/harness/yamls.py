"""The YAML that the tools bring themselves: CRDs, roles and ServiceAccounts, as they are shipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import yaml

from scaler.controller.dig import objects, text
from tests.cluster.harness.rest import Api, Document, RefusedError, condition
from tests.cluster.harness.wait import until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def documents(*paths: Path) -> Iterator[Document]:
    """Every document of these files."""
    for path in paths:
        for document in yaml.load_all(
            path.read_bytes(), Loader=yaml.CSafeLoader
        ):  # the other loader is slow, CRDs long
            if document:
                yield document


def establish(api: Api, folder: Path, change: Callable[[Document], Document] = lambda crd: crd) -> None:
    """Apply the CRDs of this folder, and return once the API server serves every kind."""
    crds = [change(crd) for crd in documents(*sorted(folder.glob("*.yaml")))]
    for applied in api.apply(crds):
        _await_established(api, applied)


def of_kinds(found: Iterable[Document], *kinds: str) -> Iterator[Document]:
    """Those that are of one of these kinds."""
    return (document for document in found if document["kind"] in kinds)


def _await_established(api: Api, crd: Document) -> None:
    metadata = crd["metadata"]
    assert isinstance(metadata, dict)
    path = f"{CRDS}/{metadata['name']}"

    def established() -> bool | None:
        """The CRD is established."""
        return condition(api.get(path), "Established") == "True" or None

    until(established)
    spec = crd["spec"]
    assert isinstance(spec, dict)
    kind = text(spec, "names", "kind")
    for version in objects(spec, "versions"):
        if version.get("served") is True:
            until(partial(_is_listed, api, f"{spec['group']}/{version['name']}", kind))


def _is_listed(api: Api, version: str, kind: str) -> bool | None:
    """The API server tells whoever asks that it serves the kind, which it does a little later."""
    try:
        api.resource(version, kind)
    except (LookupError, RefusedError):
        return None
    return True
