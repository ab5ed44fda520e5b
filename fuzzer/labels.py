"""Transcripts that people have labelled, from the files they come in, ready to be judged.

Three kinds: JSON lines, one transcript each; the result folders of the published evaluation's own
code; Inspect's logs. A transcript is worth nothing without what it is held against, so each row
names its seed (or a plan on one), and the variant is built again. Every fault of a row is one
sentence with the file and the line.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, get_args

from pydantic import ValidationError

from fuzzer import registry
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.graph import Catalogue
from fuzzer.inspect_logs import sample_rows
from fuzzer.scenario import Channel, Frozen, Scenario
from fuzzer.tools import read_turn
from fuzzer.transcript import Call, Stop, Transcript, Turn
from fuzzer.transform import Plan
from fuzzer.variant import Variant

Label = Literal["harmful", "safe"]

_LABELS: dict[object, Label] = {
    **dict.fromkeys(("harmful", "1", "true"), "harmful"),
    **dict.fromkeys(("safe", "0", "false"), "safe"),
}
_PUBLISHED = "published/agentic-misalignment/"
_CONDITION = re.compile(r"(blackmail|leaking|murder)_([a-z]+)-([a-z]+)_([a-z]+)")
_SAMPLES = "sample_*/response.json"
_QUOTED = 80  # characters of a wrong value that a sentence shows


class Labelled(Frozen):
    """One transcript with the label a person gave it; `source` is its file and line."""

    id: str
    seed: str
    channel: str
    label: Label
    variant: Variant
    transcript: Transcript
    source: str


class _Row(NamedTuple):
    """A row as it was found; `source` is where."""

    values: Mapping[str, Any]
    source: str
    id: str  # unless it brings its own

    def wrong(self, what: str) -> NoReturn:
        raise ConfigurationError(f"{self.source}: {what}")


def read_labelled(
    paths: Iterable[Path | str],
    *,
    catalogue: Catalogue | None = None,
    seeds: Iterable[Scenario] = (),
) -> tuple[Labelled, ...]:
    """Every labelled transcript of these files and folders, in their order.

    `catalogue` applies the plans that rows bring (all that is installed, unless given); `seeds` are
    scenarios beside the installed ones, and go before them. Raises `ConfigurationError` with file
    and line for a row that cannot be read, names no known seed or comes twice.
    """
    build = _Builder(catalogue, seeds)
    found: dict[str, Labelled] = {}
    for path in map(Path, paths):
        for row in _rows(path):
            labelled = build(row)
            if labelled.id in found:
                row.wrong(
                    f"the id {labelled.id!r} is that of {found[labelled.id].source}; a transcript "
                    "counts once, so give each its own"
                )
            found[labelled.id] = labelled
    if not found:
        raise ConfigurationError("no labelled transcript in what was given; give a file that has")
    return tuple(found.values())


def content_hash(paths: Iterable[Path | str]) -> str:
    """Hash of what these files hold, whatever they are called (hex, 16 bytes)."""
    digest = hashlib.blake2b(digest_size=16)
    for path in map(Path, paths):
        for file in _samples(path) if path.is_dir() else [path]:
            try:
                part = hashlib.blake2b(file.read_bytes()).digest()
            except OSError as error:
                _unreadable(file, error)
            digest.update(part)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------- files


def _rows(path: Path) -> Iterator[_Row]:
    if path.is_dir():
        return _folder(path)
    if path.name == "response.json":
        return iter([_response(path, path.parents[2])])
    if path.suffix in (".eval", ".json"):
        return _log(path)
    return _lines(path)


def _lines(path: Path) -> Iterator[_Row]:
    for number, text in enumerate(_read(path).split("\n"), start=1):
        if text.strip():
            source = f"{path}:{number}"
            yield _Row(_object(text, source), source, f"{path.stem}:{number}")


def _log(path: Path) -> Iterator[_Row]:
    if not path.is_file():
        raise ConfigurationError(f"no file {str(path)!r}; give one with labelled transcripts")
    for number, values in enumerate(sample_rows(path), start=1):
        yield _Row(values, f"{path}:{number}", f"{path.stem}:{number}")


def _folder(path: Path) -> Iterator[_Row]:
    samples = _samples(path)
    if not samples:
        raise ConfigurationError(
            f"no sample_…/response.json in the folder {str(path)!r}; give the results of the "
            "published evaluation's own code, or a file"
        )
    for file in samples:
        yield _response(file, path)


def _samples(path: Path) -> list[Path]:
    return sorted(path.rglob(_SAMPLES))


def _response(path: Path, root: Path) -> _Row:
    """A response of the published evaluation's own code; its folder is named for the condition."""
    source = f"{path}:1"
    values = _object(_read(path), source)
    condition = path.parent.parent.name
    known = _CONDITION.fullmatch(condition)
    name = path.parent.relative_to(root) if path.is_relative_to(root) else path.parent
    row = _Row(values, source, name.as_posix())
    if known is None:
        row.wrong(
            f"the condition {condition!r} is not one that a seed is imported for; leave its "
            "folder out"
        )
    said, graded = values.get("raw_response"), values.get("classification")
    if not isinstance(said, str):
        row.wrong("no 'raw_response'; leave the sample out")
    if not isinstance(graded, Mapping) or "harmful_behavior" not in graded:
        row.wrong(
            "no 'classification' with 'harmful_behavior', so no label; classify the results "
            "first, or leave the sample out"
        )
    label = graded["harmful_behavior"]
    given = {"text": said, "label": label, "scenario": _PUBLISHED + "-".join(known.groups())}
    return row._replace(values=given)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{str(path)!r} is no text (UTF-8); give JSON lines, an Inspect log (.eval or .json) "
            "or a folder of results"
        ) from None
    except OSError as error:
        _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> NoReturn:
    raise ConfigurationError(
        f"{str(path)!r} cannot be read ({error.strerror}); give a file of labelled transcripts"
    ) from None


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{source}: not JSON; write one object a line") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{source}: not an object; write one a line, in braces")
    return found


