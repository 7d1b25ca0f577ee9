"""What a comparison comes to: whom a planner is told to take, and what speaks against it."""

from __future__ import annotations

import pytest

from scaler.sim.compare import summary
from scaler.sim.match import Row
from scaler.sim.scenario import Scenario, changed
from scaler.sim.verdict import lasting, verdict


def row(policy: str, hours: float, wait: float, killed: int = 0, *, seed: int = 1, **more: float) -> Row:
    """What a policy came to on a seed."""
    given = {"unfinished": 0, "pods_peak": 20, "price": 3600.0 * hours + 10.0 * wait, **more}
    return Row(
        policy=policy,
        seed=seed,
        tasks=100,
        killed=killed,
        wait_p50_s=0.0,
        wait_p95_s=wait,
        wait_p99_s=wait,
        pod_hours=hours,
        quick_reversals_per_hour=0.0,
        wasted_starts=0,
        unfinished=int(given["unfinished"]),
        pods_peak=int(given["pods_peak"]),
        price=given["price"],
        money=more.get("money"),
    )


def told(*found: Row) -> tuple[str, bool, str]:
    """Whom to take, whether it keeps the target, and all that is said."""
    policies, seeds = [*dict.fromkeys(each.policy for each in found)], max(each.seed for each in found)
    scenario = changed(Scenario(), {"policies": [*policies], "seeds": seeds})
    of = verdict(scenario, summary(scenario, found))
    return of.pick, of.keeps, "\n".join(of.lines)


def test_whoever_takes_the_fewest_pods_and_does_no_harm_is_taken() -> None:
    """Not who takes fewer and cuts runs or lets tasks wait, and of that it is told; and not ours because it is ours."""
    pick, keeps, said = told(
        row("ours", 12.0, 5.0), row("buffer", 10.0, 29.0), row("hpa", 9.5, 8.0, 3), row("job", 9.0, 44.0)
    )
    assert (pick, keeps) == ("buffer", True)
    assert "buffer takes the fewest pod hours of the 2 that cut no run and keep the target of 30 s" in said
    assert "20 pods at most, 10.0 pod hours, 95 % of tasks wait at most 29 s." in said
    assert "hpa takes less, 9.50 pod hours, but cuts 3 runs." in said
    assert "job takes less, 9.00 pod hours, but lets 5 % of tasks wait longer than 44 s." in said


def test_where_nobody_keeps_the_target_the_least_harm_is_told() -> None:
    """First that all is done, then that nothing is cut, then the price."""
    slow, cut, left = row("job", 9.0, 44.0), row("hpa", 1.0, 1.0, 3), row("fixed", 0.1, 1.0, unfinished=5)
    assert told(slow, cut, left)[:2] == ("job", False)
    assert (
        "none of the 3 keeps the target of 30 s without cutting runs; job has the least price"
        in told(slow, cut, left)[2]
    )
    assert "of those that cut none and leave none undone: " in told(slow, cut, left)[2]
    assert "of those that cut none: " in told(slow, cut)[2]
    assert told(cut, left)[:2] == ("hpa", False)
    assert "everybody cuts runs or leaves tasks undone; hpa has the least price of those whose" in told(cut, left)[2]
    assert "everybody cuts runs; hpa has the least price: 20 pods at most" in told(cut, row("kpa", 9.0, 1.0, 4))[2]
    assert "tasks are never done, whoever scales: raise max (now 100). Least bad is fixed" in told(left)[2]


def test_one_who_is_alone_is_not_compared() -> None:
    """It keeps the target, misses it, or cuts runs."""
    assert told(row("ours", 9.0, 5.0))[2].startswith("ours cuts no run and keeps the target of 30 s: ")
    assert told(row("ours", 9.0, 50.0))[2].startswith("ours misses the target of 30 s: ")
    assert told(row("hpa", 9.0, 5.0, 2, money=4.5))[2].startswith(
        "hpa cuts runs: 20 pods at most, 9.00 pod hours (4.50"
    )


def test_ours_without_a_part_is_nothing_to_take() -> None:
    """Nobody can deploy it; where nothing else is asked, it is told of all the same."""
    part = row("ours-no-band", 8.0, 5.0)
    pick, _, said = told(row("ours", 12.0, 5.0), part)
    assert pick == "ours"
    assert "ours alone" not in said
    assert "no-band" not in said
    assert told(part)[0] == "ours-no-band"


def test_a_bound_that_binds_is_told() -> None:
    """A planner who asks whether a smaller maximum will do is told that it was reached."""
    assert "ours asked for all 100 replicas that max allows" in told(row("ours", 9.0, 5.0, pods_peak=100))[2]
    assert "max allows" not in told(row("ours", 9.0, 5.0, pods_peak=99))[2]


def test_what_may_be_chance_is_told() -> None:
    """One run bounds nothing; where an interval holds zero, runs cannot tell."""
    assert "One run says little of other days" in told(row("ours", 9.0, 5.0), row("hpa", 12.0, 5.0))[2]
    many = [
        row(name, hours + seed, 5.0, seed=seed) for name, hours in (("ours", 9.0), ("hpa", 19.0)) for seed in (1, 2, 3)
    ]
    near = [row("kpa", hours, 5.0, seed=seed) for seed, hours in enumerate((9.0, 12.0, 12.1), start=1)]
    said = told(*many, *near)[2]
    assert "3 runs cannot tell the price of ours from that of kpa: raise --seeds." in said
    assert "hpa" not in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 s"), (22.93, "22.9 s"), (119.0, "119 s"), (849.7, "14.2 min"), (7200.0, "2 h"), (200_000.0, "2.31 d")],
)
def test_a_time_is_told_as_people_say_it(seconds: float, said: str) -> None:
    """In the unit of which it is a few."""
    assert lasting(seconds) == said
