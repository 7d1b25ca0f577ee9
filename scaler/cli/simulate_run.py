"""What ``scaler simulate run`` and ``compare`` do: work all runs out, and print and write their figures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scaler.cli.output import refuse
from scaler.cli.simulate_asked import Asked, AskedReport
from scaler.cli.simulate_files import STDOUT, check_file, check_named, reader, write, write_text
from scaler.cli.simulate_knobs import check_knobs, equals, read_knobs, searched, tell_equals
from scaler.cli.simulate_past import past_of
from scaler.cli.simulate_progress import progress
from scaler.cli.simulate_work import under
from scaler.config.problems import ConfigError
from scaler.config.reading import Plain
from scaler.sim.compare import Answer, Job, NoLimit, cores, histories, jobs, lies, means_of, rows, summary, work_out
from scaler.sim.match import Row
from scaler.sim.scenario import OURS, Scenario, read_scenario
from scaler.sim.verdict import verdict

KEYS: Final = (  # options that are keys of a scenario
    *("trace", "rate", "durations", "begins", "lasts", "longest", "bursts", "thin", "stretch"),
    *("slots", "startup", "min", "max", "target_wait", "dispatch", "wait_price", "pod_price_per_hour", "seeds"),
)
LENGTHS: Final = ("begins", "lasts", "longest", "target_wait")
JOURNALLED: Final = ("trace", "lasts", "slots", "min", "max", "target_wait")  # keys that a journal sets
COLUMNS: Final[tuple[tuple[str, str, int], ...]] = (  # heading, figure, decimals
    ("peak", "pods_peak", 0),
    ("pod h", "pod_hours", 1),
    ("money", "money", 2),
    ("killed", "killed", 1),
    ("p50 s", "wait_p50_s", 1),
    ("p95 s", "wait_p95_s", 1),
    ("p99 s", "wait_p99_s", 1),
    ("price", "price", 0),
    ("/opt", "price_over_opt_w", 2),
    ("/blind", "price_over_opt_blind", 2),
    ("hours", "hours_at_target", 2),
    ("turns", "quick_reversals_per_hour", 1),
    ("waste", "wasted_starts", 0),
)
TRACES: Final = {".csv", ".gz", ".jsonl"}
PLACES: Final = "give a trace of arrivals (--trace), a rate (--rate) or a journal (--journal)"
WIDEST: Final = 400
READABLE: Final = 110  # characters of a line
MEANING: Final = {  # of figures that do not say it by themselves
    "pods_peak": "peak: most pods that were asked for at once, in any run",
    "pod_hours": "pod h: pod hours",
    "killed": "killed: runs that were cut, whose work began anew",
    "wait_p99_s": "p50, p95, p99: seconds from arrival to the run that counts",
    "price": "price: pod-seconds, and each second of waiting at {price:g}",
    "price_over_opt_w": "/opt: price over that of the best possible, which knows all that comes",
    "price_over_opt_blind": "/blind: over that of the best that orders only for tasks that wait, every 15 s as an HPA",
    "hours_at_target": "hours: of those that the latter keeps at the target of p95 wait, the share kept here",
    "quick_reversals_per_hour": "turns: quick reversals an hour",
    "wasted_starts": "waste: pods that never ran a task",
}


def compare_policies(asked: Asked, *, policies: str | None, knobs: Sequence[Path] = (), equal: bool = False) -> None:
    """Run these policies, or those of the scenario, with these knobs, and tell."""
    if equal and not knobs:
        refuse("--equal asks the peers of --knobs: give what scaler simulate tune --json wrote for each")
    scenario = scenario_of(asked, policies)
    check_file("--json", asked.json)
    tuned = read_knobs(knobs)
    check_knobs(scenario, tuned, equal=equal)
    best = {policy: found.best for policy, found in tuned.items()}
    todo, more = jobs(_working(scenario), limits=asked.limits, knobs=best), searched(scenario, tuned) if equal else []
    given = answers([*todo, *more], asked)
    found = rows(todo, given[: len(todo)])
    told = summary(scenario, found)
    if equal:
        told["at_equal_wait"] = equals([row for row in found if row.policy == OURS], given[len(todo) :])
    try:  # files come first: who reads what is printed may have read enough of it
        write(asked.json, figures(found, told))
    finally:
        tell(reader(asked.json), scenario, found, told)


def figures(found: Sequence[Row], told: Mapping[str, object]) -> dict[str, object]:
    """What is written: a row a run, and what they say together."""
    return {"rows": [asdict(row) for row in found], "summary": told}


def write_report(asked: AskedReport) -> None:
    """Run the policies, and write the page that shows what happened."""
    from scaler.sim.report import page  # the plots are a large import that nothing else needs

    scenario = scenario_of(asked, asked.policies)
    if asked.html == STDOUT:
        refuse("--html - is no file: name one, like report.html")
    for option, file in (("--html", asked.html), ("--json", asked.json)):
        check_file(option, file)
    todo = jobs(_working(scenario), limits=asked.limits, drawn=True)
    given = answers(todo, asked)
    found = rows(todo, given)
    told = summary(scenario, found)
    try:
        write(asked.json, figures(found, told))
        write_text(asked.html, page(scenario, found, told, histories(given), lambda key: origin(asked, key)))
    finally:
        tell(reader(asked.json), scenario, found, told)
    typer.echo(f"the report is in {asked.html}", err=asked.json == STDOUT)


def scenario_of(asked: Asked, policies: str | None) -> Scenario:
    """The scenario with what the options say instead."""
    if asked.jobs < 1:
        refuse(f"--jobs {asked.jobs} is out of range: from 1 on; as many as there are cores is fastest")
    if asked.scenario is not None and TRACES & {*asked.scenario.suffixes}:
        refuse(f"{asked.scenario} is no scenario: give tasks by --trace {asked.scenario}, and a curve by --rate")
    changes = {key: _plain(key, value) for key in KEYS if (value := getattr(asked, key)) is not None}
    if policies is not None:
        changes["policies"] = [*names_of(policies)]
    if asked.journal is not None:
        changes = _journalled(asked.journal, asked.pool, changes)
    elif asked.pool is not None:
        refuse(f"--pool {asked.pool} is of no use without --journal: give the journal that has it")
    try:
        scenario = Scenario() if asked.scenario is None else read_scenario(asked.scenario)
        return check_named(under(asked, scenario, changes))
    except ConfigError as error:
        refuse(f"{asked.scenario or 'the options'} cannot be used:\n{error}")
    except ValueError as error:
        refuse(str(error))


def _working(scenario: Scenario) -> Scenario:
    """The scenario, unless it has no work: that needs no processes to be found out."""
    if scenario.trace is None and scenario.rate is None:
        refuse(f"nothing says what comes: name a scenario, as simulations/ has, or {PLACES}")
    return scenario


def names_of(text: str) -> list[str]:
    """Names that commas part; one that ends with a comma names nobody more."""
    return [name for part in text.split(",") if (name := part.strip())]


def _plain(key: str, value: Any) -> Plain:  # noqa: ANN401 - options are of many kinds
    """An option as a scenario has it: a bare number of seconds is a number there."""
    if key in LENGTHS and value.replace(".", "", 1).isdecimal():
        return float(value)
    return str(value) if isinstance(value, Path) else value


def origin(asked: Asked, key: str) -> str:
    """What has set a key of the scenario."""
    if getattr(asked, key, None) is not None:
        return f"--{key.replace('_', '-')}"
    if asked.journal is not None and key in JOURNALLED:
        return f"--journal {asked.journal}"
    return str(asked.scenario or "")


def _journalled(journal: Path, pool: str | None, changes: dict[str, Plain]) -> dict[str, Plain]:
    """What a journal says of a pool's tasks and of its policy, but for what the options say."""
    if given := {"trace", "rate"} & changes.keys():
        refuse(f"--journal and --{min(given)} both say what comes: give one of them")
    found, policy = past_of(journal, pool)
    known: list[Plain] = [
        [list(task) for task in found.tasks],
        f"{found.lasted}s",
        policy.slots_per_pod,
        policy.min_replicas,
        policy.max_replicas,
        f"{policy.target_wait_p95:g}s",
    ]
    return dict(zip(JOURNALLED, known, strict=True)) | changes


