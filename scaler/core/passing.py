"""How to declare a value that no tick hands on: what its stages tell each other, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def passing(kind: type[T]) -> type[T]:
    """A dataclass of keywords, frozen where types are checked and not where it runs.

    A frozen dataclass takes twice as long to make. A tick makes fifteen of these, of a hundred and thirty fields, and
    nobody outside it sees them; so what forbids to write to them is the type checker alone.
    """
    return dataclass(slots=True, kw_only=True, eq=False)(kind)
