"""The way to one value in a JSON document: ``a.b[0].c``.

A step is a key or a place in a list. Keys of letters, digits, ``_`` and ``-`` are joined by dots; any other key stands
in brackets and quotes, ``pools["agents/coder"].queued``, and holds neither quotes nor backslashes. Places count from 0.
``{namespace}`` and ``{name}`` become the pool's within their step, so that no name can change the way.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

from scaler.config.fields import Template, fill, refusal

Step: TypeAlias = str | int

STEPS_MOST: Final = 16
_WORD: Final = re.compile(r"(?:[A-Za-z0-9_-]|\{[a-z]+\})+")
_STEP: Final = re.compile(
    rf"(?:^|(?<=[^.])\.)(?P<word>{_WORD.pattern})"
    r"|\[(?P<place>0|[1-9][0-9]{0,5})\]"
    r'|\["(?P<quoted>[^"\\\x00-\x1f]{1,256})"\]'
)


def steps(text: str) -> tuple[Step, ...] | None:
    """The steps of a path as it is written, None where it is none: 1 to ``STEPS_MOST`` of them."""
    found: list[Step] = []
    end = 0
    while end < len(text) and len(found) < STEPS_MOST:
        step = _STEP.match(text, end)
        if step is None:
            return None
        found.append(int(step["place"]) if step["place"] else step["word"] or step["quoted"])
        end = step.end()
    return tuple(found) if found and end == len(text) else None


def filled(path: tuple[Step, ...], *, namespace: str, name: str) -> tuple[Step, ...]:
    """The steps with their placeholders replaced."""
    return tuple(step if isinstance(step, int) else fill(step, namespace=namespace, name=name) for step in path)


def written(path: tuple[Step, ...]) -> str:
    """The steps as they are written; ``steps`` reads them back."""
    return "".join(_written(step) for step in path).removeprefix(".")


def _written(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _WORD.fullmatch(step) else f'["{step}"]'


def _path(text: str) -> str:
    if steps(text) is None:
        allowed = f"must be a path of 1 to {STEPS_MOST} steps: keys joined by dots, places in brackets"
        raise refusal(allowed, """write it as in queues[0].depth or pools["{namespace}/{name}"].queued""")
    return text


JsonPath = Annotated[Template, AfterValidator(_path)]
