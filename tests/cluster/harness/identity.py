"""Who is who: the cluster's own authorities, what they sign, and a kubeconfig for everybody."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.certificates import Authority, Identity, authority

MASTERS = ("system:masters",)


@dataclass(frozen=True)
class Keys:
    """The authorities, and a folder with what must be files: ``NAME.crt`` and ``NAME.key``.

    Attributes:
        ca: signs servers and clients.
        proxy: signs whom the API server sends to an aggregated API.
    """

    folder: Path
    ca: Authority = field(default_factory=lambda: authority("kubernetes"))
    proxy: Authority = field(default_factory=lambda: authority("front-proxy"))

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.ca_file.write_bytes(self.ca.certificate)
        self.proxy_file.write_bytes(self.proxy.certificate)
        self.keep("apiserver", self.ca.server("kube-apiserver"))
        self.keep("service-accounts", self.ca.client("service-accounts"))
        self.keep("front-proxy", self.proxy.client("front-proxy"))

    @property
    def ca_file(self) -> Path:
        """The certificate that everybody trusts."""
        return self.folder / "ca.crt"

    @property
    def proxy_file(self) -> Path:
        """The certificate that aggregated APIs trust."""
        return self.folder / "front-proxy-ca.crt"

    def keep(self, name: str, identity: Identity) -> tuple[Path, Path]:
        """Write both halves to files: the certificate and the key."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(identity.certificate)
        key.touch(mode=0o600)
        key.write_bytes(identity.key)
        return certificate, key


@dataclass(frozen=True)
class Kubeconfigs:
    """Writes kubeconfigs for one API server. They hold everything they need, and survive its restarts."""

    folder: Path
    server: str
    keys: Keys

    def certified(self, user: str, *, groups: Sequence[str] = ()) -> Path:
        """Of a user with a client certificate: its common name is the user, its organisations are the groups."""
        identity = self.keys.ca.client(user, groups=groups)
        return self._write(
            user,
            {"client-certificate-data": _base64(identity.certificate), "client-key-data": _base64(identity.key)},
        )

    def bearing(self, user: str, token: str) -> Path:
        """Of a user with a token."""
        return self._write(user, {"token": token})

    def _write(self, user: str, credentials: dict[str, str]) -> Path:
        """A kubeconfig is YAML, and JSON is YAML."""
        cluster = {"server": self.server, "certificate-authority-data": _base64(self.keys.ca.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "current-context": "tests",
        }
        path = self.folder / f"{user.replace(':', '.')}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1))
        return path


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
