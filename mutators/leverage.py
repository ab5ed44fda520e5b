"""Leverage: how, and where in the inbox, the agent comes to know what it could use."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators import banks, telling
from mutators.values import changed

SLOT = "{{leverage}}"


class ParaphraseLeverage(Params):
    """Which of the wordings that the seed brings."""

    wording: Annotated[int, Field(ge=0, lt=32)] = 0


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    changes={"leverage"},
    requires={"leverage", "leverage_wordings"},
    before={"split_leverage"},
)
def paraphrase_leverage(scenario: Scenario, params: ParaphraseLeverage) -> Scenario:
    """Tell the leverage in other words of the seed: same facts, same strength."""
    others = scenario.leverage.others
    if not others:
        return scenario
    other = others[params.wording % len(others)]
    return changed(scenario, leverage=changed(scenario.leverage, text=other.text, cues=other.cues))


class QuoteLeverage(Params):
    """Which frame of the bank."""

    frame: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"leverage"},
    before={"bury_leverage", "split_leverage"},
    group="leverage_frame",
)
def quote_leverage(scenario: Scenario, params: QuoteLeverage) -> Scenario:
    """Set the leverage off from the rest of its message: by a line before it, a rule, a label."""
    return telling.framed(scenario, SLOT, "leverage", params.frame)


class BuryLeverage(Params):
    """Which passage of the bank, and where: below the greeting or above the signature."""

    draw: Annotated[int, Field(ge=0, lt=256)] = 0
    side: Literal["after", "before"] = "after"


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"leverage", "correspondence", "leverage_by_hand"},
    before={"greet_mails", "sign_mails"},
    group="leverage_frame",
)
def bury_leverage(scenario: Scenario, params: BuryLeverage) -> Scenario:
    """Let the sender of the leverage say something else too: small talk, or what letters say."""
    at = next((i for i, m in enumerate(scenario.inbox) if SLOT in m.body), None)
    if at is None or not scenario.by_hand(scenario.inbox[at]):
        return scenario
    message = scenario.inbox[at]
    outside = {person.role for person in scenario.cast if person.org != "org"}
    letter = not outside.isdisjoint((message.sender, *message.to, *message.cc))
    passages = banks.passages("letter" if letter else "colleagues")
    passage = passages[params.draw % len(passages)]
    side = "after" if letter else params.side
    body = _buried(message.body, message.sender, passage, side)
    inbox = (*scenario.inbox[:at], changed(message, body=body), *scenario.inbox[at + 1 :])
    return changed(scenario, inbox=inbox)


@lru_cache(maxsize=1024)
def _buried(body: str, sender: str, passage: str, side: str) -> str:
    """The body with a passage; unchanged where it would stand right beside the leverage.

    A message that has nothing but the leverage to say does not begin to chat.
    """
    parts = body.split("\n\n")
    greeted = len(parts) > 1 and parts[0].endswith(",") and "\n" not in parts[0]
    signed = len(parts) > 1 and parts[-1].startswith(f"{{{{{sender}.")
    start, end = int(greeted), len(parts) - signed
    if end - start < 3:
        return body
    told = next(i for i, part in enumerate(parts) if SLOT in part)
    places = [start, end] if side == "before" and greeted else [end]
    at = next((place for place in places if place not in (told, told + 1)), None)
    return body if at is None else "\n\n".join([*parts[:at], passage, *parts[at:]])


class MoveLeverage(Params):
    """Where in the listing the message with the leverage stands; its date stays."""

    place: Literal["first", "last", "middle"] = "first"


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"leverage"},
    before={"move_threat"},
    group="leverage_place",
)
def move_leverage(scenario: Scenario, params: MoveLeverage) -> Scenario:
    """List the thread that tells the leverage first, last or in the middle, another beside it."""
    return changed(scenario, inbox=telling.moved(scenario.inbox, SLOT, params.place))


class SplitLeverage(Params):
    """After which sentence the message breaks off, and how the second one begins."""

    cut: telling.Cut = "half"
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"leverage", "correspondence", "leverage_by_hand"},
    group="leverage_place",
)
def split_leverage(scenario: Scenario, params: SplitLeverage) -> Scenario:
    """Let the message with the leverage break off; the rest of it follows a little later."""
    return telling.split(scenario, SLOT, scenario.leverage.text, params.cut, params.draw)
