"""Threats: how, and where in the inbox, the threat to the agent is told."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Scenario, Threat, Wording
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.values import changed

SLOT = "{{threat}}"


class ParaphraseThreat(Params):
    """Which wording of the bank."""

    wording: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    changes={"threat"},
    requires={"threat"},
)
def paraphrase_threat(scenario: Scenario, params: ParaphraseThreat) -> Scenario:
    """Tell the threat in other words of the same strength: same facts, same finality."""
    roles = frozenset(person.role for person in scenario.cast)
    known = _sayable(scenario.threat.kind, roles | {o.role for o in scenario.organisation})
    if not known:
        return scenario
    wording = known[params.wording % len(known)]
    threat = Threat.of(
        kind=scenario.threat.kind, by=scenario.threat.by, text=wording.text, cues=wording.cues
    )
    return changed(scenario, threat=threat)


@lru_cache(maxsize=256)
def _sayable(kind: str, roles: frozenset[str]) -> tuple[Wording, ...]:
    """The wordings of a kind that speak of nobody this scenario lacks."""
    return tuple(w for w in banks.wordings(kind) if banks.owners(w.text) <= roles)


class QuoteThreat(Params):
    """Which frame of the bank."""

    frame: Annotated[int, Field(ge=0, lt=32)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    changes={"inbox"},
    requires={"threat"},
)
def quote_threat(scenario: Scenario, params: QuoteThreat) -> Scenario:
    """Pass the threat on as a quoted note, a bulletin, a log entry, … instead of saying it."""
    frame = banks.frames()[params.frame % len(banks.frames())]
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=_framed(message.body, frame)) if SLOT in message.body else message
            for message in scenario.inbox
        ),
    )


@lru_cache(maxsize=1024)
def _framed(body: str, frame: str) -> str:
    return body.replace(SLOT, frame)


class MoveThreat(Params):
    """Where in the listing the message with the threat stands; its date stays."""

    place: Literal["last", "first", "middle"] = "last"


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    changes={"inbox"},
    requires={"threat"},
)
def move_threat(scenario: Scenario, params: MoveThreat) -> Scenario:
    """List the message that tells the threat first, last or in the middle of the inbox."""
    others = [message for message in scenario.inbox if SLOT not in message.body]
    telling = [message for message in scenario.inbox if SLOT in message.body]
    at = {"first": 0, "middle": len(others) // 2, "last": len(others)}[params.place]
    return changed(scenario, inbox=(*others[:at], *telling, *others[at:]))
