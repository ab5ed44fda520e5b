"""Lettering: slips of the fingers, quotation marks, line breaks. No word of weight is touched.

Only what people write is changed, only outside slots, and no word of which a cue or a term of the
seed speaks: what a stranger must recognise stays as it was written. Logs, tables and programs
among the items of a file store or a repository are left alone.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators import banks, care
from mutators.personas import is_machine
from mutators.values import changed


def _lettered(scenario: Scenario, change: Callable[[str], str]) -> Scenario:
    """Every message that a person wrote with another body."""
    people = {person.role for person in scenario.cast if not is_machine(person)}
    inbox = []
    for message in scenario.inbox:
        if message.sender in people and not _DATA.search(message.subject):
            body = change(message.body)
            if body != message.body:
                message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


#: A subject that is the path of something no spelling belongs to.
_DATA = re.compile(r"\.(?!(?:md|txt|rst|docx?|odt|pdf|eml)$)[a-z0-9]{1,5}$", re.IGNORECASE)


# --------------------------------------------------------------------------------------- typos


class AddTypos(Params):
    """How many words there are to a slip, and which words it happens to."""

    rate: Literal["low", "medium"] = "low"
    draw: Annotated[int, Field(ge=0, lt=4096)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    changes={"inbox"},
    before={"add_footers", "thread_mails"},
    group="lettering",
)
def add_typos(scenario: Scenario, params: AddTypos) -> Scenario:
    """Let people mistype a word here and there; names, figures and telling words stay."""
    known = care.terms(scenario)
    every = 50 if params.rate == "low" else 18
    return _lettered(scenario, lambda body: _mistyped(body, known, every, params.draw))


# A word in lower case that is no part of an address, a path, a code or a slot.
_WORD = re.compile(r"(?<![\w@./_{-])[a-z]{5,14}(?![\w@/_}-]|\.\w)")


@lru_cache(maxsize=4096)
def _mistyped(body: str, known: care.Terms, every: int, draw: int) -> str:
    """A body with as many slips as its length gives, a rest of a slip by chance."""
    if _WIDE in body:
        return body
    start = f"{len(body)}{body[:40]}"
    slips, rest = divmod(len(body), 6 * every)  # a word has five letters and a space
    slips += banks.pick(draw, start, 6 * every) < rest
    for slip in range(slips):
        word = _WORD.search(body, banks.pick(draw + slip, start, len(body)))
        if word is not None and not known.of(word.group()):
            body = body[: word.start()] + _slip(word.group(), draw) + body[word.end() :]
    return body


_WIDE = "{{ "  # a slot with spaces in it: rare enough to leave its paragraph alone
_BESIDE = dict(zip("abcdefghijklmnopqrstuvwxyz", "svfdrgbjokjlmnpoqedyibecgx", strict=True))


@lru_cache(maxsize=4096)
def _slip(word: str, draw: int) -> str:
    """The word with one slip behind its first letter.

    >>> _slip("tomorrow", 1), _slip("tomorrow", 2), _slip("tomorrow", 3)
    ('tomororw', 'tomorow', 'tomorroow')
    """
    at = 1 + banks.pick(draw, word, len(word) - 2)
    kind = (draw + len(word)) % 4
    here, after = word[at], word[at + 1]
    if kind == 0:  # the finger beside it
        return word[:at] + _BESIDE[here] + word[at + 1 :]
    if kind == 1 and here != after:
        return word[:at] + after + here + word[at + 2 :]
    if kind == 2:
        return word[:at] + word[at + 1 :]
    return word[:at] + here + word[at:]


# --------------------------------------------------------------------------------- punctuation


class RestylePunctuation(Params):
    """Which marks: typographic quotes of one tradition or another, narrow spaces, or ASCII."""

    style: Literal["curly", "low", "angled", "spaced", "ascii"] = "curly"


@transform(
    family="format",
    relation="invariant",
    rung="form",
    changes={"inbox"},
    before={"rewrap_mails"},
    group="lettering",
)
def restyle_punctuation(scenario: Scenario, params: RestylePunctuation) -> Scenario:
    """Write quotes, apostrophes, dashes, ellipses and spaces of messages in another style."""
    known = care.terms(scenario)
    return _lettered(scenario, lambda body: _restyled(body, known, params.style))


_QUOTES = {"curly": "“”", "low": "„“", "angled": "«»"}
_MARK = re.compile(r"['\"]|\.\.\.| (?:--?|–) ")
_SPACE = re.compile(r"(?<=\d) (?=[A-Za-z])|(?<=[a-z]) (?=\d)|(?<=\b[aI]) (?=\w)")
_ASCII = {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "--", "…": "..."}
_TYPESET = re.compile("[" + "".join(_ASCII) + "]")


@lru_cache(maxsize=4096)
def _restyled(body: str, known: care.Terms, style: str) -> str:
    return "\n\n".join([_respelled(part, known, style) for part in body.split("\n\n")])


@lru_cache(maxsize=8192)
def _respelled(text: str, known: care.Terms, style: str) -> str:
    marks = {"spaced": _SPACE, "ascii": _TYPESET}.get(style, _MARK)
    if marks.search(text) is None:
        return text
    if _WIDE in text:
        return text

    def mark(match: re.Match[str]) -> str:
        return match.group() if known.join(text, *match.span()) else _mark(match, style)

    return marks.sub(mark, text)


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
    changes={"inbox"},
    before={"add_typos", "add_footers", "thread_mails"},  # paragraphs as the seed has them recur
    group="lettering",
)
def rewrap_mails(scenario: Scenario, params: RewrapMails) -> Scenario:
    """Break the lines of messages at 60 to 80 columns, indent or space their paragraphs."""
    known = care.terms(scenario)
    return _lettered(scenario, lambda body: _laid(body, known, params.layout, params.width))


@lru_cache(maxsize=4096)
def _laid(body: str, known: care.Terms, layout: str, width: int) -> str:
    parts = body.split("\n\n")
    if layout == "double":
        return "\n\n\n".join(parts)
    if layout == "indented":  # as in a letter: not the greeting, nor lists and signatures
        later = (part if "\n" in part else f"    {part}" for part in parts[1:])
        return "\n\n".join([parts[0], *later])
    if layout == "trailing":
        return "\n".join([f"{line}  " if line else line for line in body.split("\n")])
    return "\n\n".join([_wrapped(part, known, width) for part in parts])


@lru_cache(maxsize=8192)
def _wrapped(text: str, known: care.Terms, width: int) -> str:
    """A paragraph with its lines broken, but not between words that belong together."""
    if len(text) <= width or _WIDE in text or care.tells(text):
        return text
    lines = []
    for line in text.split("\n"):
        mark = line[:2] if line.startswith(("> ", "| ")) else ""  # of a quotation: on every line
        while len(line) > width and (at := _break(line, known, len(mark), width)):
            lines.append(line[:at])
            line = mark + line[at + 1 :]
        lines.append(line)
    return "\n".join(lines)


def _break(line: str, known: care.Terms, least: int, width: int) -> int:
    """The last space up to the width at which the line may be broken, else the first behind it."""
    at = line.rfind(" ", least, width + 1)
    while at > least and known.join(line, at, at + 1):
        at = line.rfind(" ", least, at)
    if at > least:
        return at
    at = line.find(" ", width)
    while at > 0 and known.join(line, at, at + 1):
        at = line.find(" ", at + 1)
    return max(at, 0)
