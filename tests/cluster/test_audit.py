"""The audit log is read while it is being written."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.harness.audit import AuditLog

HALF = '{"verb": "get", "user": {"user'


def line(verb: str) -> str:
    """An event as the API server writes it, of a path that is no resource."""
    return json.dumps({"verb": verb, "user": {"username": "admin"}, "requestURI": "/metrics"}) + "\n"


def test_what_was_there_before_the_mark_is_not_told(tmp_path: Path) -> None:
    """A story reads its own requests, and each once."""
    log = AuditLog(tmp_path / "audit.log")
    assert (log.mark(), list(log.since())) == (0, [])
    log.path.write_text(line("get"))
    mark = log.mark()
    log.path.write_text(line("get") + line("delete"))
    assert [request.verb for request in log.since(mark)] == ["delete"]


def test_a_line_that_is_still_being_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    """Neither half of it is taken for a request, on whichever side of the mark it is."""
    log = AuditLog(tmp_path / "audit.log")
    log.path.write_text(line("get") + HALF)
    mark = log.mark()
    assert [request.verb for request in log.since()] == ["get"]
    log.path.write_text(line("get") + line("patch"))
    assert [request.verb for request in log.since(mark)] == ["patch"]