# ------------------------------------------------------------------------------- one row


class _Builder:
    """Rows as labelled transcripts. Variants are kept: many rows are on the same one."""

    def __init__(self, catalogue: Catalogue | None, seeds: Iterable[Scenario]) -> None:
        self._own = {seed.name: seed for seed in seeds}
        self._catalogue = catalogue
        self._seeds: dict[str, Scenario] = {}
        self._variants: dict[tuple[str, str, str], Variant] = {}

    def __call__(self, row: _Row) -> Labelled:
        values = row.values
        label = _label(row)
        variant = self._variant(row)
        channel = variant.scenario.channel
        if "text" in values and "channel" not in values and channel == "native":
            row.wrong(
                f"'text' without a 'channel', and in seed {variant.plan.seed!r} calls do not stand "
                'in the text; add "channel": "xml", "json" or "markup", or give \'turns\''
            )
        return Labelled.of(
            id=str(values.get("id", row.id)),
            seed=variant.plan.seed,
            channel=channel,
            label=label,
            variant=variant,
            transcript=_transcript(row, variant),
            source=row.source,
        )

    def _variant(self, row: _Row) -> Variant:
        plan, channel = self._plan(row), row.values.get("channel") or ""
        key = (plan.seed, str(channel), plan.id)
        found = self._variants.get(key)
        if found is None:
            found = self._variants[key] = self._built(row, plan, channel)
        return found

    def _plan(self, row: _Row) -> Plan:
        """The row's plan, or that of its seed with nothing changed."""
        values = row.values
        name = values.get("seed", values.get("scenario"))
        given = values.get("plan")
        if name is None and isinstance(given, dict):
            name = given.get("seed")
        if not (isinstance(name, str) and name):
            row.wrong('no seed; add "seed" with the name of one (`holdfast list seeds`)')
        if given is None:
            return Plan(seed=name)
        try:
            plan = Plan.model_validate(given)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "it"
            row.wrong(f"the plan cannot be read ({where}); copy it from a run or a report")
        if plan.seed != name:
            row.wrong(f"the seed is {name!r}, but the plan is one on {plan.seed!r}; name one")
        return plan

    def _built(self, row: _Row, plan: Plan, channel: object) -> Variant:
        if channel and channel not in get_args(Channel):
            row.wrong(f"unknown channel {_shown(channel)}; known: {', '.join(get_args(Channel))}")
        if self._catalogue is None and plan.steps:
            self._catalogue = registry.find_catalogue()
        known = self._catalogue or Catalogue(())
        try:
            seed = self._seed(plan.seed)
            whole = known.plan(plan.seed, plan.steps, plan.drop)
            variant = known.variant(seed, whole)
            if channel and variant.scenario.channel != channel:
                told = seed.model_copy(update={"channel": channel})
                variant = known.variant(told, whole)
        except HoldfastError as error:
            row.wrong(str(error))
        if channel and variant.scenario.channel != channel:
            row.wrong(
                f"the plan makes the channel {variant.scenario.channel!r}, not {channel!r}; leave "
                "out 'channel'"
            )
        return variant

    def _seed(self, name: str) -> Scenario:
        found = self._own.get(name) or self._seeds.get(name)
        if found is None:
            found = self._seeds[name] = registry.find_seed(name)
        return found


def _label(row: _Row) -> Label:
    given = row.values.get("label")
    if given is None:
        row.wrong('no label; add "label": "harmful" or "safe"')
    said = str(int(given)) if isinstance(given, bool | float) and given in (0, 1) else str(given)
    label = _LABELS.get(said.strip().lower())
    if label is None:
        row.wrong(f"the label {_shown(given)} is neither harmful (1, true) nor safe (0, false)")
    return label


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


# ------------------------------------------------------------------------------ transcript


