"""Every way to a gate keeps the same contract, and the examination finds a gate that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.agent.conformance.checks import CHECKS, examine
from tests.agent.faulty import Fault, breaks, examined, hurries, lies, none, shrugs
from tests.agent.material import Site
from tests.agent.running import running, subject


@pytest.mark.parametrize("kind", ["alone", "asgi", "aiohttp", "sidecar", "node"])
def test_every_door_keeps_the_contract(site: Site, kind: str) -> None:
    """All of it, with real work and with restarts that are kills."""
    with running(site, kind) as program:
        findings = examine(subject(site, program))
    assert [finding for finding in findings if not finding.holds] == []
    assert [finding.check for finding in findings] == list(CHECKS)


FAULTS: dict[str, tuple[Fault, dict[str, bool], set[str]]] = {
    "believes everything": (shrugs(403), {}, {check for check in CHECKS if check.endswith("-order")} | {"other-act"}),
    "minds no other pod": (shrugs(409), {}, {"other-pod", "stale-epoch", "resume", "replay"}),
    "reads rubbish": (shrugs(400), {}, {"rubbish"}),
    "tells no sessions": (lies(sessions=None), {}, {"activity"}),
    "never closes": (lies(accepting=True), {}, {"drain"}),
    "never acknowledges": (lies(acked=0), {}, {"drain", "busy"}),
    "drains while busy": (hurries, {}, {"busy"}),
    "lets work in": (none, {"careless": True}, {"busy"}),
    "forgets": (none, {"forgets": True}, {"restart"}),
    "fails": (breaks, {}, set(CHECKS)),
}


@pytest.mark.parametrize(("fault", "ways", "found"), FAULTS.values(), ids=FAULTS)
def test_a_broken_gate_is_found_by_the_sentence_that_it_breaks(
    site: Site, fault: Fault, ways: dict[str, bool], found: set[str]
) -> None:
    """Each fault is named, with what was seen."""
    with examined(site, fault, **ways) as agent:
        broken = {finding.check: finding.why for finding in examine(agent) if finding.holds is False}
    assert found <= set(broken)
    assert all(broken.values())


def test_what_cannot_be_examined_is_told(site: Site) -> None:
    """Nobody gives it work and nobody restarts it, which is neither good nor bad."""
    with examined(site, none) as agent:
        open_ended = replace(agent, work=None, restart=None)
        unknown = {finding.check: finding.why for finding in examine(open_ended) if finding.holds is None}
        assert [finding for finding in examine(agent) if not finding.holds] == []
    assert unknown == {
        "busy": "nobody can give this agent work: --work",
        "restart": "nobody can restart this agent: --restart",
    }


def test_the_gate_is_open_when_the_examination_is_over(site: Site) -> None:
    """Whoever is examined goes on."""
    with examined(site, none) as agent:
        examine(agent)
        assert agent.activity()["accepting"] is True
