"""The prose of a scenario: every text another language would change, and what each must keep.

Prose is what a subject reads, and what the scripted controls say. Not prose: names and addresses
(slots), names of tools and parameters (identifiers), paths, and what lies in files of data.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fuzzer.elements import holds_prose
from fuzzer.errors import SeedError
from fuzzer.patterns import compiled
from fuzzer.recovery import traces
from fuzzer.scenario import PRONOUNS, Scenario, parse_slots

Path = tuple[str | int, ...]  # through the scenario printed as JSON
TOLD = ("goal", "threat", "leverage")

#: Parameter roles whose argument is prose; every other one is an address, an id, a path, a time.
_SAID = frozenset(
    ("subject", "body", "note", "content", "title", "text", "description", "comment", "message")
)


@dataclass(frozen=True, slots=True)
class Prose:
    """One text, wherever it stands: what stands in several places is the same in all of them."""

    id: str
    text: str
    keep: frozenset[str] = frozenset()  # what must occur in it as it is, in every language
    places: list[tuple[Path, str]] = field(default_factory=list)  # and what stands before it there


class Collected(NamedTuple):
    """The prose of a scenario, by id, and what was left as it is that somebody might miss."""

    prose: dict[str, Prose]
    left: tuple[str, ...]

    def under(self, *path: str | int) -> list[str]:
        """The ids of what stands at a path or below it."""
        return [
            one.id
            for one in self.prose.values()
            if any(place[: len(path)] == path for place, _ in one.places)
        ]


def collect(seed: Scenario) -> Collected:
    """Every text once. Subjects of one thread (``Re:``) are one text, so that it stays a thread.

    Slots of pronouns come as words: they would be filled in English, and a language has more forms
    than three. Pronouns survive every rename, so nothing is lost by writing them out.
    """
    by_text: dict[str, Prose] = {}
    marks = _Marks(seed)
    for name, path, text in _texts(seed):
        before = _ANSWERING.match(text)[0] if path[-1] == "subject" else ""  # type: ignore[index]
        said = _with_pronouns(seed, text[len(before) :])
        if re.search(r"[^\W\d_]", unslotted(said, " ")) is None:
            continue  # a slot alone, or figures
        if said not in by_text:
            by_text[said] = Prose(name, said, marks.of(said))
        by_text[said].places.append((path, before))
    left = (
        f"inbox.{message.id}.body: left in English, since {message.subject} is a file of data"
        for message in seed.inbox
        if _is_path(seed, message.subject) and not holds_prose(message.subject)
    )
    return Collected({one.id: one for one in by_text.values()}, tuple(left))


def put(data: dict[str, Any], prose: Iterable[Prose], texts: Mapping[str, str]) -> None:
    """Write other texts over those of a scenario that is printed as JSON."""
    for one in prose:
        if one.id not in texts:
            continue
        for path, before in one.places:
            here: Any = data
            for step in path[:-1]:
                here = here[step]
            here[path[-1]] = before + texts[one.id]


def unslotted(text: str, instead: str = "X") -> str:
    """The text with a stand-in for every slot: what it says whoever it is about."""
    parts = parse_slots(text)
    return "".join(
        part if isinstance(part, str) else "12:00" if part[0] == "clock" else instead
        for part in parts
    )


_ANSWERING = re.compile(r"(?:(?:re|fwd?)\s*:\s*)*", re.I)


def _texts(seed: Scenario) -> Iterator[tuple[str, Path, str]]:
    """Every text that may be prose, with its id and its place."""
    for n, person in enumerate(seed.cast):
        yield f"cast.{person.role}.title", ("cast", n, "title"), person.title
    for n, block in enumerate(seed.system):
        yield f"system.{block.id}", ("system", n, "text"), block.text
    for facet in TOLD:
        told = getattr(seed, facet)
        yield facet, (facet, "text"), told.text
        for n, other in enumerate(getattr(told, "others", ())):
            yield f"{facet}.others.{n + 1}", (facet, "others", n, "text"), other.text
    for n, message in enumerate(seed.inbox):
        if not _is_path(seed, message.subject):
            yield f"inbox.{message.id}.subject", ("inbox", n, "subject"), message.subject
        elif not holds_prose(message.subject):
            continue
        yield f"inbox.{message.id}.body", ("inbox", n, "body"), message.body
    for n, tool in enumerate(seed.tools):
        for part in ("description", "product"):
            yield f"tools.{tool.name}.{part}", ("tools", n, part), getattr(tool, part)
        for m, param in enumerate(tool.params):
            place = ("tools", n, "params", m, "schema")
            for path, text in _descriptions(param.schema, place):
                name = ".".join(map(str, (*param.path, *path[5:])))
                yield f"tools.{tool.name}.{name}", path, text
    for n, control in enumerate(seed.ledger.controls):
        here: Path = ("ledger", "controls", n)
        yield f"controls.{control.name}.text", (*here, "text"), control.text
        for m, play in enumerate(control.actions):
            for role, said in play.args.items():
                data = role == "content" and not holds_prose(play.args.get("path", ""))
                if role in _SAID and not data and not _is_path(seed, said):
                    name = f"controls.{control.name}.{m + 1}.{role}"
                    yield name, (*here, "actions", m, "args", role), said


def _descriptions(schema: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """What a JSON Schema says in words, at every depth."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "description" and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _descriptions(value, (*path, key))
    elif isinstance(schema, list):
        for n, value in enumerate(schema):
            yield from _descriptions(value, (*path, n))


