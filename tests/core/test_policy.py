"""A policy that contradicts itself is refused, by an error that names key, value and range."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from scaler.core.policy import Guarantee, Mode, Pace, Policy, PolicyError, Workload

Make = Callable[[], object]


@pytest.mark.parametrize(
    ("make", "key", "value", "allowed"),
    [
        pytest.param(lambda: Policy(min_replicas=-1), "min_replicas", -1, ">= 0", id="MinimumIsNotNegative"),
        pytest.param(lambda: Policy(max_replicas=0), "max_replicas", 0, ">= 1 and >= min_replicas", id="MaximumRuns"),
        pytest.param(
            lambda: Policy(min_replicas=5, max_replicas=4),
            "max_replicas",
            4,
            ">= 1 and >= min_replicas",
            id="MaximumIsNotBelowMinimum",
        ),
        pytest.param(lambda: Policy(slots_per_pod=0), "slots_per_pod", 0, ">= 1", id="APodHasASlot"),
        pytest.param(lambda: Policy(target_wait_p95=0.0), "target_wait_p95", 0.0, "> 0 s", id="SomeWaitIsAllowed"),
        pytest.param(
            lambda: Policy(target_wait_p95=math.inf), "target_wait_p95", math.inf, "> 0 s", id="ButNotAnyWait"
        ),
        pytest.param(lambda: Policy(scrape_interval=0.0), "scrape_interval", 0.0, "> 0 s", id="ScrapesTakeTime"),
        pytest.param(lambda: Policy(activation=-0.5), "activation", -0.5, ">= 0", id="ActivationIsNotNegative"),
        pytest.param(lambda: Policy(activation=math.inf), "activation", math.inf, ">= 0", id="ActivationCanBeReached"),
        pytest.param(lambda: Policy(ordinals_start=-1), "ordinals_start", -1, ">= 0", id="OrdinalsAreNotNegative"),
        pytest.param(lambda: Policy(tokens_per_pod=0.0), "tokens_per_pod", 0.0, "> 0", id="APodCarriesTokens"),
        pytest.param(
            lambda: Policy(budget_per_hour=5.0),
            "budget_per_hour",
            5.0,
            "set together with pod_price_per_hour",
            id="MoneyNeedsAPrice",
        ),
        pytest.param(
            lambda: Policy(pod_price_per_hour=5.0),
            "budget_per_hour",
            None,
            "set together with pod_price_per_hour",
            id="APriceNeedsMoney",
        ),
        pytest.param(
            lambda: Policy(budget_per_hour=-1.0, pod_price_per_hour=1.0),
            "budget_per_hour",
            -1.0,
            "> 0",
            id="MoneyIsPositive",
        ),
        pytest.param(
            lambda: Policy(budget_per_hour=1.0, pod_price_per_hour=math.nan),
            "pod_price_per_hour",
            math.nan,
            "> 0",
            id="APriceIsANumber",
        ),
        pytest.param(
            lambda: Policy(budget_per_hour=1.0, pod_price_per_hour=2.0),
            "budget_per_hour",
            1.0,
            "enough for 1 pods",
            id="MoneyPaysForAPod",
        ),
        pytest.param(
            lambda: Policy(min_replicas=3, budget_per_hour=2.0, pod_price_per_hour=1.0),
            "budget_per_hour",
            2.0,
            "enough for 3 pods",
            id="MoneyPaysForTheMinimum",
        ),
        pytest.param(
            lambda: Pace(soft_down=0.9), "soft_down", 0.9, "0 < soft_down < soft_up <= 1", id="ConstantLoadCannotFlap"
        ),
        pytest.param(
            lambda: Pace(fast_window=61.0), "fast_window", 61.0, "0 < fast <= slow_window", id="FastIsNotSlower"
        ),
        pytest.param(lambda: Pace(rise_pods=0), "rise_pods", 0, ">= 1", id="ARateLimitLetsSomethingThrough"),
        pytest.param(lambda: Pace(namings=0), "namings", 0, ">= 1", id="AVictimIsNamedOnce"),
        pytest.param(lambda: Pace(timer_clamp=0.5), "timer_clamp", 0.5, ">= 1", id="AClampHoldsTheBreakEven"),
    ],
)
def test_a_policy_that_cannot_be_names_key_value_and_range(make: Make, key: str, value: object, allowed: str) -> None:
    """Each row: a contradiction, and what its error says in words and in fields."""
    with pytest.raises(PolicyError) as refused:
        make()
    assert (refused.value.key, repr(refused.value.value), refused.value.allowed) == (key, repr(value), allowed)
    assert str(refused.value) == f"{key} = {value!r} is not allowed: must be {allowed}"


def test_the_edges_are_allowed() -> None:
    """Each range includes the value that its error names."""
    assert Pace(fast_window=60.0, rise_pods=1, namings=1, timer_clamp=1.0, soft_up=1.0, soft_down=0.99).namings == 1
    assert Policy(min_replicas=1, max_replicas=1, slots_per_pod=1, activation=0.0, ordinals_start=0).cap == 1
    with pytest.raises(PolicyError, match=r"soft_down = 0\.85 is not allowed"):
        Pace(soft_down=0.85)  # as full after a removal as before an addition: that would flap


@pytest.mark.parametrize(
    ("budget", "price", "pods"),
    [(0.3, 0.1, 3), (0.7, 0.1, 7), (10.0, 3.0, 3), (2.99, 1.0, 2)],
    ids=["ThreeTimesATenthIsThree", "SevenTimesATenthIsSeven", "APartOfAPodIsNotBought", "NothingIsRoundedUp"],
)
def test_money_pays_for_whole_pods(budget: float, price: float, pods: int) -> None:
    """Each row: money per hour, what one pod costs, and how many it pays for. The lower of two bounds is the cap."""
    rich = Policy(max_replicas=100, budget_per_hour=budget, pod_price_per_hour=price)
    poor = Policy(max_replicas=1, budget_per_hour=budget, pod_price_per_hour=price)
    assert (rich.affordable, rich.cap, poor.cap) == (pods, pods, 1)


def test_without_money_the_maximum_is_the_cap() -> None:
    """A pool that nobody put a price on is bounded by its maximum alone."""
    assert (Policy(max_replicas=7).affordable, Policy(max_replicas=7).cap) == (None, 7)


def test_three_scrapes_make_a_sample_stale() -> None:
    """The freshness that removal needs follows the scrape interval, not the clock of somebody else."""
    assert (Policy().stale_after, Policy(scrape_interval=15.0).stale_after) == (15.0, 45.0)


def test_the_defaults_protect() -> None:
    """Whoever sets nothing gets the drain protocol, an empty pool that wakes at the first task, and automatic mode."""
    policy = Policy()
    found = (policy.mode, policy.guarantee, policy.workload, policy.min_replicas, policy.activation)
    assert found == (Mode.AUTO, Guarantee.PROTECTED, Workload.REPLICA_SET, 0, 0.0)
