"""The soak's callers are heard as KEDA is: their calls are whole, answered in turn, and counted as what they were."""

from __future__ import annotations

from benchmarks.keda_traffic import CALLS, Traffic, connected, watches
from scaler.config.pool import PoolKey
from tests.contract.door import CODER, Door, at_work
from tests.support.wait import eventually

WRITER = PoolKey("agents", "writer")


async def answered(traffic: Traffic, calls: int) -> None:
    """Return once so many calls have been answered, well or not."""

    async def enough() -> bool | None:
        """So many are."""
        return sum(len(each.took) for each in traffic.answers.values()) >= calls or None

    await eventually(enough)


async def test_a_visit_asks_what_a_poll_asks(door: Door) -> None:
    """Each pool in turn, with its metadata, and its replicas are understood."""
    door.board.publish(CODER, at_work(7))
    door.board.publish(WRITER, at_work(300))
    async with connected([CODER, WRITER], door.port) as traffic:
        for _ in range(4):
            traffic.visit()
        await answered(traffic, 4 * len(CALLS))
        assert traffic.told == {CODER: 7, WRITER: 300}
        assert door.scaler.calls.ended() == {(rpc, "OK"): 4 for rpc in CALLS}
        assert [key for key, _ in door.keeper.admitted] == [CODER, WRITER]


async def test_streams_stay_open_beside_the_visits(door: Door) -> None:
    """A push trigger has two, and what comes on them is taken for no answer."""
    door.board.publish(CODER, at_work(7))
    async with connected([CODER], door.port) as traffic:
        await watches(traffic, pools=1, times=2)

        async def opened() -> bool | None:
            """All are."""
            return door.scaler.open_streams == 4 or None

        await eventually(opened)
        traffic.visit()
        await answered(traffic, len(CALLS))
        assert {rpc: (len(each.took), each.failed) for rpc, each in traffic.answers.items()} == dict.fromkeys(
            CALLS, (1, 0)
        )


async def test_an_error_is_counted_as_one(door: Door) -> None:
    """A pool that has not been evaluated is refused twice in a visit, and nothing is learnt of it."""
    async with connected([CODER], door.port) as traffic:
        traffic.visit()
        await answered(traffic, len(CALLS))
        assert [traffic.answers[rpc].failed for rpc in CALLS] == [0, 1, 1]
        assert traffic.told == {}


async def test_thousands_of_visits_fit_into_one_connection(door: Door) -> None:
    """The windows of HTTP/2 are kept open from both sides, however much has passed."""
    door.board.publish(CODER, at_work(7))
    async with connected([CODER], door.port) as traffic:
        for _ in range(20):
            for _ in range(100):
                traffic.visit()
            await answered(traffic, 100 * len(CALLS))
            assert [each.failed for each in traffic.answers.values()] == [0, 0, 0]
            traffic.forget()


async def test_the_end_of_the_connection_is_told(door: Door) -> None:
    """A scaler that stops is no slow scaler."""
    async with connected([CODER], door.port) as traffic:
        await door.listener.close(grace=0.1)
        assert "end" in await traffic.ended or "away" in await traffic.ended


async def test_whoever_leaves_hangs_up(door: Door) -> None:
    """The connection is closed when its block ends, and the scaler keeps none of its streams."""
    door.board.publish(CODER, at_work(7))

    async def streams(count: int) -> None:
        """Return once so many are open."""

        async def counted() -> bool | None:
            return door.scaler.open_streams == count or None

        await eventually(counted)

    async with connected([CODER], door.port) as traffic:
        await watches(traffic, pools=1, times=1)
        await streams(2)
    assert traffic.lost.done()
    await streams(0)
