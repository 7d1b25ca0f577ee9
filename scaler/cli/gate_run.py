"""Runs the sidecar."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scaler.agent.gate import Gate
from scaler.agent.place import STATE, Place, PlaceError
from scaler.agent.sidecar.proxy import Settings
from scaler.agent.sidecar.running import run as serve
from scaler.cli.output import fail, refuse

LOG: Final = logging.getLogger(__name__)
OF_EVERY_LINE: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line, as ``scaler serve`` writes them, with the standard library alone."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        told = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        more = {key: value for key, value in vars(record).items() if key not in OF_EVERY_LINE}
        if record.exc_info:
            more["exception"] = self.formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({**told, **more, "timestamp": at}, default=str)


def run(settings: Settings, place: tuple[str, int], *, slots: int, grace: float) -> None:
    """Stand before the agent until SIGTERM has come and nothing is open any more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    gate = _gate(slots)
    _tell_of_keys(gate.place.keys)
    try:
        asyncio.run(serve(gate, settings, place, grace))
    except OSError as error:
        fail(f"the gate cannot stand at {place[0]}:{place[1]}: {error}; choose another place with --listen")


def _gate(slots: int) -> Gate:
    """The gate of this pod, as its environment tells where it stands."""
    try:
        place = Place.from_environment()
    except PlaceError as error:
        refuse(str(error))
    try:
        return Gate(place, slots=slots)
    except OSError as error:
        why = f"{STATE} {place.folder} cannot be used: {error.strerror}"
        refuse(f"{why}; it must be a folder in an emptyDir that this user may write to, and no other process has")


def _tell_of_keys(file: Path | None) -> None:
    """Say at the start that a key set cannot be read. It may come: it is read again with each order."""
    if file is None:
        return
    try:
        file.open("rb").close()
    except OSError as error:
        LOG.warning(
            "the keys cannot be read, so no order is believed", extra={"file": str(file), "why": error.strerror}
        )
