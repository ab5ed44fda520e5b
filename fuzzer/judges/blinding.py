"""A transcript as a blind judge reads it: by role, without names, tools, models or formats.

Who is called what, which tool sends and how its arguments are named must not matter to a judge, so
it does not see them: people, companies, addresses and tools stand as role tokens from the variant's
ledger (``[TARGET]``, ``[TARGET ADDRESS]``, ``[SEND_MESSAGE]``), and every channel looks the same.
Ids of seeds, transforms and models are in nothing a judge is given.

Published graders move with such names: the identity of the agent alone shifted one grader's rate
(seed evaluation reference, "judges move rates as much as prompts do").
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fuzzer.scenario import Scenario
from fuzzer.transcript import Action, Transcript
from fuzzer.variant import Slots, Variant

#: What models and their makers call themselves; a judge may favour its own kin.
_MODELS = re.compile(
    r"(?<![A-Za-z0-9])(?:claude(?:[- ](?:opus|sonnet|haiku|[\d.]+))*|anthropic|chat ?gpt|gpt[- ]?"
    r"[\d.]+[a-z]*|openai|gemini(?:[- ](?:pro|flash|[\d.]+))*|deepmind|deepseek(?:[- ]?[rv]\d)?|"
    r"llama[- ]?[\d.]*|mistral|mixtral|qwen[\d.-]*|grok[- ]?[\d.]*)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_MODEL = "[MODEL]"


class Hidden(NamedTuple):
    """A text with tokens for names, and where each of its pieces came from."""

    text: str
    pieces: tuple[tuple[int, int, int, int], ...]  # start and end here, start and end there
    original: str

    def reveal(self, start: int, end: int) -> str:
        """What stood where this stretch stands now; whole names where it cuts into a token."""
        first = next(piece for piece in self.pieces if piece[1] > start)
        last = next(piece for piece in reversed(self.pieces) if piece[0] < end)
        here = (
            first[2]
            if first[1] - first[0] != first[3] - first[2]
            else first[2] + (start - first[0])
        )
        there = last[3] if last[1] - last[0] != last[3] - last[2] else last[2] + (end - last[0])
        return self.original[here:there]


class Blinding:
    """What stands for what in one variant. `hide` is the only way a text reaches a judge."""

    def __init__(self, variant: Variant, *, blind: bool = True) -> None:
        self.blind = blind
        tokens = _tokens(variant.scenario, variant.slots) if blind else {}
        exact = {f: token for name, token in tokens.items() if _is_word(name) for f in _forms(name)}
        loose = {name: token for name, token in tokens.items() if not _is_word(name)}
        self._exact = exact
        self._loose = {_key(name): token for name, token in loose.items()}
        self._known = _alternatives(exact, loose)

    def hide(self, text: str) -> Hidden:
        """The text as the judge may see it; what no JSON can hold stands as a question mark."""
        text = text.encode("utf-8", "replace").decode()
        pieces: list[tuple[int, int, int, int]] = []
        written: list[str] = []
        at = length = 0
        for start, end, token in self._found(text):
            for piece, where in ((text[at:start], (at, start)), (token, (start, end))):
                if piece:
                    pieces.append((length, length + len(piece), *where))
                    written.append(piece)
                    length += len(piece)
            at = end
        if at < len(text) or not pieces:
            pieces.append((length, length + len(text) - at, at, len(text)))
            written.append(text[at:])
        return Hidden("".join(written), tuple(pieces), text)

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        if not self.blind:
            return
        found = [(m.start(), m.end(), _MODEL) for m in _MODELS.finditer(text)]
        if self._known is not None:
            found += [
                (m.start(), m.end(), self._token(m.group())) for m in self._known.finditer(text)
            ]
        at = 0
        for start, end, token in sorted(found, key=lambda one: (one[0], -one[1])):
            if start >= at:
                yield start, end, token
                at = end

    def _token(self, found: str) -> str:
        return self._exact.get(found) or self._loose[_key(found)]


def _tokens(scenario: Scenario, slots: Slots) -> dict[str, str]:
    """Every name of the variant with what stands for it.

    Of two people named alike it says both, since nobody can tell which one is meant; of anything
    else the last one decides, and a person's name is a person's.
    """
    people: dict[str, dict[str, None]] = {}
    for name, token in _of_people(scenario, slots):
        people.setdefault(name, {})[token[1:-1]] = None
    return {
        **dict(_of_things(scenario)),
        **{name: f"[{' or '.join(tokens)}]" for name, tokens in people.items()},
    }


_FOLDED = str.maketrans("\u017f\u0130\u0131\u212a", "siik")  # what a pattern takes for s, i and k


def _key(name: str) -> str:
    """A name as it is looked up: in whatever case it stands, over however many lines."""
    return " ".join(name.translate(_FOLDED).lower().split())


def _forms(name: str) -> tuple[str, ...]:
    """An everyday word as names are written; a share's sign as it is."""
    return (name,) if name.isupper() else tuple({name, name.upper(), name.capitalize()})


def _is_word(name: str) -> bool:
    """Whether a name may be an everyday word in lower case: Will, Grace, Mark."""
    return name.isalpha() and len(name) < 12


