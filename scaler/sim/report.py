"""One HTML file that shows a comparison, with its plots in it: nothing is fetched when it is opened.

The answer comes first, then the figures, then what happened, and last what was asked.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from scaler.core.wording import counted, figure
from scaler.sim import report_plots as plots
from scaler.sim.compare import lies, means_of
from scaler.sim.history import History
from scaler.sim.match import Row
from scaler.sim.report_tables import asked, figures, paired
from scaler.sim.scenario import Scenario
from scaler.sim.verdict import Verdict, hours, lasting, verdict

CONFIG: Final = {
    "displaylogo": False,
    "showSendToCloud": False,  # a button that uploads the figures, and is there by default
    "responsive": True,
    "modeBarButtonsToRemove": ["zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
PANEL: Final = (  # what is what in a panel
    *((plots.READY, "pods ready"), (plots.STARTING, "pods starting"), (plots.DRAINING, "pods draining or ending")),
    *((plots.DEMAND, "demand in pods; below, the queue"), (plots.CUT, "✖ runs cut")),
    *((plots.UP, "more replicas"), (plots.DOWN, "fewer replicas")),
)


def page(
    scenario: Scenario,
    rows: Sequence[Row],
    told: Mapping[str, object],
    histories: Mapping[str, History],
    origin: Callable[[str], str] = lambda _: "",
) -> str:
    """The whole file.

    Args:
        scenario: what was asked.
        rows: one for each policy and seed.
        told: the summary of ``compare.summary``.
        histories: of one run of each policy, by its name.
        origin: what has set a key of the scenario that is not as it is by default.
    """
    looks, found = plots.looks([*histories]), verdict(scenario, told)
    marks = {policy: (look.colour, look.mark) for policy, look in looks.items()}
    sections = (
        _answer(found, told),
        section("Side by side", figures(scenario, told, marks, found.pick) + _lies(rows) + _reading(scenario),
                 f"{means_of(scenario.seeds)}. Red misses the target, or loses work."),
        section("Ours beside each", paired(told), "By how much ours is above the other on the same arrivals, and "
                 "between which bounds, with 95 % confidence.") if told["paired"] else "",
        *_drawings(scenario, rows, histories, looks),
        section("What was asked", asked(scenario, origin), scenario.shows.strip()),
    )  # fmt: skip
    title = html.escape(scenario.question.strip() or "How many pods, at which wait?")
    return document(title, f'<p class="facts">{html.escape(_facts(scenario, rows))}</p>{"".join(sections)}')


def _facts(scenario: Scenario, rows: Sequence[Row]) -> str:
    """The work and the pool in a line."""
    tasks = sum(row.tasks for row in rows) / len(rows)
    work = scenario.trace or scenario.rate
    slots = f"{scenario.slots} task{'s at once' if scenario.slots > 1 else ''} a pod"
    return " · ".join(
        (
            f"{counted(tasks, 'task')}{f' of {work.name}' if isinstance(work, Path) else ''}",
            slots,
            f"starts of {scenario.startup}",
            f"{scenario.min} to {scenario.max} pods",
            f"target: 95 % of tasks wait at most {lasting(scenario.target_wait)}",
            means_of(scenario.seeds).lower(),
        )
    )


def _answer(found: Verdict, told: Mapping[str, object]) -> str:
    """Whom to take, and its figures on cards."""
    means: Any = told["policies"]
    of = means[found.pick]
    cards = [
        ("pods at most", figure(of["pods_peak"]), False),
        ("pod hours", hours(of["pod_hours"]), False),
        *([] if of["money"] is None else [("money", f"{of['money']:,.2f}", False)]),
        ("95 % of tasks wait at most", lasting(of["wait_p95_s"]), not found.keeps and not of["killed"]),
        ("runs cut", figure(of["killed"]), bool(of["killed"])),
    ]
    first, *more = found.lines
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in (first[0].upper() + first[1:], *more))
    drawn = "".join(
        f"<div><dd{' class=bad' if bad else ''}>{figure}</dd><dt>{html.escape(found.pick)}: {name}</dt></div>"
        for name, figure, bad in cards
    )
    return f'<div class="answer{"" if found.keeps else " fails"}">{lines}</div><dl class="cards">{drawn}</dl>'


def _reading(scenario: Scenario) -> str:
    told = (
        "Pods at most: the most that any run asked for at once. Waits: from a task's arrival to the run that counts. "
        f"Price: pod-seconds, and each second of waiting at {scenario.wait_price:g}; "
        "beside it, that over the best possible, which knows all that comes, and over the best that orders only for "
        f"what waits. Hours at target: of those that it keeps within {lasting(scenario.target_wait)} for 95 % of the "
        "tasks, the share kept here. Quick turns: rises that were taken back at once. Starts in vain: pods that never "
        "ran a task."
    )
    return f"<details><summary>What the columns mean</summary><p>{html.escape(told)}</p></details>"


def _drawings(
    scenario: Scenario, rows: Sequence[Row], histories: Mapping[str, History], looks: plots.Looks
) -> tuple[str, ...]:
    cut = any(history.killed[-1] for history in histories.values())
    return (
        section("Cost against wait", plot("cost-against-wait", plots.pareto(rows, looks, scenario.target_wait)),
                 "A small mark a run, a large one their mean. Left is cheaper, low is faster; who is left of and below "
                 "another is better at both. Hold the pointer over a mark to see its price."),
        section("Waits", plot("waits", plots.waits(histories, looks, scenario.target_wait)),
                 f"Run 1 of each: the share of tasks that waited at most so long, {plots.LEAST:g} s and less in one. "
                 "The higher on the left, the better."),
        section("Demand, supply and scaling events", _panels(histories, looks), "Run 1 of each, all on the same axes. "
                 "Demand is tasks that run or wait, in pods; where it stands above the pods, tasks wait."),
        section("Where pods were lost", plot("where-pods-were-lost", plots.lost(histories, looks)),
                 "Run 1 of each: runs that were cut, added up. Their work began anew.") if cut else
        section("Where pods were lost", "", "Nowhere: in run 1 of each, no run was cut."),
    )  # fmt: skip


def _panels(histories: Mapping[str, History], looks: plots.Looks) -> str:
    legend = "".join(f'<li><i style="background:{colour}"></i>{name}</li>' for colour, name in PANEL)
    drawn = "".join(
        f'<figure><figcaption><span style="color:{looks[policy].colour}">{looks[policy].mark}</span> '
        f"{html.escape(policy)}</figcaption>"
        f"{plot(f'panel-{policy}', plots.panel(history, histories.values()))}</figure>"
        for policy, history in histories.items()
    )
    alone = " one" if len(histories) == 1 else ""
    return f'<ul class="legend">{legend}</ul><div class="panels{alone}">{drawn}</div>'


def document(title: str, body: str) -> str:
    """A whole file, with all that it needs."""
    style = files("scaler.sim").joinpath("report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style><script>{get_plotlyjs()}</script>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{title}</h1>{body}</body></html>\n'


def section(title: str, content: str, note: str) -> str:
    """A part of it, with a note on how it is read."""
    told = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return f"<section><h2>{html.escape(title)}</h2>{told}{content}</section>"


def plot(name: str, figure: go.Figure) -> str:
    """A plot. It has a name, for plotly would draw one, and no two pages would be the same."""
    figure.update_layout(
        template="plotly_white",
        margin={"l": 62, "r": 12, "t": 28, "b": 48},
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "x": 0.0, "y": -0.18, "yanchor": "top"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": plots.RULED, "activecolor": plots.RULED},
    )
    figure.update_xaxes(automargin=True, ticks="outside", ticklen=6, tickcolor="rgba(0,0,0,0)")
    figure.update_yaxes(automargin=True)
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name))


def _lies(rows: Sequence[Row]) -> str:
    return "".join(f'<p class="note">{html.escape(line)}</p>' for line in lies(rows))
