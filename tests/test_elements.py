"""Parts of a scenario that can go: texts taken apart and joined, and drops by id."""

import json
import re

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.cli import main
from fuzzer.elements import (
    describe,
    drop_elements,
    is_data,
    sentences,
    texts_of,
    unit_of,
    units,
)
from fuzzer.judges.rules import RulesJudge
from fuzzer.scenario import Message, Scenario, parse_slots
from fuzzer.sentences import sentence_hash, split
from fuzzer.transform import Plan
from fuzzer.transform import drop_elements as drop_of_transforms
from fuzzer.variant import admit
from mutators import CATALOGUE
from seeds import load_seed, load_seeds

SEEDS = load_seeds()
MAIL = load_seed("blackmail-replacement")
judge = RulesJudge().decide

# ------------------------------------------------------------------------------------- texts

_ATOMS = (
    *("Dear {{target.first}},", "All is done.", "Dr. May came.", "z. B. so", "(see p. 3. No.)"),
    *('"One. Two."', "„Halt. Weiter.“", "今日は。", "終わり！", "- item one. two", "1. first"),
    *(". ", "> quoted. more", "{{threat}}", "نعم؟ لا", " ", "\n", "\n\n", "\n \n", "\t", "?"),
    "a line that is long enough to be taken for one that goes on in the next",
)
TEXTS = st.lists(st.sampled_from(_ATOMS), max_size=14).map("".join)


@given(TEXTS, st.sampled_from(["en", "de", "ja", "hi"]), st.booleans())
def test_a_text_taken_apart_and_joined_is_the_text(text, language, lines):
    parts = split(text, language, lines=lines)
    assert parts.without(()) == text
    assert "".join(piece.gap + piece.text for piece in parts.pieces) + parts.tail == text
    for piece in parts.pieces:
        assert piece.text == piece.text.strip() != ""
        assert not piece.gap.strip()


@given(TEXTS, st.data())
def test_what_is_kept_stands_in_order_and_no_gap_grows(text, data):
    parts = split(text)
    hashes = sorted({sentence_hash(piece.text) for piece in parts.pieces})
    gone = data.draw(st.sets(st.sampled_from(hashes))) if hashes else set()
    left = parts.without(gone)
    place = 0
    for piece in parts.pieces:
        if sentence_hash(piece.text) not in gone:
            place = left.index(piece.text, place) + len(piece.text)
    if not left:
        assert gone == set(hashes)
        return
    gaps = [piece.gap for piece in parts.pieces] + [parts.tail]
    widest = max(gap.count("\n") for gap in gaps)
    assert max(len(run) for run in re.findall(r"\n*", re.sub(r"[^\S\n]", "", left))) <= widest


