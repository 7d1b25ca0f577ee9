"""Makes a key for drain orders, and the manifests that bring it to the controller and its public half to agents."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from scaler.cli.output import refuse
from scaler.config.names import LONGEST, is_namespace
from scaler.controller.orders import Signer, key_set

SECRET: Final = "agent-scaler-orders"  # noqa: S105 (the name of a Secret)
CONFIG_MAP: Final = "agent-scaler-keys"
PRIVATE: Final = "key.pem"
PUBLIC: Final = "keys.json"


def manifests(namespace: str, agents: Sequence[str], known: Path | None) -> Iterator[str]:
    """A Secret with a new private key, and a ConfigMap with the key set for each namespace of agents."""
    for option, each in (("--namespace", namespace), *(("--agents", each) for each in agents)):
        if not is_namespace(each):
            allowed = f"at most {LONGEST} lower-case letters, digits and hyphens"
            refuse(f"{option} {each!r} is no namespace: it must be {allowed}; name one, and repeat --agents for others")
    signer = Signer.new()
    public = key_set([*_known(known), signer.jwk()])
    yield _manifest("Secret", SECRET, namespace, "stringData", {PRIVATE: signer.pem()})
    for each in agents:
        yield _manifest("ConfigMap", CONFIG_MAP, each, "data", {PUBLIC: public})


def _manifest(kind: str, name: str, namespace: str, field: str, content: Mapping[str, str]) -> str:
    [(key, text)] = content.items()
    head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}"
    return f"{head}\n{field}:\n  {key}: |\n{textwrap.indent(text.strip(), '    ')}"


def _known(path: Path | None) -> Iterator[Mapping[str, str]]:
    """The keys of the set that agents have."""
    if path is None:
        return
    try:
        keys = json.loads(path.read_bytes())["keys"]
        yield from (dict(key) for key in keys)
    except (OSError, ValueError, TypeError, KeyError) as error:
        refuse(f"{path} is no JSON Web Key Set: {error}; take {PUBLIC} out of the ConfigMap {CONFIG_MAP}")
