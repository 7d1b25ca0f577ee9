"""One pod given up: what is told of it before, and what is written, on an API server as small as that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from scaler.controller.api import ApiError, open_api
from scaler.controller.forfeit import acts
from scaler.controller.names import FORCE, MANAGED, PHASE
from tests.controller.objects import Object, pod_object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving

PATH = "/api/v1/namespaces/agents/pods/coder-1"
UID = "uid-coder-1"


def guarded(phase: str = "", **more: Any) -> Object:  # noqa: ANN401 (parts of an object, by their key)
    """A guarded pod in this phase."""
    return pod_object(labels={MANAGED: "true", **({PHASE: phase} if phase else {})}, **more)


async def told(folder: Path, body: Object | None, activity: Mapping[str, object] | None) -> tuple[list[str], str]:
    """What would be done to the pod, as verbs and bodies, and what is said to be lost."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == PATH:
            return web.json_response(body or {"message": "not found"}, status=200 if body else 404)
        assert request.path == f"{PATH}:8476/proxy/activity"
        return web.json_response(activity or {"message": "no route"}, status=200 if activity else 503)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            found, lost = await acts(api, PATH)
    return [f"{act.request.method} {json.dumps(act.request.body)}" for act in found], lost


MARK = f'PATCH {{"metadata": {{"uid": "{UID}", "annotations": {{"{FORCE}": "{UID}"}}}}}}'
DELETE = f'DELETE {{"preconditions": {{"uid": "{UID}"}}}}'
WORKING = {"uid": UID, "inflight": 2, "sessions": 1, "oldest_task": 4000.4}


@pytest.mark.parametrize(
    ("body", "activity", "done", "lost"),
    [
        (
            guarded(),
            WORKING,
            [MARK, DELETE],
            "the pod is active and holds 2 tasks and 1 session, the oldest task for 4000 s: they are lost",
        ),
        (
            guarded("draining"),
            None,
            [MARK, DELETE],
            "draining, and what it holds is not known (its agent does not answer: HTTP 503): all of that is lost",
        ),
        (
            guarded(),
            {"inflight": 1},
            [MARK, DELETE],
            "the pod is active, and what it holds is not known (uid is missing; it must be 1 to 253 letters",
        ),
        (
            guarded(annotations={FORCE: UID}),
            WORKING | {"oldest_task": None},
            [DELETE],
            "2 tasks and 1 session: they are",
        ),
        (guarded("drained"), None, [DELETE], "the pod is drained: it holds no work"),
        (guarded(leaving=True), None, [], "the pod is being deleted already"),
        (None, None, [], "there is no such pod"),
    ],
)
async def test_a_pod_is_given_up(
    tmp_path: Path, body: Object | None, activity: Mapping[str, object] | None, done: list[str], lost: str
) -> None:
    """Each row: a pod, what its agent says, what is done to this very pod, and what is told before."""
    found, said = await told(tmp_path, body, activity)
    assert found == done
    assert lost in said


async def test_a_pod_that_is_not_ours_is_left_to_others(tmp_path: Path) -> None:
    """It needs no giving up."""
    with pytest.raises(ApiError, match="guarded by nothing of ours: kubectl delete pod takes it"):
        await told(tmp_path, pod_object(), None)
