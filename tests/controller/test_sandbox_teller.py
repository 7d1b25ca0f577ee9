"""Events of warm pools, as people find them with kubectl: on the pool, with a word for each thing and a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scaler.controller.events import Events
from scaler.controller.pen import Pen
from scaler.controller.sandboxes.digest import Digest
from scaler.controller.sandboxes.facts import WarmPool, warm_pool_of
from scaler.controller.sandboxes.teller import PoolEvents
from scaler.live.clock import VirtualClock
from scaler.live.deeds import Deeds
from scaler.live.office import ALONE
from scaler.live.warm import Block, Blocked
from tests.controller.sandboxed import BORN, warm_pool
from tests.core.warm import Watched
from tests.support.event_server import event_server
from tests.support.wait import eventually

GROWN = Watched().tick(0)
SAID = {
    "a size": (lambda t, p: t.sized(p, GROWN), "LeadTimeDemand", "Normal"),
    "a rival": (lambda t, p: t.left_alone(p, Blocked(Block.RIVAL, "an HPA")), "ScaledBySomebodyElse", "Warning"),
    "a writer": (lambda t, p: t.left_alone(p, Blocked(Block.FOREIGN, "argocd")), "SizeSetBySomebodyElse", "Warning"),
    "hits": (lambda t, p: t.summed_up(p, Digest(missed=False, said="7 claims")), "ClaimsServed", "Normal"),
    "misses": (lambda t, p: t.summed_up(p, Digest(missed=True, said="7 claims")), "ClaimsMissed", "Warning"),
}


@pytest.mark.parametrize(("tell", "reason", "kind"), SAID.values(), ids=SAID)
async def test_what_befalls_a_pool_is_an_event_of_it(
    tmp_path: Path, tell: Callable[[PoolEvents, WarmPool], None], reason: str, kind: str
) -> None:
    """With its uid, so that ``kubectl describe`` shows it."""
    async with event_server(tmp_path) as (api, made):
        tell(PoolEvents(Events(Pen(api, ALONE, Deeds()), VirtualClock(BORN))), warm_pool_of(warm_pool()))

        async def told() -> bool | None:
            """It was made."""
            return bool(made) or None

        await eventually(told)
    (event,) = made
    about = event["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("SandboxWarmPool", "python", "uid-python")
    assert (event["reason"], event["type"]) == (reason, kind)
    assert event["message"]
