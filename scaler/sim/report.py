"""One HTML file that shows a comparison, with its plots in it: nothing is fetched when it is opened."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from scaler.sim.history import QUANTILES, History
from scaler.sim.match import Row
from scaler.sim.scenario import Scenario

COLOURS: Final = ("#1b6ca8", "#c1440e", "#6a8f2f", "#8a5fb0", "#b8860b", "#2a9d8f", "#a23b72", "#6c757d")
HEIGHT: Final = 420
STYLE: Final = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
p.note { color: #555 }
"""
FIGURES: Final = (
    *(("tasks", "tasks", 0), ("killed", "runs cut", 1), ("wait_p50_s", "p50 wait, s", 1)),
    *(("wait_p95_s", "p95 wait, s", 1), ("wait_p99_s", "p99 wait, s", 1), ("pod_hours", "pod hours", 1)),
    *(("price", "price", 0), ("price_over_opt_w", "/ best", 2), ("price_over_opt_blind", "/ best blind", 2)),
    *(("quick_reversals_per_hour", "turns per hour", 2), ("wasted_starts", "wasted starts", 1)),
)


def page(scenario: Scenario, rows: Sequence[Row], told: Mapping[str, object], histories: Mapping[str, History]) -> str:
    """The whole file.

    Args:
        scenario: what was asked.
        rows: one for each policy and seed.
        told: the summary of ``compare.summary``.
        histories: of one run of each policy, by its name.
    """
    title = html.escape(scenario.question.strip() or "A pool under several autoscalers")
    colour = dict(zip(histories, COLOURS * len(histories), strict=False))
    sections = (
        _section("Figures", _table(told), f"Means of {scenario.seeds} runs. Price: pod-seconds, and each second of "
                 f"waiting at {scenario.wait_price:g}; beside that of the best possible, which knows all that comes, "
                 "and of the best without foresight."),
        _section("Cost against wait", _plot(_pareto(rows, colour)), "A point a run. Left is cheaper, low is faster; "
                 "who is left of and below another is better at both."),
        _section("Waits", _plot(_waits(histories, colour)), "The share of tasks that waited at most so long."),
        _section("Demand and supply", _plot(_supply(histories, colour)), "One run of each. Demand is tasks that run "
                 "or wait, in pods; supply is pods that are ready, and those that start on top."),
        _section("Where pods were lost", _plot(_lost(histories, colour)), "Runs that were cut, added up: work that "
                 "began anew."),
        _section("Scaling events", _plot(_events(histories, colour)), "The replicas that were asked for."),
    )  # fmt: skip
    return _document(title, "".join(sections))


def _document(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{title}</h1>{body}</body></html>\n'


def _section(title: str, content: str, note: str) -> str:
    return f'<section><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>{content}</section>'


def _plot(figure: go.Figure) -> str:
    figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 30, "b": 50})
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _table(told: Mapping[str, object]) -> str:
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    head = "".join(f"<th>{name}</th>" for name in ("policy", *(name for _, name, _ in FIGURES)))
    lines = (
        f"<tr><td>{html.escape(policy)}</td>"
        + "".join(f"<td>{_shown(figures[key], decimals)}</td>" for key, _, decimals in FIGURES)
        + "</tr>"
        for policy, figures in means.items()
    )
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _shown(figure: float | None, decimals: int) -> str:
    return "" if figure is None else f"{figure:,.{decimals}f}"


def _pareto(rows: Sequence[Row], colour: Mapping[str, str]) -> go.Figure:
    figure = go.Figure()
    for policy, of in colour.items():
        own = [row for row in rows if row.policy == policy]
        hours, waits = [row.pod_hours for row in own], [row.wait_p95_s for row in own]
        figure.add_scatter(x=hours, y=waits, mode="markers", name=policy, marker={"color": of, "size": 11})
    figure.update_layout(height=HEIGHT, xaxis_title="pod hours", yaxis_title="p95 wait, s")
    return figure


def _waits(histories: Mapping[str, History], colour: Mapping[str, str]) -> go.Figure:
    figure, shares = go.Figure(), np.linspace(0.0, 1.0, QUANTILES + 1).tolist()
    for policy, history in histories.items():
        figure.add_scatter(x=history.waits, y=shares, name=policy, line={"color": colour[policy]})
    figure.update_layout(height=HEIGHT, xaxis_title="waited, s", yaxis_title="share of tasks")
    return figure


def _supply(histories: Mapping[str, History], colour: Mapping[str, str]) -> go.Figure:
    figure = make_subplots(rows=len(histories), cols=1, shared_xaxes=True, subplot_titles=list(histories))
    for row, (policy, history) in enumerate(histories.items(), start=1):
        total = [ready + starting for ready, starting in zip(history.ready, history.starting, strict=True)]
        lines = (("demand", history.demand, "#999"), ("ready", history.ready, colour[policy]))
        figure.add_scatter(
            x=history.at, y=total, row=row, col=1, name="starting", fill="tozeroy", showlegend=False,
            line={"color": "#ddd", "shape": "hv"},
        )  # fmt: skip
        for name, values, of in lines:
            line = {"color": of, "shape": "hv", "width": 1.2}
            figure.add_scatter(x=history.at, y=values, row=row, col=1, name=name, line=line, showlegend=False)
    figure.update_layout(height=HEIGHT // 2 * max(2, len(histories)))
    figure.update_xaxes(title_text="hours", row=len(histories), col=1)
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
