"""SIGTERM: finish, then leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scaler.agent import prestop
from scaler.agent.conformance.subject import Subject, until
from scaler.agent.prestop import wait
from tests.agent.material import Site
from tests.agent.running import CLOCK, Program, environment, let_go_later, sidecar
from tests.house.source import ROOT

AGENT = """
import os, signal, sys, threading
from scaler.agent import Gate, Place, finish_on_sigterm

gate, go = Gate(Place.from_environment()), threading.Event()

def stop(*_):
    print("stopped with %d at work" % gate.activity().inflight, file=sys.stderr, flush=True)
    os._exit(1)

signal.signal(signal.SIGTERM, stop)
finish_on_sigterm(gate, grace=600)
gate.on_deadline(lambda seconds: print("deadline", seconds, flush=True))

def work():
    with gate.task():
        print("begun", flush=True)
        sys.stdin.readline()
        print("done", flush=True)

threading.Thread(target=work, daemon=True).start()
while True:
    signal.pause()
"""


def agent(site: Site) -> subprocess.Popen[str]:
    """An agent that works until it is told a line, and whose own way to stop is told as its last word."""
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT],
        env=environment(site),
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_sigterm_reaches_the_program_when_its_work_is_done(site: Site) -> None:
    """The deadline is told at once, the gate is closed, and what stopped the program before stops it now."""
    process = agent(site)
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "deadline 600\n"
    out, err = process.communicate("go\n", timeout=60)
    assert (out, err, process.returncode) == ("done\n", "stopped with 0 at work\n", 1)


def test_a_second_sigterm_does_not_wait(site: Site) -> None:
    """Whoever sends it means it."""
    process = agent(site)
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "deadline 600\n"
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.communicate()[1] == "stopped with 1 at work\n"


def told(site: Site, program: Program) -> Mapping[str, object]:
    """What the gate tells."""
    return Subject(program.url, site.signer.sign, CLOCK.now).activity()


def test_a_sidecar_that_is_told_to_go_finishes_first(site: Site) -> None:
    """It takes nothing more, passes on what is under way, and ends with 0."""
    with sidecar(site) as program:
        ended = let_go_later(program.worked, program.ways)
        until(lambda: told(site, program)["inflight"] == 1, "the work is in flight", now=CLOCK.now)
        assert program.process is not None
        program.process.terminate()
        until(lambda: not told(site, program)["accepting"], "the gate is closed", now=CLOCK.now)
        assert ended()
        assert program.process.wait(60) == 0


def test_a_prestop_hook_waits_until_the_pod_is_idle(site: Site) -> None:
    """It closes the gate first, so the wait has an end."""
    with sidecar(site) as program:
        ended = let_go_later(program.worked, program.ways)
        until(lambda: told(site, program)["inflight"] == 1, "the work is in flight", now=CLOCK.now)
        waited = threading.Thread(target=wait, args=(program.url, site.place.folder))
        waited.start()
        until(lambda: not told(site, program)["accepting"], "the gate is closed", now=CLOCK.now)
        assert waited.is_alive()
        assert ended()
        waited.join(60)
        assert not waited.is_alive()


def test_a_prestop_hook_waits_for_an_agent_that_is_too_busy_to_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event loop stands still, or it hangs up: whether it is idle is not known, and the hook's end is its death."""
    monkeypatch.setattr(prestop, "PATIENCE", 0.3)
    answers: list[int | None] = [None, 0, None, 2, None, 0]  # to /leave and then to /activity; None is silence
    silent = threading.Event()

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            inflight = answers.pop(0)
            if inflight is None:
                silent.wait(60 if len(answers) in {5, 3} else 0)
                return
            body = json.dumps({"inflight": inflight, "sessions": 0}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (as the standard library has it)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    site.place.folder.mkdir(parents=True)
    (site.place.folder / "leave.json").write_text('{"word": "sesame"}')
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wait(f"http://127.0.0.1:{server.server_address[1]}", site.place.folder)
        silent.set()
        server.shutdown()
    assert answers == []
