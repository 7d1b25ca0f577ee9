"""The tables of a report: what was asked, what came of it, and ours beside each of the others."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scaler.config.knobs import Section
from scaler.sim.scenario import Scenario

FIGURES: Final = (
    *(("tasks", "tasks", 0), ("unfinished", "never done", 1), ("killed", "runs cut", 1)),
    ("wait_p50_s", "p50 wait, s", 1),
    *(("wait_p95_s", "p95 wait, s", 1), ("wait_p99_s", "p99 wait, s", 1), ("pod_hours", "pod hours", 1)),
    *(("price", "price", 0), ("price_over_opt_w", "/ best", 2), ("price_over_opt_blind", "/ best blind", 2)),
    ("hours_at_target", "hours at target", 2),
    *(("quick_reversals_per_hour", "turns per hour", 2), ("wasted_starts", "wasted starts", 1)),
)
BOUNDED: Final = ("mean", "low", "high")
ALWAYS: Final = ("trace", "rate", "durations", "slots", "startup", "min", "max", "target_wait", "policies", "seeds")
TOLD_ELSEWHERE: Final = ("question", "shows", "expect")
SECONDS: Final = ("begins", "lasts", "longest", "target_wait")
MANY: Final = 8  # points of a curve, or tasks, of which a table does not tell each


def asked(scenario: Scenario, origin: Callable[[str], str]) -> str:
    """What was simulated: the work, the pool, and whatever else is not as it is by default; and what has set it."""
    usual, lines = Scenario(), []
    for key, of in Scenario.model_fields.items():
        value = getattr(scenario, key)
        differs = value != getattr(usual, key)
        if key not in TOLD_ELSEWHERE and value is not None and (differs or key in ALWAYS):
            by = origin(key) if differs else "default"
            lines.append([key, _said(key, value), of.description or "", by])
    return _table(("key", "value", "what it is", "set by"), lines, text=3)


def _said(key: str, value: Any) -> str:  # noqa: ANN401 - a key of a scenario takes many kinds
    """A value for a reader."""
    if isinstance(value, Path):
        return value.name
    if key in SECONDS:
        return f"{value:g} s"
    if isinstance(value, tuple):
        return f"{len(value)} of them" if len(value) > MANY else ", ".join(map(_item, value))
    if isinstance(value, Section):
        return ", ".join(f"{name}: {inner}" for name, inner in value.model_dump(mode="json").items() if inner)
    return str(getattr(value, "value", value))


def _item(item: object) -> str:
    return f"[{', '.join(f'{number:g}' for number in item)}]" if isinstance(item, tuple) else str(item)


def figures(told: Mapping[str, object]) -> str:
    """A line a policy, without the figures that nobody has."""
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    known = [row for row in FIGURES if any(figures[row[0]] is not None for figures in means.values())]
    lines = ([policy, *(_shown(of[key], decimals) for key, _, decimals in known)] for policy, of in means.items())
    return _table(("policy", *(name for _, name, _ in known)), lines)


def paired(told: Mapping[str, object]) -> str:
    """A line a peer: how far ours is above it on the same seeds, and between which bounds."""
    pairs = told["paired"]
    assert isinstance(pairs, dict)  # noqa: S101 - summary made it
    lines = (
        [peer, _percent(of["price"]), _percent(of["pod_hours"]), _bounded(of["wait_p95_s"], 1.0, "{:+.1f}")]
        for peer, of in pairs.items()
    )
    return _table(("ours beside", "price, %", "pod hours, %", "p95 wait, s"), lines)


def _percent(figure: Mapping[str, float | None]) -> str:
    return _bounded(figure, 100.0, "{:+.1f}")


def _bounded(figure: Mapping[str, float | None], times: float, form: str) -> str:
    """A mean, and where there are any the bounds of its interval."""
    mean, *bounds = (None if (value := figure[name]) is None else form.format(times * value) for name in BOUNDED)
    return (mean or "") + (f" ({' to '.join(map(str, bounds))})" if None not in bounds else "")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], *, text: int = 0) -> str:
    """A table; so many columns after the first are text, not figures."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    marks = ["", *[' class="text"'] * text, *[""] * len(heads)]
    body = "".join(
        f"<tr>{''.join(f'<td{mark}>{html.escape(cell)}</td>' for mark, cell in zip(marks, line, strict=False))}</tr>"
        for line in lines
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _shown(figure: float | None, decimals: int) -> str:
    return "" if figure is None else f"{figure:,.{decimals}f}"
