"""What the gate knows, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scaler.agent.book import Activity
from scaler.agent.gate import Gate

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PHASES: Final = ("active", "draining", "drained")
HELP: Final = {
    "agent_gate_inflight": ("gauge", "Tasks running now."),
    "agent_gate_sessions": ("gauge", "Sessions held between their tasks."),
    "agent_gate_slots": ("gauge", "How many tasks the pod can run at once."),
    "agent_gate_accepting": ("gauge", "1 while a task may begin."),
    "agent_gate_phase": ("gauge", "1 for the phase that the pod is in."),
    "agent_gate_epoch": ("gauge", "The epoch of the last order that was carried out; -1 where it is not known."),
    "agent_gate_idle_seconds": ("gauge", "How long nothing has been open; 0 while something is."),
    "agent_gate_oldest_task_seconds": ("gauge", "How long the oldest task has run; 0 where none does."),
    "agent_gate_tokens_total": ("counter", "Tokens that went to a model (in) and came from it (out)."),
}


def page(gate: Gate) -> str:
    """All of it."""
    return "\n".join(_lines(gate.activity(), gate.slots, gate.now())) + "\n"


def _lines(seen: Activity, slots: int, now: float) -> Iterator[str]:
    before = ""
    for name, labels, value in _samples(seen, slots, now):
        if name != before:
            kind, meaning = HELP[name]
            yield f"# HELP {name} {meaning}"
            yield f"# TYPE {name} {kind}"
            before = name
        yield f"{name}{labels} {round(value, 3)}"


def _samples(seen: Activity, slots: int, now: float) -> Iterator[tuple[str, str, float]]:
    yield "agent_gate_inflight", "", seen.inflight
    yield "agent_gate_sessions", "", seen.sessions
    yield "agent_gate_slots", "", slots
    yield "agent_gate_accepting", "", int(seen.accepting)
    for phase in PHASES:
        yield "agent_gate_phase", f'{{phase="{phase}"}}', int(phase == seen.phase)
    yield "agent_gate_epoch", "", seen.epoch
    yield "agent_gate_idle_seconds", "", 0.0 if seen.idle_since is None else max(0.0, now - seen.idle_since)
    yield "agent_gate_oldest_task_seconds", "", seen.oldest_task or 0.0
    yield "agent_gate_tokens_total", '{direction="in"}', seen.tokens_in
    yield "agent_gate_tokens_total", '{direction="out"}', seen.tokens_out
