"""Which orders are believed: those that one of the keys has signed, for this act and this time, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scaler.agent.conformance.subject import altered, unsigned
from scaler.agent.orders import DisbelievedError, Keyring, Order
from scaler.controller.orders import KeyFileError, Signer, key_set
from tests.agent.material import NOW, UID, Site

PROPER: dict[str, str | int] = {
    "sub": UID,
    "aud": "agent-scaler/gate",
    "act": "drain",
    "epoch": 3,
    "iat": int(NOW),
    "exp": int(NOW) + 60,
}
Change: TypeAlias = dict[str, object]


@pytest.fixture
def keyring(site: Site) -> Keyring:
    """The site's keys."""
    return Keyring(site.keys, site.clock.now)


def why(keyring: Keyring, token: str, act: str = "drain") -> str:
    """Why the order is not believed."""
    with pytest.raises(DisbelievedError) as refused:
        keyring.read(token, act)
    return str(refused.value)


def test_a_signed_order_is_believed(site: Site, keyring: Keyring) -> None:
    """It says for whom it is, what to do and under which epoch."""
    assert keyring.read(site.signer.order("drain", UID, 3, NOW), "drain") == Order("drain", UID, 3)


@pytest.mark.parametrize("seconds", [-30, 0, 60, 89])
def test_clocks_may_differ_by_half_a_minute(site: Site, keyring: Keyring, seconds: int) -> None:
    """The controller's may be ahead of ours or behind it."""
    order = site.signer.order("drain", UID, 3, NOW)
    site.clock.at += seconds
    assert keyring.read(order, "drain").epoch == 3


