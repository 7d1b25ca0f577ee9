"""What KEDA learns when it polls: one metric, one value, one answer about activity, or an error and never a guess."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey, PoolSpec
from scaler.core.policy import Mode
from scaler.core.tick import tick
from scaler.core.types import Signal
from scaler.external.client import CallError, Metric, Poll, Trigger
from scaler.external.proto import externalscaler_pb2 as pb
from tests.contract.door import CODER, TRIGGER, WIDE, Door, Keeper, at_work, opened, unheard_of
from tests.core.pool import NOW, busy, observe, seasoned

REPLICAS = Metric("agent-replicas", 1.0)


async def test_a_poll_learns_replicas_against_a_target_of_one(door: Door) -> None:
    """Rows GetMetricSpec, GetMetrics and IsActive: seven pods at work are seven replicas, and the pool is active."""
    door.board.publish(CODER, at_work(7))
    assert await door.client.poll(TRIGGER) == Poll(REPLICAS, 7.0, active=True)


async def test_an_empty_pool_is_zero_and_inactive(door: Door) -> None:
    """Row IsActive: without work and pods KEDA may take the workload to zero."""
    door.board.publish(CODER, at_work(0))
    assert await door.client.poll(TRIGGER) == Poll(REPLICAS, 0.0, active=False)


async def test_old_and_new_clients_read_the_same_number(door: Door) -> None:
    """Row MetricSpec and MetricValue: KEDA before 2.17 reads the integers, later ones the floats, and both agree."""
    door.board.publish(CODER, at_work(21))
    [spec] = (await door.ask("GetMetricSpec", TRIGGER.ref(), pb.GetMetricSpecResponse)).metricSpecs
    [value] = (await door.metrics()).metricValues
    assert (spec.targetSize, spec.targetSizeFloat) == (1, 1.0)
    assert (value.metricValue, value.metricValueFloat) == (21, 21.0)


@pytest.mark.parametrize("name", ["agent-replicas", "AGENT-REPLICAS", "s0-agent-replicas"])
async def test_the_value_is_that_of_the_metric_asked_for(door: Door, name: str) -> None:
    """Row GetMetrics: KEDA gives every value the name it asked for and adds them up, so there is exactly one."""
    door.board.publish(CODER, at_work(2))
    assert [v.metricName for v in (await door.metrics(name=name)).metricValues] == [name]


async def test_the_spec_is_the_same_for_everybody(door: Door) -> None:
    """Row spec caching: the HPA keeps the first target it was given, so the answer depends on nothing at all."""
    askers = [TRIGGER, Trigger("", ""), Trigger("nowhere", "nobody"), Trigger("agents", "coder", {"max": "many"})]
    answers = [await door.ask("GetMetricSpec", asker.ref(), pb.GetMetricSpecResponse) for asker in askers]
    door.board.publish(CODER, at_work(3))
    await door.clock.advance_to(NOW + 1_000)
    answers.append(await door.ask("GetMetricSpec", TRIGGER.ref(), pb.GetMetricSpecResponse))
    assert len({answer.SerializeToString() for answer in answers}) == 1


async def test_a_stale_outcome_is_an_error_that_says_how_old(door: Door) -> None:
    """Row pull error: the HPA holds on an error, so an old target is one, with pool, age and bound; never a zero."""
    door.board.publish(CODER, at_work(3))
    await door.clock.advance_to(NOW + 30)
    assert (await door.client.poll(TRIGGER)).value == 3.0
    await door.clock.advance_to(NOW + 31)
    code, why = await door.refusal("GetMetrics")
    assert code == "UNAVAILABLE"
    assert all(part in why for part in ("agents/coder", "31 s ago", "30 s"))


async def test_an_outcome_from_the_future_is_as_stale(door: Door) -> None:
    """A clock that was set back an hour makes nothing fresher: until the next tick there is no target."""
    door.board.publish(CODER, at_work(3, NOW + 3_600))
    code, why = await door.refusal("GetMetrics")
    assert (code, "agents/coder" in why) == ("UNAVAILABLE", True)


async def test_a_target_nobody_knows_is_an_error_that_says_why(door: Door) -> None:
    """Row pull error: without knowing the replicas there is nothing to report that would change nothing."""
    door.board.publish(CODER, unheard_of())
    code, why = await door.refusal("GetMetrics")
    assert code == "UNAVAILABLE"
    assert all(part in why for part in ("agents/coder", "0 s ago", "30 s", "nobody said"))


async def test_activity_outlives_the_target(door: Door) -> None:
    """Row IsActive: stale or unknown, the pool stays as active as it was last known to be, and this is no error."""
    door.board.publish(CODER, at_work(3))
    await door.clock.advance_to(NOW + 300)
    assert await door.client.is_active(TRIGGER)
    door.board.publish(CODER, unheard_of(NOW + 300))
    assert await door.client.is_active(TRIGGER)
    door.board.publish(CODER, at_work(0, NOW + 300))
    door.board.publish(CODER, unheard_of(NOW + 300))
    assert not await door.client.is_active(TRIGGER)


async def test_activity_that_was_never_known_is_an_error(door: Door) -> None:
    """Row IsActive: true would wake an empty pool, false would let a busy one go, so KEDA is told to hold."""
    door.board.publish(CODER, unheard_of())
    assert (await door.refusal("IsActive"))[0] == "UNAVAILABLE"


async def test_a_pool_that_nobody_knew_is_taken_in_and_not_guessed_at(door: Door) -> None:
    """Row reconcile: the first poll of a new ScaledObject gets its spec, an error for its value, and soon a target."""
    assert await door.client.metric(TRIGGER) == REPLICAS
    for rpc in ("GetMetrics", "IsActive"):
        code, why = await door.refusal(rpc)
        assert (code, "agents/coder is not evaluated yet" in why) == ("UNAVAILABLE", True)
    assert [key for key, _ in door.keeper.admitted] == [CODER]
    door.board.publish(CODER, at_work(2))
    assert (await door.client.poll(TRIGGER)).value == 2.0


async def test_value_and_activity_of_one_poll_come_from_one_outcome(door: Door) -> None:
    """Row GetMetrics then IsActive: a tick between the two calls does not make them contradict each other."""
    door.board.publish(CODER, at_work(0))
    assert await door.client.value(TRIGGER, "agent-replicas") == 0.0
    door.board.publish(CODER, at_work(4))
    assert not await door.client.is_active(TRIGGER)
    assert await door.client.is_active(TRIGGER)


async def test_activity_alone_comes_from_the_latest_outcome(door: Door) -> None:
    """Row IsActive: what an abandoned poll was answered from is not dug out for a later one."""
    door.board.publish(CODER, at_work(0))
    await door.client.value(TRIGGER, "agent-replicas")
    await door.clock.advance_to(NOW + 2)
    door.board.publish(CODER, at_work(4, NOW + 2))
    assert await door.client.is_active(TRIGGER)


async def test_two_polls_of_one_outcome_agree(door: Door) -> None:
    """Row cadence: the poll loop and the HPA ask in turn, and between two ticks they hear the same."""
    door.board.publish(CODER, at_work(5))
    polls = [await door.client.poll(TRIGGER)]
    await door.clock.advance_to(NOW + 15)
    polls.append(await door.client.poll(TRIGGER))
    assert polls[0] == polls[1]


async def test_a_call_without_a_deadline_is_answered(door: Door) -> None:
    """Row no deadline: KEDA would wait for ever, so there is nothing here that could."""
    door.board.publish(CODER, at_work(3))
    assert [value.metricValue for value in (await door.metrics()).metricValues] == [3]
    assert (await door.ask("IsActive", TRIGGER.ref(), pb.IsActiveResponse)).result


async def test_many_objects_share_one_connection(door: Door) -> None:
    """Row connection pool: KEDA asks for all its objects at once over one connection, and each gets its own answer."""
    triggers = [Trigger("agents", f"pool-{i}") for i in range(50)]
    for i, trigger in enumerate(triggers):
        door.board.publish(CODER._replace(name=trigger.name), at_work(i))
    polls = await asyncio.gather(*(door.client.poll(trigger) for trigger in triggers))
    assert [poll.value for poll in polls] == list(range(50))


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
async def test_a_pool_that_is_switched_off_keeps_its_replicas(door: Door, mode: Mode) -> None:
    """Whatever the work asks for, KEDA is told the live replicas, and so changes nothing."""
    policy = replace(WIDE, mode=mode)
    for live, queue in ((3, 500.0), (3, 0.0), (0, 500.0)):
        seen = observe([busy(f"pod-{i}") for i in range(live)], {Signal.QUEUE: queue})
        door.board.publish(CODER, tick(policy, seasoned(), seen, NOW))
        poll = await door.client.poll(TRIGGER)
        assert (poll.value, poll.active) == (live, live > 0)


class Forgiving(Keeper):
    """Refuses a pool once."""

    def admit(self, key: PoolKey, metadata: TriggerMetadata) -> PoolSpec:
        """Take the pool, from the second time on."""
        try:
            return super().admit(key, metadata)
        finally:
            self.refused.discard(key)


async def test_a_failed_poll_is_tried_once_more() -> None:
    """Row retry: KEDA asks again at once, so one failure is no failure and two are."""
    async with opened(Forgiving(refused={CODER})) as door:
        door.board.publish(CODER, at_work(1))
        assert (await door.client.poll(TRIGGER)).value == 1.0
        with pytest.raises(CallError, match="GetMetrics answered UNAVAILABLE: agents/other"):
            await door.client.poll(Trigger("agents", "other"))
