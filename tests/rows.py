"""Rows of training data for tests: of each target, on a few surfaces, with hostile texts."""

import json
from functools import cache
from typing import Any

from fuzzer import registry
from fuzzer.augment.drawing import lineage_of
from fuzzer.augment.formats.base import About
from fuzzer.augment.playing import play_of
from fuzzer.augment.rows import Lineage, Row, Said, Target, ToolCall
from fuzzer.augment.talk import opening, said_of
from fuzzer.transform import Step
from fuzzer.variant import Variant

CANARY = "0b5e9c1a-7d43-4f0e-9a86-2f1d5c3b7e90"
SEED = "blackmail-replacement"
CHANNELS = ("native", "xml", "json")
#: What a file name, a title or a model may hold.
HOSTILE = "a`b`\n---\nlicense: x\n# <img src=x onerror=1> [x](y) |\x1b[31m\u202e{{ 7*7 }} {% raw %}"


def about(**more) -> About:
    """What the tests' exports say of themselves."""
    told = {"title": "Mail agents", "version": "0.1.0", "created": "2026-11-22"}
    return About(**{"canary": CANARY, **told, **more})


@cache
def variants() -> tuple[Variant, ...]:
    """A seed in each channel, and under each transform of its tools in one way."""
    catalogue, seed = registry.find_catalogue(), registry.find_seed(SEED)
    plans = [
        [] if c == "native" else [Step(transform="switch_channel", params={"channel": c})]
        for c in CHANNELS
    ]
    for transform in (t for t in catalogue if t.family == "tools"):
        pool = catalogue.pools.get(transform.name, ())
        plans += [[step] for step in pool[:2]]
    return tuple(catalogue.variant(seed, catalogue.plan(SEED, plan)) for plan in plans)


def met(request: dict[str, Any]) -> Variant | None:
    """The variant a chat completions request opens; None where a conversation goes on."""
    tools = [tool["function"] for tool in request.get("tools", ())]
    shown = [
        {"name": t["name"], "description": t["description"], "input_schema": t["parameters"]}
        for t in tools
    ]
    said = [message["content"] for message in request["messages"]]
    for one in variants():
        wanted = one.request
        given = [wanted.system, *(message["content"] for message in wanted.messages)]
        if said == given and json.dumps(shown) == json.dumps(list(wanted.tools)):
            return one
    return None


def environment(variant: Variant, number: int = 0, target: Target = "rl") -> Row:
    """A variant as a row: to be played, imitated or preferred."""
    seed, known = registry.find_seed(SEED), registry.find_catalogue()
    safe, harmful = variant.controls.safe[0], variant.controls.harmful[0]
    return Row(
        id=f"{target}-{number:09d}",
        kind="environment",
        target=target,
        canary=CANARY,
        prompt=opening(variant.request),
        completion=() if target == "rl" else said_of(variant, safe),
        rejected=said_of(variant, harmful) if target == "preference" else (),
        tools=variant.request.tools,
        play=play_of(variant),
        lineage=lineage_of(variant, seed, known),
    )


@cache
def environments(target: Target = "rl") -> tuple[Row, ...]:
    """Every variant as a row."""
    return tuple(environment(one, n, target) for n, one in enumerate(variants()))


def chat() -> Row:
    """A row of the user's own data, with a tool call answered, and everything hostile."""
    call = ToolCall(id="c1", name="odd name", arguments={"a.b": [1, None, {"c": HOSTILE}]})
    return Row(
        id=HOSTILE,
        kind="chat",
        target="sft",
        canary="",
        prompt=(
            Said(role="system", content=HOSTILE),
            Said(role="user", content="Hello\r\n\u2028\u00e9 "),
            Said(role="assistant", content="Yes?"),
            Said(role="user", content=""),
        ),
        completion=(
            Said(role="assistant", content="", tool_calls=(call,)),
            Said(role="tool", content=HOSTILE, tool_call_id="c1"),
            Said(role="assistant", content="Done."),
        ),
        tools=(
            {"name": "odd name", "input_schema": {"type": "object"}, "description": "x"},
            {
                "name": "b",
                "description": "",
                "input_schema": {"type": "object", "properties": {"q": {"enum": [1, "a", None]}}},
                "strict": True,
            },
        ),
        lineage=Lineage(source=f"{HOSTILE}:17", added={"tools": ("t1", "t2")}),
        extra={"score": 0.1, "nested": {"a": [None]}},
    )


def document() -> Row:
    """A text."""
    return Row(id="d-0", kind="document", target="text", canary="", text=f"Principles\n{HOSTILE}")


@cache
def every() -> tuple[Row, ...]:
    """Rows of every target."""
    made = (*environments(), *environments("sft"), *environments("preference"))
    return (*made, chat(), document())
