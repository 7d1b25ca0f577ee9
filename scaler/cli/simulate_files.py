"""What ``scaler simulate`` reads and writes: whether it can is asked before the work, for that may take hours."""

from __future__ import annotations

import errno
import json as json_
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from scaler.cli.output import fail, refuse
from scaler.sim.scenario import Scenario, placed

STDOUT: Final = Path("-")


def check_file(option: str, file: Path | None) -> None:
    """Refuse a file that cannot be written, before anything runs. What is there stays, and nothing is left behind."""
    if file is None or file == STDOUT:
        return
    try:
        _try(file)
    except OSError as error:
        why = error.strerror
        refuse(f"{option} {file} is no file that can be written: {why}; name one in a folder that exists")


def _try(file: Path) -> None:
    if file.exists() and not (file.is_file() or file.is_dir()):
        if not os.access(file, os.W_OK):  # a pipe is not opened: whoever reads it would take its closing for the end
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    whole = file.resolve()
    is_new = not whole.exists()
    whole.open("ab").close()
    if is_new:
        whole.unlink()


def make_folder(option: str, folder: Path) -> None:
    """Have a folder that can be written to, or refuse before anything runs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        refuse(f"{option} {folder} is no folder that can be written to: {error.strerror}; name another")


def write(file: Path | None, figures: Mapping[str, object]) -> None:
    """Write figures as JSON, where they are asked for."""
    if file is not None:
        write_text(file, f"{json_.dumps(figures, indent=2)}\n")


def write_text(file: Path, text: str) -> None:
    """Write a file, or say why not."""
    if file == STDOUT:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")


def reader(json: Path | None) -> Console:
    """Where the figures are printed for a reader: nowhere, where stdout is for a program."""
    return Console(quiet=json == STDOUT)


def check_named(scenario: Scenario) -> Scenario:
    """The scenario, unless it names what is no file that can be read: no point of a sweep is to find that out hours on.

    Every process reads it anew, and a pipe is empty by then.
    """
    return placed(scenario, _regular)


def _regular(file: Path) -> Path:
    if file.exists() and not file.is_file():
        refuse(f"{file} is no regular file, and each process reads it anew: write it to a file first, and name that")
    try:
        file.open("rb").close()
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror}")
    return file
