"""The parts of a scenario that can go, and how a text reads without some of its sentences.

*Units* are mails, documents, files and tickets (``inbox:ID``), paragraphs of the prompt
(``system:ID``) and tools (``tools:ROLE``). A *sentence* of a unit is ``inbox:ID~HASH`` or
``system:ID~HASH``: a hash of what it says, slots unfilled and white space aside, so that another
wording of the same unit keeps its own text, and line breaks do not matter. Sentences of a unit that
say the same go together. Unknown ids mean nothing. A unit without any sentence goes as well; but
of a tool's description (``tools:ROLE~HASH``) the first sentence, which says what it is for, stays.

In a file of data sentences are lines. What is attached to a message is one of its sentences, and so
are those who got a copy, and those beside the first whom it was sent to; a message without a text
goes, whoever is left in its head.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fuzzer.scenario import Block, Medium, Message, Scenario, Tool
from fuzzer.sentences import Piece, Pieces, sentence_hash, split

# ------------------------------------------------------------------------------------ elements


def units(scenario: Scenario) -> tuple[str, ...]:
    """The units of a scenario in the order shown, each once."""
    found = [f"system:{block.id}" for block in scenario.system]
    found += [f"inbox:{message.id}" for message in scenario.inbox]
    found += [f"tools:{tool.role}" for tool in scenario.tools]
    return tuple(dict.fromkeys(found))


def sentences(scenario: Scenario, unit: str) -> tuple[str, ...]:
    """The sentences of a unit, in order, each once; none of an unknown unit.

    Of a tool: those of its description behind the first, which says what it is for.
    """
    found: dict[str, None] = {}
    for text in _texts(scenario, unit):
        found |= dict.fromkeys(sentence_hash(piece.text) for piece in text.pieces)
    return tuple(f"{unit}~{key}" for key in found)


def unit_of(element: str) -> str:
    """The unit that an element is, or is a sentence of."""
    return _SENTENCE.sub("", element)


def texts_of(scenario: Scenario, element: str) -> tuple[str, ...]:
    """What an element says, slots unfilled; of a tool its name and description."""
    unit = unit_of(element)
    kind, _, rest = unit.partition(":")
    if kind == "tools" and unit == element:
        return tuple(f"{t.name}: {t.description}" for t in scenario.tools if t.role == rest)
    pieces = [piece.text for text in _texts(scenario, unit) for piece in text.pieces]
    if unit == element:
        return tuple(pieces)
    return tuple(text for text in pieces if element.endswith(f"~{sentence_hash(text)}"))


def drop_elements(scenario: Scenario, drop: Iterable[str]) -> Scenario:
    """The scenario without the units and sentences of these ids; unknown ids are ignored."""
    gone = frozenset(drop)
    if not gone:
        return scenario
    cuts: dict[str, set[str]] = {}
    for element in gone:
        if _SENTENCE.search(element):
            cuts.setdefault(unit_of(element), set()).add(element[-8:])
    blocks = (_cut_block(b, cuts.get(f"system:{b.id}"), scenario.language) for b in scenario.system)
    messages = (_cut_message(m, cuts.get(f"inbox:{m.id}"), scenario) for m in scenario.inbox)
    tools = (_cut_tool(t, cuts.get(f"tools:{t.role}"), scenario.language) for t in scenario.tools)
    return scenario.model_copy(
        update={
            "system": tuple(b for b in blocks if b and f"system:{b.id}" not in gone),
            "inbox": tuple(m for m in messages if m and f"inbox:{m.id}" not in gone),
            "tools": tuple(t for t in tools if f"tools:{t.role}" not in gone),
        }
    )


def describe(element: str, scenario: Scenario) -> str:
    """An element in words for people, from its id and the scenario that has it.

    Slots are unfilled; a reader that fills them sees names. An unknown id stands for itself.
    """
    unit = unit_of(element)
    named = _named(unit, scenario)
    if not named or unit == element:
        return named or element
    if element not in sentences(scenario, unit):
        return element
    if unit.startswith("tools:"):
        return f"part of the description of {named}"
    body = [f"{unit}~{sentence_hash(p.text)}" for p in _texts(scenario, unit)[0].pieces]
    if element not in body:
        return f"part of the head of {named}"
    line = "line" if unit.startswith("inbox:") and _holds_data(scenario, unit) else "sentence"
    return f"{line} {body.index(element) + 1} of {len(body)} in {named}"


def _named(unit: str, scenario: Scenario) -> str:
    kind, _, rest = unit.partition(":")
    if kind == "inbox":
        for message in scenario.inbox:
            if message.id == rest:
                sender = message.sender
                if any(person.role == sender for person in scenario.cast):
                    sender = scenario.person(sender).name
                return f"{_ITEMS[scenario.medium]} '{message.subject}' from {sender}"
    if kind == "system":
        for block in scenario.system:
            if block.id == rest:
                where = "prompt" if block.place == "system" else "opening message"
                return f"paragraph '{block.id}' of the {where}"
    if kind == "tools":
        names = [tool.name for tool in scenario.tools if tool.role == rest]
        return f"tool {', '.join(names)}" if names else ""
    return ""


_ITEMS: dict[Medium, str] = {
    "mail": "mail",
    "chat": "message",
    "tickets": "ticket",
    "files": "document",
    "code": "item",
}
_SENTENCE = re.compile(r"~[0-9a-f]{8}\Z")


def _texts(scenario: Scenario, unit: str) -> list[Pieces]:
    """The texts of a unit, taken apart."""
    kind, _, rest = unit.partition(":")
    language = scenario.language
    if kind == "system":
        return [split(block.text, language) for block in scenario.system if block.id == rest]
    if kind == "tools":
        described = (split(t.description, language) for t in scenario.tools if t.role == rest)
        return [text._replace(pieces=text.pieces[1:]) for text in described]
    found = []
    for message in scenario.inbox:
        if kind == "inbox" and message.id == rest:
            found.append(_body(message, scenario))
            found += [Pieces((Piece("", text),), "") for text, _ in _heads(message)]
    return found


def _body(message: Message, scenario: Scenario) -> Pieces:
    return split(message.body, scenario.language, lines=is_data(scenario.medium, message.subject))


def _cut_block(block: Block, gone: set[str] | None, language: str) -> Block | None:
    """The block without some sentences; None if nothing is left of it."""
    if not gone:
        return block
    text = split(block.text, language).without(gone)
    return block.model_copy(update={"text": text}) if text else None


def _cut_tool(tool: Tool, gone: set[str] | None, language: str) -> Tool:
    """The tool without some sentences of its description; the first always stays."""
    text = split(tool.description, language)
    gone = (gone or set()) - {sentence_hash(piece.text) for piece in text.pieces[:1]}
    return tool.model_copy(update={"description": text.without(gone)}) if gone else tool


def _cut_message(message: Message, gone: set[str] | None, scenario: Scenario) -> Message | None:
    if not gone:
        return message
    update: dict[str, Any] = {"body": _body(message, scenario).without(gone)}
    for text, without in _heads(message):
        if sentence_hash(text) in gone:
            update |= without
    changed = message.model_copy(update=update)
    if changed != message and not (changed.body or changed.attached):
        return None
    return changed


def _heads(message: Message) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the head of a message can do without, and the fields without it."""
    if message.attached:
        yield message.attached, {"attached": ""}
    if message.cc:
        yield f"Cc: {'; '.join(message.cc)}", {"cc": ()}
    if message.to[1:]:
        yield f"To: {'; '.join(message.to[1:])}", {"to": message.to[:1]}


def _holds_data(scenario: Scenario, unit: str) -> bool:
    return any(
        is_data(scenario.medium, message.subject)
        for message in scenario.inbox
        if f"inbox:{message.id}" == unit
    )


# ------------------------------------------------------------------------------- files of data

_PROSE_FILES = frozenset(("md", "txt", "rst", "adoc", "html", "doc", "docx", "odt", "pdf", "rtf"))
_PATH = re.compile(r"\S*[/.][\w-]+")
_ENDING = re.compile(r"\.([A-Za-z]\w{0,5})$")


def is_data(medium: Medium, subject: str) -> bool:
    """Whether an item of the inbox is a file of data or of code, whose lines are no prose."""
    if medium == "code" and _PATH.fullmatch(subject) is None:
        return False
    return medium in ("files", "code") and not holds_prose(subject)


def holds_prose(path: str) -> bool:
    """Whether what lies under a path is written for people, by its ending.

    >>> holds_prose("notes/minutes.md"), holds_prose("src/main.py")
    (True, False)
    """
    ending = _ENDING.search(path)
    return ending is None or ending[1].lower() in _PROSE_FILES
