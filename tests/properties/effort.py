"""How hard the laws are tried: the same few hundred cases every time, or twenty times as many new ones.

``LAWS=thorough pytest -o faulthandler_timeout=0 tests/properties`` looks for what the usual run does not reach, for
longer than a test may hang.
"""

from __future__ import annotations

import os
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings

THOROUGH = os.environ.get("LAWS") == "thorough"


def tries(cases: int, *, steps: int = 30, long: bool = False) -> settings:
    """Settings for a law tried on this many cases; ``steps`` of a state machine in each.

    A ``long`` case takes a good part of a second, so one that fails is shown as it was found, not made smaller.
    """
    return settings(
        max_examples=cases * (20 if THOROUGH else 1),
        stateful_step_count=steps,
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        print_blob=THOROUGH,
        phases=[Phase.explicit, Phase.generate] if long else list(Phase),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def told(value: object) -> str:
    """A case in short: of each dataclass only what differs from its defaults."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"({', '.join(told(item) for item in value)})"
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    given = {f.name: getattr(value, f.name) for f in fields(value) if f.init and getattr(value, f.name) != _default(f)}
    return f"{type(value).__name__}({', '.join(f'{name}={told(item)}' for name, item in given.items())})"


def _default(f: Field[Any]) -> object:
    return f.default if f.default_factory is MISSING else f.default_factory()
