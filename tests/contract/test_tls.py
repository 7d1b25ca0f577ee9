"""The door behind TLS: what KEDA builds from a TriggerAuthentication, what we let in, and how certificates rotate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from scaler.config.clients import MayAsk
from scaler.config.pool import PoolKey
from scaler.external.authentication import credentials
from scaler.external.client import CallError, Client, Trigger, connected
from tests.contract.door import CODER, TRIGGER, Door, at_work
from tests.contract.secured import Secured, secured
from tests.core.pool import NOW
from tests.support.certificates import YEARS_AGO, Identity, authority
from tests.support.dial import negotiated

OTHERS = PoolKey("others", "coder")
STREAMS, CHANNELS = 200, 8


@pytest.fixture
async def mutual(tmp_path: Path) -> AsyncIterator[Secured]:
    """A door that asks its clients for certificates."""
    async with secured(tmp_path) as door:
        yield door


@pytest.fixture
async def server_only(tmp_path: Path) -> AsyncIterator[Secured]:
    """A door that shows a certificate and asks for none."""
    async with secured(tmp_path / "server-only", mutual=False) as door:
        yield door


async def refusal(client: Client, trigger: Trigger = TRIGGER) -> str:
    """The status and message of a poll that must fail."""
    with pytest.raises(CallError) as caught:
        await client.poll(trigger)
    return str(caught.value)


async def code(call: Awaitable[object]) -> str:
    """The status that a call ends with."""
    try:
        await call
    except CallError as error:
        return error.code
    return "OK"


ROWS: list[tuple[str, dict[str, str], tuple[str, ...], str]] = [
    # what it is, metadata, parameters of the TriggerAuthentication, and which doors answer: plain, server-only, mutual
    ("nothing is plaintext", {}, (), "plain"),
    ("unsafeSsl alone is plaintext", {"unsafeSsl": "true"}, (), "plain"),
    ("enableTLS is TLS, by the system's authorities", {"enableTLS": "true"}, (), ""),
    ("a certificate without its key is plaintext", {}, ("tlsClientCert",), "plain"),
    ("a key without its certificate is plaintext", {}, ("tlsClientKey",), "plain"),
    ("caCert is TLS", {}, ("caCert",), "server-only"),
    ("caCert is TLS whatever enableTLS says", {"enableTLS": "false"}, ("caCert",), "server-only"),
    ("caCert and enableTLS are TLS", {"enableTLS": "true"}, ("caCert",), "server-only"),
    ("caCert and half of a pair are TLS", {}, ("caCert", "tlsClientCert"), "server-only"),
    ("a pair alone is mTLS, by the system's authorities", {}, ("tlsClientCert", "tlsClientKey"), ""),
    ("all three are mTLS", {}, ("caCert", "tlsClientCert", "tlsClientKey"), "server-only mutual"),
]


@pytest.mark.parametrize(("metadata", "given", "answering"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
async def test_kedas_rules_meet_each_kind_of_door(
    door: Door, server_only: Secured, mutual: Secured, metadata: dict[str, str], given: tuple[str, ...], answering: str
) -> None:
    """Rows TLS on and unsafeSsl: who is built to get in gets his answer, and everybody else fails fast and clean."""
    client = mutual.clients.client("keda-operator")
    server_only.servers = mutual.servers
    server_only.rotate("of the same authority")
    parameters = {
        "caCert": mutual.servers.certificate.decode(),
        "tlsClientCert": client.certificate.decode(),
        "tlsClientKey": client.key.decode(),
    }
    made = credentials(metadata, {name: parameters[name] for name in given})
    doors = {"plain": door.port, "server-only": server_only.port, "mutual": mutual.port}
    codes = {}
    for kind, port in doors.items():
        async with connected(f"localhost:{port}", credentials=made) as caller:
            codes[kind] = await code(caller.metric(Trigger(*CODER, metadata)))
    assert codes == {kind: "OK" if kind in answering.split() else "UNAVAILABLE" for kind in doors}


async def test_the_systems_authorities_count_beside_cacert(
    mutual: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row Roots: an authority that the machine trusts needs no caCert, and a caCert takes nothing from it."""
    system = tmp_path / "system.pem"
    system.write_bytes(mutual.servers.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    client = mutual.clients.client("keda-operator")
    pair = {"tlsClientCert": client.certificate.decode(), "tlsClientKey": client.key.decode()}
    for parameters in (pair, {**pair, "caCert": authority("another").certificate.decode()}):
        async with connected(mutual.address, credentials=credentials({}, parameters)) as caller:
            assert (await caller.poll(TRIGGER)).value == 2.0
    async with connected(mutual.address, credentials=credentials({"enableTLS": "true"}, {})) as caller:
        assert "UNAVAILABLE" in await refusal(caller)


@pytest.mark.parametrize("key", ["caCert", "tlsClientCert", "tlsClientKey"])
async def test_certificates_in_the_metadata_are_told_where_they_belong(door: Door, key: str) -> None:
    """Row authParams only: KEDA ignores them there and stays in plaintext, so the author is told, without the value."""
    metadata = {key: "-----BEGIN SOMETHING-----"}
    assert credentials(metadata, {}) is None
    code, why = await door.refusal("GetMetrics", Trigger(*CODER, metadata))
    assert (code, "TriggerAuthentication" in why, "BEGIN" in why) == ("INVALID_ARGUMENT", True, False)


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"enableTLS": "yes"}, "enableTLS = 'yes': must be true or false"),
        ({"enableTLS": "true", "unsafeSsl": "true"}, "unsafeSsl = true: this client verifies every scaler"),
    ],
    ids=["no switch", "no verification"],
)
def test_what_the_client_cannot_do_is_told(metadata: Mapping[str, str], why: str) -> None:
    """Our client stands in for KEDA only where it does the same."""
    with pytest.raises(ValueError, match=why):
        credentials(metadata, {})


