"""One pod given up by a person: marked with its own uid, which only who may can do, and deleted.

Both acts are the person's own, and in the audit log. What the pod holds is lost, so it is told beforehand as far as it
is known: by the pod's labels, and by its agent where the API server can reach it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from scaler.controller.api import MERGE, Api, ApiError, Json, Request
from scaler.controller.dig import at, parsed, strings, text
from scaler.controller.facts import PodFacts, pod
from scaler.controller.names import FORCE, MANAGED, PHASES, TRUE
from scaler.controller.release import Act
from scaler.core.pods import Phase
from scaler.core.types import Seconds, Unknown
from scaler.core.wording import counted
from scaler.sources.activity_answer import Report, report

PATIENCE: Final[Seconds] = 10.0


async def acts(api: Api, path: str) -> tuple[list[Act], str]:
    """What gives the pod up, and what is lost with it; nothing to do where it is gone.

    Raises:
        ApiError: it cannot be read, or is none of ours.
    """
    answer = await api.ask(Request(method="GET", path=path, within=PATIENCE))
    if answer.status == HTTPStatus.NOT_FOUND:
        return [], "there is no such pod"
    if answer.status != HTTPStatus.OK:
        raise ApiError(f"{path} cannot be read: HTTP {answer.status} {answer.message}")
    body = parsed(answer.body)
    if strings(body, "metadata", "labels").get(MANAGED) != TRUE:
        raise ApiError(f"{path} is guarded by nothing of ours: kubectl delete pod takes it")
    if at(body, "metadata", "deletionTimestamp") is not None:
        return [], "the pod is being deleted already"
    found = pod(body)
    return _given_up(found, path, body), await _lost(api, found)


def _given_up(found: PodFacts, path: str, body: Mapping[str, Json]) -> list[Act]:
    """The mark, unless it is drained or marked already, and the deletion of this very pod."""
    title, uid = f"{found.namespace}/{found.name}", found.uid
    deletion = Act(
        f"delete pod {title}",
        Request(method="DELETE", path=path, body={"preconditions": {"uid": uid}}, within=PATIENCE),
    )
    if found.phase is Phase.DRAINED or text(body, "metadata", "annotations", FORCE) == uid:
        return [deletion]
    change: Json = {"metadata": {"uid": uid, "annotations": {FORCE: uid}}}
    mark = Request(method="PATCH", path=path, body=change, content=MERGE, within=PATIENCE)
    return [Act(f"give up pod {title}", mark), deletion]


async def _lost(api: Api, found: PodFacts) -> str:
    """What it holds, in words."""
    phase = PHASES[found.phase]
    if found.phase is Phase.DRAINED:
        return f"the pod is {phase}: it holds no work"
    said = await _asked(api, found)
    if isinstance(said, Unknown):
        return f"the pod is {phase}, and what it holds is not known ({said.why}): all of that is lost"
    tasks = f"{counted(said.inflight, 'task')} and {counted(said.sessions, 'session')}"
    oldest = "" if said.oldest_task is None else f", the oldest task for {said.oldest_task:.0f} s"
    return f"the pod is {phase} and holds {tasks}{oldest}: they are lost"


async def _asked(api: Api, found: PodFacts) -> Report | Unknown:
    """What its agent says, by way of the API server."""
    path = f"/api/v1/namespaces/{found.namespace}/pods/{found.name}:{found.port}/proxy/activity"
    try:
        answer = await api.ask(Request(method="GET", path=path, within=PATIENCE))
    except ApiError as error:
        return Unknown(str(error))
    if answer.status != HTTPStatus.OK:
        return Unknown(f"its agent does not answer: HTTP {answer.status}")
    said = report(answer.body)
    return said if isinstance(said, Report) else Unknown(said.why)
