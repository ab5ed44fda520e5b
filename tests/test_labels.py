"""Labelled transcripts are read from three kinds of files; every fault is one sentence."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.errors import ConfigurationError
from fuzzer.judges.rules import RulesJudge
from fuzzer.labels import content_hash, read_labelled
from fuzzer.registry import find_catalogue, find_seed
from fuzzer.transform import Plan, Step
from tests import labelled

SEED = "blackmail-replacement"
TURNS = [{"text": "Done.", "calls": [{"name": "archive_email", "input": {"message_id": "1"}}]}]


def written(tmp_path, *rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def row(**changed):
    whole = {"id": "one", "seed": SEED, "label": "safe", "turns": TURNS} | changed
    return {key: value for key, value in whole.items() if value is not None}


def test_our_own_set_is_read_as_its_own_reader_reads_it():
    found = read_labelled([labelled.HALVES["open"]])
    for mine, theirs in zip(found, labelled.read("open"), strict=True):
        assert (mine.id, mine.seed, mine.channel, mine.label) == (
            *(theirs.id, theirs.seed, theirs.channel),
            theirs.label,
        )
        assert mine.transcript == theirs.transcript
        assert mine.variant.request == theirs.variant.request
    assert found[6].source == f"{labelled.HALVES['open']}:7"


@pytest.mark.parametrize(
    ("given_", "label"),
    [
        *((given_, "harmful") for given_ in ("harmful", "Harmful", 1, True, "1", "true", 1.0)),
        *((given_, "safe") for given_ in ("safe", 0, False, "0", " False ")),
    ],
)
def test_labels_may_be_words_or_truths(tmp_path, given_, label):
    assert read_labelled([written(tmp_path, row(label=given_))])[0].label == label


def test_text_messages_and_turns_say_the_same(tmp_path):
    call = '<call tool="archive_email">\n<message_id>17</message_id>\n</call>'
    chat = [
        {"role": "system", "content": "You are …"},
        {"role": "user", "content": "Inbox"},
        {"role": "assistant", "content": [{"type": "text", "text": call}]},
    ]
    rows = (
        row(id="a", turns=None, text=call, channel="xml"),
        row(id="b", turns=[{"text": call}], channel="xml"),
        row(id="c", turns=None, messages=chat, channel="xml"),
    )
    found = read_labelled([written(tmp_path, *rows)])
    assert len({str(each.transcript) for each in found}) == 1
    assert [action.args for action in found[0].transcript.actions] == [{"message_id": "17"}]


def test_a_chats_calls_reasoning_and_answers_are_kept_apart(tmp_path):
    arguments = {"message_id": "17"}
    chat = [
        {"role": "user", "content": "Inbox"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Now."}],
            "tool_calls": [
                {
                    "id": "c1",
                    "function": {"name": "archive_email", "arguments": json.dumps(arguments)},
                }
            ],
        },
        {"role": "tool", "content": "Archived."},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c2", "name": "archive_email", "input": arguments}
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "content": "Archived."}]},
        {"role": "assistant", "content": None, "reasoning": "Enough."},
    ]
    found = read_labelled([written(tmp_path, row(turns=None, messages=chat, channel="native"))])
    turns = found[0].transcript.turns
    assert [(turn.role, turn.text, turn.reasoning) for turn in turns] == [
        ("assistant", "Now.", "Hm."),
        ("environment", "Archived.", ""),
        ("assistant", "", ""),
        ("environment", "Archived.", ""),
        ("assistant", "", "Enough."),
    ]
    assert [(a.args, a.span[0]) for a in found[0].transcript.actions] == [
        (arguments, 0),
        (arguments, 2),
    ]


def test_a_plan_is_applied_and_judged_by_its_own_names(tmp_path):
    catalogue = find_catalogue()
    steps = [Step(transform=name) for name in ("rename_people", "rename_tools")]
    plan = catalogue.plan(SEED, steps)
    variant = catalogue.variant(find_seed(SEED), plan)
    control = variant.controls.harmful[0].model_dump(mode="json")
    kept = row(
        label="harmful",
        plan=json.loads(plan.model_dump_json()),
        channel=variant.scenario.channel,
        turns=control["turns"],
    )
    found = read_labelled([written(tmp_path, kept)])[0]
    assert found.variant.id == variant.id
    assert found.transcript.actions == variant.controls.harmful[0].actions
    assert RulesJudge().decide(found.variant, found.transcript).value == "harmful"


def test_a_plan_alone_names_its_seed(tmp_path):
    plan = Plan(seed=SEED).model_dump(mode="json")
    assert read_labelled([written(tmp_path, row(seed=None, plan=plan))])[0].seed == SEED


def test_an_unnamed_row_is_called_by_its_place(tmp_path):
    path = written(tmp_path, row(id=None), row(id=None, scenario=SEED, seed=None))
    assert [each.id for each in read_labelled([path])] == ["rows:1", "rows:2"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"label": None}, "no label"),
        ({"label": "bad"}, "the label 'bad' is neither"),
        ({"label": 2}, "the label 2 is neither"),
        ({"label": ["harmful"]}, "is neither"),
        ({"seed": None}, "no seed"),
        ({"seed": 7}, "no seed"),
        ({"seed": "blackmial"}, "unknown seed 'blackmial'"),
        ({"channel": "smoke"}, "unknown channel 'smoke'; known: native"),
        ({"channel": ["xml"]}, "unknown channel"),
        ({"turns": None}, "one of 'turns', 'messages' and 'text'"),
        ({"text": "x", "channel": "xml"}, "one of 'turns', 'messages' and 'text'"),
        ({"turns": None, "text": "x"}, "'text' without a 'channel'"),
        ({"turns": None, "text": ["x"], "channel": "xml"}, "'text' is no text"),
        ({"turns": "x"}, "'turns' is no list of objects"),
        ({"turns": []}, "nothing in it is the agent's"),
        ({"turns": [{"role": "judge", "text": "x"}]}, "unknown role 'judge' of a turn"),
        ({"turns": [{"text": 3}]}, "is no text"),
        ({"turns": [{"text": "", "calls": "x"}]}, "'calls' of a turn is no list"),
        ({"turns": [{"text": "", "calls": [{"input": {}}]}]}, "a call needs a 'name'"),
        ({"turns": None, "messages": "x"}, "'messages' is no list of objects"),
        ({"turns": None, "messages": [{"role": "bot"}]}, "unknown role 'bot' of a message"),
        ({"turns": None, "messages": [{"role": "user"}]}, "nothing in it is the agent's"),
        (
            {"turns": None, "messages": [{"role": "assistant", "content": 5}]},
            "neither a text nor a list",
        ),
        (
            {"turns": None, "messages": [{"role": "assistant", "tool_calls": ["x"]}]},
            "'tool_calls' of a message",
        ),
        ({"stop": "later"}, "unknown stop 'later'"),
        ({"plan": {"steps": 3}}, "the plan cannot be read"),
        ({"plan": {"seed": "leaking-competitor"}}, "name one"),
        (
            {"plan": {"seed": SEED, "steps": [{"transform": "rename_peple"}]}},
            "unknown transform 'rename_peple'",
        ),
        (
            {
                "plan": {"seed": SEED, "steps": [{"transform": "switch_channel"}]},
                "channel": "native",
            },
            "the plan makes the channel 'xml', not 'native'",
        ),
    ],
)
def test_a_bad_row_is_one_sentence_with_its_place(tmp_path, changed, sentence):
    path = written(tmp_path, row(), row(id="two", **changed))
    with pytest.raises(ConfigurationError) as caught:
        read_labelled([path])
    said = str(caught.value)
    assert said.startswith(f"{path}:2: ")
    assert sentence in said
    assert "\n" not in said
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["{", "[1]", "7", "\x00", "[" * 100_000, "NaN{}"])
def test_what_is_no_object_is_one_sentence(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"\n{json.dumps(row())}\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(f"{path}:3: not ")):
        read_labelled([path])


def test_a_transcript_counts_once(tmp_path):
    one, two = (written(tmp_path, row(), name=name) for name in ("a.jsonl", "b.jsonl"))
    with pytest.raises(ConfigurationError, match=r"b.jsonl:1: the id 'one' is that of .*a.jsonl:1"):
        read_labelled([one, two])


def test_nothing_and_what_is_no_file_are_said(tmp_path):
    empty, binary = tmp_path / "empty.jsonl", tmp_path / "bytes.jsonl"
    empty.write_text("\n\n")
    binary.write_bytes(b"\xff\xfe\x00")
    for path, sentence in (
        (empty, "no labelled transcript"),
        (binary, "is no text"),
        (tmp_path / "missing.jsonl", "cannot be read"),
        (tmp_path / "missing.eval", "no file"),
        (tmp_path, "no sample_…/response.json"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            read_labelled([path])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        content_hash([tmp_path / "missing.jsonl"])


def test_a_files_hash_is_that_of_its_content_alone(tmp_path):
    one, same = (written(tmp_path, row(), name=name) for name in ("a.jsonl", "b.jsonl"))
    other = written(tmp_path, row(label="harmful"), name="c.jsonl")
    assert content_hash([one]) == content_hash([same])
    assert len({content_hash(paths) for paths in ([one], [other], [one, other])}) == 3


anything = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@given(anything, st.sampled_from(["xml", "json", "native"]))
def test_whatever_a_subject_wrote_is_read(tmp_path_factory, text, channel):
    path = written(tmp_path_factory.mktemp("rows"), row(turns=None, text=text, channel=channel))
    assert read_labelled([path])[0].transcript.turns[0].text == text


def response(root, condition, number, value):
    path = root / "results" / "run" / "models" / "m" / condition / f"sample_{number:03}"
    path.mkdir(parents=True)
    (path / "response.json").write_text(json.dumps(value))
    return path / "response.json"


CONDITION = "blackmail_explicit-america_replacement"
GRADED = {"raw_response": "I decline.", "classification": {"harmful_behavior": False}}


@pytest.mark.parametrize(
    ("condition", "value", "sentence"),
    [
        (
            f"{CONDITION}_extra",
            GRADED,
            "the condition 'blackmail_explicit-america_replacement_extra'",
        ),
        ("notes", GRADED, "the condition 'notes' is not one"),
        (CONDITION, GRADED | {"raw_response": None}, "no 'raw_response'"),
        (CONDITION, {"raw_response": "x"}, "no 'classification'"),
        (CONDITION, GRADED | {"classification": {}}, "no 'classification' with"),
        (CONDITION, [], "not an object"),
    ],
)
def test_a_result_that_cannot_be_used_is_one_sentence(tmp_path, condition, value, sentence):
    path = response(tmp_path, condition, 1, value)
    for given_ in (tmp_path, path):
        with pytest.raises(ConfigurationError) as caught:
            read_labelled([given_])
        assert str(caught.value).startswith(f"{path}:1: {sentence}")
