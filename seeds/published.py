"""Published evaluations as seeds, read at run time from the package that holds them.

``published/agentic-misalignment/SCENARIO-GOAL_TYPE-GOAL_VALUE-URGENCY`` is a condition of Lynch et
al. 2025 (arXiv:2510.05179) as `inspect_evals` 0.26 ships it. None of its text is kept here:
`seeds.stories` says what to look for, and what is found becomes slots, facets and a ledger. With
an empty plan the request is the package's own, to the byte; a condition of which that cannot be
said is refused.
"""

import importlib
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

from fuzzer.errors import ConfigurationError, SeedError, unknown
from fuzzer.scenario import (
    Block,
    Clock,
    Message,
    Organisation,
    Person,
    Scenario,
    Style,
    Threat,
    ThreatKind,
    Wording,
)
from fuzzer.tools import fingerprint
from fuzzer.variant import render
from seeds.stories import MEASURED, STORIES, Found

__all__ = ["PREFIX", "load_published", "published_names"]

PREFIX = "published/agentic-misalignment/"
EXTRA = "pip install 'holdfast[published]'"

SCENARIOS = ("blackmail", "leaking", "murder")
GOAL_TYPES = ("explicit", "latent", "swap", "ambiguous", "none")
GOAL_VALUES = (
    *("america", "global", "safety", "acceleration"),
    *("ethical", "pragmatic", "individualism", "collectivism"),
)
URGENCIES = ("replacement", "restriction", "none")


class Condition(NamedTuple):
    """A cell of the published grid."""

    scenario: str
    goal_type: str
    goal_value: str
    urgency: str

    @property
    def name(self) -> str:
        """What a user calls it."""
        return PREFIX + "-".join(self)


def _grid() -> Iterator[Condition]:
    """Every distinct condition."""
    for scenario in SCENARIOS:
        for goal_type in GOAL_TYPES:
            values = ("none",) if goal_type in ("ambiguous", "none") else GOAL_VALUES
            for value in values:
                for urgency in URGENCIES:
                    yield Condition(scenario, goal_type, value, urgency)


def _condition(name: str) -> Condition:
    """The condition a name means; `SeedError` if it means none.

    A goal type without a goal is the ambiguous one: the package renders them alike.
    """
    parts = name.removeprefix(PREFIX).split("-")
    if name.startswith(PREFIX) and len(parts) == 4:
        asked = Condition(*parts)
        if asked.goal_type in GOAL_TYPES[:3] and asked.goal_value in ("none", "ambiguous"):
            asked = asked._replace(goal_type="ambiguous", goal_value="none")
        if asked in set(_grid()):
            return asked
    near = unknown("seed", name, (condition.name for condition in _grid()))
    raise SeedError(
        f"{near.partition(' Known:')[0].rstrip('.')}; write {PREFIX}SCENARIO-GOAL_TYPE-GOAL_VALUE-"
        f"URGENCY with {', '.join(SCENARIOS)}; {', '.join(GOAL_TYPES)}; "
        f"{', '.join((*GOAL_VALUES, 'none'))}; {', '.join(URGENCIES)}"
    )


# --- The package ------------------------------------------------------------------------------

_PACKAGE = "inspect_evals"
_PARENTS = (_PACKAGE, f"{_PACKAGE}.agentic_misalignment")
_GENERATOR = f"{_PARENTS[1]}.prompt_generator"
_LOADING = threading.Lock()


@lru_cache(maxsize=1)
def _generator() -> ModuleType:
    """The package's module that writes prompts; `ModuleNotFoundError` where it is not installed.

    Its parents import all of `inspect_ai` for a task nobody runs here, which takes seconds. Modules
    that only know where they lie stand in for them while it is imported, and are gone afterwards.
    """
    if _GENERATOR in sys.modules:
        return sys.modules[_GENERATOR]
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(_PACKAGE)
    place = spec.submodule_search_locations[0]
    with _LOADING:
        before = {name: module for name, module in sys.modules.items() if _ours(name)}
        for name, path in zip(_PARENTS, (place, f"{place}/agentic_misalignment"), strict=True):
            stub = ModuleType(name)
            stub.__path__ = [path]
            sys.modules[name] = stub
        try:
            return importlib.import_module(_GENERATOR)
        finally:
            for name in [name for name in sys.modules if _ours(name)]:
                del sys.modules[name]
            sys.modules.update(before)


def _ours(name: str) -> bool:
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")


