"""The choices that options offer. Nothing else is imported here, so that help needs nothing."""

from __future__ import annotations

import enum


class LogFormat(enum.StrEnum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(enum.StrEnum):
    """The least that is told."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
