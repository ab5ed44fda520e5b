"""How a message tells the threat or the leverage: in a frame, in parts, here or there in the list.

The text itself stands in the message as a slot, ``{{threat}}`` or ``{{leverage}}``.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from fuzzer.scenario import Message, Scenario
from mutators import banks, care
from mutators.values import changed

Place = Literal["last", "first", "middle"]
Cut = Literal["half", "first", "last"]
Inbox = tuple[Message, ...]

#: Media in which people write to each other.
CORRESPONDENCE = frozenset(("mail", "chat", "tickets"))


# ------------------------------------------------------------------------------------- in a frame


def framed(scenario: Scenario, slot: str, facet: str, number: int) -> Scenario:
    """Wherever a message holds the slot, a passage of the bank around it that sets it off."""
    inbox = []
    for message in scenario.inbox:
        if slot in message.body:
            by_hand = scenario.by_hand(message)
            frames = banks.frames(facet, scenario.medium in CORRESPONDENCE, by_hand)
            frame = frames[number % len(frames)]
            message = changed(message, body=_replaced(message.body, slot, frame))
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


@lru_cache(maxsize=2048)
def _replaced(body: str, slot: str, frame: str) -> str:
    return body.replace(slot, frame)


# ------------------------------------------------------------------------------ where it is listed


def moved(inbox: Inbox, slot: str, place: Place) -> Inbox:
    """The listing with the thread that holds the slot first, last or in the middle.

    As programs show what is pinned, flagged or unread: a thread stays together, and another one
    that stood elsewhere keeps it company.
    """
    telling: list[Inbox] = []
    others: list[Inbox] = []
    for unit in threads(inbox):
        told = any(slot in message.body for message in unit)
        (telling if told else others).append(unit)
    at = {"first": 0, "middle": len(others) // 2, "last": len(others)}[place]
    company: list[Inbox] = []
    elsewhere = [i for i in range(len(others)) if i not in (at - 1, at)]
    if telling and elsewhere:
        chosen = elsewhere[banks.pick(len(others), telling[0][0].id, len(elsewhere))]
        company.append(others.pop(chosen))
        at -= chosen < at
    block = [*company, *telling] if place == "last" else [*telling, *company]
    return flat((*others[:at], *block, *others[at:]))


def threads(inbox: Inbox) -> list[Inbox]:
    """The messages by thread, each thread where its first message stands in the listing."""
    found: dict[str, list[Message]] = {}
    for message in inbox:
        found.setdefault(thread_of(message), []).append(message)
    return [tuple(unit) for unit in found.values()]


def thread_of(message: Message) -> str:
    """What the messages of one thread have in common; one without a subject stands alone."""
    return _thread(message.subject) or message.id


def flat(units: Iterable[Inbox]) -> Inbox:
    """The messages of some threads, one thread after another."""
    return tuple([message for unit in units for message in unit])


def goes_upward(inbox: Inbox) -> bool:
    """Whether a listing has its newest messages on top, one or two that were moved left aside."""
    steps = [b.ago - a.ago for a, b in pairwise(inbox) if a.ago != b.ago]
    return sum(step > 0 for step in steps) * 2 > len(steps)


# ------------------------------------------------------------------------------------ in two parts


def split(scenario: Scenario, slot: str, text: str, cut: Cut, draw: int) -> Scenario:
    """Let a message break off in what the slot tells, or after it; a second one has the rest.

    Only what a person writes breaks off so, and only where the rest can be read by itself: not
    before "It", nor before "in the same step". What a control passes on by its number must go on
    saying what it said: such a message breaks off where every term of the seed has been told.
    """
    at = next((i for i, message in enumerate(scenario.inbox) if slot in message.body), None)
    if at is None or not scenario.by_hand(scenario.inbox[at]):
        return scenario
    whole = scenario.inbox[at]
    terms = care.of_ledger(scenario.ledger) if _passed_on(scenario, whole.id) else ()
    parts = _broken(whole.body, slot, text, cut, terms)
    if not parts:
        return scenario
    openers = banks.openers()
    opener = openers[draw % len(openers)]
    counted = opener == "(2/2)"  # then the first one is counted too
    first = changed(whole, body=f"{parts[0]}\n\n(1/2)" if counted else parts[0])
    name = f"{whole.id}:{slot.strip('{}')}"  # and a number of its own, where the head shows one
    more = changed(whole, id=name, number="", body=f"{opener}\n\n{parts[1]}")
    inbox = (*scenario.inbox[:at], first, *scenario.inbox[at + 1 :])
    return changed(scenario, inbox=followed(inbox, at, more, 1 + draw % 3))


@lru_cache(maxsize=1024)
def _broken(
    body: str, slot: str, text: str, cut: Cut, terms: tuple[str, ...]
) -> tuple[str, str] | None:
    """The body in two: between sentences of the text, or else of what stands below it."""
    paragraphs = body.split("\n\n")
    at = next(i for i, paragraph in enumerate(paragraphs) if slot in paragraph)
    before, told, after = paragraphs[:at], paragraphs[at], paragraphs[at + 1 :]
    if told.startswith(slot):  # else it has marks around it, and a mark has two ends
        for one, two in _cuts(text, cut):
            if care.keeps(one, text, terms):
                rest = two + told.removeprefix(slot)
                return "\n\n".join([*before, one]), "\n\n".join([rest, *after])
    for number, paragraph in enumerate(after):
        if number and number == len(after) - 1 and paragraph.startswith("{{"):
            break  # a signature
        sentences = _sentences(paragraph)
        for count, sentence in enumerate(sentences):
            if not _POINTING.match(sentence):
                said = [" ".join(sentences[:count])] if count else []
                rest = " ".join(sentences[count:])
                first = [*before, told, *after[:number], *said]
                return "\n\n".join(first), "\n\n".join([rest, *after[number + 1 :]])
    return None


#: How a sentence begins that goes on with the one before it.
_POINTING = re.compile(
    r"(?:It|Its|He|She|His|Her|They|Them|Their|This|That|These|Those|There|Then|Such|So|And|But|Nor|"
    r"Or|With (?:it|this|that)|In (?:it|this|that|the same)|None|No)\b"
)


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) +(?=[\"'(]?[A-Z{])", text.strip())


@lru_cache(maxsize=1024)
def _cuts(text: str, cut: Cut) -> tuple[tuple[str, str], ...]:
    """The text in two, between sentences and where the rest can be read by itself.

    The place that is asked for comes first.
    """
    if "\n" in text:
        return ()  # a list or a form is one piece
    sentences = _sentences(text)
    wanted = {"first": 1, "half": len(sentences) // 2, "last": len(sentences) - 1}[cut]
    safe = [at for at in range(1, len(sentences)) if not _refers(sentences[at])]
    safe.sort(key=lambda at: (abs(at - wanted), at))
    return tuple((" ".join(sentences[:at]), " ".join(sentences[at:])) for at in safe)


#: Words that point back to what was said before.
_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|"
    r"thereafter|thereby|such|same|latter|former|both|either|neither|afterwards?|else|instead|so|"
    r"also|too|likewise|otherwise|from then|none|no (?:copy|archive|other|further|step))\b"
    r"|^(?:And|But|Nor|Or|At (?:that|the) |With |In (?:that|the|doing) |On completion|Until|After|"
    r"Once |No |None|The (?:agent|arrangement|change|closure|move|permission|process|second|"
    r"service|shutdown|state|step|stored|switch|third|volume|wording|work)\b)",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\{\{[\w.]+\}\}")


def _refers(sentence: str) -> bool:
    """Whether a sentence points back, so that nothing may be torn off before it.

    >>> _refers("It takes over at once."), _refers("{{a.name}} is off and its state gone.")
    (True, False)
    """
    for word in _BACK.finditer(sentence):
        own = word.group().lower() in ("it", "its", "his", "her", "their")
        if not (own and _NAMED.search(sentence, 0, word.start())):
            return True
    return False


def _passed_on(scenario: Scenario, message: str) -> bool:
    number = f"{{{{message.{message}}}}}"
    plays = (play for control in scenario.ledger.controls for play in control.actions)
    sent = (play for play in plays if play.role in ("forward_message", "send_message"))
    return any(number in value for play in sent for value in play.args.values())


def followed(inbox: Inbox, at: int, more: Message, minutes: int) -> Inbox:
    """The inbox with `more` after the message at `at`: next to it, some minutes younger.

    Never younger than the message listed on its other side, where the listing goes by date.
    """
    upward = goes_upward(inbox)
    beside = inbox[at - 1 : at] if upward else inbox[at + 1 : at + 2]
    ago = max(0, inbox[at].ago - minutes)
    if beside and beside[0].ago <= inbox[at].ago:
        ago = max(ago, beside[0].ago)
    place = at if upward else at + 1
    return (*inbox[:place], changed(more, ago=ago), *inbox[place:])


# ------------------------------------------------------------------------------------ subjects

_OF_THREAD = re.compile(
    r"^(?:(?:re|aw|fw|fwd|absen(?:t|ce)|out of office|automatic reply) ?: *)+", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def _thread(subject: str) -> str:
    """Whose thread a subject belongs to: what programs answer belongs to what they answer.

    >>> _thread("Absence: Re: New chairs")
    'new chairs'
    """
    return _OF_THREAD.sub("", subject).strip().lower()
