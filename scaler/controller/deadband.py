"""Stepping over the HPA's dead band: where its tolerance is not nought, a rise within a tenth never comes about.

The number that is told is right, and the HPA takes it for near enough. Its minimum it obeys at once and exactly. So the
ScaledObject's ``minReplicaCount`` is held at the target until the workload asks for as many and has them, and then put
back: one write each way, and a process that ends in between leaves too many pods and never too few. Before they are
there an HPA would go back, for what is too near it answers with as many as there are. What the minimum was is told by
an annotation of the same write, so whoever leads then puts it back. Downwards nothing can be held; that is told.

So is a workload that asks for something else altogether for long, with who wrote that: we do not write against anybody.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from scaler.config.pool import PoolKey
from scaler.controller.api import MERGE, ApiError, Json, Request
from scaler.controller.control import Control
from scaler.controller.dig import parsed, strings, text, whole
from scaler.controller.events import Told
from scaler.controller.names import LEAST
from scaler.controller.pen import NotLeadingError
from scaler.controller.scaled import Scaled, own_least
from scaler.core.policy import Mode
from scaler.core.types import Instant, Seconds, Supply, Unknown
from scaler.live.charge import Charge

BAND: Final = 0.1  # the HPA's tolerance where nobody set another
STUCK: Final[Seconds] = 30.0  # two of the HPA's periods: what it will do by itself it has done by then
AWAY: Final[Seconds] = (
    120.0  # beyond the tolerance the HPA moves by itself: whoever does not follow for so long will not
)
FOLLOWERS: Final = frozenset(
    {"kube-controller-manager", "keda", "keda-operator", ""}
)  # who writes for an HPA, and KEDA
LOOK: Final[Seconds] = 5.0
PATIENCE: Final[Seconds] = 15.0
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Act(enum.Enum):
    """What is done about a ScaledObject."""

    NOTHING = enum.auto()
    HOLD = enum.auto()  # its minimum is held at the target
    PUT_BACK = enum.auto()  # its minimum is its own again
    TELL = enum.auto()  # the target is lower, and the HPA stays
    TELL_WRITER = enum.auto()  # the workload asks for something else altogether


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A pool's target and its live replicas, for how long both have been so, in seconds; and the pods that exist."""

    target: int
    live: int
    stood: Seconds
    there: int


def act(scaled: Scaled, scene: Scene) -> Act:
    """What is to be done."""
    if scaled.held:
        done = min(scene.live, scene.there) >= scaled.least or scene.target < scaled.least
        return Act.PUT_BACK if done else Act.NOTHING
    off = scene.target - scene.live
    within = 0 < abs(off) <= BAND * scene.live + 1e-9  # a bound that is met counts as within
    if off and not within and scene.stood >= AWAY:
        return Act.TELL_WRITER
    if not within or scene.stood < STUCK:
        return Act.NOTHING
    return Act.HOLD if off > 0 else Act.TELL


def changed(scaled: Scaled, found: Json, target: int | None) -> Json | None:
    """What holds the minimum of the object that was found at the target, or, with None, puts its own back.

    None where another has written it since it was looked at: that stays, and is looked at first.
    """
    stands, held = whole(found, "spec", "minReplicaCount", otherwise=0), strings(found, "metadata", "annotations")
    if (stands, LEAST in held) != (scaled.least, scaled.held):
        return None
    own = own_least(found)
    metadata: dict[str, Json] = {
        "uid": scaled.uid,
        "resourceVersion": text(found, "metadata", "resourceVersion"),
        "annotations": {LEAST: None if target is None else str(own)},
    }
    return {"metadata": metadata, "spec": {"minReplicaCount": own if target is None else target}}