def answers(todo: Sequence[Job], asked: Asked) -> list[Answer]:
    """Work everything out, with a bar that shows how far it is."""
    try:
        with cores(min(asked.jobs, len(todo))) as executor, progress(len(todo)) as told:
            found = work_out(todo, executor, told=told)
    except ValueError as error:
        refuse(str(error))
    for none in (each for each in found if isinstance(each, NoLimit)):
        typer.echo(f"seed {none.seed} has no limit, so its figures beside one are null: {none.why}", err=True)
    return found


def tell(console: Console, scenario: Scenario, found: Sequence[Row], told: Mapping[str, Any]) -> None:
    """Print the figures for a reader."""
    if scenario.question:
        console.print(Text(scenario.question.strip()), style="bold")
    for line in verdict(scenario, told).lines:
        console.print(Text(line), soft_wrap=True)
    print_whole(console, _table(scenario, told))
    for line in (*_pairs(told), *tell_equals(told.get("at_equal_wait", {}))):
        console.print(Text(line), soft_wrap=True)
    meant = (MEANING[key] for _, key, _ in _columns(told) if key in MEANING)
    text = f"{'. '.join(meant).format(price=scenario.wait_price)}."
    console.print(Text(textwrap.fill(text, READABLE)), style="dim", soft_wrap=True)
    for line in lies(found):
        console.print(Text(line), soft_wrap=True)


