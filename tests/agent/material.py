"""What gates are made of in tests: a clock that is turned by hand, keys, and the order that a controller would send."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from scaler.agent.desk import Desk, Question
from scaler.agent.gate import Gate
from scaler.agent.place import Place
from scaler.controller.orders import Signer, key_set

NOW = 1_795_000_000.0
UID = "0b54a5b4-0d5f-4d3c-9b6f-6a3f7d3c1a11"


@dataclass(slots=True)
class Hands:
    """A clock that is turned by hand; both of its hands move together."""

    at: float = NOW

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.at

    def steady(self) -> float:
        """The same, counted from another instant."""
        return self.at - NOW + 7.0


@dataclass(slots=True)
class Site:
    """A pod's folder and keys, in which gates come and go."""

    folder: Path
    clock: Hands = field(default_factory=Hands)
    signer: Signer = field(default_factory=Signer.new)
    gates: list[Gate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys.write_text(key_set([self.signer.jwk()]))

    @property
    def keys(self) -> Path:
        """The file with the key set."""
        return self.folder / "keys.json"

    @property
    def place(self) -> Place:
        """Where its gate stands."""
        return Place(UID, self.folder / "state", self.keys)

    @property
    def file(self) -> Path:
        """The gate's state."""
        return self.place.folder / "gate.json"

    def gate(self, *, slots: int = 1) -> Gate:
        """The gate, as the one before it left it."""
        self.gates.append(Gate(self.place, slots=slots, clock=self.clock))
        return self.gates[-1]

    def order(self, act: str, epoch: int) -> bytes:
        """The body with which a controller orders it."""
        return json.dumps({"order": self.signer.order(act, UID, epoch, self.clock.now())}).encode()


def asked(desk: Desk, path: str, body: bytes = b"", *, method: str = "", bearer: str = "") -> tuple[int, object]:
    """The status and the JSON that a desk answers."""
    reply = desk.answer(Question(method or ("POST" if body else "GET"), path, body, bearer))
    return reply.status, json.loads(reply.body) if reply.headers.get("Content-Type") == "application/json" else None
