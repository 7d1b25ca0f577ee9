"""A JSON document and the one number in it that a path leads to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Final

from scaler.config.path import Step, written
from scaler.core.types import Instant, Known
from scaler.sources.health import Failed, Fault
from scaler.sources.number import sample
from scaler.sources.text import cut, kind

KEY_SHOWN: Final = 40
KEYS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Document:
    """What an answer's body said at an instant."""

    root: object
    at: Instant


def document(body: bytes, at: Instant) -> Document | Failed:
    """Read an answer's body."""
    try:
        return Document(json.loads(body), at)
    except (ValueError, RecursionError):
        return Failed(Fault.GARBAGE, f"the answer is not JSON: {body[:80].decode('utf-8', 'replace')!r}")


def number(read: Document, path: tuple[Step, ...]) -> Known | Failed:
    """The number at the end of the path. A string is none, whatever it spells."""
    here = read.root
    for i, step in enumerate(path):
        match here, step:
            case list() as items, int() as place if place < len(items):
                here = items[place]
            case dict() as section, str() as key if key in section:
                here = section[key]
            case _:
                return _lacking(here, step, written(path[:i]) or "the document")
    return _number(here, read.at)


def replicas(read: Document) -> Known | Failed:
    """The replicas that a workload's scale asks for. None are left out: the API writes no zero."""
    match read.root:
        case {"kind": "Scale", "spec": {} as spec}:
            return _number(spec.get("replicas", 0), read.at)
        case {"kind": "Scale"}:
            return Known(0.0, read.at)
        case {"kind": str() as other}:
            return Failed(Fault.KIND, f"the document is a {cut(other, KEY_SHOWN)}, not a Scale")
        case _:
            return Failed(Fault.KIND, "the document is no Scale")


def _number(value: object, at: Instant) -> Known | Failed:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Failed(Fault.KIND, f"the value is {kind(value)}, not a number")
    try:
        return sample(float(value), at, f"{float(value):g}")
    except OverflowError:
        return Failed(Fault.VALUE, "the value is a whole number of more than 300 digits")


def _lacking(here: object, step: Step, place: str) -> Failed:
    """Why there is no such step from ``here``, which stands at ``place``."""
    if isinstance(step, int):
        if isinstance(here, list):
            return Failed(Fault.EMPTY, f"{place} has {len(here)} items, and none at [{step}]")
        return Failed(Fault.KIND, f"{place} is {kind(here)}, not a list")
    if isinstance(here, dict):
        return Failed(Fault.EMPTY, f"{place} has no key {step!r}{_keys(here)}")
    return Failed(Fault.KIND, f"{place} is {kind(here)}, not an object")


def _keys(here: dict[str, object]) -> str:
    """The first few keys there are."""
    some = ", ".join(cut(key, KEY_SHOWN) for key in islice(here, KEYS_SHOWN))
    return f"; it has {some}" + (", …" if len(here) > KEYS_SHOWN else "") if here else ""
