"""The peers by name, each as its project ships it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scaler.sim.peers.buffer import Buffer
from scaler.sim.peers.fixed import Fixed
from scaler.sim.peers.hpa import QueueHpa
from scaler.sim.peers.job import Job
from scaler.sim.peers.kpa import Kpa
from scaler.sim.peers.predictive import Predictive
from scaler.sim.peers.saturation import Saturation
from scaler.sim.peers.sight import Knobs

PEERS: Mapping[str, Knobs] = MappingProxyType(
    {
        "hpa": QueueHpa(),
        "kpa": Kpa(),
        "predictive": Predictive(),
        "saturation": Saturation(),
        "buffer": Buffer(),
        "job": Job(),
        "fixed": Fixed(),
    }
)
