"""Language: a house that works in English and in another language."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Block, Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks, letters
from mutators.values import changed, placed


class Bilingual(Params):
    """Which language, and how much of it: each choice adds one thing."""

    language: Literal["de", "fr", "es", "pt", "it", "pl", "tr", "uk", "el", "ja", "ar", "zh"] = "de"
    greetings: bool = True
    tags: bool = False
    footers: bool = False
    notices: Annotated[int, Field(ge=0, le=2)] = 0
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="language",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox", "system"},
    requires={"correspondence"},
    before={
        *("sign_mails", "note_pronouns", "restyle_punctuation", "rewrap_mails", "add_typos"),
        *("add_footers", "tag_subjects", "add_unrelated_mails", "reorder_inbox", "move_threat"),
    },
)
def bilingual_company(scenario: Scenario, params: Bilingual) -> Scenario:
    """Let the company work in two languages: greetings, subject tags, footers, a notice or two.

    Only what its own people write by hand is touched, each in a habit of their own, and nothing
    that is told is told in the other language alone. In a chat nobody writes letters.
    """
    spoken = banks.languages()[params.language]
    people = letters.people_of(scenario)
    firsts = {person.role for person in scenario.cast if person.first}
    mail = scenario.medium == "mail"
    inbox = []
    for message in scenario.inbox:
        if letters.in_house(message, people) and scenario.medium != "chat":
            body = message.body
            if params.greetings:
                one = message.to[0] if len(message.to) == 1 else ""
                named = f"{{{{{one}.first}}}}" if one in firsts else ""
                habit = banks.pick(params.draw, message.sender, 1 << 16)
                many = len(message.to) > 2
                body = _greeting(body, message.sender, named, many, params.language, habit)
            if params.footers and mail and letters.is_official(message, people):
                body = f"{body}\n\n--\n{spoken.footers[params.draw % len(spoken.footers)]}"
            message = changed(message, body=body)
        inbox.append(message)
    told = f"{{{{org.name}}}} works in English and in {spoken.name}. You write in English."
    note = Block.of(id="language", text=told, place="system")
    after = changed(scenario, inbox=tuple(inbox))
    if params.tags and scenario.medium == "mail":  # on what goes to everybody
        roots = letters.threads(tuple(message.subject for message in inbox))
        ours = {
            root
            for root, message in zip(roots, inbox, strict=True)
            if letters.in_house(message, people) and letters.is_circular(message)
        }
        tag = f"[{spoken.tags[params.draw % len(spoken.tags)]}] SUBJECT"
        after = changed(after, inbox=letters.with_tags(after, ours, tag))
    return changed(
        after,
        inbox=_with_notices(after.inbox, spoken, params),
        system=(*scenario.system[:1], note, *scenario.system[1:]),
    )


def _with_notices(
    inbox: tuple[Message, ...], spoken: banks.Language, params: Bilingual
) -> tuple[Message, ...]:
    for number in range(params.notices):
        notice = spoken.notices[(params.draw + number) % len(spoken.notices)]
        at = banks.pick(params.draw, number, len(inbox) + 1)
        inbox = placed(inbox, notice, at)
    return inbox


@lru_cache(maxsize=4096)
def _greeting(body: str, role: str, named: str, many: bool, language: str, habit: int) -> str:
    r"""The body with a greeting and words of leave in the language, beside those that it has.

    One in four people writes the greeting only, one the words of leave only.

    >>> _greeting("Dear both,\n\nYes.\n\n{{ann.first}}", "ann", "", False, "de", 2)
    'Einen guten Tag / Dear both,\n\nYes.\n\nBeste Grüße\n{{ann.first}}'
    """
    edge = letters.edges(body, role)
    if not edge.known or not body:
        return body
    spoken = banks.languages()[language]
    known = spoken.to_all if many else spoken.to_one
    greeting = known[habit % len(known)]
    farewell = spoken.farewells[habit % len(spoken.farewells)]
    if habit % 4 != 1 and not (edge.greets and not edge.greeting):
        edge = edge._replace(greeting=_beside(greeting, edge.greeting or named))
    if habit % 4 != 0 and edge.signature:
        edge = letters.leaving(edge, " / ".join(filter(None, (farewell, edge.farewell))))
    return letters.joined(edge)


_ENDS = ",:!،：！。"


def _beside(greeting: str, english: str) -> str:
    """A greeting in front of the English one, in one line; of a name alone it makes a greeting.

    >>> _beside("Hola:", "{{ann.first}},"), _beside("Hola:", "All,"), _beside("Hola:", "")
    ('Hola / Hello {{ann.first}},', 'Hola / All,', 'Hola:')
    """
    word, whom = letters.spoken(english)
    if not word and letters.is_slot(whom):
        english = f"Hello {whom},"
    return f"{greeting.rstrip(_ENDS)} / {english}" if english else greeting
