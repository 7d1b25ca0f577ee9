"""``scaler serve`` behind certificates, as a program: both doors, a rotation under it, and files it cannot use."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from aiohttp import web

from scaler.external.client import CallError, Trigger, connected
from tests.cli.conftest import Scaler
from tests.cli.serving import Served, serving, start
from tests.contract.secured import trusting
from tests.support.certificates import Mount, authority
from tests.support.dial import presented
from tests.support.http import serving as pages
from tests.support.wait import eventually

SERVERS, CLIENTS = authority("servers"), authority("clients")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    """A Secret for both doors."""
    mount = Mount(tmp_path / "tls")
    mount.put(SERVERS.server("first"), CLIENTS.certificate)
    return mount


@pytest.fixture
def secured(config: Path, mount: Mount) -> Path:
    """The file with a certificate for both doors; clients are known, and may ask for their own namespace."""
    door = {"certificate": str(mount.files.certificate), "key": str(mount.files.key)}
    known = {"ca": str(mount.files.client_ca), "may_ask": {"{namespace}.example": ["{namespace}"]}}
    with config.open("a") as file:
        secured = {**door, "clients": known}
        file.write(f"tls: {json.dumps({'keda': secured, 'http': secured})}\n")
    return config


def context() -> ssl.SSLContext:
    """What a client that trusts both doors connects with."""
    return ssl.create_default_context(cadata=SERVERS.certificate.decode())


def port(place: str) -> int:
    """The port of HOST:PORT."""
    return int(place.rpartition(":")[2])


async def test_both_doors_are_secured_and_follow_the_mounted_secret(
    secured: Path, mount: Mount, tmp_path: Path
) -> None:
    """From the file to the handshake: a client asks for its namespace only, and new connections see a rotation."""
    credentials = trusting(SERVERS, CLIENTS.client("a", "agents.example"))
    async with serving(secured) as served, connected(f"localhost:{port(served.keda)}", credentials=credentials) as keda:
        assert (await keda.metric(Trigger("agents", "coder"))).target == 1.0
        with pytest.raises(CallError, match=r"PERMISSION_DENIED: the client certificate 'CN=a', 'agents\.example' may"):
            await keda.value(Trigger("others", "coder"), "agent-replicas")
        assert await both(served) == {"first"}
        assert "reported to KEDA: 1" in await explained(served, tmp_path)
        mount.put(SERVERS.server("second"), CLIENTS.certificate)

        async def rotated() -> bool | None:
            """New connections are shown the new certificate."""
            return await both(served) == {"second"} or None

        await eventually(rotated)
        line = await served.logged("a new certificate is in force")
        assert (line["door"] in {"keda", "http"}, line["expires"]) == (True, "2100-01-01T00:00:00+00:00")
        assert (await keda.metric(Trigger("agents", "coder"))).target == 1.0


async def explained(served: Served, folder: Path) -> str:
    """What ``scaler explain`` prints for a client of the pages."""
    client = CLIENTS.client("b", "agents.example")
    ca, certificate = folder / "ca.pem", folder / "client.pem"
    ca.write_bytes(SERVERS.certificate)
    certificate.write_bytes(client.key + client.certificate)
    url = f"https://localhost:{port(served.http)}"
    trust = ["--ca", str(ca), "--certificate", str(certificate)]

    async def told() -> str | None:
        """The pool is evaluated."""
        command = [sys.executable, "-m", "scaler", "explain", "agents/coder", "--url", url, *trust]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        said, _ = await process.communicate()
        return said.decode() if process.returncode == 0 else None

    return await eventually(told)


async def both(served: Served) -> set[str]:
    """The names of the certificates that the doors show."""
    h2 = context()
    h2.set_alpn_protocols(["h2"])
    return {await presented(port(served.keda), h2), await presented(port(served.http), context())}


async def test_a_certificate_that_cannot_be_used_is_bad_input(secured: Path, mount: Mount) -> None:
    """The file is named with what is wrong with it, and nothing is started."""
    mount.files.key.write_bytes(SERVERS.server("another").key)
    process = await start(secured)
    _, told = await process.communicate()
    assert process.returncode == 2
    why = f"{mount.files.key} is not the key of {mount.files.certificate}; it is named under tls in the configuration"
    assert why in told.decode()


async def test_an_authority_that_explain_does_not_know_is_told_with_the_way_out(scaler: Scaler, mount: Mount) -> None:
    """A scaler answers there, so to start one would be no advice."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(mount.files.certificate, mount.files.key)
    async with pages(web.Application(), server) as url:
        told = await asyncio.to_thread(scaler, "explain", "agents/coder", "--url", url)
    assert (told.exit_code, "name its authority with --ca" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    ("option", "content", "why"),
    [
        ("--ca", None, "No such file or directory"),
        ("--ca", b"-----BEGIN", "no whole PEM"),
        ("--certificate", None, "No such file or directory"),
        ("--certificate", SERVERS.certificate, "no whole PEM"),
    ],
    ids=["no authority", "half an authority", "no certificate", "no key"],
)
def test_what_explain_cannot_use_is_bad_input(
    scaler: Scaler, tmp_path: Path, option: str, content: bytes | None, why: str
) -> None:
    """The option and the file are named."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    told = scaler("explain", "agents/coder", option, file)
    assert (told.exit_code, told.stderr) == (2, f"{option} {file} cannot be used: {why}\n")
