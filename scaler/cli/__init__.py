"""The command line: the only place where everything is put together.

This module and ``extras`` import nothing but the standard library, so that even the bare installation can say what it
lacks.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from scaler.cli.extras import INTERRUPTED, NOTHING, needing

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # how a write fails that nobody foresaw


def main() -> None:
    """Run the command line."""
    try:
        with needing("scaler"):
            from scaler.cli.app import app
        app()
    except KeyboardInterrupt:  # it is still being loaded: from then on commands say themselves what is left
        print(f"interrupted: {NOTHING}", file=sys.stderr)  # noqa: T201 - no rich here
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in FULL:
            raise
        _give_up(error)


def _give_up(error: OSError) -> None:
    """End because what was to be printed has no room; what is left of it must not be tried again at the very end."""
    from scaler.cli.output import FAILED

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    where = f"{error.filename} cannot be written" if error.filename else "the output cannot be written"
    print(f"{where}: {error.strerror}; make room, or send it elsewhere", file=sys.stderr)  # noqa: T201 - no rich here
    sys.exit(FAILED)
