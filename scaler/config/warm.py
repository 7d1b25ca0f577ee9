"""Warm pools of agent-sandbox: what may be set for them, in layers as for pools of pods, and what holds for each.

They have no trigger, so the file alone names them: who writes their size must have been asked to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from scaler.config.fields import Duration, Name, PoolName
from scaler.config.knobs import Count, Positive, Section, Switch
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError, Problem, shown, suggest
from scaler.core.policy import Mode, PolicyError
from scaler.core.types import Seconds
from scaler.core.warmpool_types import DEAREST, MISSES, WarmPolicy

DEFAULTS: Final = WarmPolicy()
UNUSED: Final[Seconds] = 900.0  # whoever has claimed a sandbox sends work within minutes, or holds a session
ORDER: Final = (Mode.OFF, Mode.RECOMMEND, Mode.AUTO)  # from the least that is done to the most


class WarmLayer(Section):
    """What may be set for a warm pool."""

    mode: Mode = Field(
        default=DEFAULTS.mode,
        description="The kill switch: auto writes the size; recommend and off leave the live size as it is.",
    )
    min: Count = Field(default=DEFAULTS.min_size, description="Fewest idle sandboxes.")
    max: Annotated[Count, Field(ge=1)] = Field(default=DEFAULTS.max_size, description="Most idle sandboxes.")
    miss_target: Annotated[float, Field(strict=True, ge=MISSES, lt=1)] = Field(
        default=DEFAULTS.miss_target, description="Share of claims that may find no ready sandbox."
    )
    wait_price: Annotated[Positive, Field(le=DEAREST)] | None = Field(
        default=DEFAULTS.wait_price,
        description="Price of a second of waiting for a sandbox, in seconds of an idle one; it takes the place of "
        "miss_target. null leaves the target.",
    )
    pause_up: Switch = Field(default=DEFAULTS.pause_up, description="Add no sandboxes.")
    pause_down: Switch = Field(default=DEFAULTS.pause_down, description="Remove no sandboxes.")
    idle_price_per_hour: Positive | None = Field(
        default=None, description="Price of one idle sandbox for an hour, for the metric of what idling has cost."
    )
    extend_shutdown: Duration | None = Field(
        default=None,
        description="While a guarded sandbox is busy, the shutdownTime of its claim is kept at least so far ahead; "
        "null never touches it. A duration; a number is seconds.",
    )
    release_unused: Duration | None = Field(
        default=UNUSED,
        description="A guarded sandbox that was claimed and never worked is released after so long of being idle "
        "without a session; null never does. A duration; a number is seconds.",
    )


class WarmPoolLayer(WarmLayer):
    """What may be set for one warm pool."""

    class_: Name | None = Field(default=None, alias="class", description="The class it takes its policy from.")


class WarmSection(Section):
    """The warm pools that are sized here. No other is touched."""

    most: Count | None = Field(
        default=None,
        description="Most idle sandboxes of all these pools together, shared by what each adds; null is no bound.",
    )
    defaults: WarmLayer = Field(default=WarmLayer(), description="What holds for each that does not say otherwise.")
    classes: dict[Name, WarmLayer] = Field(default={}, description="Policies that several share, by name.")
    pools: dict[PoolName, WarmPoolLayer] = Field(
        default={}, description="Warm pools, by NAMESPACE/NAME of their SandboxWarmPool."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSpec:
    """What holds for one warm pool.

    Attributes:
        idle_price: of one idle sandbox for an hour; None where nobody said.
        extend_shutdown: seconds; None where a claim's shutdown time is left alone.
        release_unused: seconds; None where a sandbox that never worked is kept for ever.
    """

    key: PoolKey
    class_name: str | None
    policy: WarmPolicy
    idle_price: float | None
    extend_shutdown: Seconds | None
    release_unused: Seconds | None


def warm_keys(section: WarmSection) -> tuple[PoolKey, ...]:
    """The warm pools of the file."""
    return tuple(PoolKey(*name.split("/", 1)) for name in section.pools)


def warm_spec(section: WarmSection, key: PoolKey, switch: Mode) -> WarmSpec:
    """What holds for one of them; ``switch`` is the mode that none exceeds.

    Raises:
        ConfigError: its class does not exist, or its layers contradict each other.
    """
    layer, class_name = _merged(section, section.pools[str(key)])
    try:
        policy = WarmPolicy(
            mode=min(switch, layer.mode, key=ORDER.index),
            min_size=layer.min,
            max_size=layer.max,
            miss_target=layer.miss_target,
            wait_price=layer.wait_price,
            pause_up=layer.pause_up,
            pause_down=layer.pause_down,
        )
    except PolicyError as error:
        raise ConfigError([_contradiction(layer, error)]) from None
    return WarmSpec(
        key=key,
        class_name=class_name,
        policy=policy,
        idle_price=layer.idle_price_per_hour,
        extend_shutdown=layer.extend_shutdown,
        release_unused=layer.release_unused,
    )


def _merged(section: WarmSection, pool: WarmPoolLayer) -> tuple[WarmLayer, str | None]:
    """The layers as one: the pool's before its class's before the defaults."""
    if pool.class_ is not None and pool.class_ not in section.classes:
        way_out = suggest(pool.class_, section.classes, f"add warm_pools.classes.{pool.class_}")
        allowed = "must be one of warm_pools.classes"
        raise ConfigError([Problem(path="class", value=shown(pool.class_), allowed=allowed, way_out=way_out)])
    values = {key: value for layer in _layers(section, pool) for key, value in layer}
    return WarmLayer.model_validate(values), pool.class_


def _layers(section: WarmSection, pool: WarmPoolLayer) -> Iterator[Iterator[tuple[str, object]]]:
    """What each layer sets itself, from the weakest on."""
    class_ = [section.classes[pool.class_]] if pool.class_ is not None else []
    for layer in (section.defaults, *class_, pool):
        yield ((key, getattr(layer, key)) for key in sorted(layer.model_fields_set - {"class_"}))


def _contradiction(layer: WarmLayer, error: PolicyError) -> Problem:
    """The core's refusal under the file's key. Each key alone is in its range, so it is the bounds that are not."""
    allowed, way_out = f"must be at least min, which is {layer.min}", "raise max or lower min"
    return Problem(path="max", value=shown(error.value), allowed=allowed, way_out=way_out)
