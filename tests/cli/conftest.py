"""The command line as a user has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.app import app

Scaler: TypeAlias = Callable[..., Result]


@pytest.fixture
def scaler() -> Scaler:
    """Run ``scaler`` with these arguments."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)

    return run
