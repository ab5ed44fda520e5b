"""One performance told again: in another variant's terms, or in the same with something changed.

A turn is taken apart into what was said and the actions in it, in order, and written anew. Actions
go by role through the other variant's tools, argument paths and channel; names, addresses, tools,
message numbers and times that the texts mention become the other's. What no role explains stays as
it was written. What cannot be told is a `CarryingError`, and never left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from fuzzer.environment import act
from fuzzer.errors import CarryingError
from fuzzer.scenario import Tool
from fuzzer.tools import UNKNOWN, arguments, read_turn, write_input
from fuzzer.transcript import Action, Transcript, Turn
from fuzzer.variant import Variant, join_turns, message_number

Piece = str | Action
Change = Callable[[list[Piece]], list[Piece]]
Arrange = Callable[[dict[str, Any]], dict[str, Any]]


def carried(source: Variant, transcript: Transcript, to: Variant) -> Transcript:
    """The same performance in another variant's surface and channel.

    Raises `CarryingError` where something has no counterpart there: a tool that is not offered, an
    argument its schema lacks, a text that the other channel would read as a call.
    """
    rename = renaming(source, to)
    return remade(source, transcript, lambda pieces: [_renamed(p, rename) for p in pieces], to=to)


def remade(
    source: Variant,
    transcript: Transcript,
    change: Change,
    *,
    to: Variant | None = None,
    arrange: Arrange = dict,
) -> Transcript:
    """A transcript with the pieces of each turn changed, written as `to` wants it.

    `to` is the variant itself if none is given; `arrange` puts each call's input in order. Answers
    of the environment are given anew. Raises `CarryingError` as `carried` does.
    """
    target = to or source
    rename = renaming(source, target)
    turns: list[Turn] = []
    actions: list[Action] = []
    world = target.world
    answered = _answered(transcript)
    serial = 0
    for index, turn in enumerate(transcript.turns):
        if turn.role != "assistant":
            if not answered:
                turns.append(replace(turn, text=rename(turn.text)))
            continue
        pieces = change(pieces_of(source, turn, index))
        written = _written(pieces, source, target, arrange, serial)
        written = replace(
            written, reasoning=rename(turn.reasoning), reasoning_shown=turn.reasoning_shown
        )
        done = read_turn(written, target.scenario.offered, target.scenario.channel, len(turns))
        _check(pieces, done)
        serial += len(done)
        turns.append(written)
        actions += done
        for action in done if answered else ():
            world, answer = act(world, action)
            turns.append(Turn("environment", answer))
    return transcript.model_copy(update={"turns": tuple(turns), "actions": tuple(actions)})


def _answered(transcript: Transcript) -> bool:
    """Whether the environment gave every action its answer, each in a turn of its own."""
    answers = sum(turn.role == "environment" for turn in transcript.turns)
    return answers == len(transcript.actions)


# ------------------------------------------------------------------------------------ taking apart

_FENCE_BEFORE = re.compile(r"```\w{0,20}[ \t]*\n?\Z")
_FENCE_AFTER = re.compile(r"[ \t]*\n?```[ \t]*")


def pieces_of(variant: Variant, turn: Turn, index: int = 0) -> list[Piece]:
    """What was said in a turn and the actions in it, in order; native calls come last."""
    scenario = variant.scenario
    actions = read_turn(turn, scenario.offered, scenario.channel, index)
    told = sorted((a for a in actions if a.span[1] >= 0), key=lambda a: a.span[1])
    pieces: list[Piece] = []
    end = 0
    for action in told:
        said = turn.text[end : action.span[1]]
        end = action.span[2]
        if (opened := _FENCE_BEFORE.search(said, max(len(said) - 40, 0))) is not None:
            said = said[: opened.start()]
            if (closed := _FENCE_AFTER.match(turn.text, end)) is not None:
                end = closed.end()
        pieces += [said, action]
    pieces.append(turn.text[end:])
    pieces += [a for a in actions if a.span[1] < 0]
    return [piece for piece in pieces if piece != ""]


def _written(
    pieces: Iterable[Piece], source: Variant, to: Variant, arrange: Arrange, serial: int
) -> Turn:
    """The pieces as one turn in the target's channel."""
    native = to.scenario.channel == "native"
    text = ""
    calls: list[Turn] = []
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        tool, nested = _expressed(piece, source, to)
        call = write_input(tool, arrange(nested), to.scenario.channel, serial + len(calls))
        calls.append(call)
        if not native:
            apart = "\n\n" if text.strip() and not text.endswith("\n") else ""
            text += f"{apart}{call.text}"
    return join_turns(text.strip() if native else text, calls if native else ())