async def test_only_certificates_of_the_clients_authority_get_in(mutual: Secured) -> None:
    """None, one of another authority with the same name, one that has expired: refused before any call is read."""
    strangers: dict[str, Identity | None] = {
        "none": None,
        "another authority's": authority("clients").client("keda-operator"),
        "the servers' authority's": mutual.servers.client("keda-operator"),
        "expired": mutual.clients.client("keda-operator", expires=YEARS_AGO),
    }
    for which, stranger in strangers.items():
        async with mutual.caller(stranger) as caller:
            assert "GetMetricSpec answered UNAVAILABLE" in await refusal(caller), which
    async with mutual.caller(mutual.clients.client("keda-operator")) as caller:
        assert (await caller.poll(TRIGGER)).value == 2.0


@pytest.mark.parametrize(
    ("version", "spoken"),
    [("TLSv1_1", None), ("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_begins_at_1_2(server_only: Secured, version: str, spoken: str | None) -> None:
    """Row min TLS1.2: a client that can do no better than 1.1 is refused by the door, not by itself."""
    context = server_only.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    assert await negotiated(server_only.port, context) == spoken


async def test_a_rotation_drops_no_stream_and_holds_for_the_next_connection(mutual: Secured) -> None:
    """Two hundred streams are open, the certificate rotates, and all of them hear of the next waking."""
    client = mutual.clients.client("keda-operator")
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(mutual.caller(client)) for _ in range(CHANNELS)]
        streams = [
            await stack.enter_async_context(aclosing(callers[i % CHANNELS].pushes(TRIGGER))) for i in range(STREAMS)
        ]
        assert await asyncio.gather(*(anext(stream) for stream in streams)) == [True] * STREAMS
        mutual.rotate("second")
        async with mutual.caller(client) as late:
            assert (await late.poll(TRIGGER)).value == 2.0
        mutual.board.publish(CODER, at_work(0))
        waking = [asyncio.ensure_future(anext(stream)) for stream in streams]
        mutual.board.publish(CODER, at_work(3))
        assert await asyncio.gather(*waking) == [True] * STREAMS
        assert mutual.scaler.open_streams == STREAMS


async def test_the_next_connection_is_shown_the_new_certificate(server_only: Secured) -> None:
    """And the one after that, for each rotation; a connection that is open was shown the old one and goes on."""
    async with server_only.caller() as early:
        await early.poll(TRIGGER)
        assert await server_only.presented() == "first"
        for name in ("second", "third"):
            server_only.rotate(name)
            assert await server_only.presented() == name
        assert (await early.poll(TRIGGER)).value == 2.0


async def test_a_new_authority_of_clients_holds_for_the_next_connection(mutual: Secured) -> None:
    """Who was signed by the old one keeps his connection and gets no other."""
    former = mutual.clients.client("keda-operator")
    async with mutual.caller(former) as early:
        await early.poll(TRIGGER)
        mutual.clients = authority("clients")
        mutual.rotate("second")
        async with mutual.caller(former) as late:
            assert "UNAVAILABLE" in await refusal(late)
        async with mutual.caller(mutual.clients.client("keda-operator")) as renewed:
            assert (await renewed.poll(TRIGGER)).value == 2.0
        assert (await early.poll(TRIGGER)).value == 2.0


async def test_a_broken_rotation_leaves_the_last_good_certificate_in_force(server_only: Secured) -> None:
    """The key is another's: new connections get the former certificate, until a good pair is there."""
    good, other = server_only.servers.server("second"), server_only.servers.server("third")
    server_only.mount.put(Identity(good.certificate, other.key))
    server_only.certificates.look(NOW)
    assert await server_only.presented() == "first"
    problem = server_only.certificates.standing().problem
    assert problem is not None
    assert "tls.key is not the key of" in problem
    server_only.rotate("fourth")
    assert await server_only.presented() == "fourth"
    assert server_only.certificates.standing().problem is None


async def test_what_stands_around_the_pem_is_left_out(server_only: Secured) -> None:
    """A byte order mark, or a comment in Latin-1: gRPC would keep the former certificate and tell nobody."""
    second = server_only.servers.server("second")
    server_only.mount.put(Identity(b"\xef\xbb\xbf" + second.certificate, b"schl\xfcssel\n" + second.key + b"\0"))
    server_only.certificates.look(NOW)
    assert server_only.certificates.standing().problem is None
    assert await server_only.presented() == "second"


TEAMS: MayAsk = {
    "CN=keda-operator": ("*",),
    "spiffe://cluster.local/ns/{namespace}/sa/*": ("{namespace}",),
    "*.shared.example": ("others", "third"),
}


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (("keda-operator",), "agents others"),
        (("a-team", "spiffe://cluster.local/ns/agents/sa/keda"), "agents"),
        (("a-team", "spiffe://cluster.local/ns/others/sa/keda"), "others"),
        (("a-team", "scaler.shared.example"), "others"),
        (("a-team", "spiffe://cluster.local/ns/agents/sa/keda", "scaler.shared.example"), "agents others"),
        (("a-team", "keda-operator"), ""),
        (("a-team", "spiffe://other.example/ns/agents/sa/keda"), ""),
        (("a-team",), ""),
    ],
    ids=lambda row: " and ".join(row) if isinstance(row, tuple) else row or "none",
)
async def test_a_client_asks_for_its_own_namespaces_only(tmp_path: Path, names: tuple[str, ...], allowed: str) -> None:
    """By the names that its authority has signed, in both calls and in the stream; what is the same for all is told."""
    async with secured(tmp_path, rules=TEAMS) as door, door.caller(door.clients.client(*names)) as caller:
        door.board.publish(OTHERS, at_work(2))
        for key in (CODER, OTHERS):
            trigger = Trigger(*key)
            assert (await caller.metric(trigger)).target == 1.0
            if key.namespace in allowed.split():
                assert (await caller.poll(trigger)).value == 2.0
                async with aclosing(caller.pushes(trigger)) as pushes:
                    assert await anext(pushes)
            else:
                why = f"may not ask for namespace '{key.namespace}'; list that for one of its names under"
                assert "PERMISSION_DENIED" in (told := await refusal(caller, trigger))
                assert why in told
                assert f"'CN={names[0]}'" in told
                with pytest.raises(CallError, match="IsActive answered PERMISSION_DENIED"):
                    await caller.is_active(trigger)
                with pytest.raises(CallError, match="StreamIsActive answered PERMISSION_DENIED"):
                    await anext(caller.pushes(trigger))


