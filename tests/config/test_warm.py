"""Warm pools in the file: layers, what contradicts itself, and what an empty section means."""

from __future__ import annotations

import pytest

from scaler.config.check import checked
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError
from scaler.config.warm import WarmLayer, WarmSection, WarmSpec, warm_keys, warm_spec
from scaler.core.policy import Mode
from scaler.core.warmpool_types import WarmPolicy

KEY = PoolKey("agents", "python")


def spec(text: str, *, switch: Mode = Mode.AUTO) -> WarmSpec:
    """What holds for the pool ``agents/python`` of this section."""
    lines = "\n".join(f"  {line}" for line in text.splitlines())
    return warm_spec(checked(f"warm_pools:\n{lines}").warm_pools, KEY, switch)


def faults(text: str) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_documented_defaults_are_the_cores() -> None:
    """There is one place where each is written."""
    found = spec("pools: {agents/python: {}}")
    assert found.policy == WarmPolicy()
    assert (found.idle_price, found.extend_shutdown, found.release_unused, found.class_name) == (
        None,
        None,
        900.0,
        None,
    )
    assert warm_keys(WarmSection()) == ()


def test_a_pool_goes_before_its_class_and_that_before_the_defaults() -> None:
    """Key by key, and only for what each says."""
    found = spec(
        "defaults: {min: 1, max: 10, miss_target: 0.1}\n"
        "classes: {quick: {max: 20, miss_target: 0.02}}\n"
        "pools: {agents/python: {class: quick, miss_target: 0.01}}"
    )
    assert (found.policy.min_size, found.policy.max_size, found.policy.miss_target) == (1, 20, 0.01)
    assert found.class_name == "quick"


@pytest.mark.parametrize(
    ("switch", "mode"), [(Mode.AUTO, Mode.AUTO), (Mode.RECOMMEND, Mode.RECOMMEND), (Mode.OFF, Mode.OFF)]
)
def test_no_pool_does_more_than_the_kill_switch_allows(switch: Mode, mode: Mode) -> None:
    """The file's mode is everybody's."""
    assert spec("pools: {agents/python: {mode: auto}}", switch=switch).policy.mode is mode


def test_a_class_that_does_not_exist_is_told_with_its_line_and_the_way_out() -> None:
    """As for pools of pods."""
    (told,) = faults("warm_pools:\n  classes: {quick: {}}\n  pools:\n    agents/python:\n      class: quik\n")
    assert told.startswith("line 5: warm_pools.pools.agents/python.class = 'quik': must be one of warm_pools.classes;")
    assert "quick" in told


def test_bounds_that_contradict_each_other_are_told_where_they_meet() -> None:
    """Also when two layers have set them."""
    (told,) = faults("warm_pools:\n  defaults: {min: 9}\n  pools:\n    agents/python: {max: 4}\n")
    assert "warm_pools.pools.agents/python.max = 4: must be at least min, which is 9" in told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{miss_target: 0}", "miss_target"),
        ("{miss_target: 1}", "miss_target"),
        ("{miss_target: 1.0e-17}", "miss_target"),
        ("{wait_price: -1}", "wait_price"),
        ("{wait_price: 1.0e17}", "wait_price"),
        ("{max: 0}", "max"),
        ("{extend_shutdown: soon}", "extend_shutdown"),
        ("{replicas: 3}", "replicas"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_its_key(value: str, told: str) -> None:
    """With where it stands."""
    found = faults(f"warm_pools: {{pools: {{agents/python: {value}}}}}")
    assert all(f"warm_pools.pools.agents/python.{told}" in each for each in found)
    assert found


def test_every_key_of_a_warm_pool_is_described() -> None:
    """The schema is what editors explain files with."""
    assert all(field.description for field in WarmLayer.model_fields.values())
