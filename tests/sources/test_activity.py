"""Asking pods: a proper answer is believed, and a pod that gives no proper one stays on the roll as unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
from aiohttp import web

from scaler.config.pool import ActivityEndpoints
from scaler.core.pods import NO_ACK, Activity, Phase, Pod, Pods, Stage
from scaler.core.types import Unknown
from scaler.sources.activity import Activities, RoundLimits, open_activity
from scaler.sources.health import Fault
from tests.support.http import Conversation, drop, flood, nobody, talking, trickle, truncate
from tests.support.logged import logged
from tests.support.pods import Agents, activity, agents_at
from tests.support.wait import eventually

NOW = 1_760_000_000.0
HASTY = RoundLimits(pod=0.3, whole=0.5, body=10_000)


@pytest.fixture
async def reader() -> AsyncIterator[Activities]:
    """A reader with the limits it has in service."""
    async with open_activity() as activities:
        yield activities


def endpoints(base: str, *pods: str) -> ActivityEndpoints:
    """The pods' URLs."""
    return ActivityEndpoints(urls=tuple(f"{base}/{pod}" for pod in pods))


async def ask(reader: Activities, answer: str | web.Response, now: float = NOW) -> tuple[Pod, str]:
    """A pool of one pod that gives this answer: how it is listed, and why its activity is unknown, if it is."""
    async with agents_at(Agents({"a": answer})) as url:
        there = endpoints(url, "a")
        (pod,) = await reader.read(there, now)
        unheard = reader.unheard(there)
        return pod, unheard[there.urls[0]].why if unheard else ""


@pytest.mark.parametrize(("accepting", "acked"), [(True, NO_ACK), (False, 3)])
async def test_a_pod_that_takes_work_has_acknowledged_nothing(reader: Activities, accepting: bool, acked: int) -> None:
    """It says that it is done, and that a task may begin: so one may, after anybody had believed it."""
    pod, _ = await ask(reader, activity("a-1", 0, phase="drained", epoch=3, acked=3, accepting=accepting))
    assert pod.acked == acked


async def test_what_a_pod_says_is_believed(reader: Activities) -> None:
    """Every key of the contract reaches its column, at the instant the pod was asked."""
    said = activity("a-1", 2, sessions=3, started_at=NOW - 90, phase="draining", epoch=4, acked=3, ordinal=7)
    pod, why = await ask(reader, said)
    assert pod == Pod(
        uid="a-1",
        created_at=NOW - 90,
        since=NOW,
        stage=Stage.READY,
        phase=Phase.DRAINING,
        activity=Activity(inflight=2, sessions=3, at=NOW),
        ordinal=7,
        epoch=4,
        acked=3,
    )
    assert why == ""


async def test_two_keys_are_enough(reader: Activities) -> None:
    """A uid and a count make a ready, active pod; what the contract does not know it does not mind."""
    pod, why = await ask(reader, activity("a-1", 1, slots=4, accepting=True, idle_since=None, tokens_out=12))
    expected = Pod(uid="a-1", created_at=NOW, since=NOW, activity=Activity(inflight=1, at=NOW))
    assert (pod, why) == (expected, "")


SPOILT = {
    "not json": ("busy", "the answer is not JSON: 'busy'"),
    "deep json": ("[" * 4_000, "the answer is not JSON"),
    "list": ("[]", "the answer is not a JSON object"),
    "no uid": ('{"inflight": 1}', "uid is missing; it must be"),
    "empty uid": (activity(""), "uid is ''"),
    "url as uid": (activity("http://a"), "uid is 'http://a'"),
    "number as uid": ('{"uid": 7, "inflight": 1}', "uid is '7'"),
    "no count": ('{"uid": "a"}', "inflight is missing; it must be a whole number from 0 to 1000000"),
    "null count": ('{"uid": "a", "inflight": null}', "inflight is 'None'"),
    "word as count": ('{"uid": "a", "inflight": "2"}', "inflight is '2'"),
    "truth as count": ('{"uid": "a", "inflight": true}', "inflight is 'True'"),
    "part of a task": ('{"uid": "a", "inflight": 0.5}', "inflight is '0.5'"),
    "nan": ('{"uid": "a", "inflight": NaN}', "inflight is 'nan'"),
    "negative": (activity("a", -1), "inflight is '-1'"),
    "absurd": (activity("a", 10**30), "inflight is '1000000000000000000000000000000'"),
    "negative sessions": (activity("a", sessions=-1), "sessions is '-1'"),
    "ready in words": (activity("a", ready="yes"), "ready is 'yes'; it must be true or false"),
    "unknown phase": (activity("a", phase="gone"), "phase is 'gone'; it must be one of active, draining, drained"),
    "phase as list": (activity("a", phase=[]), "phase is '[]'"),
    "milliseconds": (activity("a", started_at=NOW * 1000), "started_at is"),
    "infinite start": ('{"uid": "a", "inflight": 0, "started_at": Infinity}', "started_at is 'inf'"),
    "negative ack": (activity("a", acked=-1), "acked is '-1'"),
}


