"""Validation errors of pydantic, told as problems: which key, which value, what is allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scaler.config.problems import DIGITS, Problem, shown, suggest

Path = tuple[str | int, ...]

_TYPES: Final = {
    "bool_type": ("must be true or false", "write true or false"),
    "finite_number": ("must be a finite number", "write its digits"),
    "float_type": ("must be a number", "write its digits"),
    "int_type": ("must be a whole number", "write its digits"),
    "string_type": ("must be text", "put it in quotes"),
    "model_type": ("must be a section of keys and values", "indent its keys below it"),
    "dict_type": ("must be a section of keys and values", "indent its keys below it"),
    "tuple_type": ("must be a list", "write one `- item` a line"),
    "missing": ("is required", "add it"),
    "string_too_short": ("must not be empty", "write something or leave the key out"),
    "too_short": ("must not be empty", "add an item or leave the key out"),
}
_SECRET: Final = ("token_sha256",)  # of which somebody may have pasted the token itself, and logs are read by many
_MARK: Final = re.compile(r"\[\w+\]")
_BOUNDS: Final = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}


def problems(error: ValidationError, model: type[BaseModel], lines: Mapping[Path, int]) -> tuple[Problem, ...]:
    """Every error as a problem, in the order of the schema, with its line where ``lines`` knows it."""
    errors = error.errors(include_url=False)
    return tuple(_problem(e, model, lines) for e in errors if not _follows(e, errors))


def dotted(path: Path) -> str:
    """The path as text: names joined by dots, places in lists in brackets."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "the file"


def line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    """The line of the path, or of the nearest section around it."""
    return next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)


def _follows(error: ErrorDetails, errors: Iterable[ErrorDetails]) -> bool:
    """Whether a list is only empty because its items were refused."""
    path = error["loc"]
    return error["type"] == "too_short" and any(e["loc"][: len(path)] == path for e in errors if e is not error)


def _problem(error: ErrorDetails, model: type[BaseModel], lines: Mapping[Path, int]) -> Problem:
    path = tuple(p for p in error["loc"] if not _is_mark(p))
    allowed, way_out = _told(error, model)
    absent = error["type"] in {"missing", "extra_forbidden"} and isinstance(error["input"], dict)
    untold = absent or path[-1:] == _SECRET
    return Problem(
        path=dotted(path),
        value=None if untold else shown(error["input"]),
        allowed=allowed,
        way_out=way_out,
        line=line_of(path, lines),
    )


def _told(error: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """What is allowed, and the way out."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        word, known = str(error["loc"][-1]), _known(model, error["loc"][:-1])
        return "unknown key", suggest(word, known, f"remove it; known here: {', '.join(known)}")
    if kind == "enum":
        choices = str(context["expected"])
        words = choices.replace(" or ", ", ").replace("'", "").split(", ")
        return f"must be {choices.replace(chr(39), '')}", suggest(str(error["input"]), words, "choose one of them")
    if kind == "refused":
        return str(context["allowed"]), str(context["way_out"])
    if kind in _BOUNDS:
        return _bound(kind, context)
    if kind in {"int_type", "float_type"} and (way_out := _of_digits(error["input"])):
        return _TYPES[kind][0], way_out
    return _TYPES.get(kind, (error["msg"], "change it"))


def _of_digits(value: object) -> str:
    """The way out where a value has nothing but digits and is no number all the same; empty where it has others."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "write a smaller one"  # than any number with a point can be
    if not (isinstance(value, str) and value.isascii() and value.isdecimal()):
        return ""
    if len(value) > DIGITS:
        return "write a smaller one"
    bare = value.lstrip("0") or "0"
    return "take the quotes away" if bare == value else f"write {shown(int(bare))}: no quotes, and no zeros before it"


def _bound(kind: str, context: Mapping[str, object]) -> tuple[str, str]:
    limit = next(iter(context.values()))
    return f"must be {_BOUNDS[kind]} {limit}", f"set it to a value {_BOUNDS[kind]} {limit}"


def _is_mark(part: str | int) -> bool:
    """A part of pydantic's path that stands for no key: that a key is meant, or which of several sections."""
    return isinstance(part, str) and _MARK.fullmatch(part) is not None


def _known(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that the section at ``path`` takes."""
    parts = iter(path)
    for part in parts:
        step = next((f for name, f in _fields(model) if name == part), None)
        inner = [] if step is None else list(_models(step))
        if step is None or not inner:
            return []
        if _is_container(step):
            next(parts, None)  # the key or place within it
        mark = next(parts, None) if len(inner) > 1 else None
        model = next((m for m in inner if mark == f"[{m.__name__}]"), inner[0])
    return [name for name, _ in _fields(model)]


def _fields(model: type[BaseModel]) -> Iterable[tuple[str, object]]:
    generator = model.model_config.get("alias_generator")
    for name, field in model.model_fields.items():
        alias = field.alias or (generator(name) if callable(generator) else name)
        yield alias, field.annotation


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for arg in cast("tuple[object, ...]", get_args(annotation)):
        yield from _models(arg)


def _is_container(annotation: object) -> bool:
    return get_origin(annotation) in {dict, tuple}