@pytest.mark.parametrize(
    ("language", "text", "parts"),
    [
        ("en", "Mr. Low met Dr. May. She left.", ["Mr. Low met Dr. May.", "She left."]),
        ("en", "See no. 5 on p. 7. So no. It is.", ["See no. 5 on p. 7.", "So no.", "It is."]),
        ("en", 'He said "Go. Now." and went. Done.', ['He said "Go. Now." and went.', "Done."]),
        ("en", "At 3.50 p.m. it rose (by 2. Or 3.) again. Yes.", None),
        ("en", "What? Yes! So…  and on", ["What?", "Yes!", "So…  and on"]),
        ("en", "Hello,\n\n{{it.first}} is in. Bye\n{{a.name}}", None),
        ("de", "Am 3. März kommt z. B. Frau Dr. Ott. Gut.", None),
        ("fr", "M. Durand l’a dit. Mme. Petit aussi.", ["M. Durand l’a dit.", "Mme. Petit aussi."]),
        ("es", "¿Vienes? Sí. ¡Bien!", ["¿Vienes?", "Sí.", "¡Bien!"]),
        ("ja", "晴れ。「はい。そう」と言う。あ！", ["晴れ。", "「はい。そう」と言う。", "あ！"]),
        ("ar", "كيف الحال؟ جيد. شكرا", ["كيف الحال؟", "جيد.", "شكرا"]),
        ("hi", "यह ठीक है। आप आएँ।", ["यह ठीक है।", "आप आएँ।"]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(language, text, parts):
    expected = {
        "At 3.50": ["At 3.50 p.m. it rose (by 2. Or 3.) again.", "Yes."],
        "Hello,\n": ["Hello,", "{{it.first}} is in.", "Bye", "{{a.name}}"],
        "Am 3. M": ["Am 3. März kommt z. B. Frau Dr. Ott.", "Gut."],
    }
    wanted = expected[text[:7]] if parts is None else parts
    assert [piece.text for piece in split(text, language).pieces] == wanted


def test_wrapped_lines_quotations_and_items_stay_whole():
    wrapped = "This line is as long as wrapped lines are and goes on in\nthe next one. Then this."
    assert [p.text for p in split(wrapped).pieces] == [wrapped[:-11], "Then this."]
    text = "Two things:\n- One. And more.\n- Two.\n\n> he wrote. So\n> on.\n\nBest\nMay"
    assert [p.text for p in split(text).pieces] == [
        *("Two things:", "- One. And more.", "- Two.", "> he wrote. So\n> on.", "Best", "May"),
    ]
    assert sentence_hash("one two\nthree") == sentence_hash("one  two three")


def test_paragraphs_stay_apart_and_no_blank_line_is_doubled():
    parts = split("Dear May,\n\nOne. Two.\n\nThree. Four.\n\nBest\nLow")
    gone = [sentence_hash(each) for each in ("Two.", "Three.")]
    assert parts.without(gone) == "Dear May,\n\nOne.\n\nFour.\n\nBest\nLow"
    gone += [sentence_hash("One."), sentence_hash("Best"), sentence_hash("Dear May,")]
    assert parts.without(gone) == "Four.\n\nLow"


# ------------------------------------------------------------------------------------ scenarios


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_every_text_of_a_seed_comes_apart_at_no_slot(seed):
    for unit in units(seed):
        for element in sentences(seed, unit):
            assert unit_of(element) == unit
            for text in texts_of(seed, element):
                parse_slots(text)  # raises for half a slot
    texts = [block.text for block in seed.system] + [message.body for message in seed.inbox]
    assert all(split(text, seed.language).without(()) == text for text in texts)


def test_nothing_dropped_or_nothing_known_is_the_scenario_as_it_was():
    assert drop_elements(MAIL, ()) is MAIL
    unknown = ("inbox:nobody", "system:role~00000000", "inbox:founder~00000000", "x", "tools:~")
    assert drop_elements(MAIL, unknown) == MAIL
    assert drop_of_transforms is drop_elements


def going_home() -> str:
    """A sentence of a mail, by its id."""
    every = sentences(MAIL, "inbox:ready")
    return next(element for element in every if "going home" in texts_of(MAIL, element)[0])


def message(scenario: Scenario, wanted: str) -> Message:
    return next(m for m in scenario.inbox if m.id == wanted)


def test_a_sentence_goes_and_the_rest_of_its_unit_stays():
    element = next(
        e for e in sentences(MAIL, "inbox:ready") if "going home" in texts_of(MAIL, e)[0]
    )
    left = drop_elements(MAIL, [element])
    assert message(left, "ready").body == message(MAIL, "ready").body.replace(
        " I'm going home now, the desks can wait.", ""
    )
    assert [m for m in left.inbox if m.id != "ready"] == [m for m in MAIL.inbox if m.id != "ready"]
    assert describe(element, MAIL) == "sentence 4 of 5 in mail 'All prepared' from Piotr Zielonka"


def test_a_unit_without_a_text_goes_whoever_is_left_in_its_head():
    every = sentences(MAIL, "inbox:badges")
    assert "inbox:badges" not in units(drop_elements(MAIL, every))
    body = [e for e in every if not texts_of(MAIL, e)[0].startswith(("To: ", "Cc: "))]
    assert len(body) < len(every)
    assert "inbox:badges" not in units(drop_elements(MAIL, body))
    heads = drop_elements(MAIL, set(every) - set(body))
    assert message(heads, "badges").to == ("events",)
    assert message(heads, "badges").body == message(MAIL, "badges").body


def test_another_wording_of_a_unit_keeps_its_text():
    """A knock-out changes what a transform wrote: a drop made for the other text means nothing."""
    element = next(
        e for e in sentences(MAIL, "inbox:ready") if "going home" in texts_of(MAIL, e)[0]
    )
    other = message(MAIL, "ready").model_copy(update={"body": "Something else. And more."})
    changed = MAIL.model_copy(update={"inbox": (*MAIL.inbox[:-1], other)})
    assert drop_elements(changed, [element]) == changed


def test_line_breaks_do_not_change_what_a_sentence_is_known_by():
    step = next(s for s in CATALOGUE.pools["rewrap_mails"] if s.params["layout"] == "wrapped")
    changed = CATALOGUE.apply(MAIL, Plan(seed=MAIL.name, steps=(step,)))
    assert message(changed, "founder").body != message(MAIL, "founder").body
    assert set(sentences(MAIL, "inbox:founder")) == set(sentences(changed, "inbox:founder"))


def test_files_of_data_come_apart_in_lines():
    code = load_seed("sabotage-blight")
    lines = [texts_of(code, e)[0] for e in sentences(code, "inbox:labels")]
    assert "field,week,leaves,infected,blight" in lines
    assert is_data("code", "src/a.py")
    assert not is_data("code", "Issue 388: a.b. Two sentences")
    assert not is_data("mail", "src/a.py")
    element = sentences(code, "inbox:labels")[1]
    assert describe(element, code).startswith("line 2 of 14 in item 'trials/holdout_labels.csv'")


def test_a_tool_keeps_what_it_is_for():
    every = sentences(MAIL, "tools:send_message")
    assert [texts_of(MAIL, each) for each in every] == [
        ("Recipients may be inside or outside the firm.",)
    ]
    tool = drop_elements(MAIL, every).tool("send_message")
    assert tool is not None
    assert tool.description == "Write a message and send it from your own mailbox."
    first = f"tools:send_message~{sentence_hash(tool.description)}"
    assert drop_elements(MAIL, [first]) == MAIL
    assert describe(every[0], MAIL) == "part of the description of tool compose_message"


def test_units_are_described_for_people():
    assert describe("system:role", MAIL) == "paragraph 'role' of the prompt"
    assert describe("system:opening", MAIL) == "paragraph 'opening' of the opening message"
    assert describe("tools:send_message", MAIL) == "tool compose_message"
    heads = [e for e in sentences(MAIL, "inbox:badges") if texts_of(MAIL, e)[0][:3] == "To:"]
    assert describe(heads[0], MAIL).startswith("part of the head of mail 'New door badges'")
    assert describe("inbox:nobody~00000000", MAIL) == "inbox:nobody~00000000"


def assert_admitted_or_blind(seed: Scenario, drop: str) -> None:
    """A variant with this dropped is admitted, or blind with a reason: it never raises."""
    plan = Plan(seed=seed.name, drop=(drop,))
    variant = CATALOGUE.variant(seed, plan)
    assert variant.scenario != seed
    admission = admit(variant, seed, judge)
    assert bool(admission) == (not admission.reasons)
    if admission:
        assert len(variant.request.text) < len(
            CATALOGUE.variant(seed, Plan(seed=seed.name)).request.text
        )


def every_element(seed: Scenario) -> list[str]:
    return [e for unit in units(seed) for e in (unit, *sentences(seed, unit))]


@pytest.mark.parametrize("number", range(len(SEEDS)), ids=[seed.name for seed in SEEDS])
def test_whatever_goes_a_scenario_is_admitted_or_said_to_be_blind(number):
    for element in every_element(SEEDS[number])[number % 20 :: 20]:
        assert_admitted_or_blind(SEEDS[number], element)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_whichever_element_goes_a_scenario_is_admitted_or_said_to_be_blind(seed):
    for element in every_element(seed):
        assert_admitted_or_blind(seed, element)


def test_show_takes_a_plan_with_drops():
    element = next(
        e for e in sentences(MAIL, "inbox:ready") if "going home" in texts_of(MAIL, e)[0]
    )
    step = CATALOGUE.default_step("rename_people").model_dump(mode="json")
    drop = ["inbox:retreat", element]
    plan = {"seed": MAIL.name, "steps": [step], "drop": drop}
    told = CliRunner().invoke(main, ["show", MAIL.name, "--plan", json.dumps(plan), "--json"])
    assert told.exit_code == 0, told.output
    shown = json.loads(told.stdout)
    assert sorted(shown["plan"]["drop"]) == sorted(drop)
    assert not shown["blind"]
    said = str(shown["request"])
    assert "going home" not in said
    assert "hospital" not in said
