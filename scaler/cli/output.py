"""What commands print and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeAlias

import typer

from scaler.cli.extras import BAD_INPUT, INTERRUPTED

FAILED = 1  # a finding, or something that did not work

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def as_json(value: Json) -> None:
    """Print JSON for programs."""
    typer.echo(json.dumps(value, indent=2))


def fail(why: str) -> NoReturn:
    """End because something did not work, or was found wanting."""
    typer.echo(why, err=True)
    raise typer.Exit(FAILED)


def refuse(why: str) -> NoReturn:
    """End because of what was asked for."""
    typer.echo(why, err=True)
    raise typer.Exit(BAD_INPUT)


def interrupted(left: str) -> NoReturn:
    """End because somebody does not want to wait for it; ``left`` says what there is of it."""
    typer.echo(f"interrupted: {left}", err=True)
    raise typer.Exit(INTERRUPTED)


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Say what is left where this block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        interrupted(left)
