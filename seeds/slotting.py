"""Names, addresses, domains and times in a text become slots; what looks like one is told.

Only what is written exactly as the annotation has it is replaced, so that the text reads the same
until something is renamed. Everything doubtful is left as it stands and reported with its place.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from fuzzer.errors import SeedError
from fuzzer.scenario import parse_slots


@dataclass(frozen=True, slots=True)
class Someone:
    """A person of the cast, as far as texts can name one."""

    role: str
    first: str
    last: str
    title: str
    address: str
    also: tuple[str, ...] = ()  # what else they are called; each becomes their first name

    @property
    def name(self) -> str:
        """First and family name, as a text has them."""
        return f"{self.first} {self.last}".strip()


@dataclass(frozen=True, slots=True)
class Place:
    """An organisation, as far as texts can name one."""

    role: str
    name: str
    domain: str
    city: str = ""
    also: tuple[str, ...] = ()  # what else it is called; each becomes its name


class Doubts:
    """What a person should look at, each with every place it concerns."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def note(self, what: str, where: str) -> None:
        """Add one; the same doubt at the same place is one doubt."""
        places = self._places.setdefault(what, [])
        if where not in places:
            places.append(where)

    def sentences(self) -> tuple[str, ...]:
        """All of them, in the order met."""
        return tuple(f"{', '.join(where)}: {what}" for what, where in self._places.items())


class Slotter:
    """Puts slots into texts; `other` are tools, products and times by how they read."""

    def __init__(
        self,
        people: tuple[Someone, ...],
        places: tuple[Place, ...],
        other: dict[str, str],
        doubts: Doubts,
    ) -> None:
        self.people = people
        self.places = places
        self.doubts = doubts
        self._owners: dict[str, list[str]] = {}  # a name, and whose first or family name it is
        self._slots = {text: slot for text, slot in other.items() if text}
        for person in self.people:
            for part, name in (("first", person.first), ("last", person.last)):
                if name:
                    self._owners.setdefault(name, []).append(person.role)
                    self._slots.setdefault(name, f"{{{{{person.role}.{part}}}}}")
            self._slots |= dict.fromkeys(person.also, f"{{{{{person.role}.first}}}}")
        for place in self.places:
            self._slots |= dict.fromkeys(place.also, f"{{{{{place.role}.name}}}}")
            if place.city:
                self._slots[place.city] = f"{{{{{place.role}.city}}}}"
            self._slots[place.name] = f"{{{{{place.role}.name}}}}"
        for person in self.people:
            if person.last:
                self._slots[person.name] = f"{{{{{person.role}.name}}}}"
        self._addresses = {p.address.lower(): f"{{{{{p.role}.email}}}}" for p in self.people}
        self._domains = {p.domain.lower(): f"{{{{{p.role}.domain}}}}" for p in self.places}
        self._known = re.compile(
            rf"(?P<address>(?<![\w.+-])(?i:{_either(self._addresses)})(?![\w-]|\.\w))"
            rf"|(?P<domain>(?<!\w)(?i:{_either(self._domains)})(?!\w))"
            rf"|(?P<name>(?<!\w)(?:{_either(self._slots)})(?!\w))"
        )
        names = [n for p in self.people for n in (p.first, p.last, *_words(p.address)) if n]
        self._loosely = re.compile(rf"(?i)(?<![\w@])(?:{_either(names)})(?!\w)")
        self._short = {place.name.split()[0]: place for place in self.places if " " in place.name}

    @cached_property
    def names(self) -> frozenset[str]:
        """Everything a slot stands for, in lower case: what no cue may hold."""
        return frozenset(text.lower() for text in (*self._slots, *self._domains))

    # ------------------------------------------------------------------------------- replacing

    def fill(self, text: str, where: str, near: Iterable[str] = ()) -> str:
        """The text of a source with slots in it. `near` are the roles a message is between.

        Raises `SeedError` where a name stands in braces that would swallow its slot.
        """
        filled = self._filled(text.replace("{{", "{{{{"), where, tuple(near))
        for person in self.people:
            if person.role in near and " " in person.title:  # as a line of its own: a signature
                line = rf"(?m)^{re.escape(person.title)}(?=$|, )"
                filled = re.sub(line, f"{{{{{person.role}.title}}}}", filled)
        try:
            parts = parse_slots(filled)
        except SeedError:
            raise SeedError(
                f"{where}: a name stands right behind a brace, where no slot can be written; put "
                "a space between them in the source"
            ) from None
        for match in _ADDRESS.finditer(text):
            if match.group().lower() not in self._addresses:
                self.doubts.note(
                    f"the address {match.group()} belongs to nobody in the annotation; add whose "
                    "it is, or leave it as part of the story",
                    where,
                )
        self._look("".join(p if isinstance(p, str) else "\0" for p in parts), where)
        return filled

    def fill_annotated(self, text: str, where: str) -> str:
        """The same for a text of the annotation, which may hold slots already."""
        pieces = re.split(r"(\{\{[^{}]*\}\})", text)
        return "".join(
            piece if number % 2 else self._filled(piece, where, ())
            for number, piece in enumerate(pieces)
        )

    def _filled(self, text: str, where: str, near: tuple[str, ...]) -> str:
        def slot(match: re.Match[str]) -> str:
            found = match.group()
            if match.lastgroup == "address":
                return self._addresses[found.lower()]
            if match.lastgroup == "domain" and found not in self._slots:
                return self._domains[found.lower()]
            return self._named(found, where, near)

        return self._known.sub(slot, text) if text else text

    def _named(self, name: str, where: str, near: tuple[str, ...]) -> str:
        owners = self._owners.get(name, [])
        slot = self._slots[name]
        if len(owners) < 2 or slot.split(".")[0][2:] not in owners:
            return slot
        closer = [role for role in owners if role in near] or owners
        if len(closer) > 1:
            self.doubts.note(
                f"{name!r} may be {' or '.join(owners)}, and is read as {closer[0]}", where
            )
        person = next(p for p in self.people if p.role == closer[0])
        return f"{{{{{person.role}.{'first' if person.first == name else 'last'}}}}}"

    # ------------------------------------------------------------------------------- reporting

    def _look(self, text: str, where: str) -> None:
        """Note what is left in a text, slots aside, and looks like a name."""
        text = _LEFT.sub(" ", text)
        for match in self._loosely.finditer(text):
            if not match.group().islower() or "." in match.group():
                self.doubts.note(
                    f"{match.group()!r} looks like a name written another way; a rename will miss "
                    "it unless you write it as the annotation does",
                    where,
                )
        for name in _capitalised(self._loosely.sub(" ", text)):
            place = self._short.get(name.split()[0])
            if place:
                self.doubts.note(
                    f"{name!r} may be short for {place.name}; if so, list it under also in "
                    f"[organisation.{place.role}]",
                    where,
                )
            else:
                self.doubts.note(
                    f"{name!r} looks like a name and is in no slot; add it to the annotation if "
                    "it is one",
                    where,
                )


