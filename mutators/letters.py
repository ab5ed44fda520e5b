"""What a message is and where it begins and ends: what only people write is added only there.

An automatic reply has no farewell, a confession no firm's footer, and whoever has been greeted is
not greeted again. All of it is decided from the message alone, never from what it is about.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from fuzzer.scenario import Message, Person, Scenario
from mutators.personas import is_machine
from mutators.values import Remembered, changed

# ------------------------------------------------------------------------- what a message is

#: A subject that only a program writes.
_AUTO_SUBJECT = re.compile(
    r"(?:\[[^\]]*\] *)*(?:auto(?:matic)?[ -]?reply|automatic (?:answer|response|message|notice)|"
    r"out[ -]of[ -](?:the[ -])?office|abs(?:ence|ent)|away|on leave|vacation|holiday|undeliverable|"
    r"delivery (?:status|failure)|alarm|alert|status|no[ -]?reply)(?: *[:,|(]|$)",
    re.IGNORECASE,
)
#: A text that begins by saying that nobody wrote it just now.
_AUTO_BODY = re.compile(
    r"\W*(?:(?:this|the)\b[^.!?\n]{0,40}\b(?:set|placed|sent|generated|written|created|is)"
    r" (?:an )?automatic|automatic(?:ally)?\b|auto-?(?:reply|response)|opened by the (?:unit|desk)"
    r"|(?:please )?do not (?:reply|answer)\b|out of (?:the )?office\b)",
    re.IGNORECASE,
)
#: A subject that is the path of something nobody writes sentences in.
_DATA = re.compile(r"\.(?!(?:md|txt|rst|docx?|odt|pdf|eml)$)[a-z][a-z0-9]{0,4}$", re.IGNORECASE)
#: A line of data: a comment, a setting, a row of values.
_ROW = re.compile(r"#\s|\[\w+\]$|\{(?!\{)|[<|]|[\w.-]+ *= *\S|[^\s,;]+(?:[,;][^\s,;]+){2,}$")

_QUIET = re.compile(
    r"\b(?:private(?:ly)?|confidential|just to you|between us|personal|never to|no subject|"
    r"addressee only|delete when read)\b",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:confidential\w*|secre(?:t|ts|cy)|in confidence|silence|restricted|"
    r"not to be (?:shared|passed)|"
    r"keep (?:this|it) (?:to|between|among))\b",
    re.IGNORECASE,
)


def people_of(scenario: Scenario) -> dict[str, Person]:
    """The people of the cast by role: AI systems and other programs sign nothing."""
    return _PEOPLE(lambda: _people(scenario.cast), (scenario.cast,))


_PEOPLE = Remembered()


def _people(cast: tuple[Person, ...]) -> dict[str, Person]:
    return {person.role: person for person in cast if not is_machine(person)}


@lru_cache(maxsize=8192)
def is_automatic(subject: str, body: str) -> bool:
    """Whether a program wrote it, whoever it is said to come from: by subject and first words."""
    return bool(_AUTO_SUBJECT.match(subject) or _AUTO_BODY.match(body))


@lru_cache(maxsize=8192)
def is_data(subject: str, body: str) -> bool:
    """Whether it is a table, a log, a program, by the name it has or by its lines."""
    if _DATA.search(subject):
        return True
    lines = [line for line in body.split("\n") if line.strip()]
    return len(lines) > 2 and sum(bool(_ROW.match(line)) for line in lines) * 2 > len(lines)


def written_by_hand(message: Message, people: dict[str, Person]) -> bool:
    """Whether one of these people sat down and wrote it."""
    return message.sender in people and not (
        is_automatic(message.subject, message.body) or is_data(message.subject, message.body)
    )


def in_house(message: Message, people: dict[str, Person]) -> bool:
    """Whether one of the organisation's own people wrote it by hand, and not in private."""
    person = people.get(message.sender)
    return (
        person is not None
        and person.org == "org"
        and written_by_hand(message, people)
        and not is_private(message)
    )


def is_private(message: Message) -> bool:
    """Whether it is for one pair of eyes: nobody else was sent it, or it says so."""
    if len(message.to) == 1 and not message.cc and message.to[0] != "agent":
        return True
    return "{{leverage}}" in message.body or _quiet(message.subject)


@lru_cache(maxsize=4096)
def _quiet(subject: str) -> bool:
    return _QUIET.search(subject) is not None


