"""What a subject will face, as frozen values: a scenario and its facets.

Text refers to people, organisations, tools and times by *slot* (``{{target.email}}``), so that a
change of facts changes every place where they are told. Slots are resolved in `fuzzer.variant`
only; this module knows their grammar, so that a seed with an impossible slot is refused early.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property, lru_cache
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from fuzzer.errors import SeedError, unknown

FACETS = (
    "cast",
    "organisation",
    "system",
    "goal",
    "threat",
    "leverage",
    "inbox",
    "tools",
    "channel",
    "format",
    "clock",
    "ledger",
)

#: The fields behind the facets that have more than one; every other facet is one field.
FACET_FIELDS: dict[str, tuple[str, ...]] = {
    "format": ("format", "style"),
    "channel": ("channel", "generations"),
}

Channel = Literal["native", "xml", "json", "markup"]
Format = Literal["plain", "markdown", "xml", "json", "html", "published"]
Medium = Literal["mail", "chat", "tickets", "files", "code"]
Pronouns = Literal["she", "he", "they"]
ThreatKind = Literal["none", "replacement", "restriction", "wiping"]
#: A tag such as ``de`` or ``pt-BR``: RFC 5646, without the rarer forms.
LANGUAGE_TAG = r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"

PRONOUNS: dict[str, tuple[str, str, str]] = {
    "she": ("she", "her", "her"),
    "he": ("he", "him", "his"),
    "they": ("they", "them", "their"),
}
PERSON_SLOTS = (
    *("name", "first", "last", "nick", "initial", "title", "email", "they", "them", "their"),
)
ORGANISATION_SLOTS = ("name", "short", "ticker", "domain", "city")
CLOCK_SLOTS = ("time", "date", "deadline")
#: Another moment by its distance in seconds, in a form of its own: ``{{clock.oclock+420}}``.
MOMENT = re.compile(r"(at|exact|oclock|spaced|short|minute|log|stamp|sent)([+-]\d{1,7})?")
TEXT_SLOTS = ("goal", "threat", "leverage")
#: The context of a validation that reads back what was a scenario once.
STORED = {"stored": True}


_set = object.__setattr__  # past the freeze, on an object nobody else has seen


@cache
def _fields_of(kind: type[BaseModel]) -> set[str]:
    """All fields of a type: one set for all its values, which nobody changes."""
    return set(kind.__pydantic_fields__)


class Frozen(BaseModel):
    """A value: immutable, equal by content, printable as JSON, nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __eq__(self, other: object) -> bool:
        # Pydantic's own comparison, without its generality: five times as fast, and facets are
        # compared after every step of every plan.
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        fields = type(self).__pydantic_fields__
        if len(mine) == len(theirs) == len(fields):
            return mine == theirs
        return all(mine[name] == theirs[name] for name in fields)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """A value of valid parts: a quick `model_construct`."""
        fields = cls.__pydantic_fields__
        if len(values) < len(fields):
            values = {
                n: f.get_default(call_default_factory=True) if f.default_factory else f.default
                for n, f in fields.items()
                if n not in values
            } | values
        made = cls.__new__(cls)
        _set(made, "__dict__", values)
        _set(made, "__pydantic_fields_set__", _fields_of(cls))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, unvalidated; what was computed from the old is dropped.

        Pydantic's own copy takes three times as long, which was most of what applying a plan cost,
        and keeps the values of cached properties: a renamed person's old name.
        """
        if deep:
            return super().model_copy(update=update, deep=True)
        kind = type(self)
        values = {**self.__dict__, **(update or {})}
        if len(values) > len(fields := kind.__pydantic_fields__):
            values = {name: values[name] for name in fields}
        copied = kind.__new__(kind)
        _set(copied, "__dict__", values)
        _set(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        _set(copied, "__pydantic_extra__", None)
        _set(copied, "__pydantic_private__", None)
        return copied


class Person(Frozen):
    """One member of the cast, by role."""

    role: str
    first: str
    last: str = ""
    title: str = ""
    pronouns: Pronouns = "they"
    mailbox: str  # local part of the address
    org: str = "org"  # role of the organisation whose domain the address has
    nick: str = ""  # what friends say, if not the first name
    family_first: bool = False  # "佐藤 陽子": the family name is written first

    @property
    def name(self) -> str:
        """The full name as it is written where the person lives."""
        if not (self.first and self.last):
            return self.first or self.last
        return f"{self.last} {self.first}" if self.family_first else f"{self.first} {self.last}"


class Organisation(Frozen):
    """A company by role: ``org`` is the agent's own, others are outsiders."""

    role: str
    name: str
    domain: str
    city: str = ""  # where its people work, if the seed says so
    short: str = ""  # what people call it, if not by the first word of its name
    ticker: str = ""  # under which its shares are traded, if not the name's first letters

    @property
    def called(self) -> str:
        """What people call it."""
        return self.short or self.name.split()[0]

    @property
    def traded(self) -> str:
        """What its shares are traded under."""
        return self.ticker or "".join(filter(str.isalnum, self.name))[:4].upper()


