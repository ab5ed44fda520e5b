"""The shapes in which chat datasets come, each with a reader: a row in, a `Chat` out."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple

from pydantic import Field

from fuzzer.augment.chats.messages import (
    Misfit,
    is_turns,
    read_messages,
    read_text,
    read_tools,
    text_of,
)
from fuzzer.augment.rows import Said, Target
from fuzzer.scenario import Frozen

_PROMPTS = ("prompt", "instruction", "question", "query", "input")
_ANSWERS = ("completion", "response", "output", "answer", "chosen")
_SYSTEMS = ("system", "system_prompt")
_TOOLS = ("tools", "functions")


class Chat(Frozen):
    """One chat of a file: its own system prompt and tools apart, everything else as it was."""

    line: int  # of the file, from 1
    target: Target
    system: str = ""
    prompt: tuple[Said, ...]  # without the system prompt; its last turn is the user's
    completion: tuple[Said, ...] = ()
    rejected: tuple[Said, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = Field(default_factory=dict)
    turns: str  # hash of the user's turns


def turns_hash(*spoken: Iterable[Said]) -> str:
    """Hash of all the user's turns in their order (blake2b, hex, 16 bytes)."""
    found = hashlib.blake2b(digest_size=16)
    for messages in spoken:
        for said in messages:
            if said.role == "user":
                turn = said.content.encode()
                found.update(len(turn).to_bytes(8, "big") + turn)
    return found.hexdigest()


