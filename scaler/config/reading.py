"""YAML as a configuration is written in it: the 1.2 core schema, no key twice, no aliases, every key with its line.

In YAML 1.1, which the parser speaks by default, ``mode: off`` is false and ``from: 18:00`` is 1080; here both are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from scaler.config.blame import Path, dotted
from scaler.config.problems import DIGITS, ConfigError, Problem

LARGEST = 1_048_576  # bytes: what a ConfigMap holds
DEEPEST = 64  # sections within sections that are read fast; no file that means something has more than a dozen

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says; on which line each key and item stands, by its path; and what its keys themselves do wrong."""

    value: Plain
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...] = ()


def read_yaml(text: str) -> Document:
    """Read one document.

    Raises:
        ConfigError: not one YAML document, or larger than a ConfigMap may be.
    """
    size = len(text.encode())
    if size > LARGEST:
        allowed = f"must be at most {LARGEST} bytes, which is what a ConfigMap holds"
        raise _alone("the file", f"{size} bytes", allowed, "move what pools share into a class", None)
    walk = _Walk()
    value = walk.value(_compose(text), ())
    return Document(value, walk.lines, tuple(walk.problems))


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the parser's own name


class _FastLoader(yaml.CSafeLoader):
    """The same on libyaml: ten times as fast, and less clear about what is wrong."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(rf"[-+]?(0|[1-9]\d{{0,{DIGITS - 1}}})\Z"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.\d*([eE][-+]?\d{1,3})?|\.\d+([eE][-+]?\d{1,3})?|\d+[eE][-+]?\d{1,3})\Z"),
    list("-+.0123456789"),
)


def _compose(text: str) -> yaml.Node | None:
    """The document's nodes. What the fast loader stumbles over is read again by the one that can tell what it is."""
    try:
        if _is_flat(text):
            return _node(_FastLoader(text))
    except (yaml.YAMLError, ValueError):
        pass
    return _compose_slowly(text)


def _is_flat(text: str) -> bool:
    """Whether nothing is nested so deeply that libyaml, which counts no calls, might run out of stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return False
    return True


def _node(loader: _Loader | _FastLoader) -> yaml.Node | None:
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _compose_slowly(text: str) -> yaml.Node | None:
    try:
        return _node(_Loader(text))
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise _alone("the file", None, f"is not YAML: {error.problem}", "correct it", line) from None
    except yaml.YAMLError as error:
        raise _alone("the file", None, f"is not YAML: {error}", "correct it", None) from None
    except RecursionError:
        raise _alone("the file", None, "is nested too deeply", "flatten it", None) from None


class _Walk:
    """Turns nodes into values, and notes lines and faulty keys on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()  # an alias is a node that is met again

    def value(self, node: yaml.Node | None, path: Path) -> Plain:
        if node is None:
            return None
        line = self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:
            self._blame(path, "is an alias, which is not read", "put what pools share into a class", line)
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._section(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _section(self, node: yaml.MappingNode, path: Path) -> dict[str, Plain]:
        section: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._blame((*path, "?"), "a key must be text", "write it on one line", line)
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in section:
                first = self.lines[here]
                self._blame(here, f"stands twice, first on line {first}", "keep one of the two", line)
                continue
            self.lines[here] = line
            section[key] = self.value(value_node, here)
        return section

    def _scalar(self, node: yaml.Node, path: Path) -> Plain:
        kind = node.tag.rpartition(":")[2]
        text = str(node.value)
        if kind == "str":
            return text
        if kind == "null":
            return None
        try:
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text)
        except ValueError:
            pass  # an explicit tag on text that is no such thing
        self._blame(path, f"has the tag {node.tag}, which is not read", "remove it", node.start_mark.line + 1)
        return None

    def _blame(self, path: Path, allowed: str, way_out: str, line: int) -> None:
        self.problems.append(Problem(path=dotted(path), value=None, allowed=allowed, way_out=way_out, line=line))


def _alone(path: str, value: str | None, allowed: str, way_out: str, line: int | None) -> ConfigError:
    return ConfigError([Problem(path=path, value=value, allowed=allowed, way_out=way_out, line=line)])
