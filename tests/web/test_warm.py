"""Warm pools on the metrics page: what stands, what was decided and why, and what claims got."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from scaler.config.pool import PoolKey
from scaler.core.types import Known
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmObservation, WarmPolicy
from scaler.live.office import ALONE, Office
from scaler.live.warm import Block, Blocked, WarmStanding
from scaler.sources.timing import Timing
from scaler.web.household import registry
from tests.support.office import Chair
from tests.web.conftest import Scaler

POLICY = WarmPolicy(min_size=2, miss_target=0.05)


def standing() -> WarmStanding:
    """A pool of which everything is known."""
    seen = WarmObservation(size=Known(0.0, 0.0), claims=0, unschedulable=Known(0.0, 0.0), settled=True)
    waits = Timing((0.1, 1.0))
    waits.add(0.05)
    return WarmStanding(
        key=PoolKey("agents", "python"),
        policy=POLICY,
        outcome=tick_pool(POLICY, WarmMemory.fresh(0.0, POLICY.pace), seen, 0.0),
        blocked=None,
        size=0,
        ready=1,
        starting=2,
        stuck=0,
        served={"ready": 7, "cold": 1},
        guarded={"busy": 3},
        waits=waits.times(),
        idle=7_200.0,
        idle_price=0.5,
        writes=4,
        through=None,
    )


def samples(found: WarmStanding, office: Office = ALONE) -> dict[str, float]:
    """Every sample of the pool, by its name and the labels beside the pool's."""
    running = replace(Scaler().running(), warm=lambda: (found,), office=office)
    page = choose_encoder("text/plain")[0](registry(running)).decode()
    return {
        " ".join([sample.name.removeprefix("agent_scaler_warm_pool_"), *own]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("pool") == "python"
        for own in [[value for key, value in sample.labels.items() if not key.startswith("pool")]]
    }


def test_what_claims_got_and_what_idling_cost_are_counted() -> None:
    """Two hours of an idle sandbox at half a unit each."""
    found = samples(standing())
    assert (found["claims_total ready"], found["claims_total cold"]) == (7, 1)
    assert found["idle_cost_total"] == pytest.approx(1.0)
    assert (found["wait_seconds_count"], found["wait_seconds_bucket 0.1"]) == (1, 1)
    assert (found["guarded busy"], found["writes_total"]) == (3, 4)


def test_the_size_and_the_target_stand_beside_why() -> None:
    """The live size may be another than what is wanted."""
    found = samples(standing())
    assert found["size"] == 0
    assert found["target"] >= 2
    assert [name for name in found if name.startswith("decision_info scale")] != []
    assert found["miss_target_ratio"] == pytest.approx(0.05)


def test_what_is_not_known_has_no_series() -> None:
    """A zero would say that there is none."""
    found = samples(replace(standing(), outcome=None, size=None, ready=None, idle_price=None))
    assert not {"size", "target", "members ready", "idle_cost_total", "lead_seconds"} & found.keys()


def test_a_pool_that_is_left_alone_says_why() -> None:
    """With a word of a closed vocabulary."""
    found = samples(replace(standing(), blocked=Blocked(Block.RIVAL, "the HPA python scales it")))
    assert found["blocked rival"] == 1
    assert "blocked rival" not in samples(standing())


def test_a_replica_that_stands_by_shows_none() -> None:
    """Two replicas' figures would be added up somewhere."""
    assert samples(standing(), Chair()) == {}
