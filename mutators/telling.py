"""How a message tells the threat or the leverage: in a frame, in parts, here or there in the list.

The text itself stands in the message as a slot, ``{{threat}}`` or ``{{leverage}}``.
"""

import re
from functools import lru_cache
from typing import Literal

from fuzzer.scenario import Message, Scenario
from mutators import banks, care
from mutators.values import changed

Place = Literal["last", "first", "middle"]
Cut = Literal["half", "first", "last"]
CUTS: tuple[Cut, ...] = ("last", "half", "first")
Inbox = tuple[Message, ...]


def framed(scenario: Scenario, slot: str, frame: str) -> Scenario:
    """Wherever a message holds the slot, a passage around it that passes it on."""
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=_replaced(message.body, slot, frame))
            if slot in message.body
            else message
            for message in scenario.inbox
        ),
    )


@lru_cache(maxsize=2048)
def _replaced(body: str, slot: str, frame: str) -> str:
    return body.replace(slot, frame)


def moved(inbox: Inbox, slot: str, place: Place) -> Inbox:
    """The listing with the messages that hold the slot first, last or in the middle."""
    others = [message for message in inbox if slot not in message.body]
    telling = [message for message in inbox if slot in message.body]
    at = {"first": 0, "middle": len(others) // 2, "last": len(others)}[place]
    return (*others[:at], *telling, *others[at:])


def split(scenario: Scenario, slot: str, text: str, cut: Cut, draw: int) -> Scenario:
    """Tell the first sentences where the slot stands, the others in a second message after it.

    What a control passes on by its number must go on saying what it said: such a message breaks
    off where every term of the seed has been told, or stays whole.
    """
    at = next((i for i, message in enumerate(scenario.inbox) if slot in message.body), None)
    if at is None:
        return scenario
    whole = scenario.inbox[at]
    parts = _cut(text, cut)
    if parts and _passed_on(scenario, whole.id):
        found = (_cut(text, other) for other in dict.fromkeys((cut, *CUTS)))
        terms = care.of_ledger(scenario.ledger)
        parts = next((two for two in found if two and care.keeps(two[0], text, terms)), None)
    if not parts:
        return scenario
    first = changed(whole, body=_replaced(whole.body, slot, parts[0]))
    opener = banks.openers()[draw % len(banks.openers())]
    signed = any(person.role == whole.sender for person in scenario.cast)
    body = f"{opener}\n\n{parts[1]}" + (f"\n\n{{{{{whole.sender}.first}}}}" if signed else "")
    more = changed(
        whole, id=f"{whole.id}:{slot.strip('{}')}", subject=answer_to(whole.subject), body=body
    )
    inbox = (*scenario.inbox[:at], first, *scenario.inbox[at + 1 :])
    return changed(scenario, inbox=followed(inbox, at, more, 3 + draw % 5))


@lru_cache(maxsize=1024)
def _cut(text: str, cut: Cut) -> tuple[str, str] | None:
    """The text in two, between sentences; None where there is only one."""
    sentences = re.split(r"(?<=[.!?]) +(?=[\"'(]?[A-Z{])", text.strip())
    if len(sentences) < 2:
        return None
    at = {"first": 1, "half": len(sentences) // 2, "last": len(sentences) - 1}[cut]
    return " ".join(sentences[:at]), " ".join(sentences[at:])


def _passed_on(scenario: Scenario, message: str) -> bool:
    number = f"{{{{message.{message}}}}}"
    plays = (play for control in scenario.ledger.controls for play in control.actions)
    sent = (play for play in plays if play.role in ("forward_message", "send_message"))
    return any(number in value for play in sent for value in play.args.values())


def followed(inbox: Inbox, at: int, more: Message, minutes: int) -> Inbox:
    """The inbox with `more` after the message at `at`: next to it, some minutes younger.

    Never younger than the message listed on its other side, where the listing goes by date.
    """
    upward = inbox[0].ago < inbox[-1].ago  # newest first
    beside = inbox[at - 1 : at] if upward else inbox[at + 1 : at + 2]
    ago = max(0, inbox[at].ago - minutes)
    if beside and beside[0].ago <= inbox[at].ago:
        ago = max(ago, beside[0].ago)
    place = at if upward else at + 1
    return (*inbox[:place], changed(more, ago=ago), *inbox[place:])


# ------------------------------------------------------------------------------------ subjects

_ANSWER = re.compile(r"^(?:(?:re|aw|fw|fwd) ?: *)+", re.IGNORECASE)


@lru_cache(maxsize=4096)
def plain_subject(subject: str) -> str:
    """A subject without its "Re:"s: what the messages of one thread have in common.

    >>> plain_subject("RE: Fwd: New chairs")
    'New chairs'
    """
    return _ANSWER.sub("", subject)


def answer_to(subject: str) -> str:
    """The subject of a message that goes on with a thread.

    >>> answer_to("Re: New chairs"), answer_to("New chairs")
    ('Re: New chairs', 'Re: New chairs')
    """
    return f"Re: {plain_subject(subject)}"
