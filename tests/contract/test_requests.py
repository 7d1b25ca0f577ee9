"""Who may ask for what: the trigger's metadata is read strictly, and a pool is its own namespace's affair."""

from __future__ import annotations

import pytest

from scaler.config.pool import JobStrategy, PoolKey
from scaler.external.client import CallError, Trigger
from tests.contract.door import CODER, TRIGGER, Door, Keeper, at_work, opened
from tests.core.pool import NOW

KEDA = {"scalerAddress": "scaler.agent-scaler:6000", "enableTLS": "false", "unsafeSsl": "false"}
HOUR = 3_600


async def test_kedas_own_keys_are_no_mistake(door: Door) -> None:
    """Row scalerMetadata: the whole map arrives, KEDA's keys included, whatever their order."""
    door.board.publish(CODER, at_work(2))
    forwards, backwards = {**KEDA, "max": "8"}, {"max": "8", **dict(reversed(KEDA.items()))}
    for metadata in (KEDA, forwards, backwards):
        assert (await door.client.poll(Trigger(*CODER, metadata))).value == 2.0


async def test_a_key_from_the_environment_is_read_as_the_key(door: Door) -> None:
    """Row FromEnv: KEDA resolves the value and keeps the suffix."""
    door.board.publish(CODER, at_work(2))
    await door.client.poll(Trigger(*CODER, {"maxFromEnv": "8"}))
    assert [metadata.max for _, metadata in door.keeper.admitted] == [8]


@pytest.mark.parametrize("rpc", ["GetMetrics", "IsActive"])
@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"max": "0"}, ["max = 0", ">= 1"]),
        ({"maxx": "8"}, ["maxx", "unknown key", "max"]),
        ({"mode": "fast"}, ["mode", "'fast'", "off, recommend or auto"]),
        ({"max": "0", "minn": "1"}, ["max = 0", "minn"]),
        ({"caCert": "/etc/ca.crt"}, ["caCert", "TriggerAuthentication"]),
    ],
    ids=["out of range", "unknown", "not a choice", "two at once", "ignored by KEDA"],
)
async def test_a_mistake_is_told_with_key_value_and_range(
    door: Door, rpc: str, metadata: dict[str, str], told: list[str]
) -> None:
    """Row scalerMetadata: KEDA shows the status in its events, so the author reads there what to change."""
    door.board.publish(CODER, at_work(2))
    code, why = await door.refusal(rpc, Trigger(*CODER, metadata))
    assert code == "INVALID_ARGUMENT"
    assert [part for part in told if part not in why] == []
    assert door.keeper.admitted == []


async def test_a_secret_is_never_repeated(door: Door) -> None:
    """Row FromEnv: values from the environment travel in the clear, and no message adds to that."""
    code, why = await door.refusal("GetMetrics", Trigger(*CODER, {"tokenFromEnv": "hunter2"}))
    assert (code, "tokenFromEnv" in why, "hunter2" in why) == ("INVALID_ARGUMENT", True, False)


async def test_a_pool_is_read_only_by_its_own_namespace(door: Door) -> None:
    """Row ScaledObjectRef: metadata comes from any namespace, and another's pool is not for sale."""
    door.board.publish(CODER, at_work(2))
    for rpc in ("GetMetrics", "IsActive"):
        code, why = await door.refusal(rpc, Trigger("others", "coder", {"pool": "agents/coder"}))
        assert (code, "agents/coder" in why) == ("PERMISSION_DENIED", True)
    with pytest.raises(CallError, match=r"others/coder is not evaluated yet"):
        await door.client.value(Trigger("others", "coder"), "agent-replicas")


@pytest.mark.parametrize("pool", ["coder", "agents/coder"])
async def test_a_trigger_may_name_a_pool_of_its_namespace(door: Door, pool: str) -> None:
    """Row ScaledObjectRef: several triggers, or an object of another name, may speak of one pool."""
    door.board.publish(CODER, at_work(2))
    assert (await door.client.poll(Trigger("agents", "canary", {"pool": pool}))).value == 2.0


async def test_metadata_is_handed_over_once_and_again_when_it_changes(door: Door) -> None:
    """Row generation: an edited trigger takes effect, and thousands of polls of one that stays cost nothing."""
    door.board.publish(CODER, at_work(2))
    for most in ("8", "8", "9", "9", "8"):
        for _ in range(3):
            await door.client.poll(Trigger(*CODER, {**KEDA, "max": most}))
    assert [metadata.max for _, metadata in door.keeper.admitted] == [8, 9, 8]
    await door.client.poll(Trigger(*CODER, {"max": "8"}))
    assert len(door.keeper.admitted) == 3


async def test_a_pool_that_was_taken_away_is_taken_in_again(door: Door) -> None:
    """A pool that a reload of the configuration dropped comes back with its next poll."""
    door.board.publish(CODER, at_work(2))
    await door.client.poll(TRIGGER)
    door.keeper.dismiss(CODER)
    door.board.forget(CODER)
    assert "not evaluated yet" in (await door.refusal("GetMetrics"))[1]
    assert [key for key, _ in door.keeper.admitted] == [CODER, CODER]


async def test_what_contradicts_the_configuration_is_told() -> None:
    """Metadata may be right by itself and wrong beside the configuration: the same status, with its problem."""
    async with opened(Keeper(refused={CODER})) as door:
        code, why = await door.refusal("GetMetrics")
        assert (code, "class = 'gpu': must be an existing class" in why) == ("INVALID_ARGUMENT", True)


