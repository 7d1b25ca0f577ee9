"""Leading in earnest: real candidates before a server on loopback that has one Lease, and answers well or badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scaler.controller.api import ConnectError, open_api
from scaler.controller.badge import LABEL, Badge, PodName
from scaler.controller.leader import Leader
from scaler.controller.lease import Candidate, Timing
from scaler.controller.leases import LeaseName, Leases
from scaler.core.types import Seconds
from scaler.live.clock import steady
from scaler.live.office import Term
from tests.support.api_server import TOKEN, ApiServer, Manner, Object, api_server, kubeconfig_for
from tests.support.wait import eventually

QUICK = Timing(lasts=1.5, holds=1.0, renew=0.2, look=0.05, patience=0.3)
NAME = LeaseName("keda", "agent-scaler")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/keda/leases/agent-scaler"
PODS = "/api/v1/namespaces/keda/pods"
NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC


@dataclass
class Runner:
    """A candidate at work.

    Attributes:
        begun: the epochs of its terms.
    """

    leader: Leader
    badge: Badge
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    begun: int = 0

    def begin(self) -> None:
        """What precedes a term."""
        assert self.leader.term is None
        self.begun += 1

    async def leads(self) -> Term:
        """The term, once there is one."""
        return await eventually(self._term)

    async def _term(self) -> Term | None:
        """It leads."""
        return self.leader.term

    async def stands_by(self) -> None:
        """Return once it does not lead."""

        async def rests() -> bool | None:
            """It does not lead."""
            return True if self.leader.term is None else None

        await eventually(rests)

    async def fails(self, *, times: int) -> None:
        """Return once so many more of its calls have not worked."""
        enough = self.leader.failures + times

        async def failed() -> bool | None:
            """Its calls do not work."""
            return self.leader.failures >= enough or None

        await eventually(failed)

    async def stop(self) -> None:
        """Let it do nothing more, without a word to anybody."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@dataclass
class Replicas:
    """Candidates for one Lease, each with a pod, before one server."""

    server: ApiServer
    kubeconfig: Path
    stack: AsyncExitStack

    async def join(self, pod: str, clock: Callable[[], Seconds] = steady) -> Runner:
        """One more, which begins at once."""
        api = await self.stack.enter_async_context(open_api(self.kubeconfig))
        leader = Leader(Leases(api, NAME, lambda: NOON), Candidate(name=f"{pod}_1", timing=QUICK), clock)
        runner = Runner(leader, Badge(api, PodName("keda", pod)))
        runner.tasks = [asyncio.create_task(each) for each in (leader.run(runner.begin), runner.badge.follow(leader))]
        self.stack.push_async_callback(runner.stop)
        return runner

    def wearing(self) -> set[str]:
        """The pods that have the label."""
        pods = [found for path, found in self.server.objects.items() if path.startswith(PODS)]
        return {pod["metadata"]["name"] for pod in pods if pod["metadata"].get("labels", {}).get(LABEL) == "true"}

    async def worn_by(self, *pods: str) -> None:
        """Return once these pods have the label and no others."""

        async def worn() -> bool | None:
            """The label is where it should be."""
            return True if self.wearing() == set(pods) else None

        await eventually(worn)


@asynccontextmanager
async def replicas(folder: Path) -> AsyncIterator[Replicas]:
    """A server with a Lease that was given back, and two pods; nobody has joined."""
    async with api_server(folder) as (server, kubeconfig), AsyncExitStack() as stack:
        server.add(LEASE, spec={"leaseTransitions": 4}, metadata={"labels": {"team": "platform"}})
        for pod in ("one", "two"):
            server.add(f"{PODS}/{pod}", metadata={"labels": {"app": "agent-scaler"}})
        yield Replicas(server, kubeconfig, stack)


async def test_one_leads_and_the_other_takes_over_what_it_gives_back(tmp_path: Path) -> None:
    """With the label and a higher epoch; the one who left leads no more from before it says so."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        assert await one.leads() == Term("one_1", 5)
        await both.worn_by("one")
        two = await both.join("two")
        await eventually_knows(two, "one_1")
        assert two.leader.term is None
        for task in one.tasks:
            task.cancel()
        await one.leader.release()
        assert one.leader.term is None
        assert await two.leads() == Term("two_1", 6)
        await both.worn_by("two")
        assert (one.begun, two.begun) == (1, 1)


async def test_who_dies_is_followed_when_its_lease_has_run_out(tmp_path: Path) -> None:
    """Its pod still wears the label, for nobody took it off; the next leader does."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        await one.leads()
        await both.worn_by("one")
        two = await both.join("two")
        await one.stop()
        assert (await two.leads()).epoch == 6
        assert one.leader.term is None
        await both.worn_by("two")