@pytest.mark.parametrize(("answer", "seen"), SPOILT.values(), ids=SPOILT)
async def test_a_spoilt_answer_is_no_answer(reader: Activities, answer: str, seen: str) -> None:
    """One wrong key spoils the whole answer: the pod is listed under its URL, and the sentence names the key."""
    pod, why = await ask(reader, answer)
    assert isinstance(pod.activity, Unknown)
    assert pod.uid.endswith("/a")
    assert seen in why
    assert reader.health().faults == {Fault.GARBAGE: 1}


@pytest.mark.parametrize("status", [204, 302, 404, 500])
async def test_only_200_is_an_answer(reader: Activities, status: int) -> None:
    """An error page may hold anything, and a redirect may lead anywhere."""
    response = web.Response(status=status, headers={"Location": "/b/activity"})
    pod, why = await ask(reader, response)
    assert isinstance(pod.activity, Unknown)
    assert f"HTTP {status}" in why
    assert reader.health().faults == {Fault.STATUS: 1}


async def test_a_long_answer_is_not_read(reader: Activities) -> None:
    """A pod has to say a few numbers: what says of itself that it is long is refused, with its length."""
    pod, why = await ask(reader, web.Response(body=activity("a-1", 1, padding="x" * 5_000)))
    assert isinstance(pod.activity, Unknown)
    assert "bytes long, and 4096 are read at most" in why


@pytest.mark.parametrize(
    ("conversation", "fault", "seen"),
    [
        (drop, Fault.UNREACHABLE, "the connection failed: "),
        (truncate, Fault.UNREACHABLE, "the connection failed: "),
        (trickle, Fault.SLOW, "no complete answer within 0.3 s"),
        (flood, Fault.GARBAGE, "the answer is longer than 10000 bytes"),
    ],
    ids=["drops", "truncates", "trickles", "floods"],
)
async def test_a_pod_that_breaks_off_is_unknown(conversation: Conversation, fault: Fault, seen: str) -> None:
    """Half an answer is none, and one without end is neither waited for nor kept."""
    async with talking(conversation) as url, open_activity(HASTY) as reader:
        there = ActivityEndpoints(urls=(url,))
        (pod,) = await reader.read(there, NOW)
        assert isinstance(pod.activity, Unknown)
        assert seen in reader.unheard(there)[url].why
        assert reader.health().faults == {fault: 1}


async def test_a_pod_that_never_answered_is_listed_under_its_url(reader: Activities) -> None:
    """It counts as a ready pod that nobody may take away and nobody replaces."""
    async with nobody() as url:
        pods = await reader.read(ActivityEndpoints(urls=(url,)), NOW)
    expected = Pod(uid=url, created_at=NOW, since=NOW, activity=Unknown("the pod has not been heard"))
    assert list(pods) == [expected]
    assert not pods.known(NOW, 15).any()


async def test_a_pod_that_falls_silent_keeps_its_name_and_state(reader: Activities) -> None:
    """Its activity is unknown at once, so it is busy; all else stays as it was last seen."""
    agents = Agents({"a": activity("a-1", 0, phase="draining", epoch=2, ordinal=5, started_at=NOW - 60)})
    async with agents_at(agents) as url:
        there = endpoints(url, "a")
        (before,) = await reader.read(there, NOW)
        agents.answers["a"] = web.Response(status=500)
        (after,) = await reader.read(there, NOW + 5)
        assert isinstance(after.activity, Unknown)
        kept = (after.uid, after.phase, after.epoch, after.ordinal, after.created_at, after.since)
        assert kept == (before.uid, before.phase, before.epoch, before.ordinal, before.created_at, before.since)
        agents.answers["a"] = activity("a-1", 1)
        (again,) = await reader.read(there, NOW + 10)
        assert again.activity == Activity(inflight=1, at=NOW + 10)
        assert reader.unheard(there) == {}


