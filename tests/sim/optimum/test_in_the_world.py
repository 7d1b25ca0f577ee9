"""The limits beside whole runs: nobody who plays in the world pays less."""

from __future__ import annotations

import pytest

from scaler.config.reading import Document, Plain
from scaler.sim.match import Match, limits_of, play
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.scenario import OURS, Scenario, parsed

WITHOUT_FORESIGHT = ("hpa", "job")  # they order pods only for tasks that wait


def scenario(slots: int) -> Scenario:
    """An hour of agents whose pods start in exactly eighteen seconds."""
    curve: list[Plain] = [[0, 1.0], [3600, 3.0]]
    said: dict[str, Plain] = {
        "rate": curve,
        "durations": "lognormal:5.0,1.0",
        "startup": "lognormal:2.89037,0",
        "slots": slots,
    }
    return parsed(Document(said, {}))


@pytest.mark.parametrize("slots", [1, 4])
def test_no_policy_costs_less_than_its_limit(slots: int) -> None:
    """Not ours, which has foresight of a kind, below the priced one; nor those without, below the blind one."""
    asked = scenario(slots)
    found = limits_of(asked, seed=1)
    assert 0 < found.priced <= found.blind
    for policy in (OURS, *PEERS):
        row = play(Match(scenario=asked, policy=policy, seed=1)).row
        assert row.unfinished == 0
        assert row.price >= found.priced, policy
        if policy in WITHOUT_FORESIGHT:
            assert row.price >= found.blind, policy
