"""A namespace for each test, and its end."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field

import urllib3

from tests.cluster.harness.rest import Api, Json
from tests.cluster.harness.wait import until

LONGEST = 40
UNDERTAKER = "system:serviceaccount:kube-system:namespace-controller"  # whom the guards on pods and owners let
PATIENCE = 30.0  # seconds that the namespace controller may take for an empty namespace
# In this order: first what would make pods again, then the pods. Without this the namespace controller waits for the
# pods' grace periods, and looks again only every quarter of a minute.
CONTENT = (
    "/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects",
    "/apis/keda.sh/v1alpha1/namespaces/{}/scaledjobs",
    "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{}/sandboxclaims",
    "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{}/sandboxwarmpools",
    "/apis/agents.x-k8s.io/v1beta1/namespaces/{}/sandboxes",
    "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "/apis/batch/v1/namespaces/{}/jobs",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/statefulsets",
    "/apis/apps/v1/namespaces/{}/replicasets",
    "/api/v1/namespaces/{}/pods",
)


@dataclass
class Namespaces:
    """Makes namespaces whose names have not been used before."""

    api: Api
    _made: int = field(default=0)
    _dropped: dict[str, float] = field(default_factory=dict)

    def make(self, story: str) -> str:
        """A namespace named after the story, in which pods can be created."""
        self._made += 1
        words = re.sub(r"[^a-z0-9]+", "-", story.lower().removeprefix("test_"))[:LONGEST].strip("-")
        name = f"{words or 'story'}-{self._made}"
        self.api.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])

        def usable() -> bool | None:
            """The namespace has its ServiceAccount."""
            return self.api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default") is not None or None

        until(usable)
        return name

    def drop(self, name: str, *, within: float = 180.0) -> None:
        """Empty the namespace and delete it; return when nothing of its story is left in it.

        The namespace controller always takes five seconds more for the namespace itself; ``stuck`` tells of those that
        took far longer.

        Raises:
            AssertionError: something stays; says what.
        """
        paths = [path.format(name) for path in CONTENT]
        for path in paths:
            self._clear(path)
        self.api.acting(UNDERTAKER).delete(f"/api/v1/namespaces/{name}")

        def empty() -> bool | None:
            """Nothing that runs is left in the namespace."""
            left = [path for path in paths if self.api.items(f"{path}?limit=1")]
            for path in left:
                self._clear(path)
            return not left or None

        try:
            until(empty, within=within, every=0.2)
        except AssertionError as error:
            error.add_note(f"{name}: {[(path, len(left)) for path in paths if (left := self.api.items(path))]}")
            raise
        finally:
            self._dropped[name] = time.perf_counter()

    def await_gone(self, name: str) -> None:
        """Return once there is no namespace of this name: an earlier story may have had it, and it goes slowly."""
        until(lambda: self._left(name) is None or None, within=PATIENCE)
        self._dropped.pop(name, None)

    def settle(self) -> None:
        """Return once every namespace that was dropped is gone."""
        for name in [*self._dropped]:
            self.await_gone(name)

    def stuck(self) -> list[str]:
        """Namespaces that should be gone by now, and what the server says of them."""
        now = time.perf_counter()
        self._dropped = {name: at for name, at in self._dropped.items() if self._left(name)}
        return [f"{name}: {self._left(name)}" for name, at in self._dropped.items() if now - at > PATIENCE]

    def _clear(self, path: str) -> None:
        """Delete what is listed there, or as much of it as the API server manages within a request's own minute."""
        with suppress(urllib3.exceptions.HTTPError):
            self.api.acting(UNDERTAKER).delete(path, grace=0, timeout=90.0)

    def _left(self, name: str) -> Json:
        """The status of a namespace; None where it is gone."""
        return (self.api.get(f"/api/v1/namespaces/{name}") or {}).get("status")
