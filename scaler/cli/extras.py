"""Commands that lack what their extra brings say which one to install."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

BAD_INPUT = 2  # the exit code of everything that the caller can put right
INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
NOTHING = "nothing was begun"


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Import inside this block what comes with ``extra``; where it is absent, say so and exit."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "scaler":
            raise  # one of our own is missing, which no extra brings
        print(f"this needs {error.name}: pip install 'agent-scaler[{extra}]'", file=sys.stderr)  # noqa: T201 - no rich here
        sys.exit(BAD_INPUT)
