"""What holds for every test: property tests try the same cases each time, and no clock fails them.

And each begins with logs as they are before a command has set them up: one that was told to speak to a stream which an
earlier test had would speak to nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def logs_are_set_up_anew() -> Iterator[None]:
    """Take away what ``set_up`` has brought."""
    yield
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    logging.getLogger("scaler").setLevel(logging.NOTSET)
    root = logging.getLogger()
    for handler in root.handlers.copy():
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)
