"""The tables of a report: what was asked, what came of it, and ours beside each of the others."""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from scaler.config.knobs import Section
from scaler.sim.scenario import Scenario

FIGURES: Final = (  # group, figure, heading, decimals, and by what it is multiplied
    ("Pods", "pods_peak", "at most", 0, 1),
    ("Pods", "pod_hours", "pod hours", 1, 1),
    ("Pods", "money", "money", 2, 1),
    ("Waits, s", "wait_p50_s", "50 % at most", 1, 1),
    ("Waits, s", "wait_p95_s", "95 % at most", 1, 1),
    ("Waits, s", "wait_p99_s", "99 % at most", 1, 1),
    ("Waits, s", "hours_at_target", "hours at target, %", 0, 100),
    ("Tasks", "killed", "runs cut", 1, 1),
    ("Tasks", "unfinished", "never done", 1, 1),
    ("Price", "price", "pod-seconds", 0, 1),
    ("Price", "price_over_opt_w", "over best", 2, 1),
    ("Price", "price_over_opt_blind", "over best blind", 2, 1),
    ("Calm", "quick_reversals_per_hour", "quick turns an hour", 1, 1),
    ("Calm", "wasted_starts", "starts in vain", 0, 1),
)
BOUNDED: Final = ("mean", "low", "high")
ALWAYS: Final = ("trace", "rate", "durations", "slots", "startup", "min", "max", "target_wait", "policies", "seeds")
TOLD_ELSEWHERE: Final = ("question", "shows", "expect")
SECONDS: Final = ("begins", "lasts", "longest", "target_wait")
MANY: Final = 8  # points of a curve, or tasks, of which a table does not tell each


def asked(scenario: Scenario, origin: Callable[[str], str], over: Mapping[str, str] = MappingProxyType({})) -> str:
    """What was simulated: the work, the pool, and whatever else is not as it is by default; and what has set it.

    ``over`` has the values of what a sweep went over, by its key.
    """
    usual, lines = Scenario(), []
    for key, of in Scenario.model_fields.items():
        value = getattr(scenario, key)
        differs = value != getattr(usual, key)
        if key not in (*TOLD_ELSEWHERE, *over) and value is not None and (differs or key in ALWAYS):
            by = origin(key) if differs else "default"
            lines.append([key, _said(key, value), of.description or "", by])
    lines += [[key, values, _described(key), "--over"] for key, values in over.items()]
    return _table(("key", "value", "what it is", "set by"), lines, text=3)


def _described(key: str) -> str:
    """What a key of a scenario is; of one within a section, what the section is."""
    return Scenario.model_fields[key.partition(".")[0]].description or ""


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


def figures(scenario: Scenario, told: Mapping[str, object], marks: Mapping[str, tuple[str, str]], pick: str) -> str:
    """A line a policy with its mark, without the figures that nobody has; what is bad is marked, and whom to take."""
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    known = [row for row in FIGURES if any(_is_told(row[1], of[row[1]]) for of in means.values())]
    first = [place == 0 or known[place - 1][0] != row[0] for place, row in enumerate(known)]
    groups = "".join(
        f'<th class="group begins" colspan="{len([*of])}">{html.escape(group)}</th>'
        for group, of in itertools.groupby(known, lambda row: row[0])
    )
    heads = "".join(
        f"<th{_classes(begins='begins' if begins else '')}>{html.escape(head)}</th>"
        for (_, _, head, *_), begins in zip(known, first, strict=True)
    )
    body = ""
    for policy, of in means.items():
        colour, mark = marks.get(policy, ("inherit", ""))
        cells = "".join(
            f"<td{_classes(begins='begins' if begins else '', bad='bad' if _is_bad(scenario, key, of[key]) else '')}>"
            f"{_shown(of[key], decimals, times)}</td>"
            for (_, key, _, decimals, times), begins in zip(known, first, strict=True)
        )
        name = f'<span style="color:{colour}">{mark}</span> {html.escape(policy)}'
        body += f'<tr{_classes(pick="pick" if policy == pick else "")}><th scope="row">{name}</th>{cells}</tr>'
    head = f'<thead><tr><th rowspan="2">policy</th>{groups}</tr><tr>{heads}</tr></thead>'
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


def _is_told(key: str, value: float | None) -> bool:
    return bool(value) if key == "unfinished" else value is not None


def _is_bad(scenario: Scenario, key: str, value: float | None) -> bool:
    return value is not None and value > {"wait_p95_s": scenario.target_wait, "killed": 0, "unfinished": 0}.get(
        key, inf
    )


def _classes(**named: str) -> str:
    given = " ".join(filter(None, named.values()))
    return f' class="{given}"' if given else ""


def paired(told: Mapping[str, object]) -> str:
    """A line a peer: how far ours is above it on the same seeds, and between which bounds."""
    pairs = told["paired"]
    assert isinstance(pairs, dict)  # noqa: S101 - summary made it
    lines = (
        [
            peer,
            _percent(of["price"]),
            _percent(of["pod_hours"]),
            _bounded(of["wait_p95_s"], 1.0, "{:+.1f}"),
            _says(of["price"]),
        ]
        for peer, of in pairs.items()
    )
    return _table(("ours beside", "price, %", "pod hours, %", "p95 wait, s", "by price"), lines)


def _says(price: Mapping[str, float | None]) -> str:
    low, high = price["low"], price["high"]
    if low is None or high is None or low <= 0.0 <= high:
        return "cannot be told" if price["mean"] is not None else ""
    return "ours is cheaper" if high < 0.0 else "ours is dearer"


def _percent(figure: Mapping[str, float | None]) -> str:
    return _bounded(figure, 100.0, "{:+.1f}")


def _bounded(figure: Mapping[str, float | None], times: float, form: str) -> str:
    """A mean, and where there are any the bounds of its interval."""
    mean, *bounds = (None if (value := figure[name]) is None else form.format(times * value) for name in BOUNDED)
    return (mean or "") + (f" ({' to '.join(map(str, bounds))})" if None not in bounds else "")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], *, text: int = 0) -> str:
    """A table; so many columns after the first are text, not figures."""
    marks = ["", *[' class="text"'] * text, *[""] * len(heads)]
    head = "".join(f"<th{mark}>{html.escape(name)}</th>" for mark, name in zip(marks, heads, strict=False))
    body = "".join(
        f"<tr>{''.join(f'<td{mark}>{html.escape(cell)}</td>' for mark, cell in zip(marks, line, strict=False))}</tr>"
        for line in lines
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _shown(figure: float | None, decimals: int, times: float) -> str:
    return "-" if figure is None else f"{times * figure:,.{decimals}f}"
