"""One HTML file that shows a sweep: a heat map of each figure, with the figures in it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import plotly.graph_objects as go

from scaler.sim.compare import means_of
from scaler.sim.report import document, plot, section
from scaler.sim.report_tables import FIGURES, asked
from scaler.sim.scenario import Scenario

Point: TypeAlias = "tuple[Sequence[str], Mapping[str, Mapping[str, float | None]]]"  # values, and means by policy

SCALE: Final = "Cividis_r"  # who tells no colours apart sees the same order: the darker, the more
ROW: Final = 44  # pixels
NAMED: Final = {key: f"{group}: {head}" for group, key, head, *_ in FIGURES}
WHOLE: Final = 1000.0  # from here on a figure needs no decimals


def sweep_page(
    scenario: Scenario,
    keys: Sequence[str],
    points: Sequence[Point],
    figures: Sequence[str],
    origin: Callable[[str], str] = lambda _: "",
) -> str:
    """The whole file.

    Args:
        scenario: what was asked, at any of the points.
        keys: what was swept over; the last one goes across.
        points: each combination of their values, and what came of it.
        figures: those to show, by name.
        origin: what has set a key of the scenario that is not as it is by default.
    """
    title = scenario.question.strip() or f"What {' and '.join(keys)} come to"
    note = f"{means_of(scenario.seeds)}. The darker, the more; empty where tasks were never done, or nothing is known."
    maps = [section(NAMED.get(name, name), _maps(keys, points, name), note) for name in figures]
    over = {key: ", ".join(dict.fromkeys(values[place] for values, _ in points)) for place, key in enumerate(keys)}
    about = section("What was asked", asked(scenario, origin, over), scenario.shows.strip())
    return document(html.escape(title), "".join((*maps, about)))


def _maps(keys: Sequence[str], points: Sequence[Point], name: str) -> str:
    """A map for each policy, all in the same colours; where there is but one key, one for all of them."""
    policies = list(points[0][1])
    known = [value for _, means in points for policy in policies if (value := _value(means[policy], name)) is not None]
    bounds = (min(known), max(known)) if known else (0.0, 1.0)
    across = list(dict.fromkeys(values[-1] for values, _ in points))
    if len(keys) == 1:
        cells = {(policy, values[0]): _value(means[policy], name) for values, means in points for policy in policies}
        return plot(f"map-{name}", _map(cells, policies, across, (keys[0], "policy"), bounds))
    along = list(dict.fromkeys(_label(values) for values, _ in points))
    drawn = "".join(
        f"<figure><figcaption>{html.escape(policy)}</figcaption>{plot(f'map-{name}-{policy}', figure)}</figure>"
        for policy in policies
        for figure in (
            _map(
                {(_label(values), values[-1]): _value(means[policy], name) for values, means in points},
                along, across, (keys[-1], ", ".join(keys[:-1])), bounds,
            ),
        )
    )  # fmt: skip
    return f'<div class="panels{" one" if len(policies) == 1 else ""}">{drawn}</div>'


def _label(values: Sequence[str]) -> str:
    return ", ".join(values[:-1])


def _value(mean: Mapping[str, float | None], name: str) -> float | None:
    return None if mean["unfinished"] else mean[name]


def _map(
    cells: Mapping[tuple[str, str], float | None],
    along: Sequence[str],
    across: Sequence[str],
    titles: tuple[str, str],
    bounds: tuple[float, float],
) -> go.Figure:
    told = [[cells.get((row, column)) for column in across] for row in along]
    figure = go.Figure()
    figure.add_heatmap(
        z=told, x=list(across), y=list(along), zmin=bounds[0], zmax=bounds[1], colorscale=SCALE, showscale=False,
        text=[[_shown(value) for value in row] for row in told], texttemplate="%{text}", xgap=2, ygap=2,
        hovertemplate=f"{titles[0]} %{{x}}<br>{titles[1]} %{{y}}<br>%{{text}}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="category", title_text=titles[0], showgrid=False)
    figure.update_yaxes(type="category", title_text=titles[1], showgrid=False, autorange="reversed")
    figure.update_layout(height=100 + ROW * max(2, len(along)))
    return figure


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"