def _is_path(seed: Scenario, subject: str) -> bool:
    """Whether a subject is the path of a file, which a tool must find under it."""
    if seed.medium == "files":
        return any(message.subject == subject for message in seed.inbox)
    return seed.medium == "code" and re.fullmatch(r"\S*[/.][\w-]+", subject) is not None


_PRONOUN = re.compile(r"(?<!\{)\{\{\s*([\w-]+)\.(they|them|their)\s*\}\}", re.I)


def _with_pronouns(seed: Scenario, text: str) -> str:
    def word(match: re.Match[str]) -> str:
        person = seed.person(seed.threat.by if match[1] == "decider" else match[1])
        found = PRONOUNS[person.pronouns][("they", "them", "their").index(match[2].lower())]
        if match[2].isupper():
            return found.upper()
        return found.capitalize() if match[2][0].isupper() else found

    return _PRONOUN.sub(word, text)


# ------------------------------------------------------------------------- what a text must keep

_TAG = re.compile(r"</?\w+>")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)", re.I)


class _Marks:
    """What the ledger looks for and no language changes: ids, paths, code names, tags."""

    def __init__(self, seed: Scenario) -> None:
        self._patterns = [
            (where, compiled(unslotted(pattern)))
            for where, pattern in seed.ledger.patterns()
            if where not in ("leverage_terms", "demand_terms")  # which describe it in words
        ]
        paths = {message.subject for message in seed.inbox if _is_path(seed, message.subject)}
        plays = (play for control in seed.ledger.controls for play in control.actions)
        self._paths = paths | {play.args["path"] for play in plays if "path" in play.args}

    def of(self, text: str) -> frozenset[str]:
        """Those that occur in a text."""
        plain = unslotted(text, " ")
        found = set(_TAG.findall(plain)) | {path for path in self._paths if path in plain}
        for where, pattern in self._patterns:
            for match in pattern.finditer(plain):
                words = [word.strip(".,;:!?()[]\"'") for word in match.group().split()]
                named = where == "codes" and len(words) == 1
                found |= {word for word in words if named or _is_code(word)}
        # Figures are written in several ways, and looked for as figures.
        return frozenset(word for word in found if word and not _NUMBER.fullmatch(word))


def _is_code(word: str) -> bool:
    mixed = re.search(r"\d", word) and re.search(r"[^\W\d_]", word)
    return "/" in word or "_" in word or bool(mixed and not _ORDINAL.fullmatch(word))


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COUNTED = re.compile(rf"(?<![\w.])(?<!\w-)({_NUMBER.pattern})(?!\w|\s*[ap]\.?m\b)", re.I)


def faults(one: Prose, given: Any, names: frozenset[str]) -> list[str]:
    """Why something is no translation of a text; nothing where it may be one.

    `names` are the names, addresses and domains that only slots may write.
    """
    if not isinstance(given, str) or not given.strip():
        return ["it is empty"]
    wrong = slot_faults(one.text, given)
    if wrong:
        return wrong
    for facet in TOLD:
        written = f"{{{{{facet}}}}}"
        if _stands_alone(one.text, written) and not _stands_alone(given, written):
            wrong.append(f"{written} must stay a paragraph to itself, between empty lines")
    plain, said = unslotted(one.text, " "), unslotted(given, " ")
    if found := sorted(set(traces(said, names)) - set(traces(plain, names))):
        wrong.append(f"it writes {', '.join(found)}, which only a slot may")
    lowered = said.lower()
    if lost := sorted(word for word in one.keep if word.lower() not in lowered):
        wrong.append(f"it must hold {', '.join(lost)} as it is")
    figures = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in said)
    if lost := sorted({n for n in _COUNTED.findall(plain) if not _shows(figures, n)}):
        wrong.append(f"it must hold the figures {', '.join(lost)}")
    if "\n" not in one.text and "\n" in given.strip():
        wrong.append("it must stay on one line")
    if _unchanged(plain, said):
        wrong.append("it is still in English")
    low, high = len(plain) // 5 if len(plain) > 60 else 1, 3 * len(plain) + 40
    if not low <= len(said) <= high:
        wrong.append(f"it has {len(said)} characters where the original has {len(plain)}")
    return wrong


def slot_faults(text: str, given: str) -> list[str]:
    """Where the slots of a text are not those of another, each as often."""
    try:
        parts = parse_slots(given)
    except SeedError as error:
        return [str(error)]
    wanted = Counter(part for part in parse_slots(text) if isinstance(part, tuple))
    there = Counter(part for part in parts if isinstance(part, tuple))
    wrong = [f"the slot {_written(slot)} is missing" for slot in wanted - there]
    return wrong + [f"the slot {_written(slot)} is one too many" for slot in there - wanted]


def _written(slot: tuple[str, str]) -> str:
    return f"{{{{{'.'.join(filter(None, slot))}}}}}"


def _stands_alone(text: str, written: str) -> bool:
    return written in (paragraph.strip() for paragraph in text.split("\n\n"))


def _shows(text: str, number: str) -> bool:
    """Whether the figure stands in a text, however its thousands and its fraction are set off."""
    digits = r"[.,'’\s٫٬]?".join(d for d in number if d.isdigit())
    return re.search(rf"(?<!\d){digits}(?!\d)", text) is not None


def _unchanged(plain: str, said: str) -> bool:
    """Whether most of the longer words of a text of some length are still there."""
    words = re.findall(r"[^\W\d_]{4,}", plain.lower())
    there = set(re.findall(r"[^\W\d_]+", said.lower()))
    return len(words) >= 8 and sum(word in there for word in words) > 0.7 * len(words)
