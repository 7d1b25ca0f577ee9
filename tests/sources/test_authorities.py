"""Pages behind TLS with an authority of their own, and scales of workloads read from an API server like that."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scaler.config.pool import JsonNumber, LiveScale
from scaler.core.types import Known, Sample, Unknown
from scaler.sources.health import Fault
from scaler.sources.http import Documents, open_documents
from tests.support import documents as support
from tests.support.certificates import Authority, authority
from tests.support.documents import documents_at

NOW = 1_760_000_000.0


@dataclass
class Secured:
    """A server of documents whose certificate our authority has signed, a reader, and the files that it reads."""

    url: str
    folder: Path
    reader: Documents
    ours: Authority
    pages: support.Documents = field(repr=False)

    async def read(self, now: float = NOW) -> Sample:
        """The number on the page."""
        (sample,) = await self.reader.read(
            [JsonNumber(url=f"{self.url}/", path=("a",), ca_file=str(self.folder / "ca.crt"))], now
        )
        return sample

    async def scale(self, document: object, now: float) -> Sample:
        """What is made of this document where a scale should be."""
        self.pages.answers["/scale"] = json.dumps(document)
        files = (str(self.folder / name) for name in ("token", "ca.crt"))
        (sample,) = await self.reader.read(
            [LiveScale(url=f"{self.url}/scale", token_file=next(files), ca_file=next(files))], now
        )
        return sample

    def trust(self, pem: bytes) -> None:
        """Put this into the file of authorities."""
        self.folder.joinpath("ca.crt").write_bytes(pem)


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    """A server that is up, and its authority in the file."""
    ours, pages = authority(), support.Documents({"/": '{"a": 1}'})
    served = ours.server()
    tmp_path.joinpath("tls.pem").write_bytes(served.certificate + served.key)
    tmp_path.joinpath("token").write_text("secret")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "tls.pem")
    async with documents_at(pages, tls) as url, open_documents() as reader:
        found = Secured(url, tmp_path, reader, ours, pages)
        found.trust(ours.certificate)
        yield found


async def test_a_page_is_trusted_by_its_own_authority(secured: Secured) -> None:
    """That one alone; the system's would not do."""
    assert await secured.read() == Known(1.0, NOW)


async def test_a_rotated_authority_holds_from_the_next_call_on(secured: Secured) -> None:
    """The connection made under the other one is not used again; what is unknown is told with the reason."""
    assert await secured.read() == Known(1.0, NOW)
    secured.trust(authority("another").certificate)
    sample = await secured.read(NOW + 5)
    assert isinstance(sample, Unknown)
    assert "certificate verify failed" in sample.why
    secured.trust(authority("another").certificate + secured.ours.certificate)
    assert await secured.read(NOW + 10) == Known(1.0, NOW + 10)
    assert secured.reader.health().faults == {Fault.UNREACHABLE: 1}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (None, "ca.crt cannot be read: No such file or directory"),
        (b"", "ca.crt holds no whole PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nhalf", "ca.crt holds no whole PEM certificate"),
    ],
)
async def test_a_file_without_authorities_is_told(secured: Secured, held: bytes | None, told: str) -> None:
    """With its name and the reason, and the page is not asked."""
    file = secured.folder / "ca.crt"
    if held is None:
        file.unlink()
    else:
        file.write_bytes(held)
    sample = await secured.read()
    assert isinstance(sample, Unknown)
    assert sample.why.endswith(f"no authority to trust: {file.parent}/{told}")
    assert secured.reader.health().faults == {Fault.CREDENTIAL: 1}
    assert not secured.pages.asked


async def test_a_servers_own_certificate_is_no_authority(secured: Secured) -> None:
    """It would not be trusted for anybody, so it is told at once."""
    secured.trust(secured.ours.server().certificate)
    sample = await secured.read()
    assert isinstance(sample, Unknown)
    assert "holds no authority's certificate, which is one with CA:TRUE" in sample.why


SCALE = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "status": {"replicas": 9}}


async def test_replicas_of_a_scale_are_those_asked_for(secured: Secured) -> None:
    """Not those that there are; and none, which the API leaves out, is none and not unknown."""
    assert await secured.scale({**SCALE, "spec": {"replicas": 7}}, NOW) == Known(7.0, NOW)
    assert await secured.scale({**SCALE, "spec": {}}, NOW + 1) == Known(0.0, NOW + 1)
    assert await secured.scale(SCALE, NOW + 2) == Known(0.0, NOW + 2)
    assert secured.pages.credentials == ["Bearer secret"] * 3


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"kind": "Status", "spec": {"replicas": 7}}, "/scale: the document is a Status, not a Scale"),
        ({"spec": {"replicas": 7}}, "/scale: the document is no Scale"),
        ([], "/scale: the document is no Scale"),
        ({"kind": "Scale", "spec": {"replicas": "7"}}, "/scale: the value is a string, not a number"),
    ],
)
async def test_what_is_no_scale_is_unknown(secured: Secured, document: object, told: str) -> None:
    """Nothing is zero by mistake."""
    sample = await secured.scale(document, NOW)
    assert isinstance(sample, Unknown)
    assert sample.why.endswith(told)
