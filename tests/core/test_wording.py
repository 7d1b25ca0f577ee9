"""Numbers as people read them."""

from __future__ import annotations

import pytest

from scaler.core.wording import counted, figure


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (counted(0, "pod"), "0 pods"),
        (counted(1, "pod"), "1 pod"),
        (counted(75_000, "task"), "75,000 tasks"),
        (counted(1, "class", "classes"), "1 class"),
        (counted(2, "class", "classes"), "2 classes"),
        (figure(10 / 3), "3.33"),
        (figure(12_345.0), "12,345"),
    ],
)
def test_one_is_one_and_thousands_are_told_in_full(said: str, told: str) -> None:
    """No "1 pods", and no 7.5e+04 tasks."""
    assert said == told
