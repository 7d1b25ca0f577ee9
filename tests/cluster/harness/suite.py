"""What is known only when every story has been told, in however many processes: kept logs, and rights in use.

Each process of a session (pytest-xdist's workers, or the one that there is) has a cluster of its own and says at its
end what was seen there. The session fails on a right that was missing in any story, whatever was run; and if everything
was run, on a right that is granted and that no story used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.folders import Folder
from tests.cluster.harness.privilege import Right, Used, accounts, complaints, granted, used
from tests.cluster.harness.rest import Document
from tests.cluster.harness.shipped import BASE, PROTECTED, SANDBOXES, objects

HERE: Final = Path(__file__).parents[1]
ASKED_FOR: Final = ("drain_faults", "warm_storm")  # told where AGENT_SCALER_LONG=1: ten to fifteen minutes each
OUTPUT: Final = "agent-scaler"  # the key in what a worker hands over


@dataclass(eq=False)  # plugins are kept in sets
class Suite:
    """A plugin of one session of tests.

    Attributes:
        folder: of this process's cluster, once it has one.
        kept: folders of clusters whose logs outlive the session.
        used: what our ServiceAccounts did.
        everything: every story was told, and none was skipped.
        wrong: what is to be said about rights at the end.
    """

    folder: Folder | None = None
    kept: list[str] = field(default_factory=list)
    used: Used = field(default_factory=Used)
    everything: bool = True
    wrong: list[str] = field(default_factory=list)

    def keep(self) -> None:
        """Let the logs of this process's cluster outlive the session."""
        if self.folder is not None:
            self.folder.keep = True

    def note(self, cluster: Cluster) -> None:
        """The cluster has told all its stories."""
        self.used += used(cluster.audit.since(), accounts(objects(BASE)))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Notice that a file is missing among what was chosen."""
        told = {item.path for item in items}
        self.everything &= told >= {path for path in HERE.glob("test_*.py") if path.stem[5:] not in ASKED_FOR}

    def pytest_deselected(self) -> None:
        """Notice that a story is left out."""
        self.everything = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice that a story was not told to its end."""
        self.everything &= report.passed

    @pytest.hookimpl(optionalhook=True)  # of pytest-xdist
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 (pytest-xdist has no type for it)
        """Take over what a worker has seen; one that crashed says nothing."""
        said = getattr(node, "workeroutput", {}).get(OUTPUT)
        self.everything &= said is not None and said["everything"]
        if said is not None:
            self.kept += said["kept"]
            self.used += Used(frozenset(Right(*right) for right in said["rights"]), tuple(said["denied"]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what was seen to whoever has started this process, or judge it."""
        if self.folder is not None and self.folder.keep:
            self.kept.append(str(self.folder.path))
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[OUTPUT] = self._said()
            return
        self.wrong = self._wrong()
        if self.wrong and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _said(self) -> dict[str, Any]:
        """All of it in the few types that go to another process."""
        rights = [[*right] for right in self.used.rights]
        return {"kept": self.kept, "rights": rights, "denied": [*self.used.denied], "everything": self.everything}

    def _wrong(self) -> list[str]:
        """What is wrong with the rights."""
        folders = (BASE, PROTECTED, SANDBOXES) if self.everything else ()
        shipped: list[Document] = [each for folder in folders for each in objects(folder)]
        return complaints(granted(shipped), self.used, everything=self.everything)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong, and where the logs of the parts are."""
        for line in self.wrong:
            terminalreporter.write_line(f"rights: {line}", red=True)
        for folder in self.kept:
            terminalreporter.write_line(f"logs of the cluster: {folder}")