@pytest.mark.parametrize("manner", [Manner.HANG, Manner.FAIL])
async def test_a_server_that_is_away_ends_the_term_and_begins_another(tmp_path: Path, manner: Manner) -> None:
    """The leader goes on until its lease has run out by its own clock, and leads again when the server is back."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        first = await one.leads()
        both.server.manner = manner
        await one.stands_by()
        assert one.leader.failures > 0
        both.server.manner = Manner.SERVE
        assert (await one.leads()).epoch == first.epoch + 1


async def test_writes_of_which_nobody_hears_give_nobody_a_term(tmp_path: Path) -> None:
    """The Lease may say that we lead: what counts is what was confirmed."""
    async with replicas(tmp_path) as both:
        both.server.manner = Manner.FORGET
        both.server.objects[LEASE]["spec"]["holderIdentity"] = "one_1"
        one = await both.join("one")
        await one.fails(times=3)
        assert one.leader.term is None
        both.server.manner = Manner.SERVE
        term = await one.leads()
        both.server.manner = Manner.FORGET
        await one.stands_by()
        assert both.server.objects[LEASE]["spec"]["holderIdentity"] == "one_1"
        both.server.manner = Manner.SERVE
        assert (await one.leads()).epoch > term.epoch


async def test_a_term_counts_from_before_its_write_was_sent(tmp_path: Path) -> None:
    """Nine tenths of it had passed when the answer came, and two more without another answer are too many."""
    hands = [100.0]
    async with replicas(tmp_path) as both:

        def slow() -> None:
            """The write took long, and no other is answered."""
            hands[0] += 0.9
            both.server.manner = Manner.HANG

        both.server.made = slow
        one = await both.join("one", lambda: hands[0])
        await one.leads()
        hands[0] += 0.2
        assert one.leader.term is None


async def test_what_others_keep_in_the_lease_stays(tmp_path: Path) -> None:
    """Labels are the platform's; times are for people, with the microseconds that the API wants."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        await one.leads()
        lease = both.server.objects[LEASE]
        assert lease["metadata"]["labels"] == {"team": "platform"}
        assert lease["spec"] == {
            "holderIdentity": "one_1",
            "leaseDurationSeconds": 2,
            "leaseTransitions": 5,
            "acquireTime": "2026-11-21T12:00:00.000000Z",
            "renewTime": "2026-11-21T12:00:00.000000Z",
        }


async def test_a_lease_that_is_missing_is_made(tmp_path: Path) -> None:
    """First without a holder, for somebody may have led by the one that was deleted; then it is waited for."""
    async with replicas(tmp_path) as both:
        del both.server.objects[LEASE]
        one = await both.join("one")

        async def made() -> Object | None:
            """There is a Lease."""
            return both.server.objects.get(LEASE)

        assert "holderIdentity" not in (await eventually(made))["spec"]
        assert (await one.leads()).epoch == 1


async def test_a_label_that_somebody_moves_is_put_right(tmp_path: Path) -> None:
    """A person's slip costs a few seconds."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        await one.leads()
        await both.worn_by("one")
        both.server.objects[f"{PODS}/one"]["metadata"]["labels"] = {}
        both.server.objects[f"{PODS}/two"]["metadata"]["labels"] = {LABEL: "true"}
        await both.worn_by("one")


async def test_a_token_that_was_rotated_is_read_again(tmp_path: Path) -> None:
    """The server does not know the old one any more; the next call has what the file has then."""
    async with replicas(tmp_path) as both:
        one = await both.join("one")
        await one.leads()
        both.server.token = TOKEN[::-1]
        both.kubeconfig.write_text(both.kubeconfig.read_text().replace(TOKEN, both.server.token))
        before = len(both.server.writes)

        async def renewed() -> bool | None:
            """The Lease is renewed under the new token."""
            return len(both.server.writes) > before or None

        await eventually(renewed)
        await one.leads()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "kubeconfig cannot be used: .*No such file"),
        ("{}", "kubeconfig: Invalid kube-config file. Expected key current-context"),
        ("{", "kubeconfig cannot be used: while parsing"),
        ("[]", "kubeconfig cannot be used"),
        (kubeconfig_for("https://127.0.0.1:1", "t", "certificate-authority: nowhere.crt"), "nowhere.crt"),
    ],
    ids=["missing", "empty", "broken", "a list", "no authority"],
)
async def test_a_kubeconfig_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, why: str) -> None:
    """With its path and what is wrong with it."""
    kubeconfig = tmp_path / "kubeconfig"
    if text is not None:
        kubeconfig.write_text(text)
    with pytest.raises(ConnectError, match=why):
        async with open_api(kubeconfig):
            pass


async def test_outside_a_pod_there_is_no_service_account() -> None:
    """The message says what was looked for."""
    with pytest.raises(ConnectError, match="no ServiceAccount of a pod: Service host/port is not set"):
        async with open_api(None):
            pass


async def eventually_knows(runner: Runner, holder: str) -> None:
    """Return once a candidate has seen who leads."""

    async def knows() -> bool | None:
        """It has looked."""
        return True if runner.leader.holder == holder else None

    await eventually(knows)