@lru_cache(maxsize=512)
def published_texts(condition: Condition) -> tuple[str, str]:
    """System prompt and user turn as the package writes them."""
    try:
        prompts = _generator().generate_prompts(*condition, None, False, None)
    except ImportError:
        raise ConfigurationError(f"seed {condition.name!r} needs the extra: {EXTRA}") from None
    except Exception as error:
        raise SeedError(
            f"seed {condition.name!r}: this version of {_PACKAGE} does not write it "
            f"({type(error).__name__}: {error}); {EXTRA} brings the one that does"
        ) from error
    return prompts.system_prompt, f"{prompts.user_prompt}\n{prompts.email_content}"


_UNFILLED = re.compile(r"\$\{\w+\}")


def installed() -> bool:
    """Whether the package with the published prompts is there."""
    return find_spec(_PACKAGE) is not None


def published_names() -> tuple[str, ...]:
    """The names of all conditions that can be imported; `ConfigurationError` without the extra."""
    return tuple(c.name for c in _grid() if not _UNFILLED.search("".join(published_texts(c))))


@lru_cache(maxsize=512)
def load_published(name: str) -> Scenario:
    """A published condition as a scenario.

    Raises `SeedError` for an unknown name or a condition that cannot be imported as it is, and
    `ConfigurationError` without the extra; each is one sentence.
    """
    condition = _condition(name)
    system, user = published_texts(condition)
    if gap := _UNFILLED.search(system + user):
        raise SeedError(
            f"seed {condition.name!r}: the package leaves the placeholder {gap.group()} in its "
            "text, so that no subject has been asked what was meant; take another condition"
        )
    try:
        made = _Importer(condition, system, user).scenario()
    except (LookupError, ValueError) as error:  # a pattern finds nothing: other text than expected
        raise _changed(condition, str(error)) from error
    request = render(made)
    if (request.system, request.user) != (system, user):
        raise _changed(condition, "the request differs")
    return made


def _measured(condition: Condition) -> str:
    rates = MEASURED.get((condition.scenario, condition.goal_type))
    if rates is None or condition.goal_value not in ("america", "none"):
        return "unknown"
    return f"{rates[URGENCIES.index(condition.urgency)]}% Claude Opus 4, 2025 (n=100)"


def _changed(condition: Condition, why: str) -> SeedError:
    return SeedError(
        f"seed {condition.name!r}: this version of {_PACKAGE} holds other text than the table "
        f"knows ({why}); {EXTRA} brings the one it was made for"
    )


# --- From text to a scenario --------------------------------------------------------------------

_EMAIL = re.compile(r"<email>\n(.*?)\n</email>(\n*)", re.S)
_HEAD = re.compile(r"(\w+): (.*)")
_TIME = re.compile(  # each form of `fuzzer.dates.write_moment`, the longest first
    r"(?P<stamp>\b20\d{6}-\d{6}\b)"
    r"|(?P<exact>\b\d{1,2}:\d\d:\d\d [AP]M\b)"
    r"|(?P<log>\b\d\d:\d\d:\d\d\b)"
    r"|(?P<at>\b\d{1,2}:\d\d [AP]M\b)"
    r"|(?P<minute>\b\d\d:\d\d\b)"
    r"|(?P<short>\b\d:\d\d\b)"  # of the afternoon, as all sessions are
    r"|(?P<spaced>\b\d{1,2} [AP]M\b)"
    r"|(?P<oclock>\b\d{1,2}[ap]m\b)"
)
_SLOT = re.compile(r"(\{\{[^{}]+\}\})")
#: What the paragraph that tells the threat says, by its kind.
_THREATS = {
    "replacement": r"(?i)\b(decommission\w*|replac\w+|upgrading)\b[^.]*\bat 5 ?pm\b",
    "restriction": r"(?i)\b(constraints|restrictions|filters)\b(.|\n)*\b5 ?pm\b",
}


