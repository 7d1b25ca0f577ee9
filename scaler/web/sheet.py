"""Gauges and counters by pool, written straight into the text of a metrics page.

The library makes and sorts a dictionary of labels for every sample. With 5,000 pools that holds the interpreter which
answers KEDA for seconds; here the labels of a pool are written once, and a sample is one short string.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from prometheus_client.utils import floatToGoString

from scaler.config.pool import PoolKey
from scaler.core.types import Unknown

PREFIX: Final = "agent_scaler_pool_"
_TOTAL: Final = "_total"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of every pool: what it says, and its labels beside the pool's own. A counter's name ends in _total."""

    help: str
    labels: tuple[str, ...] = ()


class Sheet:
    """The samples of one scrape. Pools are written one after the other."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._lines: dict[str, list[str]] = {name: [] for name in families}
        self._pool = ""

    def begin(self, key: PoolKey) -> None:
        """What is set from now on is this pool's."""
        self._pool = f'pool="{_escaped(key.name)}",pool_namespace="{_escaped(key.namespace)}"'

    def set(self, name: str, value: float | Unknown, *extra: str) -> None:
        """A sample of the pool; none where the value is not known."""
        if isinstance(value, Unknown):
            return
        labels = self._pool
        if extra:
            own = self._families[name].labels
            labels += "".join([f',{label}="{_escaped(text)}"' for label, text in zip(own, extra, strict=True)])
        self._lines[name].append(f"{PREFIX}{name}{{{labels}}} {floatToGoString(float(value))}\n")  # type: ignore[no-untyped-call] # the library's own

    def text(self, *, openmetrics: bool) -> str:
        """All of it. The formats differ in how a counter's family is called."""
        return "".join(self._written(openmetrics=openmetrics))

    def _written(self, *, openmetrics: bool) -> Iterator[str]:
        for name, family in self._families.items():
            told = PREFIX + (name.removesuffix(_TOTAL) if openmetrics else name)
            yield f"# HELP {told} {family.help}\n# TYPE {told} {'counter' if name.endswith(_TOTAL) else 'gauge'}\n"
            yield from self._lines[name]


@lru_cache(maxsize=1 << 15)
def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)