async def test_a_stream_for_another_namespace_is_refused_before_its_pool_wakes(tmp_path: Path) -> None:
    """Who may not ask holds no stream open either."""
    async with secured(tmp_path, rules=TEAMS) as door, door.caller(door.clients.client("a-team")) as caller:
        door.board.publish(CODER, at_work(0))
        with pytest.raises(CallError, match="StreamIsActive answered PERMISSION_DENIED"):
            await anext(caller.pushes(TRIGGER))


async def test_without_rules_every_client_of_the_authority_may_ask(mutual: Secured) -> None:
    """The authority alone is the policy then, which is what one operator for a whole cluster needs."""
    mutual.board.publish(OTHERS, at_work(2))
    async with mutual.caller(mutual.clients.client("anybody")) as caller:
        assert (await caller.poll(TRIGGER)).value == (await caller.poll(Trigger(*OTHERS))).value == 2.0


async def test_rules_that_change_hold_for_the_next_call_and_for_streams_that_are_open(tmp_path: Path) -> None:
    """A client that is struck off hears no more of the pool's wakings."""
    async with secured(tmp_path, rules=TEAMS) as door, door.caller(door.clients.client("keda-operator")) as caller:
        pushes = caller.pushes(TRIGGER)
        assert await anext(pushes)
        door.rules = {"CN=another": ("*",)}
        assert "PERMISSION_DENIED" in await refusal(caller)
        door.board.publish(CODER, at_work(0))
        door.board.publish(CODER, at_work(1))
        with pytest.raises(CallError, match="StreamIsActive answered PERMISSION_DENIED"):
            await anext(pushes)
        door.rules = TEAMS
        assert (await caller.poll(TRIGGER)).value == 1.0
