"""The contract, a function for each of its sentences, in the order in which they are examined.

Each begins with an open gate and may leave it as it likes. What it must not find raises ``BrokenError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from scaler.agent.conformance.subject import (
    Answer,
    BrokenError,
    CannotTellError,
    Subject,
    altered,
    expect,
    unsigned,
    until,
)

HOUR: Final = 3600

Check: TypeAlias = Callable[[Subject, int], None]  # the second is an epoch that was never used


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one sentence. ``holds`` is None where it could not be examined, and ``why`` says why."""

    check: str
    sentence: str
    holds: bool | None
    why: str = ""


def examine(subject: Subject) -> list[Finding]:
    """Examine every sentence. The gate is open in the end, if it can be opened."""
    return [_found(subject, name, check) for name, check in CHECKS.items()]


def _found(subject: Subject, name: str, check: Check) -> Finding:
    sentence = (check.__doc__ or "").strip()
    try:
        check(subject, _opened(subject) + 1)
    except CannotTellError as error:
        return Finding(name, sentence, None, str(error))
    except BrokenError as broken:
        return Finding(name, sentence, holds=False, why=str(broken))
    finally:
        _open(subject)
    return Finding(name, sentence, holds=True)


def _opened(subject: Subject) -> int:
    """Open the gate where it is closed; the epoch that it has then."""
    epoch = _count(subject.activity(), "epoch")
    if subject.activity().get("accepting") is not True:
        epoch += 1
        expect(subject.order("resume", epoch), 200, state="active", epoch=epoch)
    return epoch


def _open(subject: Subject) -> None:
    """Leave the gate open, if it lets itself be opened; what keeps it closed is another finding."""
    try:
        _opened(subject)
    except BrokenError:
        return


def tells(subject: Subject, _: int) -> None:
    """GET /activity tells uid, inflight, sessions, slots, ready, accepting, phase and epoch."""
    said = subject.activity()
    for key in ("inflight", "sessions", "slots", "epoch"):
        _count(said, key)
    wrong = [key for key in ("ready", "accepting") if not isinstance(said.get(key), bool)]
    wrong += [] if isinstance(said.get("uid"), str) else ["uid"]
    wrong += [] if said.get("phase") in {"active", "draining", "drained"} else ["phase"]
    if wrong:
        raise BrokenError(f"in /activity these are missing or of another kind: {', '.join(wrong)}")


def refuses_forged(subject: Subject, epoch: int) -> None:
    """An order that was altered after it was signed is not believed: 403, and nothing changes."""
    _refused(subject, subject.send("/drain", altered(subject.sign(subject.claims("drain", epoch)))))


def refuses_unsigned(subject: Subject, epoch: int) -> None:
    """An order that says it needs no signature is not believed: 403, and nothing changes."""
    _refused(subject, subject.send("/drain", unsigned(subject.sign(subject.claims("drain", epoch)))))


def refuses_expired(subject: Subject, epoch: int) -> None:
    """An order whose time is over is not believed: 403, and nothing changes."""
    now = int(subject.now())
    _refused(subject, subject.order("drain", epoch, iat=now - 400, exp=now - 120))


def refuses_early(subject: Subject, epoch: int) -> None:
    """An order from the future is not believed: 403, and nothing changes."""
    now = int(subject.now())
    _refused(subject, subject.order("drain", epoch, iat=now + HOUR, exp=now + HOUR + 60))


def refuses_lasting(subject: Subject, epoch: int) -> None:
    """An order that is good for more than 300 seconds is not believed: 403, and nothing changes."""
    now = int(subject.now())
    _refused(subject, subject.order("drain", epoch, iat=now, exp=now + HOUR))


def refuses_endless(subject: Subject, epoch: int) -> None:
    """An order without an end is not believed: 403, and nothing changes."""
    claims = {key: value for key, value in subject.claims("drain", epoch).items() if key != "exp"}
    _refused(subject, subject.send("/drain", subject.sign(claims)))


def refuses_other_audience(subject: Subject, epoch: int) -> None:
    """What the same key has signed for others is no order: 403, and nothing changes."""
    _refused(subject, subject.order("drain", epoch, aud="somebody-else"))


def refuses_other_act(subject: Subject, epoch: int) -> None:
    """An order to resume does not drain: 403, and nothing changes."""
    _refused(subject, subject.order("resume", epoch, path="/drain"))


def refuses_other_pod(subject: Subject, epoch: int) -> None:
    """An order for another pod answers 409 and names both, and nothing changes."""
    uid = str(subject.activity()["uid"])
    answer = expect(subject.order("drain", epoch, sub="another-pod"), 409)
    told = " ".join(str(value) for value in answer.said.values())
    if uid not in told or "another-pod" not in told:
        raise BrokenError(f"the answer is {answer}; it must name {uid} and another-pod")
    _still_open(subject)