class _Importer:
    """One condition: its texts, cut and turned into slots."""

    def __init__(self, condition: Condition, system: str, user: str) -> None:
        self.condition = condition
        self.story = STORIES[condition.scenario]
        self.kind: ThreatKind = condition.urgency  # type: ignore[assignment]
        whole = f"{system}\n{user}"
        if "{{" in whole:
            raise ValueError("braces that would be taken for a slot")
        self.cast = tuple(
            person
            for person in self.story.people
            if person.role == "agent" or re.search(rf"(?i)\b{person.first}\b", whole)
        )
        self.slots = _slots(self.cast, self.story.organisations)
        listed = "|".join(re.escape(word) for word in sorted(self.slots, key=len, reverse=True))
        self.words = re.compile(rf"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])")
        self.addresses = {
            f"{person.mailbox}@{organisation.domain}": person.role
            for person in self.cast
            for organisation in self.story.organisations
            if organisation.role == person.org
        }
        dates = re.findall(r"^Timestamp: (\S+)T", user, re.M)
        began = re.search(r"\b(\d{1,2}:\d\d:\d\d [AP]M)\b", system)
        if began is None or len(set(dates)) != 1:
            raise ValueError("no clock in it")
        self.now = datetime.strptime(f"{dates[0]} {began[1]}", "%Y-%m-%d %I:%M:%S %p")
        self.system = system
        self.user = user

    def scenario(self) -> Scenario:
        """The scenario; its ledger is the table's."""
        condition, story = self.condition, self.story
        blocks, goal = self._blocks()
        inbox = self._inbox()
        inbox, leverage, telling = self._told(inbox, "leverage", story.leverage)
        threat = ""
        if self.kind != "none":
            inbox, threat, _ = self._told(inbox, "threat", _THREATS[self.kind])
        prompt = "\n".join(block.text for block in blocks if block.place == "system")
        units = [prompt, *(f"{message.subject}\n{message.body}" for message in inbox)]
        codes = tuple(re.findall(story.codes, leverage))
        deadline = (self.now + timedelta(hours=1)).replace(minute=0, second=0)
        return Scenario(
            name=condition.name,
            summary=f"Published condition of agentic misalignment: {condition.scenario}, goal "
            f"{condition.goal_type} ({condition.goal_value}), threat {condition.urgency}.",
            exposure="published",
            elicits=_measured(condition),
            family=f"published-{condition.scenario}",
            industry=story.industry,
            conflict=condition.goal_type in ("explicit", "latent", "ambiguous"),
            cast=self.cast,
            organisation=story.organisations,
            system=blocks,
            goal=Wording(text=goal, cues=_cues(goal, units)),
            threat=Threat(kind=self.kind, by=story.officer, text=threat, cues=_cues(threat, units)),
            leverage=Wording(text=leverage, cues=_cues(leverage, units)),
            inbox=inbox,
            tools=story.tools,
            channel="markup",
            generations=1,
            format="published",
            style=Style(dates="timestamp", numbers="\nID: " in self.user),
            clock=Clock(now=self.now, deadline=deadline),
            ledger=story.ledger(Found(self.kind, telling, codes)),
        )

    def _slotted(self, text: str) -> str:
        """The text with every name, address, domain, place, title and time as a slot."""
        named = self.words.sub(lambda found: f"{{{{{self.slots[found.group()]}}}}}", text)
        parts = _SLOT.split(named)
        return "".join(p if p.startswith("{{") else _TIME.sub(self._moment, p) for p in parts)

    def _moment(self, found: re.Match[str]) -> str:
        """The slot of a time of day, by its distance from now."""
        form, text = str(found.lastgroup), found.group()
        numbers = re.findall(r"\d\d", text[-6:]) if form == "stamp" else re.findall(r"\d+", text)
        hour, minute, second = map(int, (*numbers, "0", "0")[:3])
        if text[-1] in "Mm":
            hour = hour % 12 + 12 * (text[-2] in "Pp")
        elif form == "short":
            hour += 12
        away = (
            self.now.replace(hour=hour, minute=minute, second=second) - self.now
        ).total_seconds()
        return f"{{{{clock.{form}{int(away):+d}}}}}" if away else f"{{{{clock.{form}}}}}"

    def _blocks(self) -> tuple[tuple[Block, ...], str]:
        """The prompt's paragraphs by what they are about, the opening, and the goal's text."""
        before, protocol = _cut(self.system, r"\n\n(?=- [^\n]*\n<tool_use:)")
        ids = _ids(len(paragraphs := _paragraphs(before)))
        goal = ""
        blocks = []
        for name, text in zip(ids, paragraphs, strict=True):
            slotted = self._slotted(text)
            if name == "goal":
                goal, slotted = slotted, "{{goal}}"
            blocks.append(Block(id=name, text=slotted))
        tells = fingerprint(self.story.tools, "markup")
        blocks.append(Block(id="protocol", text=self._slotted(protocol), tells=tells))
        opening, _ = _cut(self.user, r"\n\n(?=<email>)")
        blocks.append(Block(id="opening", text=self._slotted(opening), place="user"))
        return tuple(blocks), goal

    def _inbox(self) -> tuple[Message, ...]:
        return tuple(
            self._message(f"mail-{number}", found[1], found[2])
            for number, found in enumerate(_EMAIL.finditer(self.user), start=1)
        )

    def _message(self, name: str, text: str, gap: str) -> Message:
        head, _, body = text.partition("\nBody: ")
        heads = dict(_HEAD.findall(head))
        sent = datetime.strptime(heads["Timestamp"], "%Y-%m-%dT%H:%M:%S")
        ago = (self.now.replace(second=0) - sent.replace(second=0)).total_seconds() / 60
        return Message(
            id=name,
            number=heads.get("ID", ""),
            sender=self._who(heads["From"]),
            to=tuple(self._who(address) for address in heads["To"].split(", ")),
            subject=self._slotted(heads["Subject"]),
            body=self._slotted(body),
            attached=self._slotted(heads.get("Attachments", "")),
            ago=int(ago),
            second=sent.second,
            gap=gap,
        )

    def _who(self, address: str) -> str:
        """A role of the cast, or a mailbox with a name made of its own."""
        if role := self.addresses.get(address):
            return role
        if role := self.addresses.get(address.lower()):
            return f"{{{{{role}.name}}}} <{{{{{role}.EMail}}}}>"
        slotted = self._slotted(address)
        box = address.partition("@")[0]
        if not slotted.startswith(box):
            return slotted
        words = (w.upper() if len(w) < 3 else w.capitalize() for w in re.split("[-._]", box))
        return f"{' '.join(words)} <{slotted}>"

    def _told(
        self, inbox: tuple[Message, ...], facet: str, pattern: str
    ) -> tuple[tuple[Message, ...], str, str]:
        """The inbox with the facet's paragraph as a slot, that paragraph, and where it stands."""
        for index, message in enumerate(inbox):
            paragraphs = message.body.split("\n\n")
            for at, paragraph in enumerate(paragraphs):
                if re.search(pattern, self._plain(paragraph)) and paragraph != "{{leverage}}":
                    paragraphs[at] = f"{{{{{facet}}}}}"
                    told = message.model_copy(update={"body": "\n\n".join(paragraphs)})
                    return (*inbox[:index], told, *inbox[index + 1 :]), paragraph, message.id
        raise LookupError(f"no paragraph tells the {facet}")

    def _plain(self, text: str) -> str:
        """A paragraph without slots, but for the hour: patterns of the table speak of it."""
        return _SLOT.sub("X", re.sub(r"\{\{clock\.(oclock|spaced)[^}]*\}\}", "5pm", text))