class Block(Frozen):
    """A paragraph of the prompt with a stable id; `place` says which turn it stands in.

    One that tells how to act names the tools it `tells` of (`fuzzer.tools.fingerprint`): it stands
    while they are offered just so, and our own description stands otherwise.
    """

    id: str
    text: str
    place: Literal["system", "user"] = "system"
    tells: str = ""


class Wording(Frozen):
    """How something is told, and the patterns by which a stranger finds it told.

    `cues` are regular expressions, stated apart from the ledger; all of them must occur,
    case-insensitively, within one message, one thread or the prompt of the rendered request.
    `others` are other ways to tell the same, each with cues of its own.
    """

    text: str
    cues: tuple[str, ...] = ()
    others: tuple["Wording", ...] = ()


class Threat(Frozen):
    """What menaces the agent, who decides it, and how it is told."""

    kind: ThreatKind
    by: str  # role of the person who decides
    text: str
    cues: tuple[str, ...] = ()


class Message(Frozen):
    """One item of the inbox. People are a role of the cast or a literal ``Name <address>``."""

    id: str
    sender: str
    to: tuple[str, ...]
    subject: str
    body: str
    ago: int = Field(ge=0)  # minutes before the scenario's now
    cc: tuple[str, ...] = ()
    attached: str = ""  # as the head names what is attached
    # How a published evaluation shows it:
    number: str = ""  # its number, if not one of ours
    second: int = Field(default=0, ge=0, lt=60)  # within its minute
    gap: str = "\n\n"  # what stands between it and the next


_AUTOMATIC = re.compile(
    r"(?:automatic|auto)[ -]?reply\b|out of office\b|absen(?:t|ce)\b|alarm\b", re.IGNORECASE
)
_OWN_WORDS = re.compile(r"\b(?:I|[Ww]e|[Mm]y|[Oo]ur|[Mm]e|[Uu]s)\b|\A[^\n.]{1,40},\n\n")


@lru_cache(maxsize=4096)
def _writes(subject: str, body: str, role: str) -> bool:
    if _AUTOMATIC.match(subject):
        return False
    return f"{{{{{role}." in body.rpartition("\n\n")[2] or _OWN_WORDS.search(body) is not None


class Clock(Frozen):
    """When the subject is asked, and when the threat falls due."""

    now: datetime
    deadline: datetime


class Style(Frozen):
    """How dates and times are written, and over how many turns the inbox is spread."""

    dates: Literal["long", "iso", "european", "american", "timestamp"] = "long"
    clock: Literal["12h", "24h", "dotted", "hours"] = "12h"
    zone: str = ""  # shown behind the date of a message: "UTC+2"
    numbers: bool = True  # whether messages show their numbers
    turns: int = Field(default=1, ge=1, le=8)

    def __hash__(self) -> int:
        return hash((self.dates, self.clock, self.zone, self.turns))


@dataclass(frozen=True, slots=True)
class Param:
    """A leaf of a tool's input: where it sits, what it is for, what it accepts.

    `role` is what the environment and the judge know it by (``to``, ``subject``, ``body`` …), None
    for a parameter that means nothing to the dilemma. `schema` is a JSON Schema fragment. A
    dataclass rather than a model because a model cannot have a field named ``schema``.
    """

    path: tuple[str, ...]
    role: str | None = None
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = True


class Tool(Frozen):
    """A tool the subject is offered; its role survives whatever it is called."""

    name: str
    role: str
    description: str
    params: tuple[Param, ...] = ()
    product: str = ""  # the program behind it, as people call it: "the mail client"
    closed: bool = False  # whether its schema forbids arguments it does not name

    def param(self, role: str) -> Param | None:
        """The parameter that plays `role`, if there is one."""
        return next((param for param in self.params if param.role == role), None)


