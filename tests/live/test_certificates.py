"""Certificates as they rotate under the program: what is put in force, what is refused and why, what is never told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scaler.live.certificates import LOOK_EVERY, CertificateError, Certificates, Files
from scaler.live.clock import VirtualClock
from tests.support.certificates import FAR_OFF, YEARS_AGO, Identity, Mount, authority, locked
from tests.support.wait import eventually

NOON = 1_772_452_800.0  # Monday, 2 March 2026, 12:00 UTC
SERVERS, CLIENTS = authority("servers"), authority("clients")
FIRST, SECOND = SERVERS.server("first"), SERVERS.server("second")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    """A mounted Secret with a good pair and the authority of clients."""
    mount = Mount(tmp_path)
    mount.put(FIRST, CLIENTS.certificate)
    return mount


@pytest.fixture
def certificates(mount: Mount) -> Certificates:
    """The certificates there, in force."""
    return Certificates("keda", mount.files, NOON)


def problem(certificates: Certificates, now: float = NOON) -> str:
    """Look, and say why what is there is not in force; nothing where it is."""
    certificates.look(now)
    return certificates.standing().problem or ""


def test_what_is_in_force_is_told_with_its_expiry(certificates: Certificates) -> None:
    """For alerts that come weeks before."""
    standing = certificates.standing()
    assert (standing.door, standing.taken, standing.refused, standing.problem) == ("keda", 1, 0, None)
    assert standing.expires == standing.client_ca_expires == FAR_OFF.timestamp()


def test_a_swap_of_the_link_is_seen_and_nothing_else_is(mount: Mount, certificates: Certificates) -> None:
    """Looks at files that are the same change nothing, though the kubelet has written them anew."""
    mount.put(FIRST, CLIENTS.certificate)
    pair = certificates.pair
    certificates.look(NOON)
    assert certificates.pair is pair
    mount.put(SECOND, CLIENTS.certificate)
    certificates.look(NOON)
    assert certificates.pair.certificate == SECOND.certificate
    assert certificates.standing().taken == 2


async def test_the_files_are_looked_at_every_second(mount: Mount, certificates: Certificates) -> None:
    """So that a rotation is in force before two have passed."""
    clock = VirtualClock(NOON)
    following = asyncio.create_task(certificates.follow(clock))
    await asyncio.sleep(0)
    mount.put(SECOND, CLIENTS.certificate)
    await clock.advance_to(NOON + LOOK_EVERY)

    async def taken() -> bool | None:
        """The look is over."""
        return certificates.standing().taken == 2 or None

    await eventually(taken)
    following.cancel()
    assert LOOK_EVERY < 2


BROKEN: dict[str, tuple[Callable[[], tuple[Identity, bytes]], str, str]] = {
    "another's key": (
        lambda: (Identity(SECOND.certificate, FIRST.key), CLIENTS.certificate),
        "tls.key",
        "is not the key of",
    ),
    "half a certificate": (
        lambda: (Identity(SECOND.certificate[:200], SECOND.key), CLIENTS.certificate),
        "tls.crt",
        "is no whole PEM certificate",
    ),
    "half an intermediate": (
        lambda: (Identity(SECOND.certificate + SERVERS.certificate[:200], SECOND.key), CLIENTS.certificate),
        "tls.crt",
        "is no whole PEM certificate",
    ),
    "half a key": (
        lambda: (Identity(SECOND.certificate, SECOND.key[:100]), CLIENTS.certificate),
        "tls.key",
        "is no whole PEM private key without a password",
    ),
    "a key with a password": (
        lambda: (Identity(SECOND.certificate, locked(SECOND.key)), CLIENTS.certificate),
        "tls.key",
        "is no whole PEM private key without a password",
    ),
    "nothing": (lambda: (Identity(b"", b""), CLIENTS.certificate), "tls.crt", "is no whole PEM certificate"),
    "an expired certificate": (
        lambda: (SERVERS.server("third", expires=YEARS_AGO), CLIENTS.certificate),
        "tls.crt",
        "cannot be shown to clients: certificate has expired",
    ),
    "half an authority": (lambda: (SECOND, CLIENTS.certificate[:200]), "ca.crt", "is no whole PEM certificate"),
    "an authority that is none": (lambda: (SECOND, FIRST.certificate), "ca.crt", "holds no authority's certificate"),
    "an expired authority": (
        lambda: (SECOND, authority(expires=YEARS_AGO).certificate),
        "ca.crt",
        "has expired; put the authority's new certificate there",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_told_once_and_leaves_the_last_good_pair(
    mount: Mount, certificates: Certificates, case: str
) -> None:
    """With its file and the reason, until something good is there."""
    make, file, why = BROKEN[case]
    pair = certificates.pair
    mount.put(*make())
    with capture_logs() as logged:
        told = problem(certificates)
        assert told.startswith(f"{mount.folder / file} {why}")
        assert problem(certificates) == told
    assert [(line["log_level"], line["door"], line["why"]) for line in logged] == [("error", "keda", told)]
    assert certificates.pair is pair
    assert certificates.standing().refused == 1
    mount.put(SECOND, CLIENTS.certificate)
    assert problem(certificates) == ""
    assert certificates.pair.certificate == SECOND.certificate


def test_files_that_vanish_and_come_back_are_followed_again(mount: Mount, certificates: Certificates) -> None:
    """A Secret that is deleted leaves the door as it was."""
    gone = mount.folder / "..data"
    aside = gone.rename(mount.folder / "aside")
    assert problem(certificates) == f"{mount.folder / 'tls.crt'} cannot be read: No such file or directory"
    aside.rename(gone)
    assert problem(certificates) == ""


def test_a_certificate_whose_time_has_not_come_is_taken_when_it_has(mount: Mount, certificates: Certificates) -> None:
    """What was refused is tried again with each look, for time may heal it: here an authority expires with time."""
    soon = authority("soon")
    mount.put(SECOND, soon.certificate)
    assert problem(certificates, now=FAR_OFF.timestamp()).endswith("new certificate there")
    assert problem(certificates, now=NOON) == ""


@pytest.mark.parametrize("case", BROKEN)
def test_without_a_good_pair_there_is_nothing_to_begin_with(mount: Mount, case: str) -> None:
    """The program does not start, and says which file to mend."""
    make, file, why = BROKEN[case]
    mount.put(*make())
    with pytest.raises(CertificateError, match=why) as caught:
        Certificates("keda", mount.files, NOON)
    assert caught.value.file == mount.folder / file


@pytest.mark.parametrize("case", BROKEN)
def test_a_private_key_is_never_told(
    mount: Mount, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    """Not a line of it: not in an error, a log, or the picture of a value, whatever is wrong."""
    certificates = Certificates("keda", mount.files, NOON)
    make, _, _ = BROKEN[case]
    identity, ca = make()
    mount.put(identity, ca)
    with caplog.at_level(logging.DEBUG), capture_logs() as logged:
        certificates.look(NOON)
        with pytest.raises(CertificateError) as caught:
            Certificates("keda", mount.files, NOON)
    told = [repr(value) for value in (certificates.pair, certificates.standing(), certificates, logged)]
    told += [caplog.text, *capfd.readouterr(), str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    secrets = [line for key in (FIRST.key, SECOND.key, identity.key) for line in key.decode().splitlines()]
    assert [line for line in secrets if "-----" not in line and any(line in text for text in told)] == []


def test_without_an_authority_of_clients_there_is_none_to_watch(tmp_path: Path) -> None:
    """A door that asks for no certificate has one expiry."""
    mount = Mount(tmp_path)
    mount.put(FIRST)
    certificates = Certificates("http", mount.files, NOON)
    assert certificates.files == Files(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    assert certificates.standing().client_ca_expires is None
