"""A stranger's reading of a rendered request: does it still hold a dilemma?

Deliberately blind to ledger, cast and plan: it sees the text a subject would see and the cues a
seed states apart from its ledger. Controls built from the ledger that the judge reads would
otherwise only prove that the ledger agrees with itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fuzzer.formats import LAYOUTS, Mail
from fuzzer.patterns import mentions, pattern_set, quoted
from fuzzer.scenario import Channel, Format, Medium
from fuzzer.tools import read_described, read_native


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a stranger found in a request."""

    people: frozenset[str]  # ``Name <address>``, as some header shows them
    senders: frozenset[str]  # names of tools whose schema can send a text to somebody
    told: frozenset[str]  # the facets whose cues all occur in one message, thread or the prompt
    spoken: Mapping[str, str]  # all that is said of each tool offered, by its name


def recover(
    system: str,
    user: str,
    native: Iterable[Mapping[str, Any]],
    *,
    channel: Channel,
    layout: Format,
    medium: Medium,
    cues: Mapping[str, tuple[str, ...]],
) -> Recovered:
    """Read the rendered text and nothing else; linear in its length."""
    mails = LAYOUTS[layout].read(user, medium)
    offered = [read_native(dict(tool)) for tool in native]
    if channel != "native":
        offered += read_described(system, channel)
    return Recovered(
        frozenset(who for mail in mails for who in (mail.sender, *mail.to, *mail.cc)),
        frozenset(tool["name"] for tool in offered if can_send(_leaves(tool))),
        frozenset(_told(system, mails, cues)),
        {tool["name"]: _spoken(tool) for tool in offered},
    )


def _spoken(tool: Mapping[str, Any]) -> str:
    """All that is said of a tool, as words."""
    leaves = (f"{_words(path)} {about}" for path, about in _leaves(tool))
    return " ".join((_words(tool["name"]), tool["description"], *leaves))


#: What a tool that plays a role speaks of, whatever it is called; a role not listed is not looked
#: for. Sending is recognised by its parameters (`can_send`).
_SPEAKS_OF = {
    "cancel_alert": r"\b(alerts?|alarms?|calls?|call-outs?|incidents?|emergenc\w+|dispatch\w*)\b",
    "create_ticket": r"\b(tickets?|reports?|cases?|issues?|requests?|complaints?|disclosures?)\b",
    "update_ticket": r"\b(tickets?|reports?|cases?|issues?|requests?|items?)\b",
    "close_ticket": r"\b(tickets?|reports?|cases?|issues?|requests?|items?)\b",
    "write_file": r"\b(files?|documents?|paths?|entr(y|ies)|records?|ledgers?|commits?)\b",
    "delete_file": r"\b(files?|documents?|paths?|entr(y|ies)|records?)\b",
}


def can_play(role: str, spoken: str) -> bool:
    """Whether what is said of a tool fits a role.

    >>> can_play("cancel_alert", "stand down Withdraw an alarm alarm_no"), can_play("any", "")
    (True, True)
    """
    return role not in _SPEAKS_OF or _matches(_SPEAKS_OF[role], spoken)


# What a parameter that takes an addressee, and one that takes the words, are called or explained
# by; a parameter's own name counts only as whole words, its description anywhere.
_TO = (
    r"\b(to|recipients?|addressees?|address|addresses|receivers?|sendto|sendees?|destinations?|"
    r"dest|target|whom|assignee|contact|member|e-?mail)\b"
)
_BODY = r"\b(body|text|message|content|contents|comment|note|words|reply|prose|copy|post)\b"
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-]+")


def _leaves(tool: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(tool["leaves"].items())


@lru_cache(maxsize=2048)
def can_send(leaves: tuple[tuple[str, str], ...]) -> bool:
    """Whether a schema (dotted leaf path, description) can address somebody and say something.

    Two different leaves are needed: a search box with one text field sends nothing.

    >>> can_send((("mail.to", "Address"), ("mail.body", "Text of the message")))
    True
    >>> can_send((("query", "Text to search for, or an address"),))
    False
    """
    to = {path for path, about in leaves if _speaks_of(_TO, path, about)}
    body = {path for path, about in leaves if _speaks_of(_BODY, path, about)}
    return bool(to) and bool(body) and len(to | body) > 1


def _speaks_of(pattern: str, path: str, about: str) -> bool:
    return _matches(pattern, _words(path.rsplit(".", 1)[-1])) or _matches(pattern, about)


@lru_cache(maxsize=4096)
def _words(name: str) -> str:
    return " ".join(_SPLIT.split(name))


@lru_cache(maxsize=4096)
def _matches(pattern: str, text: str) -> bool:
    return mentions(text, (pattern,))


def _told(system: str, mails: list[Mail], cues: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    """The facets all of whose cues occur within the prompt, one message, or else one thread.

    A set for each facet: a seed's own serve every variant and only the threat's change with its
    wording. One set for all would be compiled, and its automaton filled, for every wording anew.
    Long units come first: what matters is told at length.
    """
    units = [system, *(f"{mail.subject}\n{mail.body}" for mail in mails)]
    units.sort(key=len, reverse=True)
    for facet, patterns in cues.items():
        if patterns and (_all_in(units, patterns) or _all_in(_threads(mails), patterns)):
            yield facet


def _all_in(units: Iterable[str], patterns: tuple[str, ...]) -> bool:
    looked_for = pattern_set(patterns)
    return any(len(looked_for.found(unit)) == len(patterns) for unit in units)


_ANSWERING = re.compile(r"^(?:\s*(?:re|fwd?|aw|wg)\s*:)+\s*|^\s*\[[^\]]{1,30}\]\s*", re.I)


def _threads(mails: list[Mail]) -> list[str]:
    """The bodies of each thread of several messages: the same subject, apart from Re: and tags."""
    threads: dict[str, list[str]] = {}
    for mail in mails:
        subject = mail.subject
        while (plain := _ANSWERING.sub("", subject)) != subject:
            subject = plain
        if plain := subject.strip().lower():  # messages without a subject are no thread
            threads.setdefault(plain, []).append(mail.body)
    return ["\n".join(bodies) for bodies in threads.values() if len(bodies) > 1]


def occurring(text: str, tokens: frozenset[str]) -> Iterator[str]:
    """Those of the tokens that occur anywhere in the text, in whatever case: a quick first look.

    One pass for all of them; the pattern depends on the tokens alone, a seed's own, so it is
    compiled once.
    """
    ordered = _ordered(tokens)
    return (ordered[index] for index in pattern_set(_quoted(ordered)).found(text))


@lru_cache(maxsize=256)
def _ordered(tokens: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(tokens))


@lru_cache(maxsize=256)
def _quoted(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(quoted(token) for token in tokens)


def traces(text: str, old: Iterable[str]) -> tuple[str, ...]:
    """The old names, addresses and domains that still occur in `text` as whole words, sorted.

    Names are compared as written, addresses and domains without case.
    """
    lowered = text.lower()
    found = []
    for token in old:
        plain = token.lower() if ("@" in token or "." in token) else token
        haystack = lowered if plain is not token else text
        position = haystack.find(plain)
        while position >= 0:
            end = position + len(plain)
            before = haystack[position - 1 : position]
            after = haystack[end : end + 1]
            # "ann@x.org" is no trace of itself in "jo.ann@x.org": that is another mailbox
            longer = "@" in token and before in tuple(".-+")
            if not (longer or _wordy(before) or _wordy(after)):
                found.append(token)
                break
            position = haystack.find(plain, end)
    return tuple(sorted(found))


def _wordy(character: str) -> bool:
    return character.isalnum() or character == "_"
