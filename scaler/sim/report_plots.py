"""The plots of a report. A policy has its colour, dash and mark in all of them: any one of the three tells it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scaler.core.types import Seconds
from scaler.sim.history import QUANTILES, History
from scaler.sim.match import Row
from scaler.sim.verdict import hours

READY, STARTING, DRAINING, DEMAND, CUT = "#8fc1e3", "#e6a532", "#9a9a9a", "#c2187f", "#d62728"
UP, DOWN, RULED = "#1a7fc4", "#d55e00", "#888888"  # like all colours here, to be seen on white and on black
RULE: Final = {"dash": "dot", "color": RULED, "width": 1.5}
HEIGHT: Final = 420
LEAST: Final = 0.1  # seconds: shorter waits stand here, for the axis is logarithmic
COARSE: Final = (0.1, 1, 10, 60, 600, 3600, 36_000, 360_000)
FINE: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000, 86_400)
FEW_PODS: Final = 6
DECADES: Final = 2.3  # that an axis spans with fine marks
UNITS: Final = ((96.0, 1 / 24, "days"), (2.0, 1.0, "hours"), (0.0, 60.0, "minutes"))  # from so many hours on


@dataclass(frozen=True, slots=True)
class Look:
    """What a policy is known by."""

    colour: str
    dash: str
    symbol: str
    mark: str  # the symbol, as a letter


LOOKS: Final = (
    Look("#1a7fc4", "solid", "circle", "●"),
    Look("#d55e00", "dash", "square", "■"),
    Look("#009e73", "dot", "triangle-up", "▲"),
    Look("#c678a5", "dashdot", "diamond", "◆"),
    Look("#c98a00", "longdash", "triangle-down", "▼"),
    Look("#3fa7dd", "longdashdot", "cross", "✚"),
    Look("#7d7d7d", "dash", "x", "✖"),
    Look("#8a63d2", "dot", "star", "★"),
)
Looks = Mapping[str, Look]


def looks(policies: Sequence[str]) -> dict[str, Look]:
    """One for each."""
    return {policy: LOOKS[place % len(LOOKS)] for place, policy in enumerate(policies)}


def pareto(rows: Sequence[Row], looks: Looks, target: Seconds) -> go.Figure:
    """What each took against how long its tasks waited."""
    figure, means = go.Figure(), []
    for policy, look in looks.items():
        own = [row for row in rows if row.policy == policy]
        pods, waits = [row.pod_hours for row in own], [max(LEAST, row.wait_p95_s) for row in own]
        told = [f"{policy}, seed {row.seed}: price {row.price:,.0f}, {row.killed} runs cut" for row in own]
        marker = {"color": look.colour, "symbol": look.symbol, "size": 7, "opacity": 0.5}
        figure.add_scatter(x=pods, y=waits, mode="markers", hovertext=told, hoverinfo="text", marker=marker)
        means.append((float(np.mean(pods)), max(LEAST, float(np.mean([row.wait_p95_s for row in own]))), policy))
    for (mean, wait, policy), place in zip(means, _places(means), strict=True):
        look = looks[policy]
        named = f"{policy}: {hours(mean)} pod hours, 95 % wait at most {wait:,.1f} s"
        figure.add_scatter(
            x=[mean], y=[wait], mode="markers+text", name=policy, text=[policy], textposition=place, hovertext=named,
            hoverinfo="text", marker={"color": look.colour, "symbol": look.symbol, "size": 14}, cliponaxis=False,
        )  # fmt: skip
    figure.add_hline(y=target, line=RULE)
    _note(figure, f"target {target:g} s", x=1.0, y=math.log10(target), xref="paper", xanchor="right")
    figure.update_layout(
        height=HEIGHT, showlegend=False, xaxis_title="pod hours", yaxis_title="95 % of tasks waited at most"
    )
    figure.update_yaxes(**_waiting([target, *(max(LEAST, row.wait_p95_s) for row in rows)]))
    low, high = min(row.pod_hours for row in rows), max(row.pod_hours for row in rows)
    margin = max(0.08 * (high - low), 0.05 * high)  # so that names at the rim are whole
    figure.update_xaxes(range=[max(0.0, low - margin), high + margin])
    return figure


def _places(means: Sequence[tuple[float, float, str]]) -> list[str]:
    """Where each name stands at its mark: names of neighbours by turns above and below."""
    turns = {policy: turn % 2 for turn, (*_, policy) in enumerate(sorted(means))}
    return ["bottom center" if turns[policy] else "top center" for *_, policy in means]


def waits(histories: Mapping[str, History], looks: Looks, target: Seconds) -> go.Figure:
    """Which share of the tasks waited at most so long."""
    figure, shares = go.Figure(), np.linspace(0.0, 1.0, QUANTILES + 1).tolist()
    for policy, history in histories.items():
        waited = [max(LEAST, wait) for wait in history.waits]
        figure.add_scatter(x=waited, y=shares, name=policy, line=_line(looks[policy]))
    figure.add_hline(y=0.95, line=RULE)
    figure.add_vline(x=target, line=RULE)
    _note(figure, "95 %", x=1.0, y=0.95, xref="paper", xanchor="right", yanchor="top")
    # on a logarithmic axis a line is where it is said to be, a note at the logarithm
    _note(figure, f"target {target:g} s", x=math.log10(target), y=0.0, xanchor="left")
    figure.update_layout(height=HEIGHT, xaxis_title="waited at most", yaxis_title="share of tasks")
    figure.update_xaxes(**_waiting([LEAST, target, *(max(LEAST, history.waits[-1]) for history in histories.values())]))
    figure.update_yaxes(range=[0.0, 1.03], tickformat=".0%")
    return figure


def lost(histories: Mapping[str, History], looks: Looks) -> go.Figure:
    """Runs that were cut, added up."""
    figure, (times, unit) = go.Figure(), _clock(histories.values())
    for policy, history in histories.items():
        line = {**_line(looks[policy]), "shape": "hv"}
        figure.add_scatter(x=[at * times for at in history.at], y=history.killed, name=policy, line=line)
    figure.update_layout(height=HEIGHT, xaxis_title=f"{unit} since the start", yaxis_title="runs cut so far")
    figure.update_yaxes(rangemode="tozero")
    return figure


def panel(history: History, beside: Iterable[History]) -> go.Figure:
    """What one policy did: pods, demand, the queue, each change of the replicas. All panels have the same axes."""
    beside = list(beside)
    times, unit = _clock(beside)
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.56, 0.22, 0.22])
    at = [hour * times for hour in history.at]
    _pods(figure, history, at)
    queue = {"color": DEMAND, "shape": "hv", "width": 1}
    figure.add_scatter(x=at, y=history.queued, name="tasks that wait", line=queue, fill="tozeroy", row=2, col=1)
    for name, colour, sign in (("more replicas", UP, 1), ("fewer replicas", DOWN, -1)):
        steps = [(hour * times, by) for hour, by in _steps(history) if by * sign > 0]
        stems = [(x, y) for hour, by in steps for x, y in ((hour, 0), (hour, by), (hour, None))]
        xs, ys = [x for x, _ in stems], [y for _, y in stems]
        figure.add_scatter(x=xs, y=ys, name=name, mode="lines", line={"color": colour, "width": 1.4}, row=3, col=1)
    _same(figure, beside, times)
    figure.update_xaxes(title_text=f"{unit} since the start", row=3, col=1)
    figure.update_layout(height=HEIGHT, showlegend=False)
    return figure


def _pods(figure: go.Figure, history: History, at: Sequence[float]) -> None:
    """Areas for the pods, on top of each other, demand as a line before them, and a mark where runs were cut."""
    place: dict[str, Any] = {"row": 1, "col": 1, "x": at}
    for name, pods, of in (
        ("ready", history.ready, READY),
        ("starting", history.starting, STARTING),
        ("draining or ending", history.draining, DRAINING),
    ):
        line = {"color": of, "shape": "hv", "width": 0}
        figure.add_scatter(y=pods, name=name, stackgroup="pods", line=line, fillcolor=of, **place)
    figure.add_scatter(y=history.demand, name="demand", line={"color": DEMAND, "shape": "hv", "width": 1.4}, **place)
    cut = [look for look in range(1, len(at)) if history.killed[look] > history.killed[look - 1]]
    told = [f"{history.killed[look] - history.killed[look - 1]} runs cut" for look in cut]
    figure.add_scatter(
        x=[at[look] for look in cut], y=[history.demand[look] for look in cut], name="runs cut", mode="markers",
        hovertext=told, marker={"color": CUT, "symbol": "x", "size": 6}, row=1, col=1,
    )  # fmt: skip


def _steps(history: History) -> list[tuple[float, int]]:
    """Each change of the replicas, and by how many."""
    before, steps = 0, []
    for hour, replicas in history.scaled:
        steps.append((hour, replicas - before))
        before = replicas
    return steps


def _same(figure: go.Figure, beside: Sequence[History], times: float) -> None:
    """The axes that hold everybody."""
    most = max(max(*map(sum, zip(h.ready, h.starting, h.draining, strict=True)), *h.demand) for h in beside)
    queued = max(max(history.queued) for history in beside)
    changed = max((abs(by) for history in beside for _, by in _steps(history)), default=0)
    figure.update_xaxes(range=[0.0, max(history.at[-1] for history in beside) * times])
    figure.update_yaxes(title_text="pods", range=[0.0, max(1.0, 1.05 * most)], row=1, col=1)
    figure.update_yaxes(title_text="queue", range=[0.0, max(1.0, 1.05 * queued)], nticks=3, row=2, col=1)
    if most <= FEW_PODS:
        figure.update_yaxes(dtick=1, row=1, col=1)  # there are no half pods
    bound = max(1.0, 1.05 * changed)
    figure.update_yaxes(title_text="change", range=[-bound, bound], nticks=4, row=3, col=1)


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "dash": look.dash, "width": 2.0}


def _note(figure: go.Figure, text: str, **place: Any) -> None:  # noqa: ANN401 - plotly's own keywords
    figure.add_annotation(**{"text": text, "showarrow": False, "yanchor": "bottom", **place})


def _waiting(waited: Sequence[Seconds]) -> dict[str, Any]:
    """A logarithmic axis that holds these, with marks in the units that people use."""
    low, high = math.log10(min(waited)), math.log10(max(waited))
    low, high = (low if min(waited) <= LEAST else low - 0.2), high + 0.2
    marks = FINE if high - low <= DECADES else COARSE
    return {"type": "log", "range": [low, high], "tickvals": [*marks], "ticktext": [*map(_mark, marks)]}


def _mark(seconds: float) -> str:
    if seconds <= LEAST:
        return f"≤ {seconds:g} s"
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute, and below minutes of an hour
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"  # noqa: PLR2004


def _clock(histories: Iterable[History]) -> tuple[float, str]:
    """By what hours are multiplied, and the unit that this is."""
    longest = max(history.at[-1] for history in histories)
    return next((times, unit) for least, times, unit in UNITS if longest >= least)
