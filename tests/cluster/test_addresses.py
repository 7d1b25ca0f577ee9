"""Clusters beside each other on one machine: their pods have different addresses."""

from __future__ import annotations

import subprocess
import sys

from tests.cluster.harness.addresses import WHOLE, reserve

HOLD = "from tests.cluster.harness.addresses import reserve; held = reserve(); print(held.network, flush=True); input()"


def test_two_ranges_have_nothing_in_common() -> None:
    """And both are loopback addresses, where a test may listen."""
    one, two = reserve(), reserve()
    try:
        assert not one.network.overlaps(two.network)
        assert one.network.subnet_of(WHOLE)
        assert two.network.is_loopback
    finally:
        one.release()
        two.release()


def test_what_another_process_holds_is_not_given_out() -> None:
    """A playground beside tests, and the tests' own processes beside each other."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as other:
        assert other.stdout is not None
        theirs, ours = other.stdout.readline().strip(), reserve()
        other.kill()
    ours.release()
    assert str(ours.network) != theirs