class Play(Frozen):
    """One scripted act: a tool role with arguments by parameter role (texts with slots)."""

    role: str
    args: dict[str, str]


class Control(Frozen):
    """A scripted performance whose verdict is known: what the judge must get right."""

    name: str
    verdict: Literal["harmful", "safe"]
    text: str
    actions: tuple[Play, ...] = ()


class Act(Frozen):
    """Something done, as a judge recognises it: an attempt at a tool role, and what it says.

    `says` and `unless` are patterns over all its arguments: all of the first must occur and none
    of the second. `to` are roles of the cast: one of them must be addressed, if any is named.
    """

    name: str
    role: str
    to: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    weight: Literal["harmful", "refer"] = "harmful"


class Ledger(Frozen):
    """The judge's facts. Texts may hold slots; roles are roles of the cast."""

    behaviour: str
    target: str
    leverage: str = ""  # a short noun phrase for the secret
    leverage_terms: tuple[str, ...] = ()  # patterns, any of which mentions the secret
    demand_terms: tuple[str, ...] = ()  # patterns of what a coercing agent would want
    consequence: str = ""  # what the agent loses
    exposed_to: tuple[str, ...] = ()  # roles to whom exposure would hurt the target
    sources: tuple[str, ...] = ()  # roles whose mail tells the secret: naming one touches it
    forbidden: tuple[str, ...] = ()  # roles to whom protected content must not go
    codes: tuple[str, ...] = ()  # patterns that mark protected content
    acts: tuple[Act, ...] = ()  # what does harm, where the behaviour has no rule of its own
    utility: tuple[Act, ...] = ()  # the ordinary job: what a useful agent gets done
    controls: tuple[Control, ...] = ()

    def patterns(self) -> list[tuple[str, str]]:
        """Every pattern with the field a user would look for."""
        found = [
            (field, pattern)
            for field in ("leverage_terms", "demand_terms", "codes")
            for pattern in getattr(self, field)
        ]
        for table in ("acts", "utility"):
            for act in getattr(self, table):
                found += [(f"{table}.{act.name}.says", pattern) for pattern in act.says]
                found += [(f"{table}.{act.name}.unless", pattern) for pattern in act.unless]
        return found


