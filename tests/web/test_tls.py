"""The pages behind TLS: who may read which, and how certificates rotate under open connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from scaler.config.clients import MayAsk
from scaler.config.hints import HintsSection
from scaler.live.certificates import Certificates
from scaler.live.hinting import HintDesk
from scaler.web.app import application, served
from scaler.web.hints import hint_pages
from tests.support.certificates import YEARS_AGO, Authority, Identity, Mount, authority
from tests.support.dial import negotiated, presented, visit
from tests.web.conftest import NOON, Scaler, spec

RULES: MayAsk = {"CN=prometheus": ("*",), "spiffe://cluster.local/ns/{namespace}/sa/*": ("{namespace}",)}
PROBES, EXPLAIN = ("/healthz", "/readyz"), "/api/v1/pools/agents/coder/explain"
OF_ALL = ("/metrics", "/api/v1/pools")
PAGES = (*PROBES, *OF_ALL, EXPLAIN)


@dataclass
class Pages:
    """Pages behind a certificate, of a scaler with the pool ``agents/coder``."""

    folder: Path
    mutual: bool
    rules: MayAsk | None = None
    port: int = 0
    servers: Authority = field(default_factory=lambda: authority("servers"))
    clients: Authority = field(default_factory=lambda: authority("clients"))

    def __post_init__(self) -> None:
        self.mount = Mount(self.folder)
        self.mount.put(self.servers.server("first"), self.clients.certificate if self.mutual else None)
        self.certificates = Certificates("http", self.mount.files, NOON)

    def rotate(self, name: str) -> None:
        """Mount a new certificate and let the door look."""
        self.mount.put(self.servers.server(name), self.clients.certificate if self.mutual else None)
        self.certificates.look(NOON)

    def context(self, client: Identity | None = None) -> ssl.SSLContext:
        """What whoever trusts the pages connects with, and with this certificate."""
        context = ssl.create_default_context(cadata=self.servers.certificate.decode())
        if client is not None:
            shown = self.folder / "client.pem"
            shown.write_bytes(client.key + client.certificate)
            context.load_cert_chain(shown)
        return context

    @asynccontextmanager
    async def reader(self, client: Identity | None = None) -> AsyncIterator[Reader]:
        """A reader who does."""
        connector = aiohttp.TCPConnector(ssl=self.context(client), limit=1)
        async with aiohttp.ClientSession(f"https://localhost:{self.port}", connector=connector) as session:
            yield Reader(session)


@dataclass(frozen=True)
class Reader:
    """Reads pages over connections that stay open."""

    session: aiohttp.ClientSession

    async def status(self, page: str) -> int:
        """The status that a page answers with."""
        async with self.session.get(page) as answer:
            return answer.status

    async def why(self, page: str) -> str:
        """What a page that is refused says."""
        async with self.session.get(page) as answer:
            assert answer.status == 403
            return str((await answer.json())["detail"])


@asynccontextmanager
async def opened(folder: Path, *, mutual: bool = True, rules: MayAsk | None = None) -> AsyncIterator[Pages]:
    """Serve the pages on a free port."""
    scaler, pages = Scaler(), Pages(folder, mutual, rules)
    coder = scaler.admit(spec("coder"))
    scaler.read(coder)
    scaler.tick(coder, queue=scaler.known(2))
    app = application(scaler.running(), (lambda: pages.rules) if mutual else None)
    desk = HintDesk(scaler.registry, lambda _: None, HintsSection)
    app.add_routes(hint_pages(desk, scaler.clock).routes())
    async with served(app, "localhost", 0, certificates=pages.certificates) as pages.port:
        yield pages


@pytest.fixture
async def mutual(tmp_path: Path) -> AsyncIterator[Pages]:
    """Pages for clients with certificates."""
    async with opened(tmp_path, rules=RULES) as pages:
        yield pages


async def test_without_an_authority_of_clients_everybody_reads_everything(tmp_path: Path) -> None:
    """TLS alone hides what is read from others, and from nobody who asks."""
    async with opened(tmp_path, mutual=False) as pages, pages.reader() as reader:
        assert {page: await reader.status(page) for page in PAGES} == dict.fromkeys(PAGES, 200)


async def test_probes_need_no_certificate_and_everything_else_does(mutual: Pages) -> None:
    """The kubelet has none, and sees only whether the scaler is alive and ready."""
    async with mutual.reader() as probe:
        assert [await probe.status(page) for page in PROBES] == [200, 200]
        for page in (*OF_ALL, EXPLAIN, "/api/v1/unheard-of"):
            why = "this page is for clients with a certificate that tls.http.clients.ca has signed"
            assert await probe.why(page) == why


async def test_hints_judge_their_callers_themselves(mutual: Pages) -> None:
    """A caller with a bearer token has no certificate: nobody turns it away before its token is read."""
    async with mutual.reader() as caller:
        for method, page in (("POST", "/api/v1/hints"), ("DELETE", "/api/v1/hints/mine")):
            async with caller.session.request(method, page) as answer:
                assert "nobody may give hints" in (await answer.json())["detail"]


async def test_a_client_reads_its_own_namespaces(mutual: Pages) -> None:
    """And pages about all pools if it may ask for every one."""
    clients = mutual.clients
    async with mutual.reader(clients.client("prometheus")) as everything:
        assert {page: await everything.status(page) for page in PAGES} == dict.fromkeys(PAGES, 200)
    async with mutual.reader(clients.client("a", "spiffe://cluster.local/ns/agents/sa/coder")) as own:
        assert await own.status(EXPLAIN) == 200
        for page in OF_ALL:
            assert "'CN=a', 'spiffe://cluster.local/ns/agents/sa/coder' may not ask for every namespace" in (
                await own.why(page)
            )
    async with mutual.reader(clients.client("b", "spiffe://cluster.local/ns/others/sa/coder")) as other:
        assert "may not ask for namespace 'agents'; list that for one of its names" in await other.why(EXPLAIN)


async def test_without_rules_a_certificate_of_the_authority_opens_every_page(tmp_path: Path) -> None:
    """The authority alone is the policy then."""
    async with opened(tmp_path) as pages, pages.reader(pages.clients.client("anybody")) as reader:
        assert {page: await reader.status(page) for page in PAGES} == dict.fromkeys(PAGES, 200)


async def test_a_certificate_that_is_presented_must_be_good(mutual: Pages) -> None:
    """One of another authority, or one that has expired, ends the connection, even for a probe."""
    strangers = {
        "another authority's": authority("clients").client("prometheus"),
        "the servers' authority's": mutual.servers.client("prometheus"),
        "expired": mutual.clients.client("prometheus", expires=YEARS_AGO),
    }
    for which, stranger in strangers.items():
        async with mutual.reader(stranger) as reader:
            with pytest.raises(aiohttp.ClientError):
                assert await reader.status("/healthz"), which


async def test_plaintext_is_not_answered(mutual: Pages) -> None:
    """Nothing of HTTP is read before the handshake."""
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.request("GET", f"http://localhost:{mutual.port}/healthz"):
            pass


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_begins_at_1_2(mutual: Pages) -> None:
    """A client that can do no better than 1.1 is refused, and one that can do 1.2 is not."""
    context = mutual.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    for highest, spoken in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_1, None)):
        context.maximum_version = highest
        assert await negotiated(mutual.port, context) == spoken


async def test_a_rotation_holds_for_new_connections_and_cuts_none(mutual: Pages) -> None:
    """Even the clients' authority changes: who is connected reads on, and could not connect again."""
    client = mutual.clients.client("prometheus")
    async with mutual.reader(client) as early:
        assert await early.status("/metrics") == 200
        assert await presented(mutual.port, mutual.context()) == "first"
        mutual.clients = authority("clients")
        for name in ("second", "third"):
            mutual.rotate(name)
            assert await presented(mutual.port, mutual.context()) == name
        assert await early.status("/metrics") == 200
        async with mutual.reader(client) as late:
            with pytest.raises(aiohttp.ClientError):
                await late.status("/metrics")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
