"""What the simulator is asked in small."""

from __future__ import annotations

SCENARIO = """
question: How many pods?
rate: [[0, 2], [1200, 2]]
durations: lognormal:4,0.8
max: 20
policies: [ours, hpa]
seeds: 1
"""
ALONE = ("--no-limits", "--jobs", "1")
