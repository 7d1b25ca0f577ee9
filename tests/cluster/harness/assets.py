"""The binaries: built once into a folder of this user's cache, or taken from where they already are.

``AGENT_SCALER_ASSETS`` names a folder that has them; then nothing is built. Otherwise they are kept under
``$XDG_CACHE_HOME/agent-scaler`` by the hash of what they were built from, so another version of the module's files is
another folder, and an interrupted build leaves nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.cluster.harness.progress import Progress, say
from tests.cluster.harness.toolchain import Go, ToolchainError, environment, toolchain
from tests.cluster.harness.tools import TOOLS, Tool

ELSEWHERE = "AGENT_SCALER_ASSETS"
TAIL = 40  # lines of a failed build


class AssetsError(Exception):
    """A binary is missing, or could not be built."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Where binaries are kept.

    Attributes:
        elsewhere: a folder that has them all; None to keep them in the cache.
        cache: the folder they are built into.
        tools: what there is to build, by name.
    """

    elsewhere: Path | None
    cache: Path
    tools: Mapping[str, Tool] = field(default_factory=lambda: TOOLS)

    @classmethod
    def usual(cls) -> Assets:
        """As the environment says."""
        elsewhere = os.environ.get(ELSEWHERE)
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(elsewhere).resolve() if elsewhere else None, Path(home) / "agent-scaler")

    def folder(self, tool: Tool) -> Path:
        """Where the binaries of this tool are, or would be."""
        return self.elsewhere or self.cache / "tools" / f"{tool.name}-{tool.key}"

    def missing(self, *names: str) -> list[str]:
        """Those of these tools of which a binary is missing; with no names, of all."""
        wanted = [self.tools[name] for name in names or self.tools]
        return [tool.name for tool in wanted if not all((self.folder(tool) / name).exists() for name in tool.binaries)]

    def binary(self, name: str) -> Path:
        """A binary by its name, as ``keda/operator``.

        Raises:
            AssetsError: it is missing; says how to get it.
        """
        tool = next(tool for tool in self.tools.values() if name in tool.binaries)
        path = self.folder(tool) / name
        if not path.exists():
            raise AssetsError(f"{path} is missing: {way_out(tool.name)}")
        return path

    def build(self, *names: str) -> None:
        """Build what is missing of these tools, one after the other and in one process at a time.

        Raises:
            AssetsError: a build failed; shows what it said last.
        """
        for name in self.missing(*names):
            if self.elsewhere is not None:
                raise AssetsError(
                    f"{ELSEWHERE} is {self.elsewhere}, where {', '.join(self.tools[name].binaries)} are not"
                )
            with _alone(self.cache):
                if name in self.missing(name):  # whoever was before us may have built it
                    self._build(self.tools[name])

    def _build(self, tool: Tool) -> None:
        go, folder = _go(tool), self.folder(tool)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.parent.glob(f".{tool.name}-*"):  # of a build that was killed: no other is under way
            shutil.rmtree(unfinished)
        made = Path(tempfile.mkdtemp(prefix=f".{tool.name}-", dir=folder.parent))
        try:
            _compile(go, tool, made)
            made.chmod(0o755)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def way_out(*tools: str) -> str:
    """How to get what is missing."""
    return f'run make assets ARGS="{" ".join(tools)}", or let {ELSEWHERE} name a folder that has them'


@cache
def module(name: str) -> Path:
    """The folder of the tool's own module: its CRDs and roles, of the very version that its binaries are.

    Raises:
        AssetsError: it is not there and cannot be fetched.
    """
    tool = TOOLS[name]
    go = _go(tool)
    try:
        found = go.said("list", "-m", "-f", "{{.Dir}}", tool.module, at=tool.folder)
        if not found:  # built long ago, and the modules have been cleaned away since
            go.said("mod", "download", tool.module, at=tool.folder)
            found = go.said("list", "-m", "-f", "{{.Dir}}", tool.module, at=tool.folder)
    except ToolchainError as error:
        raise AssetsError(str(error)) from error
    return Path(found)


def _go(tool: Tool) -> Go:
    try:
        return toolchain(tool.go)
    except ToolchainError as error:
        raise AssetsError(str(error)) from error


def _compile(go: Go, tool: Tool, made: Path) -> None:
    """Fetch what it needs, then build it, and tell how far that is."""
    fetching = Progress(f"fetching {tool.name}")
    needed = _run(go.command("list", "-deps", *tool.packages), tool, fetching, "{} modules").count("\n")
    compiling = Progress(f"building {tool.name}")
    command = go.command(*tool.command, "-o", f"{made}/{tool.output}", *tool.packages)
    _run(command, tool, compiling, f"{{}} of at most {needed} packages compiled")
    compiling.end("done")


def _run(command: Sequence[str], tool: Tool, progress: Progress, state: str) -> str:
    """Run Go, which names on a line of its own what it has fetched or compiled. The value is what it printed."""
    said: deque[str] = deque(maxlen=TAIL)
    with tempfile.TemporaryFile("w+") as printed:
        with subprocess.Popen(
            command, cwd=tool.folder, env=environment(), stdout=printed, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            for count, line in enumerate(process.stderr, start=1):
                said.append(line)
                progress.tell(state.format(count))
        if process.returncode:
            progress.end("failed")
            raise AssetsError(f"{' '.join(command)} failed with {process.returncode}:\n{''.join(said)}")
        printed.seek(0)
        return printed.read()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one build at a time in this folder: each takes all cores, and gigabytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.joinpath("build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
