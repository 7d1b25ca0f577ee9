"""Runs the sidecar."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Final

from scaler.agent.gate import Gate
from scaler.agent.place import Place, PlaceError
from scaler.agent.sidecar.proxy import Settings
from scaler.agent.sidecar.running import run as serve
from scaler.cli.output import fail, refuse

OF_EVERY_LINE: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line, as ``scaler serve`` writes them, with the standard library alone."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        told = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        more = {key: value for key, value in vars(record).items() if key not in OF_EVERY_LINE}
        if record.exc_info:
            more["exception"] = self.formatException(record.exc_info)
        return json.dumps({**told, **more, "timestamp": self.formatTime(record)}, default=str)


def run(settings: Settings, place: tuple[str, int], *, slots: int, grace: float) -> None:
    """Stand before the agent until SIGTERM has come and nothing is open any more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    try:
        gate = Gate(Place.from_environment(), slots=slots)
        asyncio.run(serve(gate, settings, place, grace))
    except PlaceError as error:
        refuse(str(error))
    except OSError as error:
        fail(f"the gate cannot stand at {place[0]}:{place[1]}: {error}")
