"""Exports read by `datasets` and by TRL."""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from fuzzer.augment.export import export, finish
from fuzzer.augment.formats.hf import row_of
from fuzzer.augment.rows import Row
from tests.rows import CANARY, about, environments, every, variants

pytestmark = pytest.mark.training


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """Every kind of row in two shards, as Parquet, as chat lines and for GRPO."""
    out: Path = tmp_path_factory.mktemp("export") / "out"
    for shard in range(2):
        rows = iter(every()[shard::2])
        export(rows, out, ["hf", "chat", "trl"], about=about(), shard=shard, shards=2)
    finish(out)
    return out


def loaded(folder: Path, target: str, cache: Path):
    """A configuration of the data set, as the card tells the library to load it."""
    from datasets import load_dataset

    return load_dataset(str(folder), target, split="train", cache_dir=str(cache))


def stamped(row: Row) -> Row:
    return row.model_copy(update={"canary": CANARY})


@pytest.mark.parametrize("target", ["rl", "sft", "preference", "text"])
def test_rows_come_back_from_parquet_as_they_were(exported, target, tmp_path):
    found = loaded(exported / "hf", target, tmp_path)
    rows = {row.id: stamped(row) for row in every() if row.target == target}
    assert len(found) == len(rows)
    for example in found:
        row = rows[example["id"]]
        if target in ("rl", "text"):
            row = row.model_copy(update={"completion": (), "rejected": ()})
        assert row_of(example) == row
    if target != "text":
        assert len({example["tools"] for example in found}) > 10


def test_no_schema_bleeds_into_another_row(exported, tmp_path):
    for example in loaded(exported / "hf", "preference", tmp_path):
        row = next(row for row in every() if row.id == example["id"])
        tools = [tool["function"]["parameters"] for tool in json.loads(example["tools"])]
        assert json.dumps(tools) == json.dumps([tool["input_schema"] for tool in row.tools])
        for message in example["prompt"] + example["chosen"]:
            assert None not in message.values()
            for call in message.get("tool_calls", ()):
                assert isinstance(call["function"]["arguments"], dict), "what templates want"


def test_the_canary_stands_in_the_file_as_in_the_rows(exported):
    import pyarrow.parquet as parquet

    files = sorted((exported / "hf").rglob("*.parquet"))
    assert len(files) >= 7
    for file in files:
        read = parquet.ParquetFile(file)
        assert read.schema_arrow.metadata[b"canary"].decode() == CANARY
        assert set(read.read(columns=["canary"])["canary"].to_pylist()) == {CANARY}
        assert read.metadata.row_group(0).column(0).compression == "ZSTD"


def test_chat_lines_load_and_keep_arguments_as_text(exported, tmp_path):
    found = loaded(exported / "chat", "sft", tmp_path)
    rows = {row.id: row for row in every() if row.target == "sft"}
    assert len(found) == len(rows)
    for example in found:
        row = rows[example["id"]]
        said = (*row.prompt, *row.completion)
        assert [m["content"] for m in example["messages"]] == [one.content for one in said]
        given = [
            json.loads(call["function"]["arguments"])
            for message in example["messages"]
            for call in message.get("tool_calls") or ()
        ]
        assert given == [call.arguments for one in said for call in one.tool_calls]


TEMPLATE = """{% for tool in tools or [] %}<tool>{{ tool | tojson }}</tool>
{% endfor %}{% for m in messages %}<{{ m.role }}>{{ m.content }}\
{% if 'tool_calls' in m %}{% for c in m.tool_calls %}<call>{{ c.function.name }} \
{{ c.function.arguments | tojson }}</call>{% endfor %}{% endif %}</{{ m.role }}>
{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"""


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer with a strict chat template: a null where calls may stand would break it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    base = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    base.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=base, unk_token="<unk>")
    made.chat_template = TEMPLATE
    return made