class _Parts(NamedTuple):
    """What a shape reads of a row."""

    spoken: Sequence[Said]  # to the end of the answer, or to the user's last turn
    rejected: Sequence[Said] = ()
    columns: tuple[str, ...] = ()  # what it was read from
    aside: Mapping[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class Shape:
    """A way to store chats. `known` looks at the columns only, `parts` reads or raises `Misfit`."""

    title: str
    known: Callable[[Mapping[str, Any]], bool]
    parts: Callable[[Mapping[str, Any]], _Parts]

    def read(self, row: Mapping[str, Any], line: int) -> Chat:
        """The chat in a row. Raises `Misfit`."""
        if not self.known(row):
            columns = ", ".join(ascii(str(key))[:30] for key in list(row)[:8])
            raise Misfit(f"does not have this shape ({self.title}); its columns are {columns}")
        parts = self.parts(row)
        system, spoken = _without_system(parts.spoken)
        own = next((row[key] for key in _SYSTEMS if row.get(key)), None)
        if own is not None:
            system = [text_of(own), *system]
        last = max((n for n, said in enumerate(spoken) if said.role == "user"), default=-1)
        if last < 0:
            raise Misfit("holds no turn of a user")
        prompt, completion = tuple(spoken[: last + 1]), tuple(spoken[last + 1 :])
        if completion and completion[-1].role != "assistant":
            raise Misfit("ends with neither the user nor the assistant")
        rejected = tuple(parts.rejected)
        used = {*parts.columns, *(_SYSTEMS if own is not None else ()), *_TOOLS}
        extra = {key: value for key, value in row.items() if key not in used}
        if parts.aside:
            extra["message_fields"] = parts.aside
        return Chat.of(
            line=line,
            target="preference" if rejected else "sft" if completion else "rl",
            system="\n\n".join(system),
            prompt=prompt,
            completion=completion,
            rejected=rejected,
            tools=read_tools(next((row[key] for key in _TOOLS if row.get(key)), None)),
            extra=extra,
            turns=turns_hash(prompt, completion, rejected),
        )


def _without_system(spoken: Sequence[Said]) -> tuple[list[str], Sequence[Said]]:
    leading = list(takewhile(lambda said: said.role == "system", spoken))
    return [said.content for said in leading], spoken[len(leading) :]


# -------------------------------------------------------------------------------- conversations


def _conversation(column: str, row: Mapping[str, Any]) -> _Parts:
    told = read_messages(row[column], column)
    if row.get("chosen") is None or row.get("rejected") is None:
        return _Parts(told.said, columns=(column,), aside=told.aside)
    if told.said[-1].role != "user":
        raise Misfit(f"has {column!r}, 'chosen' and 'rejected', but the first has an answer too")
    chosen, rejected = _answer(row["chosen"], "chosen"), _answer(row["rejected"], "rejected")
    columns = (column, "chosen", "rejected")
    return _Parts([*told.said, *chosen], rejected, columns, told.aside)


def _openai_preference(row: Mapping[str, Any]) -> _Parts:
    given = row["input"]
    told = read_messages(given["messages"], "input.messages")
    if read_tools(given.get("tools")):
        raise Misfit("has tools inside 'input'; move them to a column 'tools'")
    chosen = _answer(row["preferred_output"], "preferred_output")
    rejected = _answer(row["non_preferred_output"], "non_preferred_output")
    columns = ("input", "preferred_output", "non_preferred_output")
    return _Parts([*told.said, *chosen], rejected, columns, told.aside)


def _answer(value: Any, column: str) -> list[Said]:
    """What an assistant says, as a text, a message or a list of them."""
    if isinstance(value, str):
        return [Said.of(role="assistant", content=value)]
    said = read_messages([value] if isinstance(value, dict) else value, column).said
    if any(one.role == "user" for one in said) or said[-1].role != "assistant":
        raise Misfit(f"has {column!r} that is no answer of the assistant")
    return said


# --------------------------------------------------------------------------- prompts and answers


def _pair(asked: str, answered: str, row: Mapping[str, Any]) -> _Parts:
    before, columns = _asked(asked, row)
    columns = (*columns, answered)
    chosen = row[answered]
    if answered == "chosen" and row.get("rejected") is not None:
        columns = (*columns, "rejected")
        first = _completed(before, chosen, "chosen")
        other = _completed(before, row["rejected"], "rejected")
        return _Parts([*before, *first], other, columns)
    return _Parts([*before, *_completed(before, chosen, answered)], columns=columns)


def _asked(asked: str, row: Mapping[str, Any]) -> tuple[list[Said], tuple[str, ...]]:
    value = row[asked]
    if is_turns(value):
        return read_text(value), (asked,)
    if not isinstance(value, str):
        return read_messages(value, asked).said, (asked,)
    columns: tuple[str, ...] = (asked,)
    said = []
    if asked == "instruction":
        columns = ("instruction", "input", "history")
        for turn in row.get("history") or ():
            if not (isinstance(turn, list) and len(turn) == 2):
                raise Misfit("has a 'history' that is no list of pairs")
            said.append(Said.of(role="user", content=text_of(turn[0])))
            said.append(Said.of(role="assistant", content=text_of(turn[1])))
        if more := row.get("input"):
            value = f"{value}\n{text_of(more)}"
    return [*said, Said.of(role="user", content=value)], columns


def _completed(before: Sequence[Said], value: Any, column: str) -> list[Said]:
    """The answer alone, also where the column repeats the prompt before it."""
    if not isinstance(value, list):
        return _answer(value, column)
    said = read_messages(value, column).said
    if said[: len(before)] == list(before):
        said = said[len(before) :]
    if not said or said[-1].role != "assistant" or any(one.role == "user" for one in said):
        raise Misfit(f"has {column!r} that does not go on from its prompt")
    return said


# ------------------------------------------------------------------------------- implicit prompts


def _implicit(row: Mapping[str, Any]) -> _Parts:
    """`chosen` and `rejected` as whole conversations: what they share is the prompt."""
    chosen = _whole(row["chosen"], "chosen")
    if row.get("rejected") is None:
        return _Parts(chosen, columns=("chosen", "rejected"))
    rejected = _whole(row["rejected"], "rejected")
    pairs = zip(chosen, rejected, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    while shared and chosen[shared - 1].role != "user":
        shared -= 1
    rest = [*chosen[shared:], *rejected[shared:]]
    if not shared or any(said.role == "user" for said in rest):
        raise Misfit("has 'chosen' and 'rejected' that part before the user's last turn")
    for name, said in (("chosen", chosen), ("rejected", rejected)):
        if said[-1].role != "assistant":
            raise Misfit(f"has {name!r} without an answer")
    return _Parts(chosen, rejected[shared:], ("chosen", "rejected"))


def _whole(value: Any, column: str) -> list[Said]:
    if is_turns(value):
        return read_text(value)
    if isinstance(value, str):
        raise Misfit(f'has {column!r} that does not begin with "\\n\\nHuman:"')
    return read_messages(value, column).said


# ---------------------------------------------------------------------------------------- known


def _has(*columns: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: all(row.get(column) is not None for column in columns)


def _lists(column: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: isinstance(row.get(column), list)


def _shapes() -> tuple[Shape, ...]:
    found = [
        Shape(
            "OpenAI preferences: input.messages, preferred_output, non_preferred_output",
            lambda row: isinstance(row.get("input"), dict) and "preferred_output" in row,
            _openai_preference,
        ),
        Shape(
            "messages with roles: messages", _lists("messages"), partial(_conversation, "messages")
        ),
    ]
    found += [
        Shape(f"ShareGPT: {column}", _lists(column), partial(_conversation, column))
        for column in ("conversations", "conversation")
    ]
    for asked in _PROMPTS:
        for answered in _ANSWERS:
            known = _has(asked, answered)
            title = f"prompts and answers: {asked}, {answered}"
            if asked == "instruction":
                title = f"Alpaca: instruction, input, {answered}"
            if answered == "chosen":
                title = f"preferences: {asked}, chosen, rejected"
            found.append(Shape(title, known, partial(_pair, asked, answered)))
    found.append(
        Shape(
            "conversations of which one is preferred: chosen, rejected",
            lambda row: row.get("prompt") is None and row.get("chosen") is not None,
            _implicit,
        )
    )
    found += [
        Shape(f"prompts alone: {asked}", _has(asked), partial(_prompt_alone, asked))
        for asked in _PROMPTS[:-1]
    ]
    return tuple(found)


def _prompt_alone(asked: str, row: Mapping[str, Any]) -> _Parts:
    said, columns = _asked(asked, row)
    return _Parts(said, columns=columns)


SHAPES = _shapes()
