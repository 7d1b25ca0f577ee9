"""One cluster for the whole session, a namespace for each test, and nothing left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.harness.assets import Assets, way_out
from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.folders import Folder, session_folder
from tests.cluster.harness.leftovers import Leftovers

FOLDER = pytest.StashKey[Folder]()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A control plane with nodes, until the end of the session, however that comes."""
    assets = required("etcd", "kubernetes", "kwok")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end, end as with Ctrl-C: in order
    with session_folder() as folder:
        request.config.stash[FOLDER] = folder
        made = Cluster(folder.path, assets)
        try:
            made.start()
            yield made
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
    if "cluster" not in request.fixturenames:
        yield
        return
    before = Leftovers.before(request.getfixturevalue("cluster"))
    yield
    if not _interrupted(request) and (found := before.removed()):
        request.config.stash[FOLDER].keep = True
        pytest.fail("left behind:\n" + "\n".join(found), pytrace=False)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the logs of the parts are."""
    folder = config.stash.get(FOLDER, None)
    if folder is not None and folder.keep:
        terminalreporter.write_line(f"logs of the cluster: {folder.path}")
