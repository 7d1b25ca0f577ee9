"""What was logged with the standard library, keys included."""

from __future__ import annotations

import logging

import pytest

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Each line as its event, and its keys in their order: ``a page failed method=GET path=/``."""
    return [_line(record) for record in caplog.records]


def _line(record: logging.LogRecord) -> str:
    keys = [f"{key}={value}" for key, value in vars(record).items() if key not in _OWN]
    return " ".join((record.getMessage(), *keys))
