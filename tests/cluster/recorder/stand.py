"""What an HPA scales in a recording: an object of which a story dictates everything that the controller looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from scaler.controller.dig import whole
from scaler.sim.hpa import Behavior, Rules
from scaler.sim.hpa_pods import Stand as State
from tests.cluster.harness.api import Api, ApiError, Json
from tests.support.recorded.hpa import Kind, Story, Wanted
from tests.support.wait import eventually

GROUP, PLURAL = "agent-scaler.test", "stands"
PHASES = {State.READY: "Running", State.UNREADY: "Pending", State.GONE: "Failed"}


@dataclass(frozen=True, slots=True)
class Stand:
    """One such object with its HPA; both are called as its namespace."""

    api: Api
    namespace: str

    @property
    def _path(self) -> str:
        return f"/apis/{GROUP}/v1/namespaces/{self.namespace}/{PLURAL}/{self.namespace}"

    @property
    def _hpa(self) -> str:
        return f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/{self.namespace}"

    async def replicas(self) -> tuple[int, int]:
        """``spec.replicas`` and ``status.replicas``."""
        found = await self.api.get(self._path)
        return whole(found, "spec", "replicas", otherwise=0), whole(found, "status", "replicas", otherwise=0)

    async def ask_for(self, spec: int) -> None:
        """Somebody other than the HPA writes ``spec.replicas``."""
        await self.api.patch(self._path, {"spec": {"replicas": spec}})

    async def say_there_are(self, status: int) -> None:
        """What the workload's controller would write."""
        await self.api.patch(f"{self._path}/status", {"status": {"replicas": status, "selector": "app=stand"}})

    async def pods(self, states: Sequence[State]) -> list[str]:
        """Create pods that are on no node and stay as they are. The value is their names."""
        names = [f"pod-{number}" for number in range(len(states))]
        await asyncio.gather(*(self._pod(name, state) for name, state in zip(names, states, strict=True)))
        return names

    async def _pod(self, name: str, state: State) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        container: Json = {"name": "agent", "image": "registry.example/agent:1"}
        metadata: Json = {"name": name, "labels": {"app": "stand"}}
        spec: Json = {"schedulerName": "nobody", "containers": [container]}
        await self.api.send("POST", path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        ready: Json = [{"type": "Ready", "status": "True" if state is State.READY else "False"}]
        await self.api.patch(f"{path}/{name}/status", {"status": {"phase": PHASES[state], "conditions": ready}})

    async def create(self, spec: int) -> None:
        """Create the namespace and the object in it, all of whose replicas stand."""
        await self.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        body: Json = {"replicas": spec}
        stand: Json = {"apiVersion": f"{GROUP}/v1", "kind": "Stand", "metadata": {"name": self.namespace}, "spec": body}
        await self.api.send("POST", self._path.rpartition("/")[0], stand)
        await self.say_there_are(spec)
        await eventually(self._has_account)

    async def _has_account(self) -> bool | None:
        """Pods can be created in it."""
        try:
            await self.api.get(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default")
        except ApiError:
            return None
        return True

    async def scale_by(self, story: Story) -> None:
        """Create the HPA."""
        metrics: list[Json] = [_metric(wanted, f"{self.namespace}-{n}") for n, wanted in enumerate(story.metrics)]
        target: Json = {"apiVersion": f"{GROUP}/v1", "kind": "Stand", "name": self.namespace}
        spec: dict[str, Json] = {
            "scaleTargetRef": target,
            "minReplicas": story.hpa.low,
            "maxReplicas": story.hpa.high,
            "metrics": metrics,
        }
        if story.hpa.behavior is not None:
            spec["behavior"] = _behavior(story.hpa.behavior)
        body: Json = {"metadata": {"name": self.namespace}, "spec": spec}
        await self.api.send("POST", self._hpa.rpartition("/")[0], body, query={"fieldValidation": "Strict"})

    async def desired(self) -> int:
        """What the HPA says it has decided."""
        return whole(await self.api.get(self._hpa), "status", "desiredReplicas", otherwise=0)

    async def leave(self) -> None:
        """Delete the HPA."""
        await self.api.send("DELETE", self._hpa)


async def serve_stands(api: Api) -> None:
    """Let the API server know the kind."""
    number: Json = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    state: Json = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}
    schema: Json = {"type": "object", "properties": {"spec": number, "status": state}}
    scale: Json = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    version: Json = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }
    names: Json = {"plural": PLURAL, "singular": "stand", "kind": "Stand"}
    spec: Json = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    body: Json = {"metadata": {"name": f"{PLURAL}.{GROUP}"}, "spec": spec}
    await api.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)

    async def served() -> bool | None:
        """The API server serves stands."""
        try:
            await api.get(f"/apis/{GROUP}/v1/{PLURAL}")
        except ApiError:
            return None
        return True

    await eventually(served)


def _metric(wanted: Wanted, name: str) -> Json:
    named: Json = {"name": name}
    target: Json = {"type": "AverageValue", "averageValue": f"{wanted.target}m"}
    if wanted.kind is Kind.PODS:
        return {"type": "Pods", "pods": {"metric": named, "target": target}}
    if wanted.kind is Kind.VALUE:
        target = {"type": "Value", "value": f"{wanted.target}m"}
    return {"type": "External", "external": {"metric": named, "target": target}}


def _behavior(behavior: Behavior) -> Json:
    """Written as users do: what is the default is left to the API server to fill in."""
    default = Behavior()
    both = {"scaleUp": (behavior.up, default.up), "scaleDown": (behavior.down, default.down)}
    return {name: _rules(rules, usual) for name, (rules, usual) in both.items()}


def _rules(rules: Rules, usual: Rules) -> Json:
    said: dict[str, Json] = {}
    if rules.window != usual.window:
        said["stabilizationWindowSeconds"] = int(rules.window)
    if rules.select is not usual.select:
        said["selectPolicy"] = rules.select.value
    if rules.tolerance != usual.tolerance:
        said["tolerance"] = f"{round(1000 * rules.tolerance)}m"
    if rules.policies != usual.policies:
        said["policies"] = [
            {"type": policy.kind.value, "value": policy.value, "periodSeconds": int(policy.period)}
            for policy in rules.policies
        ]
    return said
