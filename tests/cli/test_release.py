"""``scaler release`` on an API server that has nothing of ours, and how commands of a person find that server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from scaler.controller.api import ConnectError, open_api
from tests.cli.conftest import Scaler
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving


async def nothing(_: web.Request) -> web.Response:
    """A list without items."""
    return web.json_response({"items": []})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """An API server whose every list is empty."""
    app = web.Application()
    app.router.add_get("/{path:.*}", nothing)
    async with serving(app) as url:
        yield url


@pytest.fixture
def kubeconfig(tmp_path: Path, url: str) -> Path:
    """The way to it."""
    file = tmp_path / "kubeconfig"
    file.write_text(kubeconfig_for(url, TOKEN))
    return file


async def test_a_pool_that_is_not_there_is_told_and_not_taken_for_freed(scaler: Scaler, kubeconfig: Path) -> None:
    """As a pod that is not there: there is nothing to do, so it ends well, and who mistyped it sees that."""
    arguments = ("release", "--pool", "agents/nope", "--yes", "--kubeconfig", kubeconfig)
    told = await asyncio.to_thread(scaler, *arguments)
    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr.startswith(
        "there is no such pool: no pod, no budget and no word on its namespace is of agents/nope"
    )
    assert "kubectl get pods --all-namespaces --label-columns agent-scaler.io/pool shows" in told.stderr
    told = await asyncio.to_thread(scaler, *arguments, "--json")
    assert (told.exit_code, told.stdout, "there is no such pool" in told.stderr) == (0, "[]\n", True)


async def test_a_cluster_with_nothing_of_ours_says_so(scaler: Scaler, kubeconfig: Path) -> None:
    """To free everything of nothing is no slip of the pen."""
    told = await asyncio.to_thread(scaler, "release", "--all", "--yes", "--kubeconfig", kubeconfig)
    assert (told.exit_code, told.stdout, told.stderr) == (0, "nothing of ours is here\n", "")


async def test_kubeconfigs_are_joined_as_kubectl_joins_them(
    scaler: Scaler, tmp_path: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is missing is passed over, and the first context that is named holds: no other cluster is acted upon."""
    other, bare = tmp_path / "other", tmp_path / "bare"
    other.write_text(kubeconfig_for("http://127.0.0.1:1", TOKEN).replace("x", "y"))
    bare.write_text("{apiVersion: v1, kind: Config}")
    joined = os.pathsep.join(str(file) for file in (tmp_path / "missing", bare, kubeconfig, other))
    monkeypatch.setenv("KUBECONFIG", joined)
    told = await asyncio.to_thread(scaler, "release", "--all", "--yes")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "nothing of ours is here\n", "")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["missing"], "No such file or directory"),
        (["missing", "gone"], "No such file or directory"),
        (["empty"], "cannot be used: it is no kubeconfig"),
    ],
    ids=["TheOne", "NoneOfThem", "AnEmptyOne"],
)
async def test_kubeconfigs_of_which_none_is_there_are_named(tmp_path: Path, files: list[str], why: str) -> None:
    """With what is wrong with them."""
    (tmp_path / "empty").touch()
    joined = Path(os.pathsep.join(str(tmp_path / file) for file in files))
    with pytest.raises(ConnectError) as caught:
        async with open_api(joined):
            pass
    assert str(caught.value).startswith(str(joined))
    assert why in str(caught.value)
