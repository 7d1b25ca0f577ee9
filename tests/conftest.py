"""What holds for every test: property tests try the same cases each time, and no clock fails them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