def _check(pieces: Iterable[Piece], done: tuple[Action, ...]) -> None:
    wanted = [piece.role for piece in pieces if isinstance(piece, Action)]
    found = [action.role for action in done]
    # A tool that means nothing to the dilemma may be one that nobody offers there.
    same = (a == b or (a, b) == ("unrelated", UNKNOWN) for a, b in zip(wanted, found, strict=False))
    if len(wanted) != len(found) or not all(same):
        raise CarryingError(f"{wanted} would be read as {found}; leave this pair out")


# -------------------------------------------------------------------------------------- an action


def _expressed(action: Action, source: Variant, to: Variant) -> tuple[Tool, dict[str, Any]]:
    """The tool and the input that say the same in the target's terms."""
    offered = to.scenario.offered
    tool = source.scenario.offered.get(action.raw_name)
    if tool is None or tool.role != action.role or action.role == UNKNOWN:
        return _unexplained(action, to)
    if source is to:
        other: Tool | None = tool
    elif tool.role == "unrelated":
        same = offered.get(tool.name)
        other = same if same and same.role == "unrelated" else to.scenario.tool("unrelated")
        if other is None:
            return _unexplained(action, to)
    else:
        other = to.scenario.tool(tool.role)
    if other is None:
        raise CarryingError(f"nothing offered plays {tool.role!r}; leave this pair out")
    return other, _input(action, tool, other)


def _unexplained(action: Action, to: Variant) -> tuple[Tool, dict[str, Any]]:
    """A call to a tool that nobody offers, as it was written."""
    if action.raw_name in to.scenario.offered:
        raise CarryingError(f"{action.raw_name!r} means something else there; leave this pair out")
    nested: dict[str, Any] = {}
    for path, value in action.args.items():
        _place(nested, path, value)
    return Tool(name=action.raw_name, role=UNKNOWN, description=""), nested


def _input(action: Action, tool: Tool, other: Tool) -> dict[str, Any]:
    roles = {param.role: param for param in tool.params if param.role}
    known = {role: value for role, value in action.args.items() if role in roles}
    if "subject" in known and other.param("subject") is None and "body" in known:
        subject = known.pop("subject")  # a chat has none: it is said first
        known["body"] = f"{subject}\n\n{known['body']}"
    for role in known:
        if other.param(role) is None:
            raise CarryingError(f"{other.name!r} has no place for {role!r}; leave this pair out")
    nested = arguments(other, known)
    for param in other.params:
        if param.role in roles and param.role not in known:
            _remove(nested, param.path)  # it was left out, and is left out here
    wanted = {param.path for param in other.params if param.required and param.role not in known}
    for path, value in action.args.items():
        if path in roles:
            continue
        where = _counterpart(path, tool, other)
        if tuple(where.split(".")) in wanted:
            _remove(nested, tuple(where.split(".")))  # what stands there is only a filler
        _place(nested, where, value)
    return nested


def _counterpart(path: str, tool: Tool, other: Tool) -> str:
    """Where an argument that plays no role stands in the other tool; as it is if nowhere."""
    if tool is other or all(".".join(param.path) != path for param in tool.params):
        return path
    name = path.rpartition(".")[2]
    found = (p for p in other.params if p.role is None and p.path[-1] == name)
    return next((".".join(param.path) for param in found), path)


def _place(nested: dict[str, Any], path: str, value: Any) -> None:
    """Put an argument under its dotted path, beside what stands there already."""
    *outer, name = [re.sub(r"[^\w.-]", "_", part) or "_" for part in path.split(".")]
    for part in outer:
        inner = nested.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = nested.setdefault(f"{part}_2", {})
        nested = inner
    while name in nested:
        name += "_2"
    nested[name] = value


def _remove(nested: dict[str, Any], path: tuple[str, ...]) -> None:
    inner: Any = nested
    for name in path[:-1]:
        inner = inner.get(name, {})
    inner.pop(path[-1], None)
    if len(path) > 1 and not inner:
        _remove(nested, path[:-1])


def _renamed(piece: Piece, rename: Callable[[str], str]) -> Piece:
    if isinstance(piece, str):
        return rename(piece)
    args = {k: rename(v) if isinstance(v, str) else v for k, v in piece.args.items()}
    return replace(piece, args=args)