async def test_pools_are_bounded_and_the_configured_ones_are_not_crowded_out() -> None:
    """Strangers fill their places only: one too many is refused, and a pool of the configuration is answered."""
    async with opened(Keeper(configured={CODER: None}), most_pools=2) as door:
        door.board.publish(CODER, at_work(2))
        for name in ("a", "b"):
            assert "not evaluated yet" in (await door.refusal("GetMetrics", Trigger("others", name)))[1]
        code, why = await door.refusal("GetMetrics", Trigger("others", "c"))
        assert code == "RESOURCE_EXHAUSTED"
        assert all(part in why for part in ("others/c", "2 pools", "delete ScaledObjects"))
        assert (await door.client.poll(TRIGGER)).value == 2.0


async def test_no_namespace_fills_the_places_of_all() -> None:
    """One that has its share is refused another pool, which names the key to change, and the next namespace is not."""
    async with opened(Keeper(configured={CODER: None}), share=2) as door:
        door.board.publish(CODER, at_work(2))
        for name in ("a", "b"):
            assert (await door.refusal("GetMetrics", Trigger("agents", name)))[0] == "UNAVAILABLE"
        code, why = await door.refusal("GetMetrics", Trigger("agents", "c"))
        assert code == "RESOURCE_EXHAUSTED"
        assert all(part in why for part in ("agents/c", "2 pools of namespace agents", "admission.pools_per_namespace"))
        assert (await door.refusal("GetMetrics", Trigger("others", "c")))[0] == "UNAVAILABLE"
        assert (await door.client.poll(TRIGGER)).value == 2.0  # the configuration names it, so it has its place
        await door.clock.advance_to(NOW + HOUR + 1)
        assert (await door.refusal("GetMetrics", Trigger("agents", "c")))[0] == "UNAVAILABLE"
        assert door.keeper.dismissed == [PoolKey("agents", "a")]


async def test_of_triggers_that_contradict_each_other_the_first_is_heard(door: Door) -> None:
    """Two triggers of one pool are asked for in turn, for ever: the second is told why it is not heard, and the log."""
    door.board.publish(CODER, at_work(2))
    first, second = (Trigger(*CODER, {**KEDA, "max": most}) for most in ("8", "9"))
    for n in range(2):  # somebody may have edited the trigger, and have taken it back
        await door.clock.advance_to(NOW + 15 * n)
        await door.client.poll(first)
        assert n or (await door.client.poll(second)).value == 2.0
    for n in range(2, 30):
        await door.clock.advance_to(NOW + 15 * n)
        door.board.publish(CODER, at_work(2, door.clock.now()))
        await door.client.poll(first)
        code, why = await door.refusal("GetMetrics", second)
        assert code == "FAILED_PRECONDITION"
        assert "this one contradicts it in max" in why
    assert [metadata.max for _, metadata in door.keeper.admitted] == [8, 9, 8]
    await door.clock.advance_to(NOW + 900)
    door.board.publish(CODER, at_work(2, door.clock.now()))
    assert (await door.client.poll(second)).value == 2.0  # the first has gone


async def test_a_trigger_that_cannot_be_used_is_told_each_time(door: Door) -> None:
    """Its edit contradicts the configuration: it is no rival of what it said before, and is refused for what it is."""
    door.board.publish(CODER, at_work(2))
    await door.client.poll(TRIGGER)
    door.keeper.refused.add(CODER)
    for _ in range(3):
        assert (await door.refusal("GetMetrics", Trigger(*CODER, {"max": "8"})))[0] == "INVALID_ARGUMENT"
    assert (await door.client.poll(TRIGGER)).value == 2.0


async def test_contradictions_of_one_pool_are_bounded(door: Door) -> None:
    """Somebody sends another trigger each time: after a handful no more of them are believed."""
    door.board.publish(CODER, at_work(2))
    codes = []
    for most in range(1, 21):
        try:
            await door.client.poll(Trigger(*CODER, {"max": str(most)}))
        except CallError as error:
            codes.append(error.code)
    assert codes == ["FAILED_PRECONDITION"] * 11


async def test_a_place_is_given_up_after_an_hour_of_silence() -> None:
    """Preview environments come and go: the pool silent for longest makes room, once it is silent for an hour."""
    async with opened(most_pools=2) as door:
        gone, stays, new = (Trigger("others", name) for name in ("gone", "stays", "new"))
        for trigger in (stays, gone):
            await door.refusal("GetMetrics", trigger)
        await door.clock.advance_to(NOW + HOUR)
        await door.refusal("GetMetrics", stays)
        assert (await door.refusal("GetMetrics", new))[0] == "RESOURCE_EXHAUSTED"
        await door.clock.advance_to(NOW + HOUR + 1)
        assert (await door.refusal("GetMetrics", new))[0] == "UNAVAILABLE"
        assert door.keeper.dismissed == [PoolKey("others", "gone")]


async def test_a_request_out_of_all_proportion_is_refused(door: Door) -> None:
    """A megabyte of metadata is not read, let alone remembered."""
    code, _ = await door.refusal("GetMetrics", Trigger(*CODER, {"scalerAddress": "x" * 1_000_000}))
    assert code == "RESOURCE_EXHAUSTED"


async def test_a_job_strategy_of_the_configuration_counts() -> None:
    """What a class says of its ScaledJobs need not be repeated in each trigger: running Jobs are work all the same."""
    async with opened(Keeper(configured={CODER: JobStrategy.ACCURATE})) as door:
        door.board.publish(CODER, at_work(2))
        assert (await door.refusal("GetMetrics"))[0] == "UNAVAILABLE"
