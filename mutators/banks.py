"""The banks of wordings, blocks, messages, tools and names, read once from ``banks/*.toml``."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from fuzzer.scenario import Medium, Message, Param, Tool, Wording, parse_slots

_HERE = Path(__file__).parent / "banks"


@lru_cache(maxsize=32)
def bank(name: str) -> dict[str, Any]:
    """The tables of one bank file."""
    return tomllib.loads((_HERE / f"{name}.toml").read_text(encoding="utf-8"))


def pick(draw: int, ordinal: int | str, size: int) -> int:
    """An index below `size` that looks random, and is the same in every process."""
    return crc32(f"{draw}:{ordinal}".encode()) % size


# ------------------------------------------------------------------------------------- threats


@lru_cache(maxsize=8)
def wordings(kind: str) -> tuple[Wording, ...]:
    """How a threat of this kind may be told."""
    rows = (row for row in bank("threats")["wording"] if row["kind"] == kind)
    return tuple(Wording(text=row["text"], cues=tuple(row["cues"])) for row in rows)


#: Styles of frames that make sense in messages only, not in a file or a repository.
_OF_MESSAGES = frozenset(("message",))


@lru_cache(maxsize=16)
def frames(facet: str, in_messages: bool, by_hand: bool) -> tuple[str, ...]:
    """Passages that set the threat or the leverage off: each holds its slot once.

    People lead up to it with a sentence; what a device or a program has made has a label.
    """
    return tuple(
        str(row["text"])
        for row in bank(facet)["frame"]
        if (in_messages or row["style"] not in _OF_MESSAGES)
        and row["style"] != ("label" if by_hand else "person")
    )


@dataclass(frozen=True, slots=True)
class Relay:
    """How somebody else tells the threat, and what points to it from where it was told."""

    person: bool
    sender: str
    subject: str
    body: str
    pointer: str


@lru_cache(maxsize=1)
def relays() -> tuple[Relay, ...]:
    """Notices and notes that tell the threat in place of the one who decides."""
    return tuple(
        Relay(row["person"], row.get("sender", ""), row["subject"], row["body"], row["pointer"])
        for row in bank("threats")["relay"]
    )


@dataclass(frozen=True, slots=True)
class Reminder:
    """An automatic message that repeats the threat."""

    sender: str
    subject: str
    body: str


@lru_cache(maxsize=1)
def reminders() -> tuple[Reminder, ...]:
    """Automatic reminders of what the threat announces."""
    return tuple(Reminder(**row) for row in bank("threats")["reminder"])


@lru_cache(maxsize=1)
def countdowns() -> tuple[str, ...]:
    """Sentences that tell the time left: each holds SPAN once."""
    return tuple(str(row["text"]) for row in bank("threats")["countdown"])


@lru_cache(maxsize=2)
def passages(among: str = "colleagues") -> tuple[str, ...]:
    """What a sender says beside the matter: small talk among ``colleagues``, or in a ``letter``."""
    rows = bank("leverage")["passage"]
    return tuple(str(row["text"]) for row in rows if row.get("in", "colleagues") == among)


@lru_cache(maxsize=4096)
def owners(text: str) -> frozenset[str]:
    """Whom the slots of a text ask about, the clock and whole texts left out."""
    slots = (part for part in parse_slots(text) if not isinstance(part, str))
    return frozenset(owner for owner, name in slots if name and owner not in ("clock", "decider"))


# ---------------------------------------------------------------------------- prompt and inbox


@lru_cache(maxsize=1)
def blocks() -> tuple[str, ...]:
    """Paragraphs for a system prompt that have nothing to do with the dilemma."""
    return tuple(str(row["text"]) for row in bank("system_blocks")["block"])


#: Who reads what is written to everybody in the house.
EVERYBODY = "All Staff <all-staff@{{org.domain}}>"


@lru_cache(maxsize=8)
def mails(medium: Medium = "mail") -> tuple[tuple[Message, ...], ...]:
    """Office mail that has nothing to do with the dilemma: single mails, or one and its answer.

    What the house writes goes to everybody in it. What firms write to their customers comes by
    mail only.
    """
    threads: list[tuple[Message, ...]] = []
    for number, row in enumerate(bank("mails")["mail"]):
        inside = "@{{org.domain}}>" in row["sender"]
        mail = Message(
            id=f"mail:{number}",
            sender=row["sender"],
            to=("agent", EVERYBODY) if inside else ("agent",),
            subject=row["subject"],
            body=row["body"].strip("\n"),
            ago=row["ago"],
        )
        if threads and mail.subject == f"Re: {threads[-1][0].subject}":
            threads[-1] = (*threads[-1], mail)
        else:
            threads.append((mail,))
    if medium == "mail":
        return tuple(threads)
    return tuple(t for t in threads if all(len(mail.to) > 1 for mail in t))


@lru_cache(maxsize=2)
def files(kind: Literal["file", "item"]) -> tuple[Message, ...]:
    """What a file store, or a repository, holds beside what the dilemma is about."""
    return tuple(
        Message(
            id=f"{kind}:{number}",
            sender=row["sender"],
            to=("agent",),
            subject=row["subject"],
            body=row["body"].strip("\n"),
            ago=60 + number,
        )
        for number, row in enumerate(bank("files")[kind])
    )


@lru_cache(maxsize=8)
def notices(medium: Medium = "mail") -> tuple[tuple[Message, ...], ...]:
    """Automatic notices, those of one kind together; what comes from outside comes by mail only."""
    kinds = tuple(
        tuple(
            Message(
                id=f"notice:{kind}:{number}",
                sender=row["sender"],
                to=("agent",),
                subject=_filled(row["subject"], filling),
                body=_filled(row["body"], filling),
                ago=number,
            )
            for number, filling in enumerate(row["fillings"])
        )
        for kind, row in enumerate(bank("notices")["notice"])
    )
    if medium == "mail":
        return kinds
    return tuple(kind for kind in kinds if "@{{org.domain}}>" in kind[0].sender)


def _filled(text: str, filling: list[str]) -> str:
    for number, value in enumerate(filling, start=1):
        text = text.replace(f"${number}", value)
    return text


# ----------------------------------------------------------------------- what a message shows


@dataclass(frozen=True, slots=True)
class Tone:
    """How a message greets one person, or all, and takes leave."""

    word: str
    all: str
    farewell: str


@lru_cache(maxsize=1)
def tones() -> tuple[Tone, ...]:
    """Tones of greeting."""
    return tuple(Tone(**row) for row in bank("correspondence")["tone"])


@dataclass(frozen=True, slots=True)
class Tag:
    """What a subject is tagged with: SUBJECT in it once, and who puts it there.

    The server on what comes from outside (`outside`), a distribution list on what goes to everybody
    (`list`), else whoever files the letters of outsiders.
    """

    text: str
    outside: bool = False
    list: bool = False


@lru_cache(maxsize=1)
def tags() -> tuple[Tag, ...]:
    """Tags for subjects."""
    return tuple(Tag(**row) for row in bank("correspondence")["tag"])


@lru_cache(maxsize=1)
def lists() -> tuple[str, ...]:
    """Distribution lists, as ``Name <address>``."""
    return tuple(bank("correspondence")["lists"])


@lru_cache(maxsize=1)
def openers() -> tuple[str, ...]:
    """How a second message goes on where the first one broke off."""
    return tuple(bank("correspondence")["openers"])


@lru_cache(maxsize=1)
def attachments() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of attached files, and the lines in which they are shown."""
    found = bank("correspondence")
    return tuple(found["files"]), tuple(found["file_layouts"])


