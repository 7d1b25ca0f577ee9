"""The way to the API server, as a kubeconfig with the keys in it has it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import yaml

from scaler.controller.api import Credentials, credentials, open_api
from tests.support.certificates import Identity, authority


def inline(data: bytes) -> str:
    """Bytes as a kubeconfig has them."""
    return b64encode(data).decode()


def written(file: Path, ca: bytes, agent: Identity) -> Path:
    """A kubeconfig whose keys stand in it."""
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": inline(ca)}
    user = {"client-certificate-data": inline(agent.certificate), "client-key-data": inline(agent.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "us"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "us", "user": user}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


def stands(found: Credentials) -> list[bytes]:
    """What is in the files that are named."""
    return [Path(file).read_bytes() for file in (found.ca_file, found.certificate_file, found.key_file)]


async def test_keys_that_stand_in_a_kubeconfig_serve_every_connection(tmp_path: Path) -> None:
    """The next one, once the first has been let go, and whoever connects then: a leader, a watch that begins anew."""
    ca = authority()
    agent = ca.client("agent-scaler")
    file = written(tmp_path / "kubeconfig", ca.certificate, agent)
    for _ in range(2):
        async with open_api(file):
            pass
        assert stands(await credentials(file)) == [ca.certificate, agent.certificate, agent.key]
