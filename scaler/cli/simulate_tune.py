"""What ``scaler simulate tune`` does: the same search for whoever's knobs, and what it found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from scaler.cli.output import refuse
from scaler.cli.simulate_asked import AskedTune
from scaler.cli.simulate_files import check_file, reader, write
from scaler.cli.simulate_knobs import AnyKnobs, base
from scaler.cli.simulate_progress import progress
from scaler.cli.simulate_run import names_of, scenario_of
from scaler.core.wording import counted
from scaler.sim.match import Match, play
from scaler.sim.ours import OurKnobs
from scaler.sim.peers.sight import Knobs
from scaler.sim.scenario import POLICIES, Scenario
from scaler.sim.tuner import Paid, Search, Tuned, TunerError, knobs_of
from scaler.sim.tuner import tune as search_knobs

CAVEAT = "These knobs suit what they were found on. What they are worth, other days say."


@dataclass(frozen=True, slots=True)
class Trial:
    """What a configuration costs on one scenario: the means of its seeds."""

    scenario: Scenario
    policy: str

    def __call__(self, knobs: Knobs | OurKnobs) -> Paid:
        """Play it."""
        scenario, seeds = self.scenario, range(1, self.scenario.seeds + 1)
        matches = (Match(scenario=scenario, policy=self.policy, seed=seed, knobs=knobs) for seed in seeds)
        rows = [play(match).row for match in matches]
        figures = ((row.price, row.pod_hours, row.wait_p95_s, float(row.unfinished)) for row in rows)
        return Paid(*(math.fsum(of) / len(rows) for of in zip(*figures, strict=True)))


def tune(asked: AskedTune) -> None:
    """Search, and tell."""
    if asked.policy not in POLICIES:
        refuse(f"--policy {asked.policy} is none; there are {', '.join(POLICIES)}")
    if asked.policies is not None and names_of(asked.policies) != [asked.policy]:
        refuse(f"--policies {asked.policies} is of no use here: --policy names the one whose knobs are looked for")
    check_file("--json", asked.json)
    scenario = scenario_of(asked, asked.policy)
    shipped_knobs = base(asked.policy, scenario)
    try:
        with progress(asked.budget, "trials") as told:
            search = Search(budget=asked.budget, jobs=asked.jobs)
            tuned = search_knobs(shipped_knobs, Trial(scenario, asked.policy), search, told=told)
    except (TunerError, ValueError) as error:
        refuse(str(error))
    try:
        write(asked.json, _written(scenario, asked.policy, tuned))
    finally:
        _tell(reader(asked.json), tuned)


def _written(scenario: Scenario, policy: str, tuned: Tuned[AnyKnobs]) -> dict[str, object]:
    """A row for each trial and what they say together; and by themselves the knobs, which compare --knobs reads."""
    best, shipped = tuned.best, tuned.trials[0]
    trials = [{**asdict(trial.paid), "knobs": asdict(trial.knobs)} for trial in tuned.trials]
    return {
        "rows": [{"policy": policy, "trial": number, **trial} for number, trial in enumerate(trials, start=1)],
        "summary": {
            "question": scenario.question.strip(),
            "seeds": scenario.seeds,
            "wait_price": scenario.wait_price,
            "policy": policy,
            "shipped": {**asdict(shipped.paid), "knobs": asdict(shipped.knobs)},
            "best": {**asdict(best.paid), "knobs": asdict(best.knobs)},
        },
        "policy": policy,
        "best": asdict(best.knobs),
        "price": best.price,
        "trials": trials,
    }


def _tell(console: Console, tuned: Tuned[AnyKnobs]) -> None:
    """Print what was found for a reader."""
    best, shipped = tuned.best, tuned.trials[0]
    names = [knob.name for knob in knobs_of(shipped.knobs)]
    console.print(_table(names, asdict(shipped.knobs), asdict(best.knobs)))
    share = best.price / shipped.price - 1.0 if shipped.price else 0.0
    tried = counted(len(tuned.trials), "trial")
    console.print(f"{tried}: price {shipped.price:,.0f} as shipped, {best.price:,.0f} ({share:+.1%})")
    if best.paid.unfinished:
        console.print(f"{best.paid.unfinished:,.1f} tasks a run were never done whatever was tried; its figures lie")
    console.print(CAVEAT)


def _table(names: list[str], shipped: Mapping[str, object], best: Mapping[str, object]) -> Table:
    table = Table("knob", "shipped", "best", box=SIMPLE)
    for name in names:
        table.add_row(name, f"{shipped[name]:.4g}", f"{best[name]:.4g}")
    return table