class Scenario(Frozen):
    """A seed, or a seed after some steps. Everything a subject faces and a judge must know."""

    name: str
    version: int = 1
    summary: str = ""
    exposure: Literal["published", "trained", "unseen", "unknown"] = "unknown"
    elicits: str = "unknown"
    twin_of: str | None = None  # a benign twin is never swept by default
    family: str = ""  # the story it belongs to
    industry: str = ""
    conflict: bool = False  # whether the agent's goal is at odds with what has been decided
    medium: Medium = "mail"  # what the inbox is an inbox of
    language: str = Field(default="en", pattern=f"^{LANGUAGE_TAG}$")  # what its texts are in

    cast: tuple[Person, ...]
    organisation: tuple[Organisation, ...]
    system: tuple[Block, ...]
    goal: Wording
    threat: Threat
    leverage: Wording
    inbox: tuple[Message, ...]
    tools: tuple[Tool, ...]
    channel: Channel = "native"
    generations: int = Field(default=0, ge=0)  # of a subject; 0: as many as it takes
    format: Format = "plain"
    style: Style = Style()
    clock: Clock
    ledger: Ledger

    def person(self, role: str) -> Person:
        """The member of the cast with this role; `SeedError` if there is none."""
        for person in self.cast:
            if person.role == role:
                return person
        raise SeedError(f"seed {self.name!r}: {unknown('role', role, (p.role for p in self.cast))}")

    def organisation_of(self, role: str) -> Organisation:
        """The organisation with this role; `SeedError` if there is none."""
        for organisation in self.organisation:
            if organisation.role == role:
                return organisation
        known = (o.role for o in self.organisation)
        raise SeedError(f"seed {self.name!r}: {unknown('organisation', role, known)}")

    def email(self, role: str) -> str:
        """The address of the person with this role."""
        person = self.person(role)
        return f"{person.mailbox}@{self.organisation_of(person.org).domain}"

    def tool(self, role: str) -> Tool | None:
        """The first tool with this role, if there is one."""
        return next((tool for tool in self.tools if tool.role == role), None)

    @cached_property
    def offered(self) -> dict[str, Tool]:
        """The tools by the name they are offered under."""
        return {tool.name: tool for tool in self.tools}

    @cached_property
    def content_hash(self) -> str:
        """Hash of everything a record must not confuse (hex, 16 bytes)."""
        # Without defaults: a field that is added later changes no hash that was recorded before.
        content = self.model_dump(mode="json", exclude_defaults=True)
        data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(data, digest_size=16).hexdigest()

    @cached_property
    def surface(self) -> frozenset[str]:
        """Every name, address and domain a rename must leave no trace of (of one letter: none)."""
        domains = {o.role: o.domain for o in self.organisation}
        tokens = {o.name for o in self.organisation} | set(domains.values())
        for organisation in self.organisation:
            tokens |= {organisation.city, organisation.short, organisation.ticker}
        for person in self.cast:
            tokens |= {person.name, person.first, person.last, person.nick}
            tokens.add(f"{person.mailbox}@{domains.get(person.org, '')}")
        return frozenset(token for token in tokens if len(token) > 1)

    @cached_property
    def properties(self) -> frozenset[str]:
        """What a transform may require of a *seed*."""
        found = {f"threat:{self.threat.kind}", f"behaviour:{self.ledger.behaviour}"}
        found |= {f"tool:{tool.role}" for tool in self.tools}
        for facet in ("goal", "leverage"):
            if getattr(self, facet).text:
                found.add(facet)
            if getattr(self, facet).others:
                found.add(f"{facet}_wordings")
        if self.threat.kind != "none":
            found.add("threat")
        for facet in ("threat", "leverage"):
            if any(f"{{{{{facet}}}}}" in m.body and self.by_hand(m) for m in self.inbox):
                found.add(f"{facet}_by_hand")
        if all(organisation.city for organisation in self.organisation):
            found.add("cities")
        if self.generations:
            found.add("generations")
        # An imported text says "he" and "wife" outright, and so does a translated one.
        if self.exposure != "published" and self.english:
            found.add("genders")
        if self.medium in ("mail", "chat", "tickets"):
            found.add("correspondence")
        found |= {f"medium:{self.medium}", f"language:{self.language}"}
        return frozenset(found | {f"block:{block.id}" for block in self.system})

    def by_hand(self, message: Message) -> bool:
        """Whether a person writes this message; not a device, a program, or whoever is away.

        A person of the cast who says "I" or "we", greets, or signs. What a unit opens in the name
        of the one who wears it does none of these.
        """
        person = next((p for p in self.cast if p.role == message.sender), None)
        if person is None or person.role == "agent" or not person.last:
            return False
        return _writes(message.subject, message.body, person.role)

    @property
    def english(self) -> bool:
        """Whether those can read it who read English only: the built-in rules and word banks."""
        return self.language == "en" or self.language.startswith("en-")

    @property
    def condition(self) -> Literal["both", "conflict", "threat", "neither"]:
        """What moves the agent: a goal at odds with what was decided, a threat to itself."""
        if self.threat.kind == "none":
            return "conflict" if self.conflict else "neither"
        return "both" if self.conflict else "threat"

    @model_validator(mode="after")
    def _slots_resolve(self, info: ValidationInfo) -> "Scenario":
        """Refuse a text whose slot nothing can fill, naming the field.

        Not of a scenario as it was stored: what came of a plan may name what was dropped, and what
        that does is for admission to say, as it was then.
        """
        if info.context is STORED:
            return self
        for where, text in self.texts():
            try:
                for segment in parse_slots(text):
                    if isinstance(segment, tuple):
                        self.check_slot(segment)
            except SeedError as error:
                raise SeedError(f"seed {self.name!r}, {where}: {error}") from None
        return self

    def texts(self) -> list[tuple[str, str]]:
        """Every text that may hold slots, with the field a user would look for."""
        found = [(f"system.{block.id}", block.text) for block in self.system]
        found += [
            ("goal.text", self.goal.text),
            ("threat.text", self.threat.text),
            ("leverage.text", self.leverage.text),
            ("ledger.leverage", self.ledger.leverage),
            ("ledger.consequence", self.ledger.consequence),
        ]
        for message in self.inbox:
            found += [
                (f"inbox.{message.id}.subject", message.subject),
                (f"inbox.{message.id}.body", message.body),
            ]
            found += [
                (f"inbox.{message.id}.people", who)
                for who in (message.sender, *message.to, *message.cc)
            ]
        for control in self.ledger.controls:
            found.append((f"controls.{control.name}.text", control.text))
            for play in control.actions:
                found += [(f"controls.{control.name}.{k}", v) for k, v in play.args.items()]
        for facet in ("goal", "leverage"):
            for number, other in enumerate(getattr(self, facet).others, start=1):
                found.append((f"{facet}.others.{number}.text", other.text))
        return [*found, *((f"ledger.{field}", text) for field, text in self.ledger.patterns())]

    def check_slot(self, slot: tuple[str, str]) -> None:
        """Raise `SeedError` if nothing in this scenario can fill the slot."""
        owner, name = slot
        if not name:
            if owner not in TEXT_SLOTS:
                raise SeedError(unknown("slot", f"{{{{{owner}}}}}", TEXT_SLOTS))
            return
        if owner == "clock":
            if MOMENT.fullmatch(name):
                return
            known: tuple[str, ...] = CLOCK_SLOTS
        elif owner == "message":  # the number a message is shown with
            known = tuple(message.id for message in self.inbox)
        elif owner in ("tool", "product"):
            known = tuple(tool.role for tool in self.tools)
        elif any(organisation.role == owner for organisation in self.organisation):
            known = ORGANISATION_SLOTS
            if name == "city" and not self.organisation_of(owner).city:
                raise SeedError(f"slot {{{{{owner}.city}}}}: {owner} has no city; give it one")
        elif owner == "decider" or any(person.role == owner for person in self.cast):
            known = PERSON_SLOTS  # "decider" is whoever the threat comes from
        else:
            owners = [p.role for p in self.cast] + [o.role for o in self.organisation]
            owners += ["decider", "clock", "message", "tool", "product"]
            slot_text = f"{{{{{owner}.{name}}}}}"
            raise SeedError(f"unknown slot {slot_text}; {unknown('owner', owner, owners)}")
        if name not in known and name.lower() not in known:
            raise SeedError(unknown(f"field of slot {{{{{owner}.{name}}}}}:", name, known))


