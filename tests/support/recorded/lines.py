"""Recordings of the real controllers: a line of JSON that says of what, and then one story a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

FOLDER = Path(__file__).parents[2] / "sim" / "recorded"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header:
    """What was recorded.

    Attributes:
        controller: who decided.
        kubernetes: its version.
    """

    controller: str
    kubernetes: str


def write(path: Path, header: Header, stories: Iterable[T], kind: type[T]) -> None:
    """Write one file anew."""
    told = TypeAdapter(kind)
    lines = [
        TypeAdapter(Header).dump_json(header),
        *(told.dump_json(story, exclude_defaults=True) for story in stories),
    ]
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def read(path: Path, kind: type[T]) -> tuple[Header, list[T]]:
    """What one file holds."""
    first, *rest = path.read_text().splitlines()
    told = TypeAdapter(kind)
    return TypeAdapter(Header).validate_json(first), [told.validate_python(json.loads(line)) for line in rest]