def print_whole(console: Console, table: Table) -> None:
    """All of a table, however narrow the terminal is: a figure that is cut off is none."""
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    usual, console.width = console.width, max(width, console.width)  # what is printed is never wider than that
    console.print(table, crop=False)
    console.width = usual


def _table(scenario: Scenario, told: Mapping[str, object]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), title=means_of(scenario.seeds), title_justify="left")
    table.add_column("policy", no_wrap=True)
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    columns = _columns(told)
    for name, *_ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for policy, figures in means.items():
        table.add_row(policy, *(shown(figures[key], decimals) for _, key, decimals in columns))
    return table


def _columns(told: Mapping[str, object]) -> list[tuple[str, str, int]]:
    """Those that somebody has a figure for."""
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    return [column for column in COLUMNS if any(of[column[1]] is not None for of in means.values())]


def shown(figure: float | None, decimals: int) -> str:
    """A figure in a table."""
    return "-" if figure is None else f"{figure:,.{decimals}f}"


def _pairs(told: Mapping[str, object]) -> Iterator[str]:
    """Ours beside each peer, on the same seeds."""
    paired = told["paired"]
    assert isinstance(paired, dict)  # noqa: S101 - summary made it
    for peer, figures in paired.items():
        price, hours, wait = figures["price"], figures["pod_hours"], figures["wait_p95_s"]
        yield (
            f"ours beside {peer}: price {_share(price)}, pod hours {_share(hours)}, "
            f"p95 wait {wait['mean']:+.1f} s{bounds(wait, '{:+.1f}')}"
        )


def _share(figure: Mapping[str, float | None]) -> str:
    if (mean := figure["mean"]) is None:
        return "-"
    return f"{_whole(mean):+d} %{bounds({k: v and _whole(v) for k, v in figure.items()}, '{:+d}')}"


def _whole(share: float) -> int:
    """Percent; of none there is no less."""
    return round(100 * share)


def bounds(figure: Mapping[str, float | None], form: str) -> str:
    """The bounds of an interval in brackets, where it has any."""
    low, high = figure["low"], figure["high"]
    return "" if low is None or high is None else f" ({form.format(low)} to {form.format(high)})"