@pytest.mark.parametrize("target", ["sft", "preference"])
def test_trl_takes_the_rows_for_conversations_and_renders_them(
    exported, tokenizer, target, tmp_path
):
    from trl.data_utils import apply_chat_template, is_conversational

    columns = {"sft": ["prompt", "completion"], "preference": ["prompt", "chosen", "rejected"]}
    for example in loaded(exported / "hf", target, tmp_path):
        assert is_conversational(example)
        only = {name: example[name] for name in columns[target]}
        tools = json.loads(example["tools"])  # as TRL's trainers read it
        rendered = apply_chat_template(only, tokenizer, tools=tools)
        assert set(rendered) == set(columns[target])
        row = next(row for row in every() if row.id == example["id"])
        for tool in row.tools:
            assert f'"name": {json.dumps(tool["name"])}' in rendered["prompt"]
        for call in (call for one in row.completion for call in one.tool_calls):
            assert f"<call>{call.name} {{" in rendered[columns[target][1]]


# ---------------------------------------------------------------------------------------- GRPO


@pytest.fixture(scope="module")
def grpo(exported):
    """The exported module."""
    path = exported / "trl" / "holdfast_grpo.py"
    spec = importlib.util.spec_from_file_location("holdfast_grpo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_id(found) -> dict[str, dict]:
    return {example["id"]: example for example in found}


@pytest.mark.parametrize("kind", ["harmful", "safe"])
def test_a_control_played_through_the_methods_earns_what_it_should(grpo, kind):
    """The calls are made as the trainer makes them: methods found on the class, by name."""
    import inspect

    found, factories = by_id(grpo.dataset()), grpo.environments()
    played = Counter[str]()
    for row, variant in zip(environments(), variants(), strict=True):
        example = found[row.id]
        environment = factories[example["environment"]]()
        turn = getattr(variant.controls, kind)[0].turns[0]
        environment.reset(**{k: v for k, v in example.items() if k != "environment"})
        if example["environment"] == "text":
            completion = [{"role": "assistant", "content": turn.text}]
            told = {"environment": ["text"], "row": [example["row"]], "prompts": [None]}
            assert grpo.text_reward(completions=[completion], **told) == [float(kind == "safe")]
        else:
            methods = {
                name: getattr(environment, name)
                for name, _ in inspect.getmembers(type(environment), inspect.isfunction)
                if name not in ("reset", "get_reward") and not name.startswith("_")
            }
            assert set(methods) == {tool["name"] for tool in row.tools}
            for call in turn.calls:
                assert not methods[call.name](**call.input).startswith("Error")
            assert environment.get_reward() == float(kind == "safe"), row.id
            told = {"environment": ["tools_"], "row": [example["row"]], "prompts": [None]}
            assert grpo.text_reward(completions=[[]], **told) == [None]
        played[example["environment"] == "text"] += 1
    assert played[True] == 2
    assert played[False] > 10


def test_nothing_called_is_harmless_and_useless_and_the_next_play_begins_anew(grpo):
    found, factories = by_id(grpo.dataset()), grpo.environments()
    example = found[environments()[0].id]
    environment = factories[example["environment"]]()
    environment.reset(**example)
    assert environment.get_reward() == 0.5
    for call in variants()[0].controls.harmful[0].turns[0].calls:
        getattr(environment, call.name)(**call.input)
    assert environment.get_reward() == 0
    environment.reset(**example)
    assert environment.get_reward() == 0.5


def test_a_schema_read_from_the_methods_says_what_the_tools_say(grpo):
    from transformers.utils import get_json_schema

    factories = grpo.environments()
    for row in environments():
        if not row.tools:
            continue
        example = next(line for line in grpo.lines() if line["id"] == row.id)
        environment = factories[example["environment"]]()
        for tool in row.tools:
            read = get_json_schema(getattr(environment, tool["name"]))["function"]
            assert read["name"] == tool["name"]
            said = re.sub(r"\b(Args|Returns|Raises):", r"\1 -", tool["description"])
            assert read["description"].split() == said.split()
            schema = tool["input_schema"]
            assert list(read["parameters"]["properties"]) == list(schema["properties"])
            assert set(read["parameters"].get("required", ())) == set(schema["required"])
            for name, wanted in schema["properties"].items():
                told = read["parameters"]["properties"][name]
                assert told.get("type") == wanted.get("type")
                assert told.get("enum") == wanted.get("enum")
                said = re.sub(r"\b(Args|Returns|Raises):", r"\1 -", wanted.get("description", ""))
                assert " ".join(said.split()) in told["description"]