WRONG: dict[str, tuple[Change, str]] = {
    "expired": ({"iat": int(NOW) - 200, "exp": int(NOW) - 30}, "and now is"),
    "early": ({"iat": int(NOW) + 31, "exp": int(NOW) + 60}, "and now is"),
    "lasting": ({"exp": int(NOW) + 301}, "the order is good for 301 s, and none is for more than 300 s"),
    "endless": ({"exp": None}, "exp is 'None'; it must be in seconds since the epoch"),
    "never issued": ({"iat": None}, "iat is 'None'"),
    "issued in words": ({"iat": "now"}, "iat is 'now'"),
    "milliseconds": ({"exp": NOW * 1000}, "exp is"),
    "for others": ({"aud": "somebody"}, "aud is 'somebody'; it must be 'agent-scaler/gate'"),
    "for several": ({"aud": ["agent-scaler/gate"]}, "aud is"),
    "another act": ({"act": "resume"}, "the order is to resume, and was sent to /drain"),
    "no act": ({"act": "delete"}, "act is 'delete'; it must be one of drain, resume"),
    "list as act": ({"act": []}, "act is '[]'"),
    "nobody": ({"sub": ""}, "sub is missing"),
    "epoch in words": ({"epoch": "3"}, "epoch is '3'; it must be a whole number from 0 to 1000000"),
    "truth as epoch": ({"epoch": True}, "epoch is 'True'"),
    "negative epoch": ({"epoch": -1}, "epoch is '-1'"),
    "absurd epoch": ({"epoch": 10**9}, "epoch is"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_signed_order_that_says_something_else_is_not_believed(
    site: Site, keyring: Keyring, change: Change, said: str
) -> None:
    """A signature alone is not enough; the reason names the claim."""
    assert said in why(keyring, site.signer.sign({**PROPER, **change}))  # type: ignore[dict-item]  # that is the point


FORGERIES: dict[str, tuple[Callable[[str], str], str]] = {
    "altered": (altered, "has not signed this order"),
    "unsigned": (unsigned, "alg is 'none'; orders are signed with EdDSA"),
    "without signature": (lambda order: order.rpartition(".")[0] + ".", "has not signed this order"),
    "two parts": (lambda order: order.rpartition(".")[0], "the order is no compact JWS"),
    "padded": (lambda order: order + "=", "the signature is no base64url"),
    "with line ends": (lambda order: order + "\n", "the signature is no base64url"),
    "rubbish": (lambda _: "a.b.c", "the order's header cannot be read"),
    "list as header": (lambda order: "W10." + order.partition(".")[2], "the order's header is no JSON object"),
    "beyond ASCII": (lambda order: order.replace(".", ".\ud800", 1), "the order is no compact JWS"),
    "endless": (lambda order: order * 40, "and none has more than 4096"),
}


@pytest.mark.parametrize(("forge", "said"), FORGERIES.values(), ids=FORGERIES)
def test_what_is_not_signed_is_not_believed(
    site: Site, keyring: Keyring, forge: Callable[[str], str], said: str
) -> None:
    """Whatever it says."""
    assert said in why(keyring, forge(site.signer.sign(PROPER)))


def test_a_stranger_with_our_keys_name_is_not_believed(site: Site, keyring: Keyring) -> None:
    """The id of a key is no secret."""
    stranger = Signer.of(Signer.new().key, site.signer.kid)
    assert "has not signed this order" in why(keyring, stranger.sign(PROPER))


def test_keys_rotate_without_a_restart(site: Site, keyring: Keyring) -> None:
    """First both are in the set, then the old one is withdrawn, and not believed from then on."""
    old, new = site.signer, Signer.new()
    assert "there is no key" in why(keyring, new.sign(PROPER))
    site.keys.write_text(key_set([old.jwk(), new.jwk()]))
    assert keyring.read(new.sign(PROPER), "drain") == keyring.read(old.sign(PROPER), "drain")
    site.keys.write_text(key_set([new.jwk()]))
    assert "there is no key" in why(keyring, old.sign(PROPER))
    assert keyring.read(new.sign(PROPER), "drain").epoch == 3


@pytest.mark.parametrize("content", ["", "[]", '{"keys": 1}', '{"keys": [{"kid": "a", "crv": "Ed25519", "x": "AA"}]}'])
def test_keys_that_cannot_be_read_believe_nothing(site: Site, keyring: Keyring, content: str) -> None:
    """Not even what was believed before: a key may have been withdrawn. When they can be read, it goes on."""
    order, keys = site.signer.sign(PROPER), site.keys.read_text()
    assert keyring.read(order, "drain").epoch == 3
    site.keys.write_text(content)
    assert "the keys cannot be read" in why(keyring, order)
    site.keys.unlink()
    assert "the keys cannot be read" in why(keyring, order)
    site.keys.write_text(keys)
    assert keyring.read(order, "drain").epoch == 3


def test_an_agent_without_keys_believes_nothing(site: Site) -> None:
    """It is protected and never drained; the reason says what to set."""
    assert "set AGENT_SCALER_KEYS" in why(Keyring(None, site.clock.now), site.signer.sign(PROPER))


def test_keys_of_other_kinds_are_passed_over(site: Site) -> None:
    """A set may be shared."""
    site.keys.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB"}, dict(site.signer.jwk())]}))
    assert Keyring(site.keys, site.clock.now).read(site.signer.sign(PROPER), "drain").epoch == 3


def test_a_signer_is_read_from_its_file(tmp_path: Path) -> None:
    """With the same id, which is the key's thumbprint, and the same signatures."""
    signer, file = Signer.new(), tmp_path / "key.pem"
    file.write_text(signer.pem())
    again = Signer.read(file)
    assert (again.kid, again.sign(PROPER)) == (signer.kid, signer.sign(PROPER))
    assert Signer.read(file, "next").jwk() == {**signer.jwk(), "kid": "next"}


def test_a_thumbprint_is_that_of_the_standard() -> None:
    """The public key of RFC 8037, appendix A.2, has the thumbprint of its appendix A.3."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = Signer.of(Ed25519PrivateKey.from_private_bytes(seed))
    assert signer.jwk()["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert signer.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_says_how_to_make_one(tmp_path: Path, content: bytes) -> None:
    """An absent file as well."""
    file = tmp_path / "key.pem"
    for _ in range(2):
        with pytest.raises(KeyFileError, match=r"key.pem cannot be read as a private key.*scaler gate keys"):
            Signer.read(file)
        file.write_bytes(content)


def test_a_key_of_another_kind_signs_nothing(tmp_path: Path) -> None:
    """Agents verify Ed25519 alone."""
    other = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="it must be an Ed25519 key"):
        Signer.read(file)