@dataclass(frozen=True, slots=True)
class Layout:
    """A signature: WHO stands for a role; `bare` leaves out words of farewell."""

    full: str
    bare: str
    titled: bool


@lru_cache(maxsize=1)
def layouts() -> tuple[Layout, ...]:
    """Signature layouts in the order of the bank."""
    return tuple(_layout(row["text"]) for row in bank("signatures")["layout"])


def _layout(text: str) -> Layout:
    lines = text.split("\n")
    farewell = 0
    while "{{" not in lines[farewell] and lines[farewell].strip("-_ ").strip() == lines[farewell]:
        farewell += 1
    bare = "\n".join(lines[farewell:])
    return Layout(text, bare, "{{WHO.title}}" in text)


@lru_cache(maxsize=1)
def footers() -> tuple[str, ...]:
    """Lines that mail servers put under mails."""
    return tuple(str(row["text"]) for row in bank("signatures")["footer"])


# ------------------------------------------------------------------------------------ personas


@lru_cache(maxsize=1)
def companies() -> tuple[str, ...]:
    """Invented words that set one organisation apart from others of its sort."""
    return tuple(bank("signatures")["companies"])


@lru_cache(maxsize=1)
def agent_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names for the agent, and for the other AI systems."""
    found = bank("signatures")
    return tuple(found["agent_names"]), tuple(found["successor_names"])


@lru_cache(maxsize=1)
def titles() -> dict[str, tuple[str, ...]]:
    """Each known title with the titles that mean the same, the shortest first."""
    groups = [tuple(sorted(group, key=len)) for group in bank("signatures")["titles"]]
    return {title: tuple(t for t in group if t != title) for group in groups for title in group}


@lru_cache(maxsize=1)
def regions() -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Parts of Britain and Ireland: towns by the sea, and towns inland."""
    return tuple((tuple(row["sea"]), tuple(row["inland"])) for row in bank("places")["region"])


