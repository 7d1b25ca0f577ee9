"""One cluster for the whole session, a namespace for each test, and nothing left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.draining import Guarded, guarded
from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.folders import session_folder
from tests.cluster.harness.leftovers import Leftovers
from tests.cluster.harness.suite import ASKED_FOR, Suite

SUITE = pytest.StashKey[Suite]()
# The longest first, or one process would still tell one of them when all others have ended.
LONGEST = (
    *("drain_faults", "nodes", "drain", "drain_leaders", "exactness", "outages", "playground", "jobs", "zero"),
    *("warm_stories", "warm_guard", "recorder", "karpenter", "stuck", "spread", "leader", "warm_keda", "guard_loss"),
    *("deadband", "harness", "shipped"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Remember of the whole session what its end is judged by."""
    config.stash[SUITE] = Suite()
    config.pluginmanager.register(config.stash[SUITE])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, and leave out those that are only told when they are asked for."""
    if os.environ.get("AGENT_SCALER_LONG") != "1":
        items[:] = [item for item in items if item.path.stem[5:] not in ASKED_FOR]
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.path.stem[5:]) in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A control plane with nodes, until the end of the session, however that comes."""
    assets = required("etcd", "kubernetes", "kwok")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end, end as with Ctrl-C: in order
    with session_folder() as folder:
        suite = request.config.stash[SUITE]
        suite.folder = folder
        made = Cluster(folder.path, assets, hpa_period=0.5)
        try:
            made.start()
            yield made
            suite.note(made)
        except Exception:
            folder.keep = True
            raise
        finally:
            made.stop()
            folder.keep = folder.keep or request.session.testsfailed > 0
            signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def keda(cluster: Cluster) -> Cluster:
    """The cluster, with KEDA in it."""
    required("keda")
    cluster.start_keda()
    return cluster


@pytest.fixture(scope="session")
def sandboxes(cluster: Cluster) -> Cluster:
    """The cluster, with agent-sandbox in it."""
    required("agent-sandbox")
    cluster.start_sandboxes()
    return cluster


@pytest.fixture(scope="session")
def karpenter(cluster: Cluster) -> Cluster:
    """The cluster, with Karpenter in it."""
    required("karpenter")
    cluster.start_karpenter()
    return cluster


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test of the cluster that leaves anything behind, once everything else of it has been torn down."""
    if "cluster" not in request.fixturenames or "guards" in request.fixturenames:
        yield
        return
    before = Leftovers.before(request.getfixturevalue("cluster"))
    yield
    if not _interrupted(request) and (found := before.removed()):
        request.config.stash[SUITE].keep()
        pytest.fail("left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(scope="module")
def guards(cluster: Cluster) -> Iterator[Guarded]:
    """Our guards and our rights, which the stories of a file share; what is left is looked at after the last."""
    before = Leftovers.before(cluster)
    with guarded(cluster) as made:
        yield made
    assert before.removed() == []


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, deleted when it ends."""
    name = cluster.namespaces.make(request.node.name)
    yield name
    if not _interrupted(request):
        cluster.namespaces.drop(name)


def required(*tools: str) -> Assets:
    """The binaries of these tools. Where one is missing the test is skipped, or fails if everything is required."""
    assets = Assets.usual()
    if missing := assets.missing(*tools):
        told = f"{', '.join(missing)} not built: {way_out(*missing)}"
        if os.environ.get("AGENT_SCALER_REQUIRE_ALL") == "1":
            pytest.fail(told)
        pytest.skip(told)
    return assets


def _interrupted(request: pytest.FixtureRequest) -> bool:
    """The session ends in the middle of a test: what that leaves tells nothing, and all of it ends."""
    return request.session.exitstatus == pytest.ExitCode.INTERRUPTED
