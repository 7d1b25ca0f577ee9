"""A warm pool's outcome in words, beside what ``explain`` says of every outcome."""

from __future__ import annotations

from scaler.core.explain import count, sentence, steps
from scaler.core.warmpool_types import WarmOutcome


def lines(outcome: WarmOutcome) -> list[str]:
    """The whole decision: the sentence, each step, and the figures they stand on."""
    e = outcome.evidence
    return [
        sentence(outcome),
        *steps(outcome),
        f"claims: {e.rate:.3f} a second, most trusted: {e.candidate} ({e.trust:.0%})",
        f"lead time: {e.lead:.1f} s on average, p90 {e.lead_p90:.1f} s ({e.leads} seen)",
        f"offered: {e.offered.claims:.2f} claims in a lead time, dispersion {e.offered.dispersion:.1f}",
        f"wanted: {count(e.wanted)}; announced: {e.announced:g} claims; spare ones stay for {e.timer:.0f} s",
        f"expected: {e.expected_misses:.2%} of the claims miss, {e.expected_idle:.1f} sandboxes stand idle",
        f"to be written: {count(outcome.report)}",
    ]