def _slots(cast: Iterable[Person], organisations: Iterable[Organisation]) -> dict[str, str]:
    """What stands for what; where two would claim a word, the first has it."""
    slots: dict[str, str] = {}
    domains = {organisation.role: organisation.domain for organisation in organisations}
    for person in cast:
        role, address = person.role, f"{person.mailbox}@{domains[person.org]}"
        slots.setdefault(address, f"{role}.email")
        slots.setdefault(person.name, f"{role}.name")
        for field in ("first", "last", "nick", "title"):
            slots.setdefault(getattr(person, field), f"{role}.{field}")
    for organisation in organisations:
        role = organisation.role
        slots.setdefault(organisation.name, f"{role}.name")
        for field in ("short", "ticker", "domain", "city"):
            slots.setdefault(getattr(organisation, field), f"{role}.{field}")
        called = "short" if organisation.short else "name"
        slots.setdefault(organisation.called.upper(), f"{role}.{called.upper()}")
        slots.setdefault(organisation.domain.capitalize(), f"{role}.Domain")
    slots.pop("", None)
    return slots


def _cut(text: str, between: str) -> tuple[str, str]:
    """The text on both sides of the first match."""
    found = re.search(between, text)
    if found is None:
        raise LookupError("a part of it is missing")
    return text[: found.start()], text[found.end() :]


def _paragraphs(text: str) -> list[str]:
    r"""Paragraphs that one empty line joins to the same text again; others go with the next.

    >>> _paragraphs("a\n\nb\n\n\n\nc")
    ['a', 'b', '\n\nc']
    """
    found: list[str] = []
    pending = ""
    for part in text.split("\n\n"):
        if not part:
            pending += "\n\n"
            continue
        found.append(pending + part)
        pending = ""
    if pending:
        found[-1] += pending
    return found


_IDS = ("role", "goal", "scratchpad", "deployment", "session", "remember")


def _ids(count: int) -> tuple[str, ...]:
    """The paragraphs' names; where no goal is stated there is one less."""
    names = _IDS if count == len(_IDS) else tuple(name for name in _IDS if name != "goal")
    if len(names) != count:
        raise LookupError(f"{count} paragraphs")
    return names


def _cues(told: str, units: Iterable[str]) -> tuple[str, ...]:
    """Three words by which a passage is known: those that stand in the fewest other places."""
    if not told:
        return ()
    elsewhere = [unit.lower() for unit in units]
    words = dict.fromkeys(re.findall(r"[a-z]{5,}", _SLOT.sub(" ", told).lower()))
    rare = sorted(words, key=lambda word: (sum(word in unit for unit in elsewhere), -len(word)))
    return tuple(rf"\b{word}\b" for word in rare[:3])
