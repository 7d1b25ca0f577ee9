"""The binaries of the cluster: built once, kept by what they were built from, and never half there."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.harness.assets import Assets, AssetsError
from tests.cluster.harness.tools import TOOLS, Tool
from tests.cluster.harness.wait import until

ROOT = Path(__file__).parents[2]
HELLO = 'package main\n\nfunc main() { print("hello") }\n'
WAITING = "another build is running"
BUILD = """\
import sys
from pathlib import Path
from tests.cluster.harness.assets import Assets
from tests.cluster.harness.tools import Tool
tool = Tool("hello", "hello", (".",), ("hello",), output="hello", modules=Path(sys.argv[1]))
Assets(None, Path(sys.argv[2]), {"hello": tool}).build()
"""


@pytest.fixture
def hello(tmp_path: Path) -> Tool:
    """A tool of one line."""
    folder = tmp_path / "modules" / "hello"
    folder.mkdir(parents=True)
    folder.joinpath("go.mod").write_text("module hello\n\ngo 1.26.0\n")
    folder.joinpath("main.go").write_text(HELLO)
    return Tool("hello", "hello", (".",), ("hello",), output="hello", modules=folder.parent)


@pytest.fixture
def assets(hello: Tool, tmp_path: Path) -> Assets:
    """A cache with nothing in it."""
    return Assets(None, tmp_path / "cache", {"hello": hello})


def said(path: Path) -> str:
    """What the program says."""
    return subprocess.run([path], capture_output=True, text=True, check=True).stderr


def blocked(pid: int) -> bool:
    """This process waits for a lock: the kernel lists it with an arrow."""
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any("->" in row and str(pid) in row for row in rows)


def test_what_is_missing_is_built_once(assets: Assets) -> None:
    """The second time there is nothing to do."""
    assert assets.missing() == ["hello"]
    assets.build()
    built = assets.binary("hello")
    assert (assets.missing(), said(built)) == ([], "hello")
    inode = built.stat().st_ino
    assets.build()
    assert built.stat().st_ino == inode


@pytest.mark.parametrize("change", ["file", "flag"])
def test_another_source_is_another_binary(assets: Assets, hello: Tool, change: str) -> None:
    """What was built from the old files with the old flags stays where it was, and does not count."""
    assets.build()
    old = assets.binary("hello")
    if change == "file":
        hello.folder.joinpath("main.go").write_text(HELLO.replace("hello", "hallo"))
    else:
        assets = replace(assets, tools={"hello": replace(hello, linking="-s")})
    assert assets.missing() == ["hello"]
    assert old.exists()


def test_a_failed_build_says_why_and_leaves_nothing(assets: Assets, hello: Tool) -> None:
    """No folder that looks finished, nor one that does not."""
    hello.folder.joinpath("main.go").write_text(HELLO.replace("print", "prynt"))
    with pytest.raises(AssetsError, match="undefined: prynt"):
        assets.build()
    assert list(assets.cache.joinpath("tools").iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(assets: Assets, hello: Tool) -> None:
    """It was never taken for a binary."""
    unfinished = assets.cache / "tools" / ".hello-killed"
    unfinished.mkdir(parents=True)
    unfinished.joinpath("hello").touch()
    assets.build()
    assert list(assets.cache.joinpath("tools").iterdir()) == [assets.folder(hello)]


def test_one_build_waits_for_the_other_and_takes_what_it_built(assets: Assets, hello: Tool) -> None:
    """It says so, instead of looking hung, and does not build the same again."""
    assets.cache.mkdir()
    command: list[str | Path] = [sys.executable, "-c", BUILD, hello.modules, assets.cache]
    with assets.cache.joinpath("build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert WAITING in waiting.stderr.readline()
            until(lambda: blocked(waiting.pid) or None)
            assets.folder(hello).mkdir(parents=True)
            assets.folder(hello).joinpath("hello").write_text("built by the other")
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.stderr.read() == ""
    assert waiting.returncode == 0
    assert assets.binary("hello").read_text() == "built by the other"


def test_binaries_from_elsewhere_are_used_as_they_are(assets: Assets, tmp_path: Path) -> None:
    """Nothing is built into somebody else's folder."""
    elsewhere = replace(assets, elsewhere=tmp_path)
    with pytest.raises(AssetsError, match="hello are not"):
        elsewhere.build()
    tmp_path.joinpath("hello").touch()
    elsewhere.build()
    assert elsewhere.binary("hello") == tmp_path / "hello"


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_every_tool_is_pinned_with_its_hashes(tool: Tool) -> None:
    """The very version, and the hash of everything that goes into it."""
    files = {path.name for path in tool.folder.iterdir()}
    assert {"go.mod", "go.sum"} <= files
    assert f"\t{tool.module} v" in tool.folder.joinpath("go.mod").read_text().replace("require ", "\t")
    assert f"\n{tool.module} v" in "\n" + tool.folder.joinpath("go.sum").read_text()


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_missing_binary_skips_a_test_unless_everything_is_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    """Either way the reader learns what to run."""
    story = tmp_path / "test_story.py"
    story.write_text("def test_story(cluster):\n    pass\n")
    surroundings = {"XDG_CACHE_HOME": str(tmp_path), "AGENT_SCALER_REQUIRE_ALL": required, "AGENT_SCALER_ASSETS": ""}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.cluster.conftest", "-c", ROOT / "pyproject.toml", story],
        cwd=ROOT,
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout
    assert 'make assets ARGS="etcd kubernetes kwok"' in ran.stdout
