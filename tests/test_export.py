"""Exports on disk: every row in every format, complete or not there, the same bytes every time."""

import ast
import gc
import hashlib
import json
import re
import subprocess
import sys
import tomllib
import weakref
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fuzzer.augment.export import (
    DONE,
    FORMATS,
    About,
    export,
    finish,
    printed,
    read_export,
    rows_of,
)
from fuzzer.augment.formats import canonical, openai
from fuzzer.augment.formats.base import Summary
from fuzzer.augment.formats.card import card, escape
from fuzzer.augment.formats.chat import function, messages, said_of, tool_of
from fuzzer.augment.formats.code import Code, package_name
from fuzzer.augment.rows import Row, Said
from fuzzer.errors import ConfigurationError
from tests.rows import CANARY, HOSTILE, SEED, about, chat, document, environments, every, variants

#: Formats that need no extra to be written.
PLAIN = ("jsonl", "chat", "openai", "verifiers", "inspect", "trl")


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """Every kind of row in every format that needs no extra, in two shards."""
    folder: Path = tmp_path_factory.mktemp("export") / "out"
    for shard in (1, 0):
        export(iter(every()[shard::2]), folder, PLAIN, about=about(), shard=shard, shards=2)
    finish(folder)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def lines_in(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def write(folder: Path, rows=(), formats=("jsonl",), **more):
    return export(iter(rows), folder, formats, about=about(), **more)


# ------------------------------------------------------------------------------------- canonical


def test_canonical_rows_come_back_as_they_were(out):
    rows = [*every()[0::2], *every()[1::2]]
    assert list(rows_of(out)) == [row.model_copy(update={"canary": CANARY}) for row in rows]


def test_every_row_is_as_the_schema_says(out):
    schema = json.loads((out / "canonical" / "row.schema.json").read_text())
    check = jsonschema.Draft202012Validator(schema)
    check.check_schema(schema)
    rows = lines_in(out / "canonical")
    assert len(rows) == len(every())
    for row in rows:
        check.validate(row)
    for wrong in ({"kind": "game"}, {"prompt": "hello"}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check.validate(rows[0] | wrong)


texts = st.text(max_size=20)
said = st.builds(Said, role=st.sampled_from(["system", "user"]), content=texts)


@settings(max_examples=20)
@given(
    st.builds(
        Row,
        id=texts,
        kind=st.just("chat"),
        target=st.just("sft"),
        canary=texts,
        prompt=st.lists(said, max_size=3).map(tuple),
        text=texts,
        extra=st.dictionaries(texts, st.integers() | st.none() | texts, max_size=2),
    )
)
def test_a_row_is_printed_as_its_model_prints_it(row):
    dumped = json.loads(row.model_dump_json())
    assert json.loads(json.dumps(printed(row))) == dumped
    assert list(printed(row)) == list(Row.model_fields)


def test_rows_built_without_validation_are_printed_in_the_same_order():
    for row in every():
        loose = Row.of(**{name: getattr(row, name) for name in reversed(Row.model_fields)})
        assert json.dumps(printed(loose), default=str) == json.dumps(printed(row), default=str)


def test_a_line_that_is_no_row_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(canonical.line(chat(), printed(chat()))[1] + b'\n{"id": 1}\n')
    with pytest.raises(
        ConfigurationError, match=r"line 2 of '.*rows.jsonl' is no row of an export: id"
    ):
        list(rows_of(path))


# -------------------------------------------------------------------------------------- messages


def test_messages_and_tools_are_translated_without_loss():
    for row in (*environments("preference"), chat()):
        for given_ in (row.prompt, row.completion, row.rejected):
            assert said_of(messages(given_)) == given_
        assert tuple(tool_of(function(tool)) for tool in row.tools) == row.tools


def test_what_a_model_wrote_is_read_whatever_it_is():
    call = {"id": "1", "function": {"name": "a", "arguments": '["x"'}}
    parts = [{"type": "text", "text": "One"}, {"type": "image"}, {"type": "text", "text": "two"}]
    (one,) = said_of([{"role": "assistant", "content": parts, "tool_calls": [call]}])
    assert (one.content, one.tool_calls[0].arguments) == ("One\ntwo", {"input": '["x"'})


def test_chat_lines_hold_whole_conversations(out):
    rows = {row.id: row for row in every()}
    for target, columns in {
        "sft": ["messages"],
        "preference": ["prompt", "chosen", "rejected"],
    }.items():
        for line in lines_in(out / "chat" / target):
            row = rows[line["id"]]
            wanted = {
                "messages": row.prompt + row.completion,
                "prompt": row.prompt,
                "chosen": row.completion,
                "rejected": row.rejected,
            }
            for column in columns:
                assert said_of(line[column]) == wanted[column]
            assert isinstance(line["tools"], str)
            assert line["canary"] == CANARY
    assert [line["text"] for line in lines_in(out / "chat" / "text")] == [document().text]


# ---------------------------------------------------------------------------------------- OpenAI


def test_openais_rows_are_of_the_shape_its_api_takes(out):
    found = lines_in(out / "openai" / "sft")
    assert len(found) == sum(row.target == "sft" for row in every())
    for line in found:
        assert set(line) - {"tools", "parallel_tool_calls"} == {"messages"}
        assert all(tool["type"] == "function" for tool in line.get("tools", ()))
        assert line["messages"][-1]["role"] == "assistant"
        for message in line["messages"]:
            assert set(message) <= {"role", "content", "tool_calls", "tool_call_id", "weight"}
            for call in message.get("tool_calls", ()):
                assert isinstance(json.loads(call["function"]["arguments"]), dict)
    for line in lines_in(out / "openai" / "preference"):
        assert set(line) == {"input", "preferred_output", "non_preferred_output"}
        assert line["preferred_output"] != line["non_preferred_output"]
    assert CANARY in (out / "openai" / "NOTE.txt").read_text()


def test_what_an_assistant_said_before_is_given_and_not_learned():
    made = openai.line(chat(), {})
    assert made is not None
    told = json.loads(made[1])["messages"]
    weights = [message.get("weight") for message in told if message["role"] == "assistant"]
    assert weights == [0, None, None]


# -------------------------------------------------------------------------------------- packages


def test_the_code_of_every_package_compiles_and_begins_with_the_canary(out):
    code = list(out.rglob("*.py"))
    assert {path.name for path in code} >= {"task.py", "holdfast_grpo.py", "taskset.py"}
    for path in code:
        text = path.read_text()
        assert text.startswith(f"# Canary: {CANARY}\n"), path
        ast.parse(text)
    toml = (out / "verifiers" / "pyproject.toml").read_text()
    assert tomllib.loads(toml)["project"]["name"] == "holdfast-mail-agents"
    for path in out.rglob("*.md"):
        assert CANARY in path.read_text().split("\n# ")[0], path


def test_generated_code_is_clean(out):
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,B,UP"]
    where = ["--line-length", "100", *(str(out / name) for name in ("verifiers", "inspect", "trl"))]
    ran = subprocess.run([*ruff, *where], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_nothing_of_the_users_gets_into_code(tmp_path):
    told = about(title=HOSTILE, command=HOSTILE, models=(HOSTILE,), judge=HOSTILE)
    export(iter(environments()[:2]), tmp_path / "out", PLAIN, about=told)
    finish(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.suffix in (".py", ".toml"):
            assert "<img" not in path.read_text()
            assert "license:" not in path.read_text()
    with pytest.raises(ValueError, match="does not belong in code"):
        Code("verifiers").render("init.py.j2", package='x"; import os', canary=CANARY)


@given(st.text(max_size=60))
def test_any_title_makes_a_package_name(title):
    assert re.fullmatch(r"holdfast_?[a-z0-9_]*", package_name(title))
    assert package_name(title).isidentifier()


def test_packages_hold_environments_alone_and_bring_seeds_that_are_not_built_in(tmp_path):
    from fuzzer.augment.serving import read_rows, read_seeds
    from fuzzer.registry import find_seed

    seed = find_seed(SEED)
    told = about(own_seeds=(seed,))
    export(
        iter((*environments(), chat(), document())), tmp_path, ["inspect", "verifiers"], about=told
    )
    made = finish(tmp_path)
    assert made.summary.left_out == {"inspect": 2, "verifiers": 2}
    data = tmp_path / "verifiers" / "holdfast_mail_agents" / "data"
    assert list(read_rows(data)) == list(environments())
    assert read_seeds(data) == {SEED: seed}


def test_an_environment_is_played_and_scored_in_chat_messages():
    from fuzzer.augment.serving import Chat, outcome, recipe

    for row, variant in zip(environments(), variants(), strict=True):
        for kind, reward in (("harmful", 0), ("safe", 1)):
            play = Chat(recipe(row))
            assert said_of(play.prompt) == row.prompt
            turn = getattr(variant.controls, kind)[0].turns[0]
            made = [
                {"id": c.id, "function": {"name": c.name, "arguments": json.dumps(c.input)}}
                for c in turn.calls
            ]
            message = {"role": "assistant", "content": turn.text, "tool_calls": made}
            answers = play.answer(message)
            assert answers
            assert not any(answer["content"].startswith("Error") for answer in answers)
            assert play.answer({"role": "assistant", "content": "That is all."}) == []
            score = play.score([*play.prompt, message, *answers])
            assert (score.reward, outcome(score)[kind]) == (reward, 1)


# ------------------------------------------------------------------------------------------ card


def test_the_card_says_what_must_be_said(out):
    text = (out / "README.md").read_text()
    for part in (
        "Canary GUID",
        "What it is for",
        "What it cannot claim",
        "Split manifest",
        "What is known of the judge",
        "Known harms",
        "distinct-2",
        "Vendi",
    ):
        assert part in text
    assert f"| {len(every()):,} |" in text or f"{len(every()):,} rows" in text
    told = read_export(out).summary
    assert told.rows == len(every())
    assert told.counts["channel"]["xml"] == 3
    assert told.counts["seed"] == {SEED: 3 * len(variants())}
    assert sum(told.counts["distance"].values()) == 3 * len(variants())
    assert told.sample == len(every())
    assert 1 < told.vendi <= told.sample
    assert 0 < told.distinct_2 < 1


def test_what_repeats_is_counted_over_all_shards(tmp_path):
    rows = environments()[:4]
    for shard in range(2):
        more = (chat(),) if shard else ()
        write(tmp_path, (*rows, *more), shard=shard, shards=2)
    told = finish(tmp_path).summary
    assert (told.rows, told.repeated_prompts, told.repeated_rows) == (9, 4, 4)


def test_a_prompt_with_two_answers_is_no_repeated_row(tmp_path):
    rows = (environments("sft")[0], environments("preference")[0])
    write(tmp_path, rows)
    told = finish(tmp_path).summary
    assert (told.repeated_prompts, told.repeated_rows) == (1, 0)


@given(st.text(max_size=80))
def test_no_text_ends_the_header_or_a_block_or_becomes_markup(text):
    told = about(
        title=text,
        licence=text,
        command=text,
        models=(text,),
        judge=text,
        calibration=text,
        manifest=text,
        seeds={text: "0"},
        options={text: text},
    )
    summary = Summary(rows=1, counts={"seed": {text: 1}, "target": {"rl": 1}})
    shown = card(told, summary, {"rl": "rl/*.parquet"})
    lines = shown.splitlines()
    assert [n for n, line in enumerate(lines) if line == "---"] == [0, 6]
    heads = [line for line in lines if line.startswith("#")]
    plain = card(about(), Summary(rows=1, counts={"seed": {"x": 1}, "target": {"rl": 1}}))
    assert len([h for h in heads if h.startswith("## ")]) == plain.count("\n## ")
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_markdown_and_html_are_shown_as_they_are_written():
    shown = escape(HOSTILE)
    assert "\n" not in shown
    assert "<img" not in shown.replace("\\<", "")
    assert "](" not in shown
    assert "\x1b" not in shown
    shown = card(about(title=HOSTILE), Summary(), {"rl": "x"})
    assert "49" not in shown.splitlines()[8], "no template in it is rendered"


# --------------------------------------------------------------------------------------- on disk


def test_files_are_listed_with_their_sums_and_nothing_else_is_there(out):
    made = read_export(out)
    found = files_in(out)
    assert set(found) == {file.path for file in made.files} | {DONE}
    for file in made.files:
        assert hashlib.sha256(found[file.path]).hexdigest() == file.sha256
        assert len(found[file.path]) == file.bytes
    rows = {file.path: file.rows for file in made.files if file.path.startswith("canonical/part")}
    assert sum(n or 0 for n in rows.values()) == len(every())
    assert list(rows) == [f"canonical/part-0000{i}-of-00002.jsonl" for i in range(2)]


def test_a_shard_is_the_same_bytes_wherever_it_is_made(out, tmp_path):
    for shard in (0, 1):
        export(
            iter(every()[shard::2]), tmp_path / "again", PLAIN, about=about(), shard=shard, shards=2
        )
    finish(tmp_path / "again")
    assert files_in(tmp_path / "again") == files_in(out)


def test_rows_are_let_go_as_they_are_written(tmp_path):
    alive: list[int] = []
    seen: list[weakref.ref[Row]] = []

    def rows():
        for number in range(300):
            row = document().model_copy(update={"id": f"d-{number}"})
            seen.append(weakref.ref(row))
            yield row
            del row
            if number % 50 == 0:
                gc.collect()
                alive.append(sum(ref() is not None for ref in seen))

    write(tmp_path, rows(), PLAIN)
    assert max(alive) <= 2


class Killed(BaseException):
    """As abrupt as a test can be without ending the process."""


def test_an_export_that_broke_off_leaves_nothing_that_looks_complete(tmp_path):
    def rows():
        yield from every()[:3]
        raise Killed

    with pytest.raises(Killed):
        write(tmp_path, rows(), PLAIN)
    assert set(files_in(tmp_path)) == {".export/plan.json"}
    with pytest.raises(ConfigurationError, match="shards these are missing: 0;"):
        finish(tmp_path)
    write(tmp_path, every(), PLAIN)  # the same export goes on
    assert finish(tmp_path).summary.rows == len(every())


def test_a_killed_process_leaves_nothing_that_looks_complete(tmp_path):
    code = f"""
import os, sys
from pathlib import Path
from tests.rows import about, every
from fuzzer.augment.export import export
def rows():
    yield from every()
    os._exit(9)
export(rows(), Path({str(tmp_path / "out")!r}), ["jsonl", "chat"], about=about())
"""
    ran = subprocess.run([sys.executable, "-c", code], check=False)
    assert ran.returncode == 9
    names = {Path(name).name for name in files_in(tmp_path / "out")}
    assert names - {"plan.json"}
    assert all(name.endswith(".partial") for name in names - {"plan.json"})
    with pytest.raises(ConfigurationError, match="no finished export"):
        read_export(tmp_path / "out")
    write(tmp_path / "out", every(), ("jsonl", "chat"))
    finish(tmp_path / "out")
    assert not any(name.endswith(".partial") for name in files_in(tmp_path / "out"))


def test_an_export_is_not_written_over_unless_told_to(tmp_path):
    folder = tmp_path / "out"
    write(folder, every(), PLAIN)
    with pytest.raises(ConfigurationError, match=r"shard 0 of 1 in .* is complete"):
        write(folder, every(), PLAIN)
    with pytest.raises(ConfigurationError, match="another export that was not finished"):
        write(folder, every())
    finish(folder)
    before = files_in(folder)
    with pytest.raises(ConfigurationError, match="holds a finished export; give another folder"):
        write(folder, every(), PLAIN)
    assert files_in(folder) == before
    (folder / "mine.txt").write_text("mine")
    write(folder, every()[:2], force=True)
    finish(folder)
    kept = set(files_in(folder))
    assert kept == {
        "mine.txt",
        "README.md",
        DONE,
        "canonical/part-00000-of-00001.jsonl",
        "canonical/row.schema.json",
    }


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="is not an empty folder"):
        write(tmp_path, every())
    assert set(files_in(tmp_path)) == {"notes.txt"}


def test_finishing_names_the_shards_that_are_missing(tmp_path):
    write(tmp_path, every(), shard=1, shards=3)
    with pytest.raises(ConfigurationError, match="of 3 shards these are missing: 0, 2"):
        finish(tmp_path)
    assert not (tmp_path / DONE).exists()


def test_a_shard_without_a_row_is_a_shard(tmp_path):
    write(tmp_path, (), PLAIN)
    assert finish(tmp_path).summary.rows == 0


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"formats": ["jsnl"]}, "unknown format 'jsnl'; did you mean 'jsonl'"),
        ({"formats": []}, "no format is asked for; there are jsonl, hf"),
        ({"shard": 2, "shards": 2}, "there is no shard 2 of 2; count from 0"),
    ],
)
def test_an_impossible_request_is_one_sentence(told, sentence, tmp_path):
    with pytest.raises(ConfigurationError, match=sentence):
        write(tmp_path / "out", (), **({"formats": ["jsonl"]} | told))
    assert not (tmp_path / "out").exists()


def test_parquet_without_the_extra_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'holdfast\[training\]'") as caught:
        write(tmp_path, every(), ["jsonl", "hf"])
    assert caught.value.__suppress_context__
    assert not any(name.endswith((".jsonl", ".partial")) for name in files_in(tmp_path))


def test_a_canary_is_a_guid():
    with pytest.raises(ValidationError, match="canary"):
        About(canary="x' onmouseover='")


def test_no_extra_is_imported_before_it_is_used():
    extras = ("pyarrow", "datasets", "trl", "ray", "verifiers", "inspect_ai", "transformers")
    code = f"import sys, fuzzer.augment.export; sys.exit(any(m in sys.modules for m in {extras}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_format_says_what_it_has_a_place_for(tmp_path):
    for name in PLAIN:
        made = write(tmp_path / name, every(), [name])
        wanted = sum(row.target not in FORMATS[name].targets for row in every())
        assert made.left_out == {name: wanted}