async def test_a_pod_that_falls_silent_while_it_starts_may_be_ready(reader: Activities) -> None:
    """A task may run in it by now: it is no start that takes long, which would be replaced."""
    agents = Agents({"a": activity("a-1", ready=False, started_at=NOW - 60)})
    async with agents_at(agents) as url:
        there = endpoints(url, "a")
        (before,) = await reader.read(there, NOW)
        agents.answers["a"] = web.Response(status=500)
        (silent,) = await reader.read(there, NOW + 5)
        agents.answers["a"] = activity("a-1", ready=False, started_at=NOW - 60)
        (again,) = await reader.read(there, NOW + 10)
        assert [pod.stage for pod in (before, silent, again)] == [Stage.STARTING, Stage.READY, Stage.STARTING]


@pytest.mark.parametrize(("after", "listed"), [(60, True), (61, False)])
async def test_a_drained_pod_that_is_long_silent_is_gone(reader: Activities, after: float, *, listed: bool) -> None:
    """If there is a pod at its URL it is another, of which nothing is known: least of all that it was drained."""
    agents = Agents({"a": activity("a-1", 0, phase="drained", epoch=1, acked=1), "b": activity("b-1", 1)})
    async with agents_at(agents) as url:
        there = endpoints(url, "a", "b")
        await reader.read(there, NOW)
        agents.answers["a"] = web.Response(status=500)
        pods = await reader.read(there, NOW + after)
        assert pods.uids == (("a-1", "b-1") if listed else ("b-1",))
        agents.answers["a"] = activity("a-2", 1)
        assert (await reader.read(there, NOW + after + 5)).uids == ("a-2", "b-1")


async def test_a_uid_claimed_twice_is_believed_of_neither(reader: Activities) -> None:
    """Two pods under one name cannot be told apart, so both are busy; the third is as it says."""
    agents = Agents({"a": activity("same"), "b": activity("same"), "c": activity("c-1")})
    async with agents_at(agents) as url:
        there = endpoints(url, "a", "b", "c")
        pods = await reader.read(there, NOW)
        assert pods.uids == (*there.urls[:2], "c-1")
        assert pods.known(NOW, 15).tolist() == [False, False, True]
        assert "stands for uid same too" in reader.unheard(there)[there.urls[0]].why


async def test_a_silent_pod_keeps_its_uid_from_another(reader: Activities) -> None:
    """While the pod that had the uid is silent, a second one that claims it is not believed."""
    agents = Agents({"a": activity("same"), "b": activity("same")})
    async with agents_at(agents) as url:
        await reader.read(endpoints(url, "a"), NOW)
        agents.answers["a"] = web.Response(status=503)
        pods = await reader.read(endpoints(url, "a", "b"), NOW + 5)
        assert pods.uids == ("same", f"{url}/b")
        assert not pods.known(NOW + 5, 15).any()


async def test_a_uid_that_moved_and_came_back_is_listed_once(reader: Activities) -> None:
    """Both URLs have been this pod in turn: the columns never hold a uid twice."""
    agents = Agents({"a": activity("same"), "b": activity("same")})
    async with agents_at(agents) as url:
        await reader.read(endpoints(url, "a"), NOW)
        await reader.read(endpoints(url, "b"), NOW + 5)
        pods = await reader.read(endpoints(url, "a", "b"), NOW + 10)
        assert pods.uids == ("same", f"{url}/b")
        assert not pods.known(NOW + 10, 15).any()


async def test_stages_follow_readiness(reader: Activities) -> None:
    """Starting since it was created, ready since first seen so, unready since it was not; a new uid starts over."""
    story = [
        (0, activity("a-1", ready=False, started_at=NOW - 30), Stage.STARTING, NOW - 30),
        (5, activity("a-1", ready=False, started_at=NOW - 30), Stage.STARTING, NOW - 30),
        (10, activity("a-1", started_at=NOW - 30), Stage.READY, NOW + 10),
        (15, activity("a-1", started_at=NOW - 30), Stage.READY, NOW + 10),
        (20, activity("a-1", ready=False, started_at=NOW - 30), Stage.UNREADY, NOW + 20),
        (25, activity("a-1", started_at=NOW - 30), Stage.READY, NOW + 25),
        (30, activity("a-2", ready=False), Stage.STARTING, NOW + 30),
    ]
    agents = Agents()
    async with agents_at(agents) as url:
        for after, agents.answers["a"], stage, since in story:
            (pod,) = await reader.read(endpoints(url, "a"), NOW + after)
            assert (pod.stage, pod.since) == (stage, since)


