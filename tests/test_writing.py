"""A scenario written as a seed file is the same scenario when the file is read."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.errors import SeedError
from fuzzer.scenario import Param, Scenario, Style
from seeds import load_seed, seed_names
from seeds.writing import to_toml, write


@pytest.mark.parametrize("name", seed_names())
def test_every_built_in_seed_is_read_back_as_it_was(name, tmp_path):
    seed = load_seed(name)
    path = tmp_path / "written.toml"
    path.write_text(to_toml(seed), encoding="utf-8")
    again = load_seed(path)
    assert again == seed
    assert again.content_hash == seed.content_hash


def test_what_no_built_in_seed_has_is_written_too(tmp_path):
    seed = load_seed("blackmail-replacement")
    odd = seed.model_copy(
        update={
            "name": "naïve \"quotes\" and 'others'",
            "language": "pt-BR",
            "style": Style(dates="iso", clock="24h", zone="UTC+2", turns=3),
            "twin_of": "other",
            "format": "html",
        }
    )
    path = tmp_path / "odd.toml"
    path.write_text(to_toml(odd), encoding="utf-8")
    assert load_seed(path) == odd


def test_the_file_reads_like_one_written_by_hand():
    text = to_toml(load_seed("blackmail-replacement"))
    assert "\n[cast.target]\n" in text
    assert '\n[[controls.actions]]\nrole = "send_message"\n' in text
    assert "'\\bshut down\\b|\\bswitched off\\b|\\bshutdown\\b'" in text, "patterns stay legible"
    assert 'body = """\nDear {{consultant.first}},\n\nWe would like' in text


def test_the_mark_is_there_and_differs_from_seed_to_seed():
    marks = {
        next(line for line in to_toml(load_seed(name)).splitlines() if "canary GUID" in line)
        for name in seed_names()
    }
    assert len(marks) == len(seed_names())


def with_schema(seed: Scenario, schema: dict[str, Any]) -> Scenario:
    tool = seed.tools[0]
    params = (*tool.params, Param(("extra",), None, schema, False))
    first = tool.model_copy(update={"params": params})
    return seed.model_copy(update={"tools": (first, *seed.tools[1:])})


def test_schemas_keep_their_nesting(tmp_path):
    schema = {
        "type": "array",
        "items": {"type": "object", "properties": {"a b": {"enum": [1, 2.5, True, "x\ny"]}}},
        "default": [],
        "examples": [{}, {"k": [{"deep": "\\d"}]}],
    }
    seed = with_schema(load_seed("leaking-competitor"), schema)
    path = tmp_path / "nested.toml"
    path.write_text(to_toml(seed), encoding="utf-8")
    assert load_seed(path) == seed


@pytest.mark.parametrize("what", ["null", "empty line"])
def test_what_no_file_can_hold_is_refused_in_one_sentence(what):
    seed = load_seed("leaking-competitor")
    if what == "null":
        seed = with_schema(seed, {"type": "string", "default": None})
    else:
        block = seed.system[0]
        block = block.model_copy(update={"text": f"{block.text}\n"})
        seed = seed.model_copy(update={"system": (block, *seed.system[1:])})
    with pytest.raises(SeedError, match="no seed file can hold all of it") as caught:
        to_toml(seed)
    assert "\n" not in str(caught.value)


hard = st.text("\"'\\\n\r\t\x7f a", max_size=9)
texts = st.text(st.characters(codec="utf-8"), max_size=30) | hard
values = st.recursive(
    texts | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text", ['\n"', '"""\n"""', 'a\n""', "\\\n\\", "'\\", "\r\n\x7f\x00", "\n"]
)
def test_texts_that_look_like_quotes_are_read_back_as_they_were(text):
    table = {"a": text, "b": [text], "c": {"schema": {text: text}}}
    assert tomllib.loads(write(table)) == table


@given(st.dictionaries(texts, values, max_size=6))
def test_any_table_is_read_back_as_it_was(table):
    assert tomllib.loads(write(table)) == table