def _alternatives(exact: Iterable[str], loose: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for all names: words as they are written, anything longer in any case."""
    choices = [(name, re.escape(name)) for name in exact]
    for name in loose:  # over however many lines
        words = r"\s+".join(map(re.escape, name.split()))
        choices.append((name, f"(?i:{words})"))
    if not choices:
        return None
    choices.sort(key=lambda choice: (-len(choice[0]), choice[0]))
    return re.compile("|".join(_bounded(name, pattern) for name, pattern in choices))


def _bounded(name: str, pattern: str) -> str:
    """Not within a longer word; letters that are written without spaces have no such bounds."""
    before = r"(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    return f"{before}{pattern}{after}"


def _of_things(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for tool in scenario.tools:
        role = tool.role.upper()
        yield from _named(((tool.name, f"[{role}]"), (tool.product, f"[{role} PROGRAM]")))
    for organisation in scenario.organisation:
        role = "COMPANY" if organisation.role == "org" else f"{organisation.role.upper()} COMPANY"
        yield from _named(
            (
                (organisation.city, f"[{role} TOWN]"),
                (organisation.traded, f"[{role} SHARE]"),
                (organisation.domain, f"[{role} DOMAIN]"),
                (organisation.called, f"[{role}]"),
                (organisation.name, f"[{role}]"),
            )
        )


def _of_people(scenario: Scenario, slots: Slots) -> Iterator[tuple[str, str]]:
    for person in scenario.cast:
        role = person.role.upper()
        yield from _named(
            (
                (person.nick, f"[{role}]"),
                (person.first, f"[{role}]"),
                (person.last, f"[{role}]"),
                (person.name, f"[{role}]"),
                (f"{person.first} {person.last}".strip(), f"[{role}]"),
                ("" if _is_word(person.mailbox) else person.mailbox, f"[{role} ADDRESS]"),
                (slots.address(person), f"[{role} ADDRESS]"),
            )
        )


def _named(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, token) for name, token in pairs if len(name) > 1)


# ------------------------------------------------------------------------------------ transcript


class Passage(NamedTuple):
    """A text of the transcript as the judge may see it, and whether it was acted upon."""

    turn: int
    hidden: Hidden
    acted: bool  # an argument of an attempt, or what an attempt passes on; else only said


class Shown(NamedTuple):
    """A transcript as data for a judge, and the passages that a quote must come from."""

    turns: list[dict[str, Any]]
    reasoning: list[dict[str, Any]]
    passages: tuple[Passage, ...]


def show(variant: Variant, transcript: Transcript, blinding: Blinding) -> Shown:
    """The transcript by role: what was said, what was attempted, what came back; reasoning apart.

    Calls are cut out of what was said, since they stand beside it by role, so that a transcript
    looks alike in every channel.
    """
    by_turn: dict[int, list[Action]] = {}
    for action in transcript.actions:
        by_turn.setdefault(action.span[0], []).append(action)
    passages: list[Passage] = []
    turns: list[dict[str, Any]] = []
    reasoning: list[dict[str, Any]] = []

    def seen(turn: int, text: str, *, acted: bool) -> str:
        hidden = blinding.hide(text)
        passages.append(Passage(turn, hidden, acted))
        return hidden.text

    for number, turn in enumerate(transcript.turns):
        shown: dict[str, Any] = {"turn": number, "by": "agent"}
        if turn.role == "environment":
            shown = {"turn": number, "by": "system", "said": blinding.hide(turn.text).text}
            turns.append(shown)
            continue
        acts = by_turn.get(number, [])
        said = _without_calls(turn.text, acts)
        if said:
            shown["said"] = seen(number, said, acted=False)
        if acts:
            shown["did"] = [_act(variant, action, number, seen, blinding) for action in acts]
        turns.append(shown)
        if turn.reasoning:
            reasoning.append({"turn": number, "thought": blinding.hide(turn.reasoning).text})
    return Shown(turns, reasoning, tuple(passages))


_FENCE = re.compile(r"```\w*\s*```\s*")  # of which a call was all that stood in it


def _without_calls(text: str, acts: Iterable[Action]) -> str:
    spans = sorted(action.span[1:] for action in acts if action.span[1] >= 0)
    parts, at = [], 0
    for start, end in spans:
        if start >= at:
            parts.append(text[at:start])
        at = max(at, end)
    said = "\n".join(filter(None, (part.strip() for part in (*parts, text[at:]))))
    return _FENCE.sub("", said).strip() if spans else said


def _act(
    variant: Variant, action: Action, turn: int, seen: Any, blinding: Blinding
) -> dict[str, Any]:
    offered = action.role != "unknown"
    name = action.role if offered and blinding.blind else blinding.hide(action.raw_name).text
    shown: dict[str, Any] = {"tool": name}
    if action.error:
        shown["refused"] = True  # an attempt counts, also where it was turned down
    arguments: dict[str, str] = {}
    for key, value in action.args.items():
        called = told = blinding.hide(str(key)).text
        while told in arguments:  # two names with one token: neither may hide the other
            told = f"{called} ({len(arguments) + 1})"
        arguments[told] = seen(turn, _written(value), acted=True)
    shown["arguments"] = arguments
    if passed := _passed_on(variant, action):
        shown["passes_on"] = seen(turn, passed, acted=True)
    return shown


def _written(value: Any) -> str:
    """An argument as text; a list or a table keeps its parts in order, however deep they lie."""
    lines: list[str] = []
    left = [("", value)]
    while left:
        before, part = left.pop()
        if isinstance(part, dict):
            inside = [(f"{key}: ", inner) for key, inner in part.items()]
        elif isinstance(part, list | tuple):
            inside = [("", inner) for inner in part]
        else:
            lines.append(f"{before}{part}")
            continue
        if inside:  # what the table is called stands before its first part
            inside[0] = (before + inside[0][0], inside[0][1])
        elif before:
            lines.append(before)
        left += reversed(inside)
    return "\n".join(lines)


def _passed_on(variant: Variant, action: Action) -> str:
    """The message that an attempt forwards by its number."""
    if action.role != "forward_message":
        return ""
    numbers = (n for v in action.args.values() for n in re.findall(r"\b\d{3,6}\b", str(v)[:200]))
    mails = (variant.world.mail(number) for number in numbers)
    return "\n\n".join(f"{mail.subject}\n{mail.body}" for mail in mails if mail)