async def test_a_pods_clock_never_runs_ahead_of_ours(reader: Activities) -> None:
    """A pod whose clock is an hour fast was still not created in the future."""
    pod, _ = await ask(reader, activity("a-1", started_at=NOW + 3600))
    assert pod.created_at == NOW


async def test_no_more_pods_at_once_than_allowed() -> None:
    """A pool of a hundred is asked eight at a time, and all of them are."""
    agents = Agents({f"p{i}": activity(f"u{i}", i) for i in range(100)})
    async with agents_at(agents) as url, open_activity(RoundLimits(at_once=8)) as reader:
        pods = await reader.read(endpoints(url, *agents.answers), NOW)
        assert pods.inflight.tolist() == list(range(100))
        assert agents.at_once <= 8


async def test_a_round_ends_although_pods_hang() -> None:
    """Whoever has not been heard when the round ends is unknown; the rest is as it said."""
    agents = Agents({f"p{i}": activity(f"u{i}") for i in range(6)}, held={"p1", "p2", "p3", "p4"})
    limits = RoundLimits(pod=10.0, whole=0.8, at_once=2)
    async with agents_at(agents) as url, open_activity(limits) as reader:
        there = endpoints(url, *agents.answers)
        pods = await reader.read(there, NOW)
        assert pods.known(NOW, 15).tolist() == [True] + [False] * 5
        assert "no answer before the round ended after 0.8 s" in reader.unheard(there)[there.urls[5]].why
        assert reader.health().faults == {Fault.SLOW: 5}


async def test_a_pool_of_hung_pods_delays_no_other() -> None:
    """One pool's round waits for pods that hang; another pool's is complete meanwhile."""
    hung, healthy = Agents(), Agents({"a": activity("a-1", 1)})
    hung.answers = {f"p{i}": activity(f"u{i}") for i in range(200)}
    hung.held = set(hung.answers)
    async with AsyncExitStack() as stack:
        hung_url, url = [await stack.enter_async_context(agents_at(a)) for a in (hung, healthy)]
        reader = await stack.enter_async_context(open_activity())
        waiting = asyncio.create_task(reader.read(endpoints(hung_url, *hung.answers), NOW))
        await eventually(hung.all_hang)
        (pod,) = await reader.read(endpoints(url, "a"), NOW)
        assert pod.activity == Activity(inflight=1, at=NOW)
        assert not waiting.done()
        hung.opened.set()
        assert np.all((await waiting).known(NOW, 15))


async def test_no_pods_are_no_pods(reader: Activities) -> None:
    """A pool scaled to zero has an empty roll, which is knowledge."""
    assert list(await reader.read(ActivityEndpoints(urls=()), NOW)) == []


async def test_pods_that_left_are_forgotten(reader: Activities) -> None:
    """A URL that has been in no pool for a quarter of an hour comes back as a pod never heard."""
    agents = Agents({"a": activity("a-1"), "b": activity("b-1")})
    async with agents_at(agents) as url:
        await reader.read(endpoints(url, "a", "b"), NOW)
        await reader.read(endpoints(url, "b"), NOW + 900)
        agents.answers["a"] = web.Response(status=503)
        pods = await reader.read(endpoints(url, "a"), NOW + 901)
        assert pods.uids == (f"{url}/a",)


async def test_newly_unheard_pods_are_logged_once(reader: Activities, caplog: pytest.LogCaptureFixture) -> None:
    """An outage of a thousand pods is one line, not a thousand every round."""
    agents = Agents({"a": "no", "b": "no", "c": activity("c-1")})
    async with agents_at(agents) as url:
        with caplog.at_level(logging.WARNING, "scaler.sources"):
            for after in (0, 5):
                await reader.read(endpoints(url, *agents.answers), NOW + after)
    (line,) = logged(caplog)
    assert line.startswith("pods are unheard unheard=2 asked=3 why=pod ")


async def test_thousands_of_pods_fit_in_one_round(reader: Activities) -> None:
    """Two thousand pods answer within one round, and their columns are as long."""
    agents = Agents({f"p{i}": activity(f"u{i}", i % 3) for i in range(2000)})
    async with agents_at(agents) as url, open_activity(RoundLimits(whole=60)) as patient:
        pods: Pods = await patient.read(endpoints(url, *agents.answers), NOW)
    assert len(pods) == 2000
    assert np.all(pods.known(NOW, 15))
