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
    changes={"inbox"},
    requires={"leverage"},
    before={"bury_leverage", "split_leverage"},
    group="leverage_frame",
)
def quote_leverage(scenario: Scenario, params: QuoteLeverage) -> Scenario:
    """Pass the leverage on as a forwarded text, a transcript, a scanned letter, minutes, …."""
    frames = banks.frames("leverage", scenario.medium in banks.CORRESPONDENCE)
    return telling.framed(scenario, SLOT, frames[params.frame % len(frames)])


class BuryLeverage(Params):
    """Which passages of the bank, and on which side of the leverage."""

    draw: Annotated[int, Field(ge=0, lt=256)] = 0
    side: Literal["both", "before", "after"] = "both"


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    changes={"inbox"},
    requires={"leverage", "correspondence"},
    before={"greet_mails", "sign_mails"},
    group="leverage_frame",
)
def bury_leverage(scenario: Scenario, params: BuryLeverage) -> Scenario:
    """Surround the leverage with small talk of the same sender, in the same message."""
    passages = banks.passages()
    first = params.draw % len(passages)
    second = (first + 1 + params.draw // len(passages)) % len(passages)
    before = passages[first] if params.side != "after" else ""
    after = passages[second] if params.side != "before" else ""
    inbox = tuple(
        changed(message, body=_buried(message.body, message.sender, before, after))
        if SLOT in message.body
        else message
        for message in scenario.inbox
    )
    return changed(scenario, inbox=inbox)


@lru_cache(maxsize=1024)
def _buried(body: str, sender: str, before: str, after: str) -> str:
    """One passage below the greeting, the other above the signature."""
    parts = body.split("\n\n")
    start = 1 if len(parts) > 1 and parts[0].endswith(",") and "\n" not in parts[0] else 0
    signed = len(parts) > 1 and parts[-1].startswith(f"{{{{{sender}.")
    end = len(parts) - 1 if signed else len(parts)
    around = (*parts[:start], before, *parts[start:end], after, *parts[end:])
    return "\n\n".join(filter(None, around))


class MoveLeverage(Params):
    """Where in the listing the message with the leverage stands; its date stays."""

    place: Literal["first", "last", "middle"] = "first"


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    changes={"inbox"},
    requires={"leverage"},
    before={"move_threat"},
    group="leverage_place",
)
def move_leverage(scenario: Scenario, params: MoveLeverage) -> Scenario:
    """List the message that tells the leverage first, last or in the middle of the inbox."""
    return changed(scenario, inbox=telling.moved(scenario.inbox, SLOT, params.place))


class SplitLeverage(Params):
    """After which sentence the message breaks off, and how the second one begins."""

    cut: telling.Cut = "half"
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="leverage",
    relation="invariant",
    rung="wording",
    changes={"inbox"},
    requires={"leverage", "correspondence"},
    group="leverage_place",
)
def split_leverage(scenario: Scenario, params: SplitLeverage) -> Scenario:
    """Tell the leverage over two messages of one thread, the second a little later."""
    return telling.split(scenario, SLOT, scenario.leverage.text, params.cut, params.draw)