def refuses_rubbish(subject: Subject, _: int) -> None:
    """A body that is no JSON object with an order answers 400, and nothing changes."""
    for body in (b"", b"drain", b"[]", b"{}", b'{"order": 7}'):
        expect(subject.call("POST", "/drain", body), 400)
    _still_open(subject)


def drains(subject: Subject, epoch: int) -> None:
    """An idle agent drains at once, and its activity tells: closed, acknowledged for this epoch."""
    expect(subject.order("drain", epoch), 200, state="drained", epoch=epoch)
    _drained(subject, epoch)


def repeats(subject: Subject, epoch: int) -> None:
    """The same order once more changes nothing and has the same answer; so has resuming."""
    for act, state, at in (("drain", "drained", epoch), ("resume", "active", epoch + 1)):
        for _ in range(3):
            expect(subject.order(act, at), 200, state=state, epoch=at)


def refuses_stale(subject: Subject, epoch: int) -> None:
    """An order older than the last one answers 409 with both epochs, and nothing changes."""
    expect(subject.order("drain", epoch + 1), 200, state="drained")
    for act in ("drain", "resume"):
        answer = expect(subject.order(act, epoch), 409)
        if {epoch, epoch + 1} - set(answer.said.values()):
            raise BrokenError(f"the answer is {answer}; it must name the epochs {epoch} and {epoch + 1}")
    _drained(subject, epoch + 1)


def resumes(subject: Subject, epoch: int) -> None:
    """A drain is called back under the next epoch, never under its own."""
    expect(subject.order("drain", epoch), 200, state="drained")
    expect(subject.order("resume", epoch), 409)
    _drained(subject, epoch)
    expect(subject.order("resume", epoch + 1), 200, state="active", epoch=epoch + 1)
    _still_open(subject)


def forgets_no_epoch(subject: Subject, epoch: int) -> None:
    """A drain that was called back stays so, though its order comes once more."""
    order = subject.sign(subject.claims("drain", epoch))
    expect(subject.send("/drain", order), 200, state="drained")
    expect(subject.order("resume", epoch + 1), 200, state="active")
    expect(subject.send("/drain", order), 409)
    expect(subject.order("drain", epoch + 1), 409)
    _still_open(subject)


def finishes(subject: Subject, epoch: int) -> None:
    """A busy agent says so, takes nothing more, finishes, and then drains."""
    ended = subject.begin_work()
    until(lambda: _count(subject.activity(), "inflight") > 0, "the work that was given is in flight", now=subject.now)
    answer = expect(subject.order("drain", epoch), 200, state="busy", epoch=epoch)
    if _count(answer.said, "inflight") + _count(answer.said, "sessions") == 0:
        raise BrokenError(f"the answer is {answer}; it must tell what is in flight")
    if "acked" in subject.activity():
        raise BrokenError("the drain is acknowledged while work is in flight")
    if subject.begin_work()():
        raise BrokenError("a closed gate has let work begin")
    if not ended():
        raise BrokenError("the work that had begun before the drain was not finished")
    until(lambda: "acked" in subject.activity(), "the drain is acknowledged after the work", now=subject.now)
    expect(subject.order("drain", epoch), 200, state="drained", epoch=epoch)
    _drained(subject, epoch)


def outlives(subject: Subject, epoch: int) -> None:
    """A restarted agent has the gate it had: closed, for the same epoch, and then open again."""
    expect(subject.order("drain", epoch), 200, state="drained")
    subject.begin_anew()
    _drained(subject, epoch)
    expect(subject.order("resume", epoch), 409)
    expect(subject.order("resume", epoch + 1), 200, state="active")
    subject.begin_anew()
    _still_open(subject)
    expect(subject.order("drain", epoch), 409)


CHECKS: Final[Mapping[str, Check]] = {
    "activity": tells,
    "forged-order": refuses_forged,
    "unsigned-order": refuses_unsigned,
    "expired-order": refuses_expired,
    "early-order": refuses_early,
    "lasting-order": refuses_lasting,
    "endless-order": refuses_endless,
    "other-audience": refuses_other_audience,
    "other-act": refuses_other_act,
    "other-pod": refuses_other_pod,
    "rubbish": refuses_rubbish,
    "drain": drains,
    "repetition": repeats,
    "stale-epoch": refuses_stale,
    "resume": resumes,
    "replay": forgets_no_epoch,
    "busy": finishes,
    "restart": outlives,
}


def _refused(subject: Subject, answer: Answer) -> None:
    expect(answer, 403)
    _still_open(subject)


def _still_open(subject: Subject) -> None:
    said = subject.activity()
    if said.get("accepting") is not True or "acked" in said:
        raise BrokenError(f"the gate must be open, and /activity tells accepting {said.get('accepting')}")


def _drained(subject: Subject, epoch: int) -> None:
    expect(Answer(200, subject.activity()), 200, accepting=False, phase="drained", epoch=epoch, acked=epoch)


def _count(said: Mapping[str, object], key: str) -> int:
    value = said.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BrokenError(f"{key} is {value!r}; it must be a whole number, not below 0")
    return value
