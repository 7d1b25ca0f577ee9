"""One HTML file that shows a comparison, with its plots in it: nothing is fetched when it is opened."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from scaler.core.types import Seconds
from scaler.sim.compare import lies, means_of
from scaler.sim.history import QUANTILES, History
from scaler.sim.match import Row
from scaler.sim.report_tables import asked, figures, paired
from scaler.sim.scenario import Scenario

COLOURS: Final = ("#1b6ca8", "#c1440e", "#6a8f2f", "#8a5fb0", "#b8860b", "#2a9d8f", "#a23b72", "#6c757d")
HEIGHT: Final = 420
DEMAND, READY, STARTING, DRAINING = "#b5179e", "#7fb3d5", "#f0c27b", "#b8b8b8"
RULED: Final = "#888888"  # like the colours above, to be seen on white and on black
LEAST: Final = 0.1  # seconds: shorter waits stand here, for the axis is logarithmic
STYLE: Final = """\
:root { color-scheme: light dark; --ink: #222; --faint: #555; --rule: #ddd; --paper: #fff }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper) }
h1 { font-size: clamp(1.3rem, 4vw, 1.9rem); line-height: 1.25 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid var(--rule) }
th { vertical-align: bottom; font-weight: 600 }
td { white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper) }
td.text { text-align: left; white-space: normal; max-width: 26rem }
p.note { color: var(--faint); max-width: 45rem }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --faint: #a8a8a8; --rule: #3a3a3a; --paper: #16181c }
  .main-svg { background: transparent !important }
  .main-svg .bg { fill-opacity: 0 !important }
  .main-svg text { fill: var(--ink) !important }
  .main-svg .hovertext text { fill: #111 !important }
  .main-svg :is(.gridlayer, .zerolinelayer) path { stroke: var(--rule) !important }
}
"""


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
    title = html.escape(scenario.question.strip() or "A pool under several autoscalers")
    sections = (
        _section("What was asked", asked(scenario, origin), scenario.shows.strip()),
        _section("Figures", figures(told) + _lies(rows), f"{means_of(scenario.seeds)}. Price: pod-seconds, and each "
                 f"second of waiting at {scenario.wait_price:g}; beside that of the best possible, which knows all "
                 "that comes, and of the best that orders only for what waits. Hours at target: of those that it keeps "
                 f"within {scenario.target_wait:g} s for 95 % of the tasks, the share kept here."),
        _section("Ours beside each", paired(told), "By how much ours is above on the same arrivals, and between which "
                 "bounds, with 95 % confidence.") if told["paired"] else "",
        *_plots(scenario, rows, histories),
    )  # fmt: skip
    return _document(title, "".join(sections))


def _plots(scenario: Scenario, rows: Sequence[Row], histories: Mapping[str, History]) -> tuple[str, ...]:
    colour = dict(zip(histories, COLOURS * len(histories), strict=False))
    return (
        _drawn("Cost against wait", _pareto(rows, colour), "A small point a run, a large one their mean. Left is "
               "cheaper, low is faster; who is left of and below another is better at both. Hold the pointer over a "
               "point to see its price."),
        _drawn("Waits", _waits(histories, colour, scenario.target_wait), "One run of each: the share of tasks that "
               f"waited at most so long, {LEAST:g} s and less in one."),
        _drawn("Demand and supply", _supply(histories), "One run of each. Demand is tasks that run or wait, in pods; "
               "supply is pods that are ready, and on top those that start and those that drain or end."),
        _drawn("Tasks that wait", _queue(histories, colour), "One run of each: the queue."),
        _drawn("Where pods were lost", _lost(histories, colour), "Runs that were cut, added up: work that began anew. "
               "One run of each."),
        _drawn("Scaling events", _events(histories, colour), "The replicas asked for. One run of each."),
    )  # fmt: skip


def _document(title: str, body: str) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{title}</h1>{body}</body></html>\n'


def _section(title: str, content: str, note: str) -> str:
    told = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return f"<section><h2>{html.escape(title)}</h2>{told}{content}</section>"


def _drawn(title: str, figure: go.Figure, note: str) -> str:
    """A section with a plot. It has a name, for plotly would draw one, and no two pages would be the same."""
    figure.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 45, "t": 70, "b": 50},
        legend={"orientation": "h", "x": 0.0, "y": 1.0, "yref": "container", "yanchor": "top"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": RULED, "activecolor": DEMAND, "orientation": "v"},
    )
    config = {"displaylogo": False, "responsive": True}
    name = title.lower().replace(" ", "-")
    plot = figure.to_html(full_html=False, include_plotlyjs=False, config=config, div_id=name)
    return _section(title, str(plot), note)


def _lies(rows: Sequence[Row]) -> str:
    return "".join(f'<p class="note">{html.escape(line)}</p>' for line in lies(rows))


def _pareto(rows: Sequence[Row], colour: Mapping[str, str]) -> go.Figure:
    figure = go.Figure()
    for policy, of in colour.items():
        own = [row for row in rows if row.policy == policy]
        hours, waits = [row.pod_hours for row in own], [row.wait_p95_s for row in own]
        told = [f"{policy}, seed {row.seed}: price {row.price:,.0f}, {row.killed} runs cut" for row in own]
        figure.add_scatter(
            x=hours, y=waits, mode="markers", legendgroup=policy, showlegend=False, hovertext=told, hoverinfo="text",
            marker={"color": of, "size": 7, "opacity": 0.6},
        )  # fmt: skip
        figure.add_scatter(
            x=[float(np.mean(hours))], y=[float(np.mean(waits))], mode="markers+text", name=policy, text=[policy],
            textposition="top center", legendgroup=policy, hoverinfo="x+y+name", marker={"color": of, "size": 14},
        )  # fmt: skip
    figure.update_layout(height=HEIGHT, xaxis_title="pod hours", yaxis_title="p95 wait, s")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _waits(histories: Mapping[str, History], colour: Mapping[str, str], target: Seconds) -> go.Figure:
    figure, shares = go.Figure(), np.linspace(0.0, 1.0, QUANTILES + 1).tolist()
    for policy, history in histories.items():
        waits = [max(LEAST, wait) for wait in history.waits]
        figure.add_scatter(x=waits, y=shares, name=policy, line={"color": colour[policy]})
    ruled = {"dash": "dot", "color": RULED, "width": 1.5}
    figure.add_hline(y=0.95, line=ruled, annotation_text="95 %", annotation_position="top left")
    figure.add_vline(x=target, line=ruled)
    note = f"target {target:g} s"  # on a logarithmic axis a line is where it is said to be, a note at the logarithm
    figure.add_annotation(x=math.log10(target), y=0.0, text=note, showarrow=False, xanchor="left", yanchor="bottom")
    figure.update_layout(height=HEIGHT, xaxis_title="waited, s", yaxis_title="share of tasks")
    figure.update_xaxes(type="log")
    return figure


def _supply(histories: Mapping[str, History]) -> go.Figure:
    """Areas for the pods, on top of each other, and demand as a line before them; the same colours for everybody."""
    rows = len(histories)
    figure = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, subplot_titles=list(histories), vertical_spacing=0.2 / rows
    )
    for row, history in enumerate(histories.values(), start=1):
        place: dict[str, Any] = {"row": row, "col": 1, "x": history.at, "showlegend": row == 1}
        for name, pods, of in (
            ("ready", history.ready, READY),
            ("starting", history.starting, STARTING),
            ("draining or ending", history.draining, DRAINING),
        ):
            line = {"color": of, "shape": "hv", "width": 0}
            figure.add_scatter(
                y=pods, name=name, legendgroup=name, stackgroup=f"pods {row}", line=line, fillcolor=of, **place
            )
        line = {"color": DEMAND, "shape": "hv", "width": 1.2}
        figure.add_scatter(y=history.demand, name="demand", legendgroup="demand", line=line, **place)
    figure.update_layout(height=HEIGHT // 2 * max(2, rows))
    figure.update_xaxes(title_text="hours", row=rows, col=1)
    figure.update_yaxes(title_text="pods")
    return figure


def _queue(histories: Mapping[str, History], colour: Mapping[str, str]) -> go.Figure:
    figure = go.Figure()
    for policy, history in histories.items():
        line = {"color": colour[policy], "shape": "hv", "width": 1.2}
        figure.add_scatter(x=history.at, y=history.queued, name=policy, line=line)
    figure.update_layout(height=HEIGHT, xaxis_title="hours", yaxis_title="tasks that wait")
    return figure


def _lost(histories: Mapping[str, History], colour: Mapping[str, str]) -> go.Figure:
    figure = go.Figure()
    for policy, history in histories.items():
        line = {"color": colour[policy], "shape": "hv"}
        figure.add_scatter(x=history.at, y=history.killed, name=policy, line=line)
    figure.update_layout(height=HEIGHT, xaxis_title="hours", yaxis_title="runs cut so far")
    return figure


def _events(histories: Mapping[str, History], colour: Mapping[str, str]) -> go.Figure:
    figure = go.Figure()
    for policy, history in histories.items():
        at, replicas = [hours for hours, _ in history.scaled], [count for _, count in history.scaled]
        figure.add_scatter(x=at, y=replicas, name=policy, line={"color": colour[policy], "shape": "hv"})
    figure.update_layout(height=HEIGHT, xaxis_title="hours", yaxis_title="replicas")
    return figure
