"""Calls are counted, by method and status, for the metrics page."""

from __future__ import annotations

from contextlib import aclosing

from scaler.external.client import Trigger
from tests.contract.door import CODER, TRIGGER, Door, at_work
from tests.support.wait import eventually


async def counted(door: Door, method: str, code: str) -> bool | None:
    """The door has counted a call that ended so."""
    return (method, code) in door.scaler.calls.ended() or None


async def test_each_call_is_counted_with_its_status(door: Door) -> None:
    """Answers, refusals, streams that end well and streams whose reader leaves."""
    await door.refusal("GetMetrics")
    door.board.publish(CODER, at_work(2))
    await door.client.poll(TRIGGER)
    await door.refusal("IsActive", Trigger("agents", "coder", {"maxx": "3"}))
    left, ended = door.client.pushes(TRIGGER), door.client.pushes(TRIGGER)
    async with aclosing(left):
        assert await anext(left)
    assert await anext(ended)
    await eventually(lambda: counted(door, "StreamIsActive", "CANCELLED"))
    await door.listener.close()
    assert [push async for push in ended] == []
    assert door.scaler.calls.ended() == {
        ("GetMetrics", "UNAVAILABLE"): 1,
        ("GetMetricSpec", "OK"): 1,
        ("GetMetrics", "OK"): 1,
        ("IsActive", "OK"): 1,
        ("IsActive", "INVALID_ARGUMENT"): 1,
        ("StreamIsActive", "CANCELLED"): 1,
        ("StreamIsActive", "OK"): 1,
    }
    assert {method: times.count for method, times in door.scaler.calls.took().items()} == {
        "GetMetrics": 2,
        "GetMetricSpec": 1,
        "IsActive": 2,
    }