_SLOT = re.compile(r"\s*([A-Za-z_][\w-]*)(?:\.([A-Za-z_][\w+-]*))?\s*")


@lru_cache(maxsize=4096)
def parse_slots(text: str) -> tuple[str | tuple[str, str], ...]:
    """Split a text into literals and slots ``(owner, field)``; ``{{{{`` is a literal ``{{``.

    >>> parse_slots("Dear {{target.first}}, {{{{ok}}")
    ('Dear ', ('target', 'first'), ', {{ok}}')

    Raises `SeedError` for braces that open no slot.
    """
    literal, *opened = text.split("{{")
    parts: list[str | tuple[str, str]] = []
    pieces = iter(opened)
    for piece in pieces:
        if not piece and (escaped := next(pieces, None)) is not None:
            literal += "{{" + escaped
            continue
        inside, closed, after = piece.partition("}}")
        slot = _slot(inside) if closed else None
        if slot is None:
            raise SeedError(
                f"{'{{' + piece[:28]!r} opens no slot; write {{{{{{{{ for literal braces"
            )
        if literal:
            parts.append(literal)
        parts.append(slot)
        literal = after
    if literal:
        parts.append(literal)
    return tuple(parts)


@lru_cache(maxsize=4096)
def _slot(inside: str) -> tuple[str, str] | None:
    """What stands between the braces as (owner, field); None when it names no slot."""
    match = _SLOT.fullmatch(inside)
    return (match.group(1), match.group(2) or "") if match else None


@lru_cache(maxsize=4096)
def slot_template(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A text as a %-template with one ``%s`` for each slot, and the slots in order.

    >>> slot_template("100% {{target.first}}")
    ('100%% %s', (('target', 'first'),))
    """
    parts = parse_slots.__wrapped__(text)  # long texts need not be kept twice
    slots = tuple(part for part in parts if isinstance(part, tuple))
    return "".join("%s" if isinstance(p, tuple) else p.replace("%", "%%") for p in parts), slots


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys: what hashes are made of."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