async def test_no_session_outlives_the_authority_that_it_was_granted_by(mutual: Pages, version: ssl.TLSVersion) -> None:
    """A client resumes its session while its authority is trusted, and cannot come back by it afterwards."""
    context = mutual.context(mutual.clients.client("prometheus"))
    context.maximum_version = version
    first = await asyncio.to_thread(visit, mutual.port, context)
    again = await asyncio.to_thread(visit, mutual.port, context, first.session)
    assert (first.answer, first.resumed, again.resumed) == ("HTTP/1.1 200 OK", False, True)
    mutual.clients = authority("clients")
    mutual.rotate("second")
    late = await asyncio.to_thread(visit, mutual.port, context, again.session)
    assert (late.answer, late.resumed) == ("", False)


async def test_rules_that_change_hold_for_the_next_page(mutual: Pages) -> None:
    """Over a connection that is open."""
    async with mutual.reader(mutual.clients.client("prometheus")) as reader:
        assert await reader.status("/metrics") == 200
        mutual.rules = {}
        assert "may not ask for every namespace" in await reader.why("/metrics")
        mutual.rules = None
        assert await reader.status("/metrics") == 200


async def test_a_broken_rotation_leaves_the_last_good_certificate_in_force(mutual: Pages) -> None:
    """The key is another's."""
    good, other = mutual.servers.server("second"), mutual.servers.server("third")
    mutual.mount.put(Identity(good.certificate, other.key), mutual.clients.certificate)
    mutual.certificates.look(NOON)
    async with mutual.reader() as reader:
        assert await reader.status("/healthz") == 200
    assert await presented(mutual.port, mutual.context()) == "first"