class DeadBand:
    """Looks at every ScaledObject now and then. Belongs to one event loop."""

    def __init__(self, charge: Charge, control: Control, scaled: Iterable[Scaled]) -> None:
        self._charge, self._control, self._scaled = charge, control, scaled
        self._pen, self._events = control.pen, control.events
        self._since: dict[PoolKey, tuple[tuple[int, int], Instant]] = {}

    async def run(self) -> None:
        """Look, until cancelled."""
        clock = self._charge.clock
        while True:
            await clock.sleep_until(clock.now() + LOOK)
            if self._charge.office.term is None:
                self._since.clear()
                continue
            for each in self._scaled:
                await self._look(each, clock.now())

    async def _look(self, scaled: Scaled, now: Instant) -> None:
        scene = self._scene(scaled, now)
        what = Act.NOTHING if scene is None else act(scaled, scene)
        if scene is None or what is Act.NOTHING:
            return
        if what is Act.TELL:
            self._events.tell(_told(scaled), "TargetNotFollowed", _why(scene), warning=True)
            return
        if what is Act.TELL_WRITER:
            why = _writes_otherwise(scene, self._control.writer(scaled.key))
            self._events.tell(_told(scaled), "TargetNotFollowed", why, warning=True)
            return
        try:
            await self._write(scaled, scene.target if what is Act.HOLD else None)
        except (ApiError, NotLeadingError) as error:
            LOG.warning("the dead band cannot be stepped over", pool=str(scaled.key), why=str(error))

    def _scene(self, scaled: Scaled, now: Instant) -> Scene | None:
        """The pool's figures; None where one is not known, or where nobody is to follow them."""
        pool, posted = self._charge.registry.get(scaled.key), self._charge.board.get(scaled.key)
        if scaled.kind != "ScaledObject" or pool is None or posted is None or pool.spec.policy.mode is not Mode.AUTO:
            return None
        target, live = posted.outcome.report, pool.memory.live
        if isinstance(target, Unknown) or live is None or not self._charge.board.is_fresh(posted, now):
            return None
        figures, since = self._since.get(scaled.key, ((-1, -1), now))
        if figures != (target, live):
            since = now
        self._since[scaled.key] = (target, live), since
        return Scene(target=target, live=live, stood=abs(now - since), there=_there(posted.outcome.evidence.supply))

    async def _write(self, scaled: Scaled, target: int | None) -> None:
        """Hold the minimum at the target, or put back what it was; over the very version that is read before."""
        path = f"/apis/keda.sh/v1alpha1/namespaces/{scaled.namespace}/scaledobjects/{scaled.name}"
        answer = await self._pen.read(Request(method="GET", path=path, within=PATIENCE))
        if answer.status != HTTPStatus.OK:
            return
        body = changed(scaled, parsed(answer.body), target)
        if body is None:
            return
        answer = await self._pen.write(
            "minimum", Request(method="PATCH", path=path, body=body, content=MERGE, within=PATIENCE)
        )
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ApiError(f"HTTP {answer.status} {answer.message}")
        if target is None:
            LOG.info("the dead band was stepped over", pool=str(scaled.key))
        else:
            told = f"held at {target} until the workload asks for as many: the HPA's tolerance keeps it below"
            self._events.tell(_told(scaled), "MinimumHeld", told)


def _there(supply: Supply) -> int:
    """Pods that exist, whatever they do."""
    return supply.ready + supply.starting + supply.overdue + supply.draining + supply.drained


def _why(scene: Scene) -> str:
    return (
        f"the target is {scene.target} and the HPA stays at {scene.live}, which is within its tolerance; set "
        "behavior.scaleDown.tolerance to 0 (Kubernetes 1.35 and KEDA 2.18, or later)"
    )


def _writes_otherwise(scene: Scene, writer: str) -> str:
    said = f"the target is {scene.target}, and the workload asks for {scene.live} and has for {AWAY / 60:.0f} minutes"
    if writer in FOLLOWERS:
        return f"{said}; the conditions of the ScaledObject and of its HPA say why"
    return f"{said}, as {writer} wrote it: leave spec.replicas out of what that applies, or take the other writer away"


def _told(scaled: Scaled) -> Told:
    return Told(
        version="keda.sh/v1alpha1",
        kind=scaled.kind,
        namespace=scaled.namespace,
        name=scaled.name,
        uid=scaled.uid,
    )
