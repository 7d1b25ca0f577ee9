"""Why a target moved or stayed: one closed vocabulary, with every rendering of it in one table."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reason(enum.StrEnum):
    """The name is the metric label; ``RENDERINGS`` holds the Event reason and the sentence."""

    STEADY = "steady"
    DRAINED = "drained"
    STANDING = "standing"
    DEMAND = "demand"
    ANNOUNCED = "announced"
    FORECAST = "forecast"
    TOLERANCE = "tolerance"
    ACTIVATION = "activation"
    DRAINING = "draining"
    EMPTYING = "emptying"
    UNDRAINED = "undrained"
    DISPLACED = "displaced"
    REPLACING = "replacing"
    WITHDRAWN = "withdrawn"
    IDLE = "idle"
    IDLE_TIMER = "idle_timer"
    BUSY = "busy"
    ORDINAL = "ordinal"
    RATE_LIMIT = "rate_limit"
    FLAP_BUDGET = "flap_budget"
    NEWCOMER = "newcomer"
    STALE = "stale"
    NO_SIGNAL = "no_signal"
    NO_REPLICAS = "no_replicas"
    LAGGING = "lagging"
    UNSEEN = "unseen"
    UNGUARDED = "unguarded"
    PAUSED = "paused"
    OFF = "off"
    RECOMMEND = "recommend"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    BUDGET = "budget"
    FLOOR = "floor"
    LEAD_TIME = "lead_time"
    SURPLUS = "surplus"
    SURPLUS_TIMER = "surplus_timer"
    UNCLAIMED = "unclaimed"
    UNSCHEDULABLE = "unschedulable"
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a reason is told: the Kubernetes Event's reason (CamelCase) and a sentence without its figures."""

    event: str
    sentence: str


RENDERINGS: dict[Reason, Rendering] = {
    Reason.STEADY: Rendering("Steady", "nothing asks for a change"),
    Reason.DRAINED: Rendering("DrainedPodsLeft", "drained pods leave the target, one for one"),
    Reason.STANDING: Rendering("PodsStanding", "more pods stand than were asked for, and they keep their place"),
    Reason.DEMAND: Rendering("DemandRose", "the work needs more pods than there are"),
    Reason.ANNOUNCED: Rendering("WorkAnnounced", "a hint or the schedule asks for pods ahead of the work"),
    Reason.FORECAST: Rendering("DemandForecast", "demand is expected to rise before a pod could start"),
    Reason.TOLERANCE: Rendering("WithinTolerance", "the rise is small and nobody has waited long"),
    Reason.ACTIVATION: Rendering("BelowActivation", "demand has not passed the activation threshold"),
    Reason.DRAINING: Rendering("DrainStarted", "idle pods start to drain"),
    Reason.EMPTYING: Rendering("EmptyingStarted", "busy pods take no more: others have room, or the maximum fell"),
    Reason.UNDRAINED: Rendering("DrainCancelled", "draining pods are called back before new ones start"),
    Reason.DISPLACED: Rendering("NodeDrainStarted", "pods that their nodes ask away take no more work"),
    Reason.REPLACING: Rendering("ReplacementsAwaited", "pods that their nodes ask away stay until others stand in"),
    Reason.WITHDRAWN: Rendering("OrderWithdrawn", "pods asked for and never seen are no longer wanted"),
    Reason.IDLE: Rendering("IdlePodsLeft", "idle pods leave the target"),
    Reason.IDLE_TIMER: Rendering("IdleTimerRunning", "spare pods have not been idle for long enough"),
    Reason.BUSY: Rendering("PodsBusy", "no spare pod is idle, and no work is ever taken from a busy or unknown one"),
    Reason.ORDINAL: Rendering("BlockedByOrdinal", "a StatefulSet gives up its highest ordinal first, which stays"),
    Reason.RATE_LIMIT: Rendering("RateLimited", "the target rises by no more than its rate limit"),
    Reason.FLAP_BUDGET: Rendering("FlapBudgetSpent", "the target has turned back too often within the hour"),
    Reason.NEWCOMER: Rendering("NewcomerHolds", "a new process lowers nothing before one idle timer has passed"),
    Reason.STALE: Rendering("SignalStale", "a signal is missing or old, so nothing is lowered"),
    Reason.NO_SIGNAL: Rendering("NoSignal", "no signal says anything about demand"),
    Reason.NO_REPLICAS: Rendering("ReplicasUnknown", "nobody has said how many replicas there are"),
    Reason.LAGGING: Rendering("ReplicasLagging", "more pods stand than the live replicas know of yet"),
    Reason.UNSEEN: Rendering("PodsUnseen", "the pods cannot be seen, so none may be taken away"),
    Reason.UNGUARDED: Rendering("GuardsDoNotHold", "what protects the pods does not hold, so none may be taken away"),
    Reason.PAUSED: Rendering("Paused", "this direction is paused"),
    Reason.OFF: Rendering("SwitchedOff", "the pool is switched off and keeps its replicas"),
    Reason.RECOMMEND: Rendering("RecommendOnly", "the pool only gets a recommendation and keeps its replicas"),
    Reason.MINIMUM: Rendering("AtMinimum", "the pool's minimum"),
    Reason.MAXIMUM: Rendering("AtMaximum", "the pool's maximum"),
    Reason.BUDGET: Rendering("AtBudget", "the pool's money per hour"),
    Reason.FLOOR: Rendering("AtFloor", "fewer replicas would take somebody's work away"),
    Reason.LEAD_TIME: Rendering("LeadTimeDemand", "claims within one lead time need more idle sandboxes"),
    Reason.SURPLUS: Rendering("SurplusLeft", "idle sandboxes that no claim is expected for leave the pool"),
    Reason.SURPLUS_TIMER: Rendering("SurplusTimerRunning", "spare sandboxes stay until others would cost as much"),
    Reason.UNCLAIMED: Rendering("NothingClaimed", "nobody has claimed for so long that one miss costs less"),
    Reason.UNSCHEDULABLE: Rendering("SandboxesUnschedulable", "a sandbox finds no node, so none is added"),
    Reason.UNSETTLED: Rendering("PoolUnsettled", "the pool has not followed its last size yet, so nothing is lowered"),
}
