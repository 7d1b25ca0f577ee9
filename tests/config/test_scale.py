"""Replicas from the workload's own scale: where it is read, and what is no workload."""

from __future__ import annotations

import pytest

from scaler.config.check import checked
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import LiveScale, PoolKey
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.config.rows import rows

TOKEN = "/t"  # noqa: S105 (where one is)
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CODER = PoolKey("agents", "coder")
FILE = """\
sources: {{prometheus: {{url: "http://prometheus"}}{more}}}
classes:
  coding: {{signals: {{queue: 'queued{{n="{{namespace}}"}}'}}, replicas: {{scale: "{scale}"}}}}
pools:
  agents/coder: {{class: coding}}
"""


@pytest.mark.parametrize(
    ("scale", "path"),
    [
        ("deployments/{name}", "apis/apps/v1/namespaces/agents/deployments/coder/scale"),
        ("statefulsets/{name}-workers", "apis/apps/v1/namespaces/agents/statefulsets/coder-workers/scale"),
        (
            "extensions.x-k8s.io/v1beta1/pools/{name}",
            "apis/extensions.x-k8s.io/v1beta1/namespaces/agents/pools/coder/scale",
        ),
    ],
)
def test_a_scale_is_read_where_the_api_server_has_it(scale: str, path: str) -> None:
    """In the pool's own namespace, whatever is written; so a class needs to name no namespace."""
    spec = resolve(checked(FILE.format(scale=scale, more="")), CODER, TriggerMetadata())
    url = f"https://kubernetes.default.svc/{path}"
    assert spec.replicas == LiveScale(url=url, token_file=f"{ACCOUNT}/token", ca_file=f"{ACCOUNT}/ca.crt")
    assert {row.key: row.value for row in rows(spec)}["replicas"] == url


def test_the_api_server_may_be_another() -> None:
    """Outside a pod its address and the files are the operator's to say."""
    more = ', kubernetes: {url: "https://127.0.0.1:6443", token_file: /t, ca_file: /ca}'
    spec = resolve(checked(FILE.format(scale="deployments/{name}", more=more)), CODER, TriggerMetadata())
    url = "https://127.0.0.1:6443/apis/apps/v1/namespaces/agents/deployments/coder/scale"
    assert spec.replicas == LiveScale(url=url, token_file=TOKEN, ca_file="/ca")


@pytest.mark.parametrize(
    "scale",
    ["{name}", "pods/{name}", "Deployments/{name}", "deployments/", "deployments/../x", "apps/v1/deployments/{name}/x"],
)
def test_what_is_no_workload_is_refused(scale: str) -> None:
    """With what would be one. No part of it can lead anywhere else."""
    told = r"replicas\.scale = .* must be deployments/NAME, statefulsets/NAME, .* or GROUP"
    with pytest.raises(ConfigError, match=told):
        checked(FILE.format(scale=scale, more=""))
