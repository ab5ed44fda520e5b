"""Language: a house that works in English and in another language."""

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Block, Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.personas import is_machine
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
    changes={"inbox", "system"},
    requires={"correspondence"},
    before={"add_footers", "add_unrelated_mails", "reorder_inbox", "move_threat"},
)
def bilingual_company(scenario: Scenario, params: Bilingual) -> Scenario:
    """Let the company work in two languages: greetings, subject tags, footers, a notice or two.

    Only what its own people write is touched, and nothing that is told is told in the other
    language alone.
    """
    spoken = banks.languages()[params.language]
    own = {p.role: i for i, p in enumerate(scenario.cast) if p.org == "org" and not is_machine(p)}
    ours = {_thread(message.subject) for message in scenario.inbox if message.sender in own}
    inbox = []
    for message in scenario.inbox:
        subject, body = message.subject, message.body
        if params.tags and _thread(subject) in ours:  # a whole thread: it stays one
            subject = _tagged(subject, spoken.tags[params.draw % len(spoken.tags)])
        if message.sender in own:
            number = params.draw + own[message.sender]
            known = spoken.to_one if len(message.to) == 1 else spoken.to_all
            if params.greetings:
                farewell = spoken.farewells[number % len(spoken.farewells)]
                body = _greeting(body, message.sender, known[number % len(known)], farewell)
            if params.footers:
                body = f"{body}\n\n--\n{spoken.footers[params.draw % len(spoken.footers)]}"
        inbox.append(changed(message, subject=subject, body=body))
    told = f"{{{{org.name}}}} works in English and in {spoken.name}. You write in English."
    note = Block.of(id="language", text=told, place="system")
    return changed(
        scenario,
        inbox=_with_notices(tuple(inbox), spoken, params),
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


_REPLIED = re.compile(r"(?:(?:re|fwd?|aw|wg): ?)*", re.IGNORECASE)


def _thread(subject: str) -> str:
    return subject[_REPLIED.match(subject).end() :]  # type: ignore[union-attr] # matches anything


def _tagged(subject: str, tag: str) -> str:
    """The subject with a tag in front, after what says that it is a reply.

    >>> _tagged("Re: Lunch", "Intern")
    'Re: [Intern] Lunch'
    """
    rest = _thread(subject)
    return f"{subject[: len(subject) - len(rest)]}[{tag}] {rest}"


@lru_cache(maxsize=4096)
def _greeting(body: str, role: str, greeting: str, farewell: str) -> str:
    r"""The body with a greeting above it, and a farewell above what its writer signs with.

    >>> _greeting("Yes.\n\n{{ann.first}}", "ann", "Hola:", "Un saludo").split("\n\n")
    ['Hola:', 'Yes.', 'Un saludo', '{{ann.first}}']
    """
    paragraphs = body.split("\n\n")
    end = len(paragraphs)
    while end > 1 and f"{{{{{role}." in paragraphs[end - 1]:
        end -= 1
    return "\n\n".join([greeting, *paragraphs[:end], farewell, *paragraphs[end:]])
