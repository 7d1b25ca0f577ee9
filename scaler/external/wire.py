"""Answers as KEDA's messages. Pure.

The number is one value against a target of exactly 1 (what it counts, ``live.telling`` says). With ``metricType:
AverageValue`` the HPA's answer is then the number itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from scaler.external.proto import externalscaler_pb2 as pb

SERVICE: Final = pb.DESCRIPTOR.services_by_name["ExternalScaler"].full_name
METRIC: Final = "agent-replicas"  # becomes a path segment of the metrics API: only a-z, 0-9 and hyphens
TARGET: Final = 1  # any other target is rounded to thousandths by KEDA, and 21 pods become 22
SPEC: Final = pb.GetMetricSpecResponse(
    metricSpecs=[pb.MetricSpec(metricName=METRIC, targetSize=TARGET, targetSizeFloat=TARGET)]
)
ACTIVE: Final = pb.IsActiveResponse(result=True)
INACTIVE: Final = pb.IsActiveResponse(result=False)


@lru_cache(maxsize=1_024)  # pools share a few numbers of replicas, and building the message is most of an answer
def metrics(name: str, value: int) -> pb.GetMetricsResponse:
    """One value for the metric that was asked for, in both fields: KEDA reads the integer where the float is zero."""
    told = pb.MetricValue(metricName=name, metricValue=value, metricValueFloat=value)
    return pb.GetMetricsResponse(metricValues=[told])