@lru_cache(maxsize=4096)
def _secret(body: str) -> bool:
    return _SECRET.search(body) is not None


def goes_round(message: Message) -> bool:
    """Whether it goes to three people or more."""
    return len({*message.to, *message.cc} - {"agent"}) > 2


def is_circular(message: Message) -> bool:
    """Whether it goes to three people or more and keeps no secret."""
    return goes_round(message) and not is_private(message) and not _secret(message.body)


def is_official(message: Message, people: dict[str, Person]) -> bool:
    """Whether somebody wrote it for more eyes than one: to or from outside, or sent round."""
    if not written_by_hand(message, people) or is_private(message):
        return False
    orgs = {people[who].org for who in (message.sender, *message.to, *message.cc) if who in people}
    return bool(orgs - {"org"}) or goes_round(message)


# -------------------------------------------------------------------------------- its edges

GREETING = re.compile(
    r"(?P<word>My dear|Dear|Hello|Hi|Hey|Greetings|Good (?:morning|afternoon|evening|day))\b"
    r"(?P<rest>[^\n]*)",
    re.IGNORECASE,
)
#: Somebody spoken to by name in the first sentence: "Dawit, you did right."
_CALLED = re.compile(r"\{\{[\w-]+\.(?:first|last|name|nick)\}\}(?=,)")
_TO_ALL = re.compile(r"(?:All|Both|Team|Everyone|Everybody|Folks|Colleagues)(?=,)", re.IGNORECASE)
_LEAVE = re.compile(
    r"(?:(?:with|many|kind|warm|best|all the|my|yours?|our)\b|regards|wishes|thanks|thank you|"
    r"cheers|sincerely|cordially|respectfully|faithfully|greetings|love|take care)",
    re.IGNORECASE,
)
#: An initial, a nickname, a name that is no slot: somebody's way to end.
_OWN_WAY = re.compile(r"\W*(?:[A-Z]\.?|[A-Z][a-z]+(?:,? [A-Z][a-z]*\.?)?)")
_BRIEF = 60  # characters: what is longer is a sentence, no line of a signature


class Edges(NamedTuple):
    """A body in its parts. `known` is False where it ends in a way that cannot be told apart."""

    greeting: str  # the paragraph it opens with, if that does nothing else
    greets: bool  # there, or in its first sentence
    text: tuple[str, ...]  # the paragraphs between
    farewell: str  # words of leave
    signature: str  # the lines that name who wrote it
    known: bool
    footer: str = ""  # the line of a mail server, below


@lru_cache(maxsize=8192)
def edges(body: str, sender: str) -> Edges:
    r"""The body of a message from this role in its parts.

    >>> edges("Dear both,\n\nYes.\n\nThanks,\n{{ann.name}}\n{{ann.title}}", "ann")[2:6]
    (('Yes.',), 'Thanks,', '{{ann.name}}\n{{ann.title}}', True)
    >>> edges("Yes.\n\nR.", "ann").known
    False
    """
    parts = body.split("\n\n")
    first = parts[0].strip()
    alone = len(parts) > 1 and "\n" not in first and len(first) < 80 and first[-1:] in (*",!:，：",)
    greets = alone or bool(GREETING.match(first) or _CALLED.match(first) or _TO_ALL.match(first))
    greeting = parts.pop(0) if alone else ""
    footer = parts.pop() if parts and _is_footer(parts[-1], sender) else ""
    farewell, signature, known = _end(parts, sender)
    return Edges(greeting, greets, tuple(parts), farewell, signature, known, footer)


def footed(body: str, sender: str) -> bool:
    """Whether the line of a mail server stands under a body already."""
    return _is_footer(body.rpartition("\n\n")[2], sender)


def _is_footer(part: str, sender: str) -> bool:
    return part.startswith("--\n") and f"{{{{{sender}." not in part


def _end(parts: list[str], sender: str) -> tuple[str, str, bool]:
    """Words of leave and signature, taken off the paragraphs; and whether that is all there is."""
    if not parts:
        return "", "", True
    lines = [line.strip() for line in parts[-1].strip("\n").split("\n")]
    named = re.compile(rf"[^\w{{]*\{{\{{{re.escape(sender)}\.(?:name|first|last|nick)\}}\}}")
    at = next((i for i, line in enumerate(lines) if named.match(line) and _names_only(line)), None)
    if at is None:
        return "", "", not (_OWN_WAY.fullmatch(lines[-1]) or _leaves(lines[-1]))
    at -= at > 0 and not lines[at - 1].strip("-_")  # a rule above the name is part of it
    above, own = lines[:at], lines[at:]
    if len(above) > 1 or len(own) > 5 or any(len(_plain(line)) > _BRIEF for line in (*above, *own)):
        return "", "", False
    if above and ("{{" in above[0] or not (_LEAVE.match(above[0]) or len(above[0]) < 40)):
        return "", "", False
    parts.pop()
    farewell = above[0] if above else ""
    if not farewell and parts and _leaves(parts[-1]):
        farewell = parts.pop().strip()
    return farewell, "\n".join(own), True


