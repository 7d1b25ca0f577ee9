"""Good input of every kind, to be damaged."""

from __future__ import annotations

from typing import Final

from pydantic.alias_generators import to_camel

from scaler.config.knobs import PoolLayer
from scaler.config.metadata import KEDA_KEYS, KEDA_SECRETS, TriggerMetadata
from scaler.config.settings import Settings, Sources
from scaler.core.types import Signal

CONFIG: Final = """\
mode: auto
sources: {prometheus: {url: "http://prometheus:9090", timeout: 1s, interval: 5s}, activity: {timeout: 2s}, http: {}}
hints: {longest: 10m, most: 4, callers: {planner: {token_file: /token, namespaces: ["*"]}}}
defaults: {min: 0, max: 20}
classes:
  coding:
    max: 50
    signals:
      queue: sum(queued{namespace="{namespace}"})
      tokens: {url: "http://stats/{namespace}", path: 'a["b"][0].c', token_file: /token}
    replicas: {query: 'replicas{namespace="{namespace}"}', url: "http://other:9090"}
    schedule: [{name: office, days: [mon, tue], from: 08:00, to: 18:00, timezone: Europe/Berlin, replicas: 5}]
pools:
  agents/coder: {class: coding, budget_per_hour: 30, pod_price_per_hour: 1.5, target_wait_p95: 45s}
  agents/writer: {slots_per_pod: 4, pods: {activity: ["http://writer-0:9001"]}}
"""
SHARED: Final = """\
sources: {prometheus: {url: "http://prometheus:9090"}}
defaults: {signals: {queue: "q{namespace}"}, replicas: "r{namespace}"}
classes: {coding: {max: 5}}
"""
WORDS: Final = [
    *Settings.model_fields,
    *Sources.model_fields,
    *PoolLayer.model_fields,
    *Signal,
    *("class", "url", "query", "path", "token_file", "timeout", "from", "to", "replicas", "agents/coder"),
]

METADATA: Final = {"class": "coding", "max": "8", "min": "2", "mode": "off", "targetWaitP95": "30s", "pauseUp": "true"}
METADATA_KEYS: Final = [
    *METADATA,
    *(to_camel(field) for field in TriggerMetadata.model_fields),
    *KEDA_KEYS,
    *KEDA_SECRETS,
    *("maxFromEnv", "poolFromEnv", "caCertFromEnv", "FromEnv"),
]

BODY: Final = (
    '{"pool": "agents/coder", "slots": 40, "duration": "5m", "reason": "fan-out", "id": "a-1", '
    '"start": "2026-11-21T12:00:00+00:00"}'
)
ACTIVITY: Final = (
    '{"uid": "a-1", "inflight": 2, "sessions": 1, "ready": true, "started_at": 1759999900.5, "phase": "draining", '
    '"epoch": 3, "acked": 2, "ordinal": 0}'
)
RESULT: Final = '[{"metric": {"pod": "a-1"}, "value": [1760000000.25, "7.5"]}]'
ENVELOPE: Final = f'{{"status": "success", "data": {{"resultType": "vector", "result": {RESULT}}}, "warnings": ["w"]}}'
DOCUMENT: Final = '{"a": {"b": [{"c": 7.5}]}, "c": 1, "0": null}'
