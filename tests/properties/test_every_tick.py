"""Laws of every single tick, whatever the policy, the pool and its past."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from tests.properties import ticked
from tests.properties.drawn import Story, policies, stories
from tests.properties.effort import tries
from tests.properties.ticked import LAWS, Ticked, keeps_every_law


@tries(1500)
@given(stories(policies()))
def test_every_tick_keeps_every_law(story: Story) -> None:
    """No past and no present makes a tick break one of ``ticked.LAWS``."""
    keeps_every_law(story.moment.tick())