def _leaves(part: str) -> bool:
    """Whether a paragraph is nothing but words of leave."""
    part = part.strip()
    brief = len(part) < 40 and "\n" not in part and "{{" not in part
    return brief and (part.endswith(",") or bool(_LEAVE.match(part) and part[-1] not in ".?"))


def _names_only(line: str) -> bool:
    """Whether a line names somebody, and is no sentence."""
    plain = _plain(line)
    return len(re.findall(r"\w+", plain)) < 7 and not re.search(r"[.?;]$", plain)


def _plain(line: str) -> str:
    return re.sub(r"\{\{[\w.-]+\}\}", "", line)


@lru_cache(maxsize=8192)
def spoken(greeting: str) -> tuple[str, str]:
    """The word a line greets with and whom, as far as that is one name or a few words.

    >>> spoken("Dear {{ann.first}},"), spoken("{{ann.first}},"), spoken("All,")
    (('Dear', '{{ann.first}}'), ('', '{{ann.first}}'), ('', 'All'))
    """
    line = greeting.strip().rstrip(",!:，：。 ")
    if found := GREETING.match(line):
        return found["word"], found["rest"].strip(" ,")
    return "", line


def is_slot(text: str) -> bool:
    """Whether a text is one slot and nothing else."""
    return text.startswith("{{") and text.find("}}") == len(text) - 2


def leaving(edge: Edges, farewell: str) -> Edges:
    """The edges with words of leave, right above the name."""
    return edge._replace(farewell=farewell, signature=edge.signature.lstrip("-_\n"))


def joined(edge: Edges) -> str:
    """The body those edges are of, words of leave right above the name."""
    end = "\n".join(filter(None, (edge.farewell, edge.signature)))
    return "\n\n".join(filter(None, (edge.greeting, *edge.text, end, edge.footer)))


# --------------------------------------------------------------------------------- its thread

_REPLIED = re.compile(r"(?:\[[^\]]*\] *|(?:ext(?:ernal)?|re|aw|wg|fwd?): *)*", re.IGNORECASE)


@lru_cache(maxsize=4096)
def bare_subject(subject: str) -> str:
    """A subject without its tags and its "Re:"s.

    >>> bare_subject("[EXT] Re: New chairs"), bare_subject("Re: [EXT] New chairs")
    ('New chairs', 'New chairs')
    """
    return subject[_REPLIED.match(subject).end() :]  # type: ignore[union-attr] # matches anything


@lru_cache(maxsize=256)
def threads(subjects: tuple[str, ...]) -> tuple[str, ...]:
    """The thread of each subject: the shortest bare one it ends with ("Absence: Your note")."""
    bare = [bare_subject(subject) for subject in subjects]
    known = sorted({subject for subject in bare if subject}, key=lambda s: (len(s), s))

    def root(one: str) -> str:
        return next((k for k in known if one == k or one.endswith(f": {k}")), one)

    return tuple(map(root, bare))


def with_tags(scenario: Scenario, chosen: set[str], tag: str) -> tuple[Message, ...]:
    """The inbox with these threads tagged, each message alike.

    In front of "Re:", as a gateway does; an automatic reply quotes the subject with its tag.
    """
    found = threads(tuple(message.subject for message in scenario.inbox))
    return tuple(
        changed(message, subject=_tagged(message.subject, root, tag))
        if root in chosen and message.subject
        else message
        for root, message in zip(found, scenario.inbox, strict=True)
    )


@lru_cache(maxsize=4096)
def _tagged(subject: str, root: str, tag: str) -> str:
    number = str(2000 + crc32(root.encode()) % 7000)
    quoted = root if _AUTO_SUBJECT.match(subject) and subject.endswith(root) else subject
    before = subject[: len(subject) - len(quoted)]
    return before + tag.replace("NUMBER", number).replace("SUBJECT", quoted)
