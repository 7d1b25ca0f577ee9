"""What operators meet, read from the code: metrics, alerts, reasons, log events and their keys; the tables of the page.

``python -m tests.house.reference`` writes the tables of metrics, alerts and reasons anew. Those of log events and keys
have their meanings from people, so they are only checked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from prometheus_client.core import Metric

from scaler.core.reasons import RENDERINGS
from scaler.web import household
from scaler.web.metrics import POOL_FAMILIES
from scaler.web.sheet import PREFIX
from tests.house.source import ROOT, modules
from tests.web.conftest import Scaler

PAGE: Final = ROOT / "docs/operations.md"
RULES: Final = ROOT / "manifests/observability/rules.yaml"
LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
LOGGERS: Final = {"LOG", "_log", "_line"}


def metrics() -> dict[str, tuple[str, ...]]:
    """Every metric by its name: type, labels and help."""
    told = {name: row for family in household.registry(Scaler().running()).collect() for name, row in _rows(family)}
    for short, family in POOL_FAMILIES.items():
        kind = "counter" if short.endswith("_total") else "gauge"
        told[PREFIX + short] = (kind, ", ".join(("pool_namespace", "pool", *family.labels)), family.help)
    return told


def _rows(family: Metric) -> Iterator[tuple[str, tuple[str, ...]]]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels: tuple[str, ...] = getattr(family, "_labelnames", ())
    yield name, (family.type, ", ".join(labels), family.documentation)


def reasons() -> dict[str, tuple[str, ...]]:
    """Every reason: its Event and its sentence."""
    return {reason.value: (told.event, told.sentence) for reason, told in RENDERINGS.items()}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it ships; ``lasts`` is for how long its expression must hold, and ``says`` all that people read."""

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    says: str


def alerts() -> list[Alert]:
    """Every alert that ships."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return [_alert(rule, rule["annotations"]) for rule in rules]


def _alert(rule: dict[str, str], said: dict[str, str]) -> Alert:
    severity = yaml.safe_load(str(rule["labels"]))["severity"]
    says = " ".join(said.values())
    return Alert(rule["alert"], rule["expr"], rule.get("for", "0m"), severity, said["summary"], says)


@dataclass(frozen=True, slots=True)
class Line:
    """One place in the code that logs."""

    where: str
    event: str
    level: str
    keys: tuple[str, ...]


def lines() -> list[Line]:
    """Every place in the package that logs."""
    return [line for module in modules("scaler") for line in _lines(module)]


def _lines(module: Path) -> Iterator[Line]:
    tree = ast.parse(module.read_text())
    constants = dict(_constants(tree.body))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        known = constants | dict(_constants(ast.walk(function)))
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Attribute) and _logs(call.func):
                where = f"{module.relative_to(ROOT)}:{call.lineno}"
                yield Line(where, _text(call.args[0], known), LEVELS[call.func.attr], tuple(_keys(call, tree)))


def _logs(function: ast.Attribute) -> bool:
    """Whether this is a method of a logger that writes a line."""
    owner = function.value.func if isinstance(function.value, ast.Call) else function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
    return function.attr in LEVELS and name in LOGGERS


def _constants(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Names that stand for a text."""
    for node in nodes:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
            ):
                yield name, text
            case _:
                pass


def _text(event: ast.expr, known: dict[str, str]) -> str:
    """The event, where it is a constant; otherwise the code that makes it."""
    if isinstance(event, ast.Constant):
        return str(event.value)
    return known.get(event.id, event.id) if isinstance(event, ast.Name) else ast.unparse(event)


def _keys(call: ast.Call, tree: ast.Module) -> Iterator[str]:
    """The keys of a line: its keywords, those of ``extra``, and those that its logger was bound to."""
    assert isinstance(call.func, ast.Attribute)
    bound = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _binds(node)]
    calls = [call, *(bound if isinstance(call.func.value, ast.Call) else ())]
    for keyword in (keyword for each in calls for keyword in each.keywords):
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
            yield from (str(ast.literal_eval(key)) for key in keyword.value.keys if key is not None)
        elif keyword.arg not in {"exc_info", None}:
            yield str(keyword.arg)


def _binds(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "bind"


def table(page: str, name: str) -> list[tuple[str, ...]]:
    """The rows of a table of the page, cell by cell, without its head."""
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert found is not None, f"the page has no table of {name}"
    rows = [row.strip("|").split("|") for row in found[1].strip().splitlines()]
    return [tuple(cell.strip() for cell in row) for row in rows[2:]]


def written(page: str) -> str:
    """The page with its tables of metrics, alerts and reasons as the code has them."""
    told = {f"`{name}`": _cells(row) for name, row in metrics().items()}
    page = _put(page, "metrics", ("metric", "type", "labels", "meaning"), told)
    raised = {f"`{each.name}`": (each.severity, each.lasts, _plain(each.summary)) for each in alerts()}
    page = _put(page, "alerts", ("alert", "severity", "after", "meaning"), raised)
    return _put(page, "reasons", ("reason", "Event", "meaning"), {f"`{name}`": row for name, row in reasons().items()})


def _plain(summary: str) -> str:
    """A summary for a page: what stands in the place of a figure or a label is named by it."""
    return re.sub(r"{{ \$(?:labels\.)?(\w+) }}", lambda m: f"*{m[1]}*", summary)


def _cells(row: tuple[str, ...]) -> tuple[str, ...]:
    kind, labels, help_ = row
    return kind, ", ".join(f"`{label}`" for label in labels.split(", ") if label), help_


def _put(page: str, name: str, head: tuple[str, ...], rows: Mapping[str, tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *((key, *row) for key, row in rows.items())]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return re.sub(f"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
