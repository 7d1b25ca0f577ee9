"""What a ScaledJob is told: Jobs to have in all, or Jobs to add, by the strategy with which KEDA counts them."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest

from scaler.config.pool import JobStrategy
from scaler.core.policy import Mode, Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Outcome, Signal, Unknown
from scaler.external.client import Trigger
from tests.contract.door import CODER, WIDE, Door
from tests.core.pool import NOW, Levels, busy, idle, observe, seasoned

DEFAULT = Trigger(*CODER, {"scaledJobStrategy": "default"})
ACCURATE = Trigger(*CODER, {"scaledJobStrategy": "accurate"})
MOST = 100  # maxReplicaCount less minReplicaCount


def jobs(running: int, signals: Levels, policy: Policy = WIDE, *, idling: int = 0) -> Outcome:
    """What a tick says of so many Jobs that run a task each, and some that run none yet."""
    pods = [*(busy(f"run-{i}") for i in range(running)), *(idle(f"idle-{i}") for i in range(idling))]
    return tick(policy, seasoned(len(pods)), observe(pods, signals), NOW)


def created(strategy: JobStrategy, told: float, *, running: int, pending: int) -> int:
    """Jobs KEDA creates at this poll: its own arithmetic, with the Jobs it counts itself."""
    scale = min(int(told), MOST)
    if strategy is JobStrategy.DEFAULT:
        room = scale - running
    elif scale + running - pending > MOST:
        room = MOST - running
    else:
        room = scale - pending
    return max(0, min(int(told), room))


@pytest.mark.parametrize(("running", "queue"), [(0, 3), (2, 3), (5, 0), (30, 10), (3, 1)])
async def test_each_waiting_task_gets_one_job_and_no_more(door: Door, running: int, queue: int) -> None:
    """Row ScaledJob strategies: told what its strategy needs, KEDA creates as many Jobs as there are waiting tasks."""
    door.board.publish(CODER, jobs(running, {Signal.QUEUE: float(queue), Signal.OLDEST_WAIT: 20.0}))
    for trigger, strategy in ((DEFAULT, JobStrategy.DEFAULT), (ACCURATE, JobStrategy.ACCURATE)):
        poll = await door.client.poll(trigger)
        # A pod that has not taken its task is a Job KEDA calls running, and accurate calls pending: there is none here.
        assert created(strategy, poll.value, running=running, pending=0) == min(queue, limit(running))


def limit(running: int) -> int:
    """Jobs that the rate limit lets be added at once."""
    return max(4, running)


async def test_default_is_told_waiting_and_running_accurate_only_waiting(door: Door) -> None:
    """Row ScaledJob strategies: four run, two wait; six to default, two to accurate."""
    door.board.publish(CODER, jobs(4, {Signal.QUEUE: 2.0}))
    assert ((await door.client.poll(DEFAULT)).value, (await door.client.poll(ACCURATE)).value) == (6.0, 2.0)


async def test_tasks_become_whole_jobs(door: Door) -> None:
    """A Job that takes four tasks at once counts once: nine waiting tasks are three Jobs."""
    door.board.publish(CODER, jobs(0, {Signal.QUEUE: 9.0}, replace(WIDE, slots_per_pod=4)))
    assert ((await door.client.poll(DEFAULT)).value, (await door.client.poll(ACCURATE)).value) == (3.0, 3.0)


async def test_unfinished_work_alone_is_enough_for_default(door: Door) -> None:
    """A broker that only counts unfinished tasks serves default; accurate needs to know which are unclaimed."""
    seen = observe(Unknown("no list of pods"), {Signal.PENDING: 7.0}, replicas=4)
    door.board.publish(CODER, tick(WIDE, seasoned(4), seen, NOW))
    assert (await door.client.poll(DEFAULT)).value == 7.0
    assert (await door.refusal("GetMetrics", ACCURATE))[0] == "UNAVAILABLE"


async def test_half_of_the_work_is_no_figure(door: Door) -> None:
    """Row ScaledJob: KEDA takes running Jobs off the number, so waiting work without the running would starve."""
    seen = observe(Unknown("no list of pods"), {Signal.QUEUE: 7.0}, replicas=4)
    door.board.publish(CODER, tick(WIDE, seasoned(4), seen, NOW))
    code, why = await door.refusal("GetMetrics", DEFAULT)
    assert (code, "agents/coder" in why) == ("UNAVAILABLE", True)
    assert (await door.client.poll(ACCURATE)).value == 7.0


async def test_jobs_are_created_whatever_pods_nobody_asked_for(door: Door) -> None:
    """KEDA's Jobs come before its next poll: for a Deployment that would be a reason to tell nothing."""
    seen = observe([busy("a"), busy("b"), busy("c")], {Signal.QUEUE: 2.0}, replicas=1)
    late = replace(seen, replicas=Known(1.0, NOW - 60.0))
    outcome = tick(replace(WIDE, max_replicas=2), replace(seasoned(1), live=1), late, NOW)
    door.board.publish(CODER, outcome)
    assert isinstance(outcome.report, Unknown)
    assert (await door.client.poll(DEFAULT)).value == 2.0


async def test_no_floor_holds_for_jobs(door: Door) -> None:
    """Row ScaledJob: KEDA stops no running Job, so ten that run nothing are no reason to ask for one."""
    door.board.publish(CODER, jobs(0, {Signal.QUEUE: 0.0}, idling=10))
    for trigger in (DEFAULT, ACCURATE):
        poll = await door.client.poll(trigger)
        assert (poll.value, poll.active) == (0.0, False)


async def test_bounds_hold_for_jobs(door: Door) -> None:
    """The pool's maximum counts the Jobs that run: eight of ten are taken, so five waiting tasks get two."""
    door.board.publish(CODER, jobs(8, {Signal.QUEUE: 5.0}, replace(WIDE, max_replicas=10)))
    assert ((await door.client.poll(DEFAULT)).value, (await door.client.poll(ACCURATE)).value) == (10.0, 2.0)


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
async def test_a_pool_that_is_switched_off_gets_no_jobs(door: Door, mode: Mode) -> None:
    """To change nothing is to create nothing; what runs goes on."""
    door.board.publish(CODER, jobs(3, {Signal.QUEUE: 50.0}, replace(WIDE, mode=mode), idling=2))
    for trigger in (DEFAULT, ACCURATE):
        poll = await door.client.poll(trigger)
        assert (poll.value, poll.active) == (0.0, False)


async def test_a_push_trigger_of_jobs_does_no_harm(door: Door) -> None:
    """Row ScaledJob and external-push: KEDA opens the stream and ignores it; it tells what IsActive would."""
    door.board.publish(CODER, jobs(0, {Signal.QUEUE: 2.0}))
    async with aclosing(door.client.pushes(ACCURATE)) as pushes:
        assert await anext(pushes)


async def test_activity_of_jobs_outlives_their_figures(door: Door) -> None:
    """Row IsActive: without figures a ScaledJob stays as active as it was."""
    door.board.publish(CODER, jobs(0, {Signal.QUEUE: 2.0}))
    assert await door.client.is_active(ACCURATE)
    door.board.publish(CODER, jobs(2, {Signal.QUEUE: Unknown("connection refused")}))
    assert (await door.refusal("GetMetrics", ACCURATE))[0] == "UNAVAILABLE"
    assert await door.client.is_active(ACCURATE)