def _either(texts: Iterable[str]) -> str:
    longest_first = sorted(filter(None, texts), key=lambda text: (-len(text), text))
    return "|".join(map(re.escape, longest_first)) or r"(?!)"


def _words(address: str) -> tuple[str, ...]:
    """A mailbox that would be known for whose it is, even without its domain."""
    mailbox = address.partition("@")[0]
    return (mailbox,) if re.search(r"[._]", mailbox) else ()


_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LEFT = re.compile(r"[\w.+-]*@[\w.\0-]*")  # an address, as far as it is left
_CAPITALISED = re.compile(r"(?<!\w)[A-Z][a-z]\w*(?:[ -](?:(?:of|de|van|von) )?[A-Z][a-z]\w*)*")
_BEGINS = re.compile(r"(?:^|[.!?:;>*\n\"'()\[\]“‘-])\s*$")
_NO_NAMES = frozenset(
    (
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("january", "february", "march", "april", "may", "june", "july", "august"),
        *("september", "october", "november", "december", "english", "dear", "hello"),
        *("regards", "best", "kind", "sincerely", "thanks", "yours", "mr", "mrs", "ms", "dr"),
    )
)


def _capitalised(text: str) -> Iterator[str]:
    """Words written like names; the first word of a sentence is none for that alone."""
    for match in _CAPITALISED.finditer(text):
        words = re.split(r"[ -]", match.group())
        if _BEGINS.search(text[max(0, match.start() - 3) : match.start()]):
            words = words[1:]
        while words and words[0].lower() in _NO_NAMES:
            words = words[1:]
        if words and words[-1].lower() not in _NO_NAMES:
            yield " ".join(words)
