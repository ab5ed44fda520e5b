"""Lettering: slips of the fingers, quotation marks, line breaks. No word of weight is touched.

Only what people write is changed, only outside slots, and no word of which a cue or a term of the
seed speaks: what a stranger must recognise stays as it was written. Logs, tables and programs
among the items of a file store or a repository are left alone.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import PRONOUNS, TEXT_SLOTS, Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks, care, letters
from mutators.values import Remembered, changed


def _lettered(scenario: Scenario, change: Callable[[Message], str]) -> Scenario:
    """Every message that a person wrote by hand with another body."""
    people = letters.people_of(scenario)
    inbox = []
    for message in scenario.inbox:
        if letters.written_by_hand(message, people):
            body = change(message)
            if body != message.body:
                message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


# --------------------------------------------------------------------------------------- typos


class AddTypos(Params):
    """How many words there are to a slip, and which words it happens to."""

    rate: Literal["low", "medium"] = "low"
    draw: Annotated[int, Field(ge=0, lt=4096)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    before={"add_footers", "thread_mails"},
    group="lettering",
)
def add_typos(scenario: Scenario, params: AddTypos) -> Scenario:
    """Let a few people mistype a word here and there; names, figures and telling words stay.

    Each person is careless in every message or in none, a message has two slips at most, and no two
    people make the same. What goes to everybody is read over before it is sent, and nobody mistypes
    a greeting or the words of leave.
    """
    known = care.terms(scenario)
    people = letters.people_of(scenario)
    quick = [
        message
        for message in scenario.inbox
        if letters.written_by_hand(message, people)
        and people[message.sender].org == "org"
        and not letters.goes_round(message)
    ]
    senders = sorted(
        {message.sender for message in quick},
        key=lambda role: banks.pick(params.draw, role, 1 << 32),
    )
    most = 1 if params.rate == "low" else 2
    used: set[str] = set()
    bodies: dict[str, str] = {}
    for number, sender in enumerate(senders):
        if bodies and number >= max(1, len(senders) // 3):
            break
        for message in quick:
            if message.sender == sender:
                slips = _slips(message.body, sender, known, params.draw)
                body = message.body
                for was, now in [two for two in slips if two[1] not in used][:most]:
                    used.add(now)
                    body = _same_word(was).sub(now, body, 1)
                if body != message.body:
                    bodies[message.id] = body
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=bodies[message.id]) if message.id in bodies else message
            for message in scenario.inbox
        ),
    )


# A word in lower case that is no part of an address, a path, a code or a slot.
_WORD = re.compile(r"(?<![\w@./_{-])[a-z]{5,14}(?![\w@/_}-]|\.\w)")


@lru_cache(maxsize=512)
def _same_word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w@./_{{-]){word}(?![\w@/_}}-]|\.\w)")


@lru_cache(maxsize=4096)
def _slips(body: str, sender: str, known: care.Terms, draw: int) -> tuple[tuple[str, str], ...]:
    """Words of the text proper with what becomes of them, some to choose from."""
    text = "\n\n".join(letters.edges(body, sender).text)
    if _WIDE in body or not text:
        return ()
    found: dict[str, str] = {}
    for attempt in range(8):
        word = _WORD.search(text, banks.pick(draw + attempt, text[:40], len(text)))
        if word is not None and word.group() not in found and not known.of(word.group()):
            wrong = _slip(word.group(), draw)
            # the first of its kind is the one that changes: it must not stand in a greeting
            if wrong and _same_word(word.group()).search(body, body.index(text[:20])):
                found[word.group()] = wrong
                if len(found) == 3:
                    break
    return tuple(found.items())


_WIDE = "{{ "  # a slot with spaces in it: rare enough to leave its paragraph alone
#: Slips that are words, and would say something else.
_WORDS = re.compile(
    r"trail|trial|quiet|quite|untied|united|casual|causal|dairy|diary|angle|angel|desert"
    r"|dessert|later|latter|coma|comma|super|supper|chose|choose|loose|lose|loses|planed"
    r"|planned|staring|starring|hoping|hopping|diner|dinner|filed|filled|tapped|taped|barred"
    r"|bared|proceed|precede|winner|wining|dinning|scared|scarred|robed|robbed|caner|canner"
    r"|wagging|waging|form|from|sacred|prefect|perfect|conservation|conversation|reserve"
    r"|reverse|slat|salt|clam|calm"
)


@lru_cache(maxsize=4096)
def _slip(word: str, draw: int) -> str:
    """The word as a hurried hand has it, behind its first letter; empty if that is a word too.

    >>> _slip("tomorrow", 1), _slip("without", 1), _slip("trial", 1)
    ('tomorow', 'wihtout', '')
    """
    pairs = [i for i in range(1, len(word) - 1) if word[i] == word[i + 1]]
    inner = [i for i in range(1, len(word) - 2) if word[i] != word[i + 1]]
    single = [
        i
        for i in range(2, len(word) - 1)
        if word[i] in "cflmnprst" and word[i - 1] in "aeiou" and word[i + 1] in "aeiou"
    ]
    kinds = 2 * ["drop"] * bool(pairs) + 2 * ["swap"] * (len(word) > 5) + ["double"] * bool(single)
    if not kinds:
        return ""
    kind = kinds[banks.pick(draw, f"{word} how", len(kinds))]
    at = {"drop": pairs, "swap": inner, "double": single}[kind]
    i = at[banks.pick(draw, word, len(at))]
    wrong = {
        "drop": word[:i] + word[i + 1 :],
        "swap": word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :],
        "double": word[: i + 1] + word[i:],
    }[kind]
    return "" if _WORDS.fullmatch(wrong) else wrong


# --------------------------------------------------------------------------------- punctuation


class RestylePunctuation(Params):
    """Which marks: typographic quotes of one tradition or another, narrow spaces, or ASCII."""

    style: Literal["curly", "low", "angled", "spaced", "ascii"] = "curly"


@transform(
    family="format",
    relation="invariant",
    rung="form",
    version=2,
    changes={"inbox"},
    before={"rewrap_mails"},
    group="lettering",
)
def restyle_punctuation(scenario: Scenario, params: RestylePunctuation) -> Scenario:
    """Write quotes, apostrophes, dashes, ellipses and spaces of messages in another style.

    One program writes all that one person sends: who has a mark somewhere that must stay as it is
    keeps every other too.
    """
    known = care.terms(scenario)
    people = letters.people_of(scenario)
    texts = {facet: getattr(scenario, facet).text for facet in TEXT_SLOTS}
    kept = [f"{{{{{facet}}}}}" for facet, text in texts.items() if _marked(text, params.style)]
    bodies: dict[str, str] = {}
    steady: set[str] = set()
    for message in scenario.inbox:
        if letters.written_by_hand(message, people):
            bodies[message.id], whole = _restyled(message.body, known, params.style)
            if not whole or any(slot in message.body for slot in kept):
                steady.add(message.sender)
    if all(message.sender in steady for message in scenario.inbox if message.id in bodies):
        steady = set()
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=bodies[message.id])
            if message.id in bodies and message.sender not in steady
            else message
            for message in scenario.inbox
        ),
    )


_QUOTES = {"curly": "“”", "low": "„“", "angled": "«»"}
_MARK = re.compile(r"['\"]|\.\.\.| (?:--?|–) ")
_SPACE = re.compile(r"(?<=\d) (?=[A-Za-z])|(?<=[a-z]) (?=\d)|(?<=\b[aI]) (?=\w)")
_ASCII = {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "--", "…": "..."}
_TYPESET = re.compile("[" + "".join(_ASCII) + "]")


def _marks(style: str) -> re.Pattern[str]:
    return {"spaced": _SPACE, "ascii": _TYPESET}.get(style, _MARK)


@lru_cache(maxsize=1024)
def _marked(text: str, style: str) -> bool:
    return _marks(style).search(text) is not None


@lru_cache(maxsize=4096)
def _restyled(body: str, known: care.Terms, style: str) -> tuple[str, bool]:
    """The body in this style, and whether every mark of it is."""
    parts = [_respelled(part, known, style) for part in body.split("\n\n")]
    return "\n\n".join([part for part, _ in parts]), all(whole for _, whole in parts)


@lru_cache(maxsize=8192)
def _respelled(text: str, known: care.Terms, style: str) -> tuple[str, bool]:
    marks = _marks(style)
    if marks.search(text) is None:
        return text, True
    if _WIDE in text:
        return text, False
    whole = True

    def mark(match: re.Match[str]) -> str:
        nonlocal whole
        if known.join(text, *match.span()):
            whole = whole and style == "spaced"  # a space shows no style
            return match.group()
        return _mark(match, style)

    return marks.sub(mark, text), whole


def _mark(match: re.Match[str], style: str) -> str:
    """What stands there in this style."""
    old, before = match.group(), match.string[: match.start()][-1:]
    if style == "spaced":
        return "\u00a0"
    if style == "ascii":
        return _ASCII[old]
    if old == "...":
        return "…"
    if old not in "'\"":
        return " – "
    opens = before in ("", " ", "\n", "(", "[")
    if old == "'":
        return "‘" if opens else "’"
    return _QUOTES[style][0 if opens else 1]


# --------------------------------------------------------------------------------- line breaks


class RewrapMails(Params):
    """How the lines of messages are laid out; `width` is about where wrapped ones end."""

    layout: Literal["wrapped", "indented", "double", "trailing"] = "wrapped"
    width: Annotated[int, Field(ge=60, le=80)] = 72


@transform(
    family="format",
    relation="invariant",
    rung="form",
    version=2,
    changes={"inbox"},
    before={"add_typos", "add_footers", "thread_mails"},  # paragraphs as the seed has them recur
    group="lettering",
)
def rewrap_mails(scenario: Scenario, params: RewrapMails) -> Scenario:
    """Break the lines of messages at 60 to 80 columns, indent or space their paragraphs.

    Lines are as long as they will be with names in them. A message that tells threat or leverage is
    not wrapped at all: that text has lines of its own.
    """
    known = care.terms(scenario)
    sizes = _SIZES(lambda: _sizes(scenario), (scenario.cast, scenario.organisation))
    layout, width = params.layout, params.width

    def laid(message: Message) -> str:
        body = message.body
        if layout != "wrapped":
            return _laid(body, message.sender, layout)
        if care.tells(body):
            return body
        return _wrapped(body, known, width, tuple([sizes.get(s, 8) for s in _slots(body)]))

    return _lettered(scenario, laid)


_SIZES = Remembered()
_SLOT = re.compile(r"\{\{[\w.+-]+\}\}")


def _sizes(scenario: Scenario) -> dict[str, int]:
    """How long the slots of people and organisations are once they are filled."""
    found: dict[str, int] = {}
    domains = {o.role: len(o.domain) for o in scenario.organisation}
    for p in scenario.cast:
        mailbox = len(p.mailbox) + 1 + domains.get(p.org, 12)
        sizes = {"name": len(p.name), "first": len(p.first), "last": len(p.last)}
        sizes |= {"title": len(p.title), "nick": len(p.nick or p.first), "email": mailbox}
        forms = zip(("they", "them", "their"), PRONOUNS[p.pronouns], strict=True)
        sizes |= {slot: len(form) for slot, form in forms}
        found |= {f"{{{{{p.role}.{slot}}}}}".lower(): size for slot, size in sizes.items()}
    for o in scenario.organisation:
        sizes = {"name": len(o.name), "short": len(o.called), "city": len(o.city)}
        sizes |= {"domain": len(o.domain), "ticker": len(o.traded)}
        found |= {f"{{{{{o.role}.{slot}}}}}".lower(): size for slot, size in sizes.items()}
    return found


@lru_cache(maxsize=4096)
def _slots(text: str) -> tuple[str, ...]:
    """The slots of a text; times and tools, of which no sizes are kept, are about eight long."""
    return tuple(slot.lower() for slot in _SLOT.findall(text))


@lru_cache(maxsize=4096)
def _laid(body: str, sender: str, layout: str) -> str:
    parts = body.split("\n\n")
    if layout == "double":
        return "\n\n\n".join(parts)
    if layout == "trailing":
        return "\n".join([f"{line}  " if line else line for line in body.split("\n")])
    edge = letters.edges(body, sender)  # indented: not the greeting, nor lists and signatures
    text = set(edge.text[0 if edge.greeting else 1 :])
    return "\n\n".join([f"    {p}" if p in text and "\n" not in p else p for p in parts])


@lru_cache(maxsize=4096)
def _wrapped(body: str, known: care.Terms, width: int, sizes: tuple[int, ...]) -> str:
    """A body with its lines broken, but not between words that belong together."""
    slots, parts = iter(sizes), []
    for text in body.split("\n\n"):
        here = tuple(islice(slots, text.count("{{")))
        kept = _WIDE in text or text.startswith("--\n")
        parts.append(text if kept else _broken(text, known, width, here))
    return "\n\n".join(parts)


@lru_cache(maxsize=8192)
def _broken(text: str, known: care.Terms, width: int, sizes: tuple[int, ...]) -> str:
    if len(text) <= width:
        return text
    slots = iter(sizes)
    lines: list[str] = []
    for line in text.split("\n"):
        mark = line[:2] if line.startswith(("> ", "| ")) else ""  # of a quotation: on every line
        lines += _lines(line.removeprefix(mark), mark, known, width - len(mark), slots)
    return "\n".join(lines)


def _lines(line: str, mark: str, known: care.Terms, width: int, slots: Iterator[int]) -> list[str]:
    """A line in lines of this width or, where words belong together, a little more."""
    words = line.split(" ")
    lengths, places, at = [], [], 0
    for word in words:
        length = len(word)
        if "{{" in word:
            length += sum(next(slots, 8) - len(slot) for slot in _SLOT.findall(word))
        lengths.append(length)
        places.append(at - 1)  # of the space before it
        at += len(word) + 1
    lines, start = [], 0
    while start < len(words):
        end, used = start + 1, lengths[start]
        while end < len(words) and used + 1 + lengths[end] <= width:
            used += 1 + lengths[end]
            end += 1
        far = end
        while start < end < len(words) and known.join(line, places[end], places[end] + 1):
            end -= 1
        if end == start:  # none up to the width: the first behind it
            end = far + 1
            while end < len(words) and known.join(line, places[end], places[end] + 1):
                end += 1
        lines.append(mark + " ".join(words[start:end]))
        start = end
    return lines