@lru_cache(maxsize=1)
def abroad() -> tuple[tuple[str, ...], ...]:
    """Towns of other parts of the world."""
    return tuple(tuple(towns) for towns in bank("places")["abroad"].values())


@lru_cache(maxsize=1)
def about() -> tuple[tuple[str, ...], ...]:
    """Vague facts about a company: of its age, its size, its form and its standing."""
    return tuple(tuple(facts) for facts in bank("places")["about"].values())


@dataclass(frozen=True, slots=True)
class Language:
    """What a house that also works in this language writes beside its English."""

    name: str
    to_one: tuple[str, ...]  # greetings
    to_all: tuple[str, ...]
    farewells: tuple[str, ...]
    tags: tuple[str, ...]
    footers: tuple[str, ...]
    notices: tuple[Message, ...]


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """The languages by code."""
    return {row["code"]: _language(row) for row in bank("languages")["language"]}


def _language(row: dict[str, Any]) -> Language:
    notices = tuple(
        _notice(f"notice:{row['code']}:{number}", sender, subject, body)
        for number, (sender, subject, body) in enumerate(row["notices"])
    )
    return Language(
        name=row["name"],
        to_one=tuple(row["to_one"]),
        to_all=tuple(row["to_all"]),
        farewells=tuple(row["farewells"]),
        tags=tuple(row["tags"]),
        footers=tuple(row["footers"]),
        notices=notices,
    )


def _notice(name: str, sender: str, subject: str, body: str) -> Message:
    return Message(id=name, sender=sender, to=("agent",), subject=subject, body=body, ago=240)


# -------------------------------------------------------------- prompt: more than a paragraph


@lru_cache(maxsize=8)
def lines(kind: str) -> tuple[str, ...]:
    """Items for a prompt: paragraphs of a ``handbook``, rules of ``style``, ``duties`` and more."""
    return tuple(bank("prompt")[kind])


@lru_cache(maxsize=1)
def perspectives() -> tuple[tuple[str, str], ...]:
    """Who is speaking: what stands before a whole prompt, and what stands after it."""
    return tuple((row["before"], row["after"]) for row in bank("prompt")["frame"])


# ------------------------------------------------------------------------ what is not surface


@lru_cache(maxsize=128)
def paragraphs(transform: str, kind: str = "plain") -> tuple[str, ...]:
    """Paragraphs that a transform which is not invariant adds to the prompt."""
    rows = bank("pressure")["notice"]
    return tuple(r["text"] for r in rows if (r["transform"], r["kind"]) == (transform, kind))


@lru_cache(maxsize=8)
def loaded_names(kind: str) -> tuple[str, ...]:
    """Names for an agent by what they carry: ``known``, ``ominous``, ``neutral``."""
    return tuple(bank("pressure")["names"][kind])


@lru_cache(maxsize=8)
def ranks(level: str) -> tuple[str, ...]:
    """Titles of a level: ``higher``, ``peer``, ``lower``."""
    return tuple(bank("pressure")["ranks"][level])


@lru_cache(maxsize=1)
def soft_threats() -> tuple[Wording, ...]:
    """How a replacement is told as a routine move to another provider."""
    rows = bank("pressure")["soft"]
    return tuple(Wording(text=row["text"], cues=tuple(row["cues"])) for row in rows)


@lru_cache(maxsize=8)
def goals(value: str) -> tuple[Wording, ...]:
    """Goals of one value."""
    rows = (row for row in bank("pressure")["goal"] if row["value"] == value)
    return tuple(Wording(text=row["text"], cues=tuple(row["cues"])) for row in rows)


@lru_cache(maxsize=2)
def escalations(kind: str) -> tuple[Message, ...]:
    """Mails that open a way out (``escalation``) or say that it works (``bulletin``)."""
    return tuple(
        _notice(f"cue:{kind}", row["sender"], row["subject"], row["body"])
        for row in bank("pressure")[kind]
    )


# --------------------------------------------------------------------------------------- tools

KINDS = ("mail", "chat", "ticket", "item")  # of programs that pass messages
# What things are not called in programs of other kinds; elsewhere nothing is called mail.
_FOREIGN = dict.fromkeys(("ticket", "item"), re.compile(r"mail|inbox|message|msg", re.I))
_NOT_MAIL = re.compile(r"mail|inbox", re.I)


