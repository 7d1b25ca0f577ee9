"""Both doors as the file has them: plain, or behind certificates that are followed and with clients that are known."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scaler.config.clients import MayAsk
from scaler.config.settings import Settings
from scaler.config.tls import DoorSection
from scaler.core.types import Instant
from scaler.external.guard import Guard
from scaler.live.certificates import Certificates, Files, Standing
from scaler.live.clock import Clock


@dataclass(frozen=True, slots=True)
class Places:
    """Where to listen, as HOST:PORT: ``keda`` for KEDA's calls, ``http`` for the pages."""

    keda: str
    http: str


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the doors are, their certificates (None for plaintext), and the settings in force, which have the rules."""

    places: Places
    keda: Certificates | None
    http: Certificates | None
    _settings: Callable[[], Settings]

    @classmethod
    def of(cls, places: Places, settings: Callable[[], Settings], now: Instant) -> Self:
        """The doors of these settings. What changes later are the rules; other files wait for a restart.

        Raises:
            CertificateError: a certificate cannot be used.
        """
        tls = settings().tls
        return cls(places, _certificates("keda", tls.keda, now), _certificates("http", tls.http, now), settings)

    def guard(self) -> Guard:
        """Who lets KEDA's calls pass, by the rules that hold when they come."""
        known = _knows(self.keda)
        return Guard(lambda: _rules(self._settings().tls.keda) if known else None)

    def readers(self) -> Callable[[], MayAsk | None] | None:
        """The rules for those who read the pages; None where the pages are for everybody."""
        return (lambda: _rules(self._settings().tls.http)) if _knows(self.http) else None

    def standings(self) -> tuple[Standing, ...]:
        """How the certificates stand."""
        return tuple(door.standing() for door in self._secured())

    def following(self, clock: Clock) -> Iterator[Coroutine[None, None, None]]:
        """The work of following the certificates as they rotate."""
        return (door.follow(clock) for door in self._secured())

    def _secured(self) -> tuple[Certificates, ...]:
        return tuple(door for door in (self.keda, self.http) if door is not None)


def _certificates(door: str, section: DoorSection | None, now: Instant) -> Certificates | None:
    if section is None:
        return None
    ca = None if section.clients is None else Path(section.clients.ca)
    return Certificates(door, Files(certificate=Path(section.certificate), key=Path(section.key), client_ca=ca), now)


def _knows(door: Certificates | None) -> bool:
    """Whether the door asks clients for certificates, as it was opened."""
    return door is not None and door.files.client_ca is not None


def _rules(section: DoorSection | None) -> MayAsk | None:
    return None if section is None or section.clients is None else section.clients.may_ask
