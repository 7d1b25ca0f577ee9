"""What is no fault of a configuration, and what people are told of it all the same."""

from __future__ import annotations

from typing import Final

import structlog

from scaler.cli.naming import listed
from scaler.config.pool import PoolSpec
from scaler.config.rising import Rising, rising
from scaler.config.settings import Settings
from scaler.core.policy import Guarantee

LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
UNSEEN: Final = "protected and without a source of pods, so no pod is ever taken away and the target only rises"
_OTHERWISE: Final = "or set guarantee: best-effort, under which the HPA takes whom it likes"
WAY_OUT: Final = f"name pods and serve with --control, which finds those of a ScaledObject by itself, {_OTHERWISE}"


def unseen(found: Rising) -> str:
    """One line for whoever looks at a file, before it is served."""
    return f"{_names(found)}: {UNSEEN}; {WAY_OUT}"


def of_pool(spec: PoolSpec) -> str:
    """The same of one pool; empty where its pods can be taken away."""
    protected = spec.policy.guarantee is Guarantee.PROTECTED and spec.job_strategy is None
    return f"warning: {spec.key}: {UNSEEN}; {WAY_OUT}" if protected and spec.pods is None else ""


class Warner:
    """Tells the log once of each configuration what can only rise under it."""

    def __init__(self, *, controlled: bool) -> None:
        self._controlled = controlled
        self._told = Rising((), ())

    def look(self, settings: Settings) -> None:
        """Tell of these settings, unless the same was told of those before them."""
        found = rising(settings, drained=self._controlled)
        if found and found != self._told:
            self._tell(found)
        self._told = found

    def _tell(self, found: Rising) -> None:
        if self._controlled:
            why = f"{_names(found)}: protected, and the file names no pods; {WAY_OUT}"
            LOG.info("protected pools only rise until their pods are found", pools=len(found.pools), why=why)
        else:
            way_out = f"serve with --control, {_OTHERWISE}"
            why = f"{_names(found)}: protected, and no pod is drained, so none is ever taken away; {way_out}"
            LOG.warning("protected pools only rise, for nobody drains pods", pools=len(found.pools), why=why)


def _names(found: Rising) -> str:
    kinds = (("pools", found.pools), ("classes", found.classes))
    return ", ".join(f"{kind} {listed(names)}" for kind, names in kinds if names)
