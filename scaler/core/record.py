"""Observation, memory and outcome as plain JSON values and back, without losing a bit.

The dataclasses are the schema: a record is an object of their fields, in their order, but for sparse ones that are
what they are by default. ``Known`` is ``[value, at]`` and
``Unknown`` is ``{"unknown": why}``, so that the union can be told apart; NaN in a column is null. Floats survive as
Python writes them, which is exactly; those that JSON has no number for are the words "nan", "inf" and "-inf".
"""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from scaler.core import memory as _memory
from scaler.core import pods as _pods
from scaler.core import reasons as _reasons
from scaler.core import types as _types
from scaler.core.types import SPARSE, Known, Unknown

Json: TypeAlias = Any  # a JSON value: what json.dumps takes and json.loads gives
Kind: TypeAlias = Any  # a type as get_type_hints gives it, which Python has no name for
T = TypeVar("T")
_NAMES = {**vars(_types), **vars(_reasons), **vars(_pods), **vars(_memory)}


class RecordError(ValueError):
    """A record that is not of its type: says where and what was found."""


def to_json(value: object) -> Json:
    """The JSON value of anything in the core's vocabulary."""
    kind: Kind = type(value)
    return _writer(kind)(value)


Writer: TypeAlias = Callable[[Json], Json]


@cache
def _writer(kind: Kind) -> Writer:
    """How a value of this very type is written."""
    found = next((writer for base, writer in _WRITERS.items() if issubclass(kind, base)), None)
    if found is None:
        return _fields_of(kind) if is_dataclass(kind) else lambda v: v
    return found


def _fields_of(kind: Kind) -> Writer:
    names, sparse = tuple(f.name for f in fields(kind)), _sparse(kind)

    def write(value: Json) -> Json:
        usual = {name for name, default in sparse.items() if getattr(value, name) == default}
        return {name: to_json(getattr(value, name)) for name in names if name not in usual}

    return write


def _sparse(kind: Kind) -> Mapping[str, Json]:
    """The fields that a record may leave out, each with what it is then."""
    return {f.name: f.default for f in fields(kind) if SPARSE.items() <= f.metadata.items()}


def _number(value: float) -> Json:
    return value if math.isfinite(value) else str(value)


def _column(values: Json) -> Json:
    if values.dtype.kind != "f":
        return values.tolist()
    return [None if math.isnan(x) else _number(x) for x in values.tolist()]


_WRITERS: dict[type, Writer] = {
    Known: lambda v: [_number(v.value), _number(v.at)],
    Unknown: lambda v: {"unknown": v.why},
    float: _number,
    np.ndarray: _column,
    enum.Enum: lambda v: v.value,
    tuple: lambda v: [to_json(x) for x in v],
    Mapping: lambda v: {str(k): to_json(x) for k, x in v.items()},
}


def from_json(kind: type[T], value: Json) -> T:
    """The value of this type that ``to_json`` made the JSON value from.

    Raises:
        RecordError: the value is not of the type.
    """
    try:
        named: Kind = kind
        result: T = _reader(named)(value)
        return result
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise RecordError(f"not a {kind.__name__}: {error}") from error


Reader: TypeAlias = Callable[[Json], Json]
_WORDS = ("nan", "inf", "-inf")  # numbers that JSON cannot write


@cache
def _reader(kind: Kind) -> Reader:
    """How a value of this type is read."""
    origin = get_origin(kind)
    if origin is None:
        return _SCALARS.get(kind) or (kind if issubclass(kind, enum.Enum) else _dataclass(kind))
    return _GENERICS[origin](get_args(kind))


def _of(kind: type, value: Json) -> Json:
    """The value, if it is of exactly this type: a bool is no number."""
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {value!r:.80}")
    return value


def _float(value: Json) -> float:
    if type(value) not in (int, float) and value not in _WORDS:
        raise TypeError(f"expected a number, found {value!r:.80}")
    return float(value)


def _known(value: Json) -> Known:
    number, at = _of(list, value)
    return Known(_float(number), _float(at))


def _unknown(value: Json) -> Unknown:
    if set(_of(dict, value)) != {"unknown"}:
        raise TypeError(f"expected {{'unknown': why}}, found {value!r:.80}")
    return Unknown(_of(str, value["unknown"]))


_SCALARS: dict[Any, Reader] = {
    bool: lambda v: _of(bool, v),
    int: lambda v: _of(int, v),
    str: lambda v: _of(str, v),
    float: _float,
    type(None): lambda v: _of(type(None), v),
    Known: _known,
    Unknown: _unknown,
}


def _union(kinds: tuple[Kind, ...]) -> Reader:
    """The first member that reads the value. Members of the core's unions never share a JSON shape."""
    readers = [_reader(k) for k in kinds]

    def read(value: Json) -> Json:
        found = []
        for reader in readers:
            try:
                return reader(value)
            except (TypeError, ValueError) as error:
                found.append(str(error))
        raise TypeError("; ".join(found))

    return read


def _tuple(kinds: tuple[Kind, ...]) -> Reader:
    if kinds[-1] is Ellipsis:
        item = _reader(kinds[0])
        return lambda value: tuple(item(v) for v in _of(list, value))
    readers = [_reader(k) for k in kinds]
    return lambda value: tuple(r(v) for r, v in zip(readers, _of(list, value), strict=True))


_GAPS: dict[Json, float] = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
_ARRAYS: dict[str, tuple[type, ...]] = {"f": (int, float), "i": (int,), "b": (bool,)}


def _array(kinds: tuple[Kind, ...]) -> Reader:
    dtype = np.dtype(get_args(kinds[1])[0])

    def read(value: Json) -> Json:
        gaps = [_gap(v) if dtype.kind == "f" else v for v in _of(list, value)]
        allowed = _ARRAYS[dtype.kind]
        if any(type(v) not in allowed for v in gaps):
            raise TypeError(f"expected {dtype.name} numbers, found {value!r:.80}")
        return np.array(gaps, dtype=dtype)

    return read


def _gap(value: Json) -> Json:
    """The number that JSON has none for, where this stands for one."""
    return _GAPS.get(value, value) if value is None or type(value) is str else value


def _mapping(kinds: tuple[Kind, ...]) -> Reader:
    key, item = (_reader(k) for k in kinds)
    return lambda value: {key(k): item(v) for k, v in _of(dict, value).items()}


_GENERICS: dict[Kind, Callable[[tuple[Kind, ...]], Reader]] = {
    Union: _union,
    types.UnionType: _union,
    tuple: _tuple,
    np.ndarray: _array,
    Mapping: _mapping,
}


def _dataclass(kind: Kind) -> Reader:
    hints = get_type_hints(kind, localns=_NAMES)
    readers, sparse = {f.name: _reader(hints[f.name]) for f in fields(kind)}, _sparse(kind)

    def read(value: Json) -> Json:
        if set(_of(dict, value)) | set(sparse) != set(readers):
            raise TypeError(f"{kind.__name__} has the fields {sorted(readers)}, found {sorted(value)}")
        return kind(**{name: reader(value[name]) for name, reader in readers.items() if name in value})

    return read