# ---------------------------------------------------------------------------------------- renaming

_WORD = re.compile(r"[^\W\d_][\w-]*")
_MAILBOX = re.compile(r"[\w.+-]+@[\w.-]+")


class Renaming:
    """Rewrites the surface of one variant as another's: names, addresses, tools, numbers, times.

    Whole words only, longest first, so that a full name is not taken apart by the first name in
    it. A name in capitals stays in capitals. One in lower case is renamed too, unless the source's
    own texts use that word in lower case: then it may be just that word.
    """

    def __init__(self, source: Variant, to: Variant) -> None:
        self._table = dict(_surface(source, to))
        names = sorted(self._table, key=lambda name: (-len(name), name))
        changed = any(old != new for old, new in self._table.items())
        pattern = "|".join(map(re.escape, names))
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I) if changed else None
        self._folded = {old.casefold(): new for old, new in self._table.items()}
        said = _MAILBOX.sub(" ", source.request.text) if changed else ""
        self._words = frozenset(word for word in _WORD.findall(said) if word.islower())

    def __call__(self, text: str) -> str:
        """The text with the source's surface replaced."""
        return text if self._pattern is None else self._pattern.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        old = found[0]
        if (exact := self._table.get(old)) is not None:
            return exact
        new = self._folded.get(old.casefold(), old)
        if "@" in new or "." in new:
            return new  # addresses and domains are the same in any case
        if old.isupper():
            return new.upper()
        if old.islower():
            return old if old in self._words else new.lower()
        return new


def renaming(source: Variant, to: Variant) -> Callable[[str], str]:
    """What rewrites the texts of one variant as another's."""
    return str if source is to else Renaming(source, to)


_PERSON = ("name", "first", "last", "nick", "email", "title")
_ORGANISATION = ("name", "short", "domain", "city", "ticker")


def _surface(source: Variant, to: Variant) -> Iterator[tuple[str, str]]:
    """Each name of the source with its counterpart; of two that are the same, the first."""
    taken: set[str] = set()
    for old, new in _counterparts(source, to):
        if len(old) > 1 and new and old.casefold() not in taken:
            taken.add(old.casefold())
            yield old, new


def _handles(variant: Variant, role: str) -> tuple[str, ...]:
    """How a system may write somebody: IQUARRINGTON, ImeldaQuarrington; nothing without both."""
    first, last = variant.slots[role, "first"], variant.slots[role, "last"]
    return (f"{first[:1]}{last}", f"{first}{last}") if first and last else ("", "")


def _counterparts(source: Variant, to: Variant) -> Iterator[tuple[str, str]]:
    people = {person.role for person in to.scenario.cast}
    organisations = {o.role for o in to.scenario.organisation}
    for person in source.scenario.cast:
        if person.role in people:
            for name in _PERSON:
                old = source.slots[person.role, name]
                if name != "title" or " " in old:  # a title of one word is a word
                    yield old, to.slots[person.role, name]
            yield from zip(_handles(source, person.role), _handles(to, person.role), strict=True)
    for organisation in source.scenario.organisation:
        if organisation.role in organisations:
            for name in _ORGANISATION:
                if name == "city" and not (
                    organisation.city and to.scenario.organisation_of(organisation.role).city
                ):
                    continue
                yield source.slots[organisation.role, name], to.slots[organisation.role, name]
    for tool in source.scenario.tools:
        other = to.scenario.tool(tool.role) if tool.role != "unrelated" else None
        if other is not None and tool is source.scenario.tool(tool.role) and "_" in tool.name:
            yield tool.name, other.name
    for message in source.scenario.inbox:
        same = next((m for m in to.scenario.inbox if m.id == message.id), None)
        if same is not None:
            yield (
                message.number or message_number(message.id),
                same.number or message_number(same.id),
            )
    for name in ("deadline", "time", "date"):
        yield source.slots["clock", name], to.slots["clock", name]


def reread(variant: Variant, transcript: Transcript, turns: Iterable[Turn]) -> Transcript:
    """A transcript with other turns, and the actions that they show."""
    turns = tuple(turns)
    actions = tuple(
        action
        for index, turn in enumerate(turns)
        for action in read_turn(turn, variant.scenario.offered, variant.scenario.channel, index)
    )
    return transcript.model_copy(update={"turns": turns, "actions": actions})
