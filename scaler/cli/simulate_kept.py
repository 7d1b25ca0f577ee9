"""Figures of a sweep that are kept as they are found, so that it goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json as json_
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scaler.cli.output import fail, refuse
from scaler.cli.version import own_version
from scaler.sim.scenario import Scenario, placed

SOURCES: Final = Path(__file__).resolve().parents[1]
PARTS: Final = ("core", "sim")  # what figures follow from
SEAL: Final = "sha256"


def _program() -> str:
    """Which program works figures out: its version, and the sources, which in a checkout change without it."""
    sources = (file for part in PARTS for file in sorted((SOURCES / part).rglob("*.py")))
    return own_version() + "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in sources)


@dataclass(frozen=True, slots=True)
class Kept:
    """The figures in a folder.

    They are found again by what they are figures of: the scenario with the contents of the files that it names,
    wherever these are, and the program that worked them out. So what was found of other work is never taken.
    """

    folder: Path
    limits: bool
    program: str = field(default_factory=_program)
    contents: dict[Path, Path] = field(default_factory=dict)

    def read(self, scenario: Scenario) -> Mapping[str, object] | None:
        """What was found before, if it stands there as it was written."""
        try:
            known = json_.loads(self._file(scenario).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(known, dict) or known.pop(SEAL, None) != _digest(json_.dumps(known)):
            return None
        return known

    def write(self, scenario: Scenario, figures: Mapping[str, object]) -> None:
        """Keep figures: all of them, or none where it is stopped meanwhile."""
        file = self._file(scenario)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        text = json_.dumps({**figures, SEAL: _digest(json_.dumps(figures))}, indent=2)
        try:
            try:
                unfinished.write_text(f"{text}\n", encoding="utf-8")
                unfinished.replace(file)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")

    def _file(self, scenario: Scenario) -> Path:
        told = placed(scenario, self._content).model_dump_json(exclude={"question", "shows", "expect"})
        return self.folder / f"{_digest(self.program + told)[:16]}{'' if self.limits else '-no-limits'}.json"

    def _content(self, file: Path) -> Path:
        """What stands for a file: the digest of what it holds."""
        if file not in self.contents:
            try:
                self.contents[file] = Path(hashlib.sha256(file.read_bytes()).hexdigest())
            except OSError as error:
                refuse(f"{file} cannot be read: {error.strerror}")
        return self.contents[file]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
