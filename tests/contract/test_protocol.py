"""The protocol itself: the numbers on the wire are KEDA's, and the generated modules are those of the proto file."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto

from scaler.external.proto import externalscaler_pb2 as pb
from scaler.external.proto.generate import PROTO, ROOT, generate

FIELDS = {
    "ScaledObjectRef": {"name": 1, "namespace": 2, "scalerMetadata": 3},
    "IsActiveResponse": {"result": 1},
    "GetMetricSpecResponse": {"metricSpecs": 1},
    "MetricSpec": {"metricName": 1, "targetSize": 2, "targetSizeFloat": 3},
    "GetMetricsRequest": {"scaledObjectRef": 1, "metricName": 2},
    "GetMetricsResponse": {"metricValues": 1},
    "MetricValue": {"metricName": 1, "metricValue": 2, "metricValueFloat": 3},
}
RPCS = {
    "IsActive": ("ScaledObjectRef", "IsActiveResponse", False),
    "StreamIsActive": ("ScaledObjectRef", "IsActiveResponse", True),
    "GetMetricSpec": ("ScaledObjectRef", "GetMetricSpecResponse", False),
    "GetMetrics": ("GetMetricsRequest", "GetMetricsResponse", False),
    "StreamMetricSpec": ("ScaledObjectRef", "GetMetricSpecResponse", True),
}


def test_every_rpc_is_there_with_its_messages() -> None:
    """Rows of the protocol's table: five RPCs, of which two stream."""
    [service] = pb.DESCRIPTOR.services_by_name.values()
    assert service.full_name == "externalscaler.ExternalScaler"
    assert {m.name: (m.input_type.name, m.output_type.name, m.server_streaming) for m in service.methods} == RPCS


def test_every_field_has_its_number() -> None:
    """A wrong number is read as nothing by KEDA, without an error."""
    assert {
        m.name: {f.name: f.number for f in m.fields} for m in pb.DESCRIPTOR.message_types_by_name.values()
    } == FIELDS


def test_field_four_of_a_metric_stays_free() -> None:
    """KEDA's own test servers use it for something else."""
    described = DescriptorProto()
    pb.MetricSpec.DESCRIPTOR.CopyToProto(described)
    assert [(kept.start, kept.end) for kept in described.reserved_range] == [(4, 5)]


def test_a_message_is_on_the_wire_as_keda_writes_it() -> None:
    """Row MetricValue, byte by byte: name, integer and float of "n" = 3."""
    value = pb.MetricValue(metricName="n", metricValue=3, metricValueFloat=3)
    assert value.SerializeToString() == b"\x0a\x01n\x10\x03\x19\x00\x00\x00\x00\x00\x00\x08\x40"


@pytest.mark.parametrize("suffix", [".py", ".pyi"])
def test_the_generated_modules_are_current(tmp_path: Path, suffix: str) -> None:
    """Generated again, they are the same to the byte."""
    generate(tmp_path)
    module = PROTO.with_name(f"{PROTO.stem}_pb2{suffix}")
    assert (tmp_path / module).read_bytes() == (ROOT / module).read_bytes()
