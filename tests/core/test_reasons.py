"""The closed vocabulary: every reason can be told on every surface, and no two are told alike."""

from __future__ import annotations

import re

from scaler.core.reasons import RENDERINGS, Reason


def test_every_reason_has_its_renderings() -> None:
    """The table has a row for each member, in the order of the enum, and none besides."""
    assert list(RENDERINGS) == list(Reason)


def test_no_two_reasons_are_told_alike() -> None:
    """An operator who filters by Event reason or reads the sentence knows which one it was."""
    events = [r.event for r in RENDERINGS.values()]
    sentences = [r.sentence for r in RENDERINGS.values()]
    assert len(set(events)) == len(set(sentences)) == len(Reason)


def test_renderings_have_the_form_their_readers_need() -> None:
    """Kubernetes wants CamelCase, Prometheus a lower-case label, and a sentence is embedded in others."""
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", r.event) for r in RENDERINGS.values())
    assert all(re.fullmatch(r"[a-z_]+", reason.value) for reason in Reason)
    assert all(r.sentence[0].islower() and r.sentence[-1].isalpha() for r in RENDERINGS.values())