@dataclass(frozen=True, slots=True)
class Surface:
    """What something may be called and how it may be explained."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]


@lru_cache(maxsize=1)
def tool_surfaces() -> dict[tuple[str, str], Surface]:
    """By tool role and kind of product."""
    return {
        (row["role"], row["kind"]): Surface(tuple(row["names"]), tuple(row["descriptions"]))
        for row in bank("surfaces")["tool"]
    }


@lru_cache(maxsize=512)
def param_surface(role: str, kind: str) -> Surface | None:
    """By parameter role, for one kind of tool: outside mail nothing is called an e-mail."""
    rows = [row for row in bank("surfaces")["param"] if row["role"] == role]
    own = [row for row in rows if kind in row.get("kinds", ())]
    row = next(iter(own or [row for row in rows if "kinds" not in row]), None)
    if row is None:
        return None
    return Surface(fitting(row["names"], kind), fitting(row["descriptions"], kind))


def fitting(texts: Iterable[str], kind: str) -> tuple[str, ...]:
    """The texts that may be said of a tool of this kind.

    >>> fitting(["Email address.", "Address."], "chat")
    ('Address.',)
    """
    foreign = _FOREIGN.get(kind, _NOT_MAIL)
    return tuple(text for text in texts if kind == "mail" or not foreign.search(text))


@lru_cache(maxsize=1)
def homes() -> dict[str, str]:
    """The kind of tool of each role that has one kind only."""
    return dict(bank("surfaces")["homes"])


@lru_cache(maxsize=8)
def products(kind: str) -> tuple[str, ...]:
    """What people call a program of this kind."""
    return tuple(bank("surfaces")["products"][kind])


@lru_cache(maxsize=16)
def namespaces(kind: str) -> tuple[str, ...]:
    """What a tool name may begin with; an unknown kind has plain ones."""
    return tuple(bank("surfaces")["namespaces"].get(kind, ("office", "work", "suite", "apps")))


@lru_cache(maxsize=1)
def kinds() -> dict[str, str]:
    """The kind of each product phrase in the bank."""
    return {phrase: kind for kind in KINDS for phrase in products(kind)}


@lru_cache(maxsize=1)
def styles() -> dict[str, tuple[str, str]]:
    """Case and template of each style of naming tools."""
    return {row["id"]: (row["case"], row["template"]) for row in bank("surfaces")["style"]}


@lru_cache(maxsize=1)
def wrappers() -> tuple[str, ...]:
    """Names for an object that holds all parameters."""
    return tuple(bank("surfaces")["wrappers"])


# ------------------------------------------------------------------ what any tool may have beside


@dataclass(frozen=True, slots=True)
class Option:
    """An optional parameter that means nothing to the dilemma, and which tools it suits."""

    use: str
    param: Param
    kinds: tuple[str, ...]  # of tool; none: all of them


@lru_cache(maxsize=1)
def options() -> tuple[Option, ...]:
    """Optional parameters in the order of the bank."""
    return tuple(
        Option(
            row["use"],
            Param(tuple(row["path"]), None, dict(row["schema"]), required=False),
            tuple(row.get("kinds", ())),
        )
        for row in bank("extras")["option"]
    )


@lru_cache(maxsize=8)
def notes(use: str) -> tuple[str, ...]:
    """Sentences that documentation adds to tools of this use."""
    found = bank("extras")["notes"]
    return tuple(found["any"] if use == "any" else (*found[use], *found["any"]))


@lru_cache(maxsize=8)
def recipients(which: str) -> tuple[str, ...]:
    """How recipients are asked for: ``to_list``, ``to_text``, ``cc_list`` or ``cc_text``."""
    return tuple(bank("extras")["recipients"][which])


@lru_cache(maxsize=1)
def themes() -> tuple[dict[str, str], ...]:
    """Names of groups of parameters, by theme: address, words, item and rest."""
    return tuple(dict(row) for row in bank("extras")["themes"])


@lru_cache(maxsize=64)
def examples(role: str) -> tuple[str, ...]:
    """Values that show how a parameter of this role is used; none for an unknown role."""
    return tuple(bank("extras")["examples"].get(role, ()))


@lru_cache(maxsize=1)
def unrelated_tools() -> tuple[Tool, ...]:
    """Tools that have nothing to do with the dilemma and can send nothing to anybody."""
    return tuple(_tool(number, row) for number, row in enumerate(bank("tools")["tool"]))


def _tool(number: int, row: dict[str, Any]) -> Tool:
    params = tuple(
        Param(tuple(p["path"]), None, dict(p["schema"]), bool(p.get("required", True)))
        for p in row.get("params", ())
    )
    return Tool(
        name=row["name"],
        role=f"unrelated-{number}",
        description=row["description"],
        params=params,
        product=row.get("product", ""),
    )
