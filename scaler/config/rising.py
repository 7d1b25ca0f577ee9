"""Pools whose target only ever rises: they are protected, and nobody sees the pods that would have to go.

That is what the promise comes to, and no fault of the file. But who has not been told wonders for long why a pool that
is idle stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scaler.config.knobs import Layer
from scaler.config.settings import Settings
from scaler.core.policy import Guarantee

_NOTHING_SAID: Final = Layer()


@dataclass(frozen=True, slots=True)
class Rising:
    """Names of pools of the file, and of classes that wait for pools from the cluster."""

    pools: tuple[str, ...]
    classes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.pools or self.classes)


def rising(settings: Settings, *, drained: bool = True) -> Rising:
    """Those that only ever rise. Where pods are not ``drained``, as without a controller, seeing them helps nobody.

    KEDA stops no Job, so a ScaledJob's pool has nobody to protect from it.
    """
    used = {pool.class_ for pool in settings.pools.values()}
    pools = (
        (name, (settings.defaults, *((settings.classes[pool.class_],) if pool.class_ else ()), pool))
        for name, pool in settings.pools.items()
    )
    classes = ((name, (settings.defaults, layer)) for name, layer in settings.classes.items() if name not in used)
    return Rising(
        pools=tuple(name for name, layers in pools if _only_rises(layers, drained=drained)),
        classes=tuple(name for name, layers in classes if _only_rises(layers, drained=drained)),
    )


def _only_rises(layers: tuple[Layer, ...], *, drained: bool) -> bool:
    """Whether pods of a pool of these layers, from the weakest to the strongest, can never be taken away."""
    if _said(layers, "guarantee") is not Guarantee.PROTECTED or _said(layers, "scaled_job_strategy") is not None:
        return False
    return _said(layers, "pods") is None or not drained


def _said(layers: tuple[Layer, ...], field: str) -> object:
    """What the strongest layer that sets the field says."""
    layer = next((layer for layer in reversed(layers) if field in layer.model_fields_set), _NOTHING_SAID)
    said: object = getattr(layer, field)
    return said
