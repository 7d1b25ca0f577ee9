"""Whatever becomes of the controller while it drains, no pod at work is lost, and everything settles afterwards."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from tests.cluster.draining import LOOK, POOL, SLOW, Guarded, Pool, Scaler, Story, story
from tests.cluster.faults import Faults, faulty
from tests.cluster.harness.scaled import Scaled
from tests.cluster.harness.wait import until

pytestmark = pytest.mark.usefixtures("keda")
CRASHES = 12  # after the first write, after the second, and so on


def test_a_crash_after_any_write_loses_nothing(guards: Guarded) -> None:
    """Killed after the first write of a drain, the next life after the second, and so on; each goes on from labels."""
    with faulty(guards.cluster) as faults, story(guards, "crashes") as told:
        pool = told.pool(Scaled(name=POOL, replicas=6, cooldown=5))
        scaler = told.begin(server=faults.url, lease=False)
        faults.kill = lambda: os.kill(scaler.part.pid, signal.SIGKILL)
        for crash in range(1, CRASHES + 1):
            faults.made, faults.fatal = 0, crash
            until(lambda: _killed(told, pool, scaler), within=SLOW, every=LOOK)
            scaler.part.start()
            scaler.part.await_ready()
        faults.calm()
        pool.settles(0)
        assert told.losses() == []


def _killed(told: Story, pool: Pool, scaler: Scaler) -> bool | None:
    """The controller was killed; until then there is always somebody to be drained."""
    if not scaler.part.running:
        return True
    if pool.replicas() < 3 and not told.figures(pool).get("pending"):
        told.work(pool, burst=6, seconds=5)
    return None


def test_a_bad_way_to_the_api_server_loses_nothing(guards: Guarded) -> None:
    """Events late, doubled and missing, lists of yesterday, writes refused, and made but never answered."""
    with faulty(guards.cluster) as faults, story(guards, "faults") as told:
        pool = told.pool(Scaled(name=POOL, replicas=20, cooldown=5))
        told.begin(server=faults.url, lease=False)
        told.work(pool, rate=0.3, shorten=20)
        for regime in (_muddled, _refusing, _forgetful):
            already = told.removals()[0]
            told.work(pool, burst=12, seconds=15)
            regime(faults)
            until(partial(_left, told, already + 6), within=SLOW, every=LOOK)
            faults.calm()
        told.work(pool, rate=0)
        faults.forgetful = 1.0  # what was missed is listed again
        pool.falls(3)
        faults.calm()
        pool.settles(0)
        assert told.losses() == []


def _left(told: Story, pods: int) -> bool | None:
    """So many pods have left."""
    return told.removals()[0] >= pods or None


def _muddled(faults: Faults) -> None:
    """Watches that cannot be relied on."""
    faults.doubled, faults.late, faults.omitted, faults.forgetful = 0.3, 0.05, 0.05, 0.02


def _refusing(faults: Faults) -> None:
    """Writes that are refused for every reason there is, and answers that are lost."""
    faults.refused, faults.lost = 0.3, 0.2


def _forgetful(faults: Faults) -> None:
    """Watches that end all the time, and lists that are as they were."""
    faults.forgetful, faults.frozen = 0.1, True
