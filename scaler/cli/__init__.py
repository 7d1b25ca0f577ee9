"""The command line: the only place where everything is put together.

This module and ``extras`` import nothing but the standard library, so that even the bare installation can say what it
lacks.
"""

from __future__ import annotations

from scaler.cli.extras import needing


def main() -> None:
    """Run the command line."""
    with needing("scaler"):
        from scaler.cli.app import app
    app()