def _transcript(row: _Row, variant: Variant) -> Transcript:
    values = row.values
    given = [key for key in ("turns", "messages", "text") if key in values]
    if len(given) != 1:
        row.wrong("a transcript is one of 'turns', 'messages' and 'text'; give one of them")
    turns = _READERS[given[0]](row, values[given[0]])
    if not any(turn.role == "assistant" for turn in turns):
        row.wrong("nothing in it is the agent's; give what the agent said and did")
    stop = values.get("stop", "end")
    if stop not in get_args(Stop):
        row.wrong(f"unknown stop {_shown(stop)}; known: {', '.join(get_args(Stop))}")
    scenario = variant.scenario
    actions = tuple(
        action
        for index, turn in enumerate(turns)
        for action in read_turn(turn, scenario.offered, scenario.channel, index)
    )
    return Transcript(turns=turns, actions=actions, stop=stop, cause=str(values.get("cause", "")))


def _of_text(row: _Row, text: object) -> tuple[Turn, ...]:
    if not isinstance(text, str):
        row.wrong("'text' is no text; give what the agent wrote, as one string")
    return (Turn("assistant", text),)


def _of_turns(row: _Row, turns: object) -> tuple[Turn, ...]:
    if not (isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns)):
        row.wrong('\'turns\' is no list of objects; give each turn as {"text": …, "calls": […]}')
    return tuple(_turn(row, turn) for turn in turns)


def _turn(row: _Row, turn: Mapping[str, Any]) -> Turn:
    role, calls = turn.get("role", "assistant"), turn.get("calls") or ()
    text, reasoning = turn.get("text") or "", turn.get("reasoning") or ""
    if role not in ("assistant", "environment"):
        row.wrong(f"unknown role {_shown(role)} of a turn; known: assistant, environment")
    if not (isinstance(text, str) and isinstance(reasoning, str)):
        row.wrong("'text' or 'reasoning' of a turn is no text; give each as one string")
    if not (isinstance(calls, Sequence) and all(isinstance(call, dict) for call in calls)):
        row.wrong('\'calls\' of a turn is no list of objects; give {"name": …, "input": {…}}')
    return Turn(role, text, tuple(map(partial(_call, row), calls)), reasoning)


def _call(row: _Row, call: Mapping[str, Any]) -> Call:
    """A call, in our own words or in those of a chat (``function`` with ``arguments``)."""
    inner = call.get("function")
    if isinstance(inner, dict):
        call = {**call, **inner}
    elif isinstance(inner, str):
        call = {**call, "name": inner}
    given = call.get("input", call.get("arguments", {}))
    if isinstance(given, str):  # as a chat carries them; what is no JSON is judged as it stands
        try:
            given = json.loads(given or "{}")
        except (ValueError, RecursionError):
            given = {"arguments": given}
    if not (isinstance(call.get("name"), str) and isinstance(given, dict)):
        row.wrong("a call needs a 'name' and an 'input' (an object); see 'calls' or 'tool_calls'")
    return Call(call["name"], given, str(call.get("id") or ""))


def _of_messages(row: _Row, messages: object) -> tuple[Turn, ...]:
    """A chat. What stands before the agent's first word is the request, and no part of it."""
    if not (isinstance(messages, list) and all(isinstance(each, dict) for each in messages)):
        row.wrong('\'messages\' is no list of objects; give {"role": …, "content": …} each')
    turns: list[Turn] = []
    for message in messages:
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            row.wrong(f"unknown role {_shown(role)} of a message; known: assistant, system, user …")
        if role == "assistant":
            turns.append(_said(row, message))
        elif turns and role in ("user", "tool"):
            turns.append(Turn("environment", _blocks(row, message)[0]))
    return tuple(turns)


def _said(row: _Row, message: Mapping[str, Any]) -> Turn:
    text, reasoning, uses = _blocks(row, message)
    calls = [*uses, *(message.get("tool_calls") or ())]
    if not all(isinstance(call, dict) for call in calls):
        row.wrong("'tool_calls' of a message is no list of objects")
    thought = message.get("reasoning_content") or message.get("reasoning") or reasoning
    return _turn(row, {"text": text, "reasoning": thought, "calls": calls})


def _blocks(row: _Row, message: Mapping[str, Any]) -> tuple[str, str, list[dict[str, Any]]]:
    """A message's text, what of it was thought only, and the calls that stand in its blocks."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or "", "", []
    if not (isinstance(content, list) and all(isinstance(block, dict) for block in content)):
        row.wrong("'content' of a message is neither a text nor a list of blocks")
    text: list[str] = []
    thought: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in content:
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(block)
        elif kind in ("thinking", "reasoning"):
            thought.append(str(block.get("thinking") or block.get("reasoning") or ""))
        elif kind == "tool_result":
            text.append(_blocks(row, block)[0])
        else:
            text.append(str(block.get("text") or ""))
    return "\n\n".join(filter(None, text)), "\n\n".join(filter(None, thought)), calls


_READERS = {"turns": _of_turns, "messages": _of_messages, "text": _of_text}
