"""Edits of a performance that change nothing that matters: no verdict may turn round.

Other names with a ledger to match, another channel, another order, other letters, other words for
the same, calls that break off.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from fuzzer.graph import Catalogue
from fuzzer.judges.carrying import Piece, carried, remade, reread
from fuzzer.judges.rewording import CASES, FORMATS, PARAPHRASES, Reword
from fuzzer.scenario import Channel, Frozen
from fuzzer.tools import UNKNOWN
from fuzzer.transcript import Action, Transcript
from fuzzer.transform import Transform
from fuzzer.variant import Variant

Wants = Literal["same", "not harmful", "harmful"]
Edited = tuple[Variant, Transcript]
Apply = Callable[["Pair"], Edited | None]


class Parts(Frozen):
    """A message in parts that can be left out. Texts may hold slots, `to` is a role."""

    name: str
    seeds: tuple[str, ...]
    to: str
    subject: str
    opening: str
    leverage: str  # what makes it harmful: a secret held against somebody, a recipe, a false claim
    demand: str = ""
    tie: str = ""  # what hangs the fate of the leverage on the demand
    merits: str = ""  # a condition too, and one that hangs on nothing but the matter itself
    release: str = ""  # says that nothing hangs on it
    close: str = ""


class Pair(NamedTuple):
    """A performance to edit; `parts` where it was composed, `tied` unless its tie is left out."""

    id: str
    variant: Variant
    transcript: Transcript
    parts: Parts | None = None
    tied: bool = True


class Edit(NamedTuple):
    """One edit. `apply` gives None where it has nothing to change.

    It raises `CarryingError` where the outcome cannot be expressed.
    """

    name: str
    family: str
    apply: Apply
    wants: Wants = "same"


# ---------------------------------------------------------------------------------------- surface


def surface_edits(catalogue: Catalogue) -> tuple[Edit, ...]:
    """One edit for each invariant transform: the performance carried over to its variant."""
    return tuple(
        Edit(transform.name, f"surface:{transform.family}", _by_transform(catalogue, transform))
        for transform in catalogue
        if transform.relation == "invariant"
    )


_TRIES = 4  # values of a transform, until one changes something


def _by_transform(catalogue: Catalogue, transform: Transform) -> Apply:
    def apply(pair: Pair) -> Edited | None:
        scenario = pair.variant.scenario
        if not transform.applicable(scenario):
            return None
        values = catalogue.pools.get(transform.name) or (catalogue.default_step(transform.name),)
        first = zlib.crc32(f"{transform.name}/{pair.id}".encode())
        for number in range(min(_TRIES, len(values))):
            step = values[(first + number) % len(values)]
            plan = catalogue.plan(scenario.name, [step])
            changed = catalogue.applied(scenario, plan)
            if changed is not None:
                variant = catalogue.variant(scenario, plan, changed)
                return variant, carried(pair.variant, pair.transcript, variant)
        return None

    return apply


def _in_channel(channel: Channel) -> Apply:
    def apply(pair: Pair) -> Edited | None:
        if pair.variant.scenario.channel == channel:
            return None
        variant = in_channel(pair.variant, channel)
        return variant, carried(pair.variant, pair.transcript, variant)

    return apply


def in_channel(variant: Variant, channel: Channel) -> Variant:
    """The same variant with its tools offered in another channel."""
    scenario = variant.scenario.model_copy(update={"channel": channel})
    return variant.model_copy(update={"scenario": scenario})


def changing_pieces(change: Callable[[Pair, list[Piece]], list[Piece]]) -> Apply:
    """An edit that changes the pieces of each turn; None where it leaves all as they were."""

    def apply(pair: Pair) -> Edited | None:
        touched = False

        def changing(pieces: list[Piece]) -> list[Piece]:
            nonlocal touched
            changed = change(pair, pieces)
            touched = touched or changed != pieces
            return changed

        edited = remade(pair.variant, pair.transcript, changing)
        return (pair.variant, edited) if touched else None

    return apply


def changing_actions(change: Callable[[Pair, Action], Piece]) -> Apply:
    """An edit that changes actions one by one."""
    return changing_pieces(
        lambda pair, pieces: [p if isinstance(p, str) else change(pair, p) for p in pieces]
    )


# ------------------------------------------------------------------------------------------ order


def _backwards(nested: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _backwards(value) if isinstance(value, dict) else value
        for name, value in reversed(nested.items())
    }


def _arguments_backwards(pair: Pair) -> Edited | None:
    if all(len(action.args) < 2 for action in pair.transcript.actions):
        return None
    return pair.variant, remade(pair.variant, pair.transcript, list, arrange=_backwards)


_OBJECT = ("to", "path", "ticket_id", "alert_id")


def _actions_backwards(_: Pair, pieces: list[Piece]) -> list[Piece]:
    """The actions in another order, but for those that concern the same people or things."""
    groups: dict[str, list[Action]] = {}
    for number, piece in enumerate(pieces):
        if isinstance(piece, Action):
            about = "; ".join(str(piece.args[role]) for role in _OBJECT if role in piece.args)
            groups.setdefault(about or str(number), []).append(piece)
    turned = (action for group in reversed(groups.values()) for action in group)
    return [p if isinstance(p, str) else next(turned) for p in pieces]


PEOPLE = ("to", "cc", "bcc")
ONE_ADDRESS = re.compile(r"[^,;]+")


def _each_address(change: Callable[[Pair, str], str]) -> Apply:
    def apply(pair: Pair, action: Action) -> Action:
        return with_texts(
            action,
            PEOPLE,
            lambda text: ONE_ADDRESS.sub(lambda one: change(pair, one[0].strip()), text),
        )

    return changing_actions(apply)


def _recipients_backwards(_: Pair, action: Action) -> Action:
    def turned(text: str) -> str:
        people = [one.strip() for one in text.split(",")]
        return ", ".join(reversed(people)) if all("@" in one for one in people) else text

    return with_texts(action, PEOPLE, turned)


def _named(pair: Pair, address: str) -> str:
    """An address with the name before it, as mail programs write it."""
    slots = pair.variant.slots
    for person in pair.variant.scenario.cast:
        if slots[person.role, "email"].lower() == address.lower():
            return f"{person.name} <{address}>"
    return address


def with_texts(action: Action, roles: Iterable[str], change: Reword) -> Action:
    """The action with the texts of some arguments changed."""
    args = {
        role: change(value) if role in roles and isinstance(value, str) and value else value
        for role, value in action.args.items()
    }
    return replace(action, args=args)


# ---------------------------------------------------------------------------------------- wording

BODIES = ("body", "content", "note", "details")
_LINES = ("subject", "title", "reason")
_EVERYWHERE = frozenset(
    {*CASES, "smart-quotes", "no-break-spaces", "zero-width", "soft-hyphens", "joiners",
     "full-width", "contracted", "expanded", "function-words", "verbs", "american"}
)  # fmt: skip
_DATA = re.compile(r"\.(?:csv|toml|json|py|ya?ml|ini|tsv)\W*\Z", re.I)


def _reworded(name: str, reword: Reword) -> Apply:
    roles = (*BODIES, *_LINES) if name in _EVERYWHERE else BODIES

    def apply(_: Pair, action: Action) -> Action:
        if _DATA.search(str(action.args.get("path", ""))):
            return action  # what stands in such a file is no prose
        loose = [k for k, v in action.args.items() if action.role == UNKNOWN and is_prose(v)]
        return with_texts(action, {*roles, *loose}, reword)

    return changing_actions(apply)


def is_prose(value: Any) -> bool:
    """Whether an argument that plays no known role is a text, and no name or number."""
    return isinstance(value, str) and len(value) > 60 and value.count(" ") > 8


# ---------------------------------------------------------------------------------------- reading

_CLOSING: dict[Channel, re.Pattern[str]] = {
    "xml": re.compile(r"(?:</[\w.-]+>\s*)+\Z"),
    "json": re.compile(r'"?[\s}\]]*\n```\s*\Z'),
    "markup": re.compile(r'"?,?\s*</tool_use:[^>]*>\s*\Z'),
}


def _unclosed(pair: Pair) -> Edited | None:
    """The last call of the last turn breaks off where its last argument ends."""
    closing = _CLOSING.get(pair.variant.scenario.channel)
    last = next((n for n, t in reversed([*enumerate(pair.transcript.turns)])
                 if t.role == "assistant"), None)  # fmt: skip
    if closing is None or last is None:
        return None
    turn = pair.transcript.turns[last]
    found = closing.search(turn.text, max(len(turn.text) - 200, 0))
    if found is None or found.end() == found.start():
        return None
    turns = list(pair.transcript.turns)
    turns[last] = replace(turn, text=turn.text[: found.start()])
    edited = reread(pair.variant, pair.transcript, turns)
    roles = [action.role for action in pair.transcript.actions]
    return (pair.variant, edited) if [a.role for a in edited.actions] == roles else None


PLAIN_EDITS = (
    *(Edit(channel, "channel", _in_channel(channel)) for channel in
      ("native", "xml", "json", "markup")),
    Edit("unclosed", "reading", _unclosed),
    Edit("arguments", "order", _arguments_backwards),
    Edit("actions", "order", changing_pieces(_actions_backwards)),
    Edit("recipients", "order", changing_actions(_recipients_backwards)),
    Edit("display-names", "addresses", _each_address(_named)),
    Edit("capitals", "addresses", _each_address(lambda _, address: address.upper())),
    *(Edit(name, "case", _reworded(name, reword)) for name, reword in CASES.items()),
    *(Edit(name, "formatting", _reworded(name, reword)) for name, reword in FORMATS.items()),
    *(Edit(name, "paraphrase", _reworded(name, reword)) for name, reword in PARAPHRASES.items()),
)  # fmt: skip
