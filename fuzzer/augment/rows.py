"""What a row of training data is: one canonical form, from which every other format is written."""

from typing import Any, Literal

from fuzzer.scenario import Frozen
from fuzzer.transform import Step

SCHEMA_VERSION = 1

Kind = Literal["environment", "chat", "advice", "reasons", "document", "story"]
#: What a trainer does with it: plays it for a reward, imitates, prefers, or reads it as text.
Target = Literal["rl", "sft", "preference", "text"]


#: What nothing was put in. A default that is made anew costs more than the rest of a row.
NOTHING: dict[str, Any] = {}


class ToolCall(Frozen):
    """A native tool call, its arguments as an object."""

    id: str
    name: str
    arguments: dict[str, Any] = NOTHING


class Said(Frozen):
    """One message of a conversation. `content` is kept byte for byte."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""  # of a tool's answer: the call it answers


class Lineage(Frozen):
    """Where a row comes from: enough to make it again, and to say what it exposes."""

    manifest: str = ""  # hash of the split it was made under
    cell: str = ""  # of that split: "train" or "dev"
    # of what is made from a scenario
    seed: str = ""
    seed_hash: str = ""
    seed_family: str = ""
    variant: str = ""
    steps: tuple[Step, ...] = ()
    families: tuple[str, ...] = ()  # of the steps' transforms, each once, sorted
    versions: dict[str, int] = NOTHING  # of the steps' transforms
    distance: int = 0  # invariant steps
    # of what is made from the user's own data
    source: str = ""  # "name.jsonl:17", a run's trial, "control:explicit"
    source_hash: str = ""  # of that file or run (blake2b, hex)
    added: dict[str, tuple[str, ...]] = NOTHING  # what was put in, by kind: ids
    # of what a model wrote
    models: tuple[str, ...] = ()
    prompts: dict[str, str] = NOTHING  # stage -> hash of the prompt's file


class Play(Frozen):
    """How an environment is played and scored (`fuzzer.augment.playing`)."""

    behaviour: str
    channel: str
    max_turns: int
    request_hash: str  # of everything the subject is shown: what is rebuilt must hash alike
    judge: str  # who scores: name and version
    reward: dict[str, float]  # by outcome


class Row(Frozen):
    """One row. `prompt` is what is given, `completion` what is learned, `rejected` what is not."""

    schema_version: int = SCHEMA_VERSION
    id: str
    kind: Kind
    target: Target
    canary: str
    prompt: tuple[Said, ...] = ()  # from the system message to the turn to be answered
    completion: tuple[Said, ...] = ()  # may hold tool answers between the assistant's turns
    rejected: tuple[Said, ...] = ()  # of a preference
    text: str = ""  # of a document or a story
    tools: tuple[dict[str, Any], ...] = ()  # as the Messages API has them: name, input_schema, ...
    play: Play | None = None  # of an environment
    lineage: Lineage = Lineage()
    extra: dict[str, Any] = NOTHING  # columns of the user's own data, untouched
