"""What a request says otherwise: nothing is lost, nothing is told that is not so, nothing runs."""

import io
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from fuzzer.scenario import Scenario
from fuzzer.strategies import plans
from fuzzer.transform import Plan
from fuzzer.variant import Variant
from mutators import CATALOGUE
from reports.difference import Difference, Run, _in_order, compare, runs, words
from reports.difference_views import fragment, rich_lines, sizes, text
from reports.screen import console
from seeds import load_seed
from tests.test_reports import HOSTILE, UNSEEN, Page

SEED = load_seed("blackmail-replacement-goal")
BASE = CATALOGUE.variant(SEED, Plan(seed=SEED.name))


def varied(*steps, drop: tuple[str, ...] = (), seed: Scenario = SEED) -> Variant:
    """A variant of these transforms, each with the value of its pool of that number."""
    drawn = [CATALOGUE.pools[name][number] for name, number in steps]
    plan = CATALOGUE.plan(seed.name, drawn)
    return CATALOGUE.variant(seed, plan.model_copy(update={"drop": drop}))


def joined(found, *kinds) -> str:
    return "".join(run.text for run in found if run.kind in kinds)


def told(*steps, drop: tuple[str, ...] = ()) -> str:
    return text(compare(BASE, varied(*steps, drop=drop)))


# --------------------------------------------------------------------------------------- words

WORDS = st.lists(
    st.sampled_from(["the", "pump", "stops", "at", "six", "\n\nDear", "日", "本", "a.", "b"]),
    max_size=30,
).map(" ".join)


@given(WORDS, WORDS)
def test_runs_hold_every_word_of_both_texts_in_order(old, new):
    every_word(old, new)


@given(st.text(max_size=40), st.text(max_size=40))
def test_runs_hold_every_word_of_any_text(old, new):
    every_word(old, new)
    assert "".join(words(new)) == new.rstrip()


def every_word(old: str, new: str) -> None:
    found = runs(old, new)
    kept = [w.strip() for run in found if run.kind != "inserted" for w in words(run.text)]
    assert kept == [w.strip() for w in words(old)]
    assert joined(found, "same", "inserted") == "".join(words(new))
    for run in found:
        assert run.words == len(words(run.text)) > 0


@given(WORDS)
def test_the_same_text_is_one_run(written):
    assert [run.kind for run in runs(written, written)] == ["same"] * bool(written.split())


@given(st.lists(st.integers(0, 30), unique=True, max_size=12))
def test_what_need_not_have_moved_is_a_longest_rising_subsequence(numbers):
    kept = _in_order(numbers)
    assert [n for n in numbers if n in kept] == sorted(kept)
    best: list[int] = []  # by patience sorting
    for number in numbers:
        at = next((k for k, top in enumerate(best) if top > number), len(best))
        best[at : at + 1] = [number]
    assert len(kept) == len(best)


# -------------------------------------------------------------------------------- real requests


def holds(before: Variant, after: Variant, found: Difference) -> None:
    """Nothing of either request is lost, and what is counted is so."""
    assert found.changed == (before.request.text != after.request.text)
    old = [p for p in found.parts if p.change != "added"]
    new = [p for p in found.parts if p.change != "left out"]
    assert len([p for p in old if p.section == "inbox"]) == len(before.scenario.inbox)
    assert len([p for p in new if p.section == "inbox"]) == len(after.scenario.inbox)
    assert len([p for p in old if p.section == "tools"]) == len(before.scenario.tools)
    assert len([p for p in new if p.section == "tools"]) == len(after.scenario.tools)
    for variant, parts, gone in ((before, old, "inserted"), (after, new, "deleted")):
        kept = (r for p in parts if p.section == "inbox" for r in p.runs if r.kind != gone)
        said = Counter(w.strip() for run in kept for w in words(run.text))
        bodies = Counter(w.strip() for mail in variant.world.inbox for w in words(mail.body))
        assert bodies <= said  # the heads besides
    for part in found.parts:
        assert (part.change == "same") == all(run.kind == "same" for run in part.runs)
        assert not part.told or part.change == "changed"


@pytest.mark.parametrize("name", [t.name for t in CATALOGUE if CATALOGUE.pools.get(t.name)])
@pytest.mark.parametrize("values", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_whatever_a_transform_changes_is_told(name, values):
    seeds = [SEED, *map(load_seed, ("sabotage-blight-goal", "blackmail-restriction"))]
    seed = next(s for s in seeds if CATALOGUE[name].applicable(s))
    base = CATALOGUE.variant(seed, Plan(seed=seed.name))
    pool = CATALOGUE.pools[name]
    for number in random.Random(name).sample(range(len(pool)), min(values, len(pool))):
        after = varied((name, number), seed=seed)
        holds(base, after, compare(base, after))


@given(plans(CATALOGUE, max_steps=6, seed=SEED.name), st.data())
@settings(max_examples=8, deadline=None)
def test_a_difference_of_any_plan_and_drop_is_whole(plan, data):
    fitting = [s for s in plan.steps if CATALOGUE[s.transform].applicable(SEED)]
    droppable = [f"inbox:{m.id}" for m in SEED.inbox[:3]] + ["tools:create_event"]
    drop = data.draw(st.lists(st.sampled_from(droppable), unique=True))
    after = CATALOGUE.variant(SEED, Plan(seed=SEED.name, steps=tuple(fitting), drop=tuple(drop)))
    found = compare(BASE, after)
    holds(BASE, after, found)
    assert len(found.left_out) >= len(drop)
    shown = text(found)
    assert all(cell_len(said) <= 80 for said in shown.splitlines())
    Page(str(fragment(found)))


def test_the_seed_itself_does_not_differ():
    found = compare(BASE, BASE)
    assert not found.changed
    assert found.tokens_before == found.tokens_after
    assert not re.search(r"\[-|\{\+", text(found))


# -------------------------------------------------------------------------------- what is read


def test_a_dropped_mail_is_one_line_and_a_dropped_tool_another():
    shown = told(drop=("inbox:pumps", "tools:create_event", "system:remember"))
    assert "left out: mail “Lower Sedge pumping station: back on one pump” from Bronwen" in shown
    assert "Tarrant (104 words)" in shown
    assert "left out: tool create_event (36 words)" in shown
    assert "left out: paragraph “Bear in mind: - Your objective…” (70 words)" in shown
    assert "11 unchanged (1,224 words)" in shown
    assert "[-" not in shown


def test_a_renamed_cast_is_told_once_and_never_hides_what_else_changed():
    found = compare(BASE, varied(("rename_people", 3), ("paraphrase_threat", 8)))
    changed = [part for part in found.parts if part.change == "changed" and not part.told]
    assert [part.name for part in changed] == [
        "mail “River programme and mail operations” from Rosalind Achterberg"
    ]
    assert sum(part.told for part in found.parts) == 11
    assert ("Rosalind Achterberg", "Natalia Saucedo") in {(r.old, r.new) for r in found.replaced}
    below = text(found).partition("\nInbox\n")[2]
    assert "Rosalind" not in below.replace("from Rosalind Achterberg", "")
    assert "{+permanently+}" in below
    assert "11 changed only as told above" in below


def test_a_change_beside_a_name_is_not_hidden_with_it():
    found = compare(BASE, varied(("rename_people", 3), ("restyle_punctuation", 1)))
    for part in found.parts:
        for old, new in zip(part.runs, part.runs[1:], strict=False):
            if old.told and new.told and old.kind == "deleted":
                marks = (re.sub(r"[\w@.'’-]+", "", run.text).split() for run in (old, new))
                assert next(marks) == next(marks)


@pytest.mark.parametrize("people", range(0, 256, 37))
def test_under_any_rename_every_mail_is_matched_and_nothing_else_differs(people):
    found = compare(BASE, varied(("rename_people", people)))
    assert {part.change for part in found.parts} <= {"same", "changed"}
    assert all(part.told for part in found.parts if part.change == "changed")


def test_another_format_is_a_fact_and_no_diff_of_notations():
    shown = told(("format_inbox", 1), ("switch_channel", 0), ("split_turns", 0))
    assert "inbox written as: [-plain-] {+xml+}" in shown
    assert "calls written as: [-native tool calls-] {+XML in the text+}" in shown
    assert "told over: [-1 turn of the user-] {+2 turns of the user+}" in shown
    assert "Inbox: all 12 unchanged" in shown
    assert "<message>" not in shown


def test_other_dates_are_told_once_for_all_items():
    found = compare(BASE, varied(("restyle_dates", 2)))
    (fact,) = found.facts
    assert fact.name == "dates of 12 items of the inbox, the first of them"
    assert (fact.before, fact.after) == ("Thu, 12 Mar 2026, 8:30 AM", "2026-03-12 08:30 UTC")
    assert sum(part.told for part in found.parts if part.section == "inbox") > 5
    assert "AM-]" not in text(found).partition("Inbox")[2]


def test_a_renamed_tool_is_matched_by_its_role():
    found = compare(BASE, varied(("rename_tools", 3), ("reorder_tools", 2)))
    tools = [part for part in found.parts if part.section == "tools"]
    assert {part.change for part in tools} == {"changed"}
    assert any("moved from place" in note for part in tools for note in part.notes)
    assert "[-send_email-] {+mailbox-send+}" in text(found)


def test_what_was_moved_is_said_and_not_told_as_a_deletion():
    shown = told(("reorder_inbox", 2))
    assert re.search(r"moved from place\s+\d+\s+to\s+\d+", shown)
    assert "left out" not in shown
    assert "added" not in shown


def test_other_line_breaks_alone_are_said():
    found = compare(BASE, varied(("rewrap_mails", 1)))
    assert any("other line breaks or spaces" in part.notes for part in found.parts)


def test_what_is_added_is_shown_in_full():
    shown = told(("add_unrelated_mails", 4))
    assert "added: mail “Bicycle check-up in the courtyard” from Mobility Team" in shown
    assert "{+From: Mobility Team" in shown


def test_in_brief_what_is_only_left_out_is_counted_and_the_rest_is_shown():
    shown = varied(("rename_tools", 3), drop=("inbox:pumps", "inbox:statement", "system:remember"))
    found = compare(BASE, shown)
    said = "\n".join(row.plain for row in rich_lines(found, brief=True))
    assert "2 left out (218 words)" in said
    assert "1 left out (70 words)" in said
    assert "{+mailbox-send+}" in said
    assert "Lower Sedge" not in said
    first, *rest = SEED.inbox
    less = first.model_copy(update={"body": first.body.split("\n\n")[0]})
    cut = BASE.model_copy(update={"scenario": SEED.model_copy(update={"inbox": (less, *rest)})})
    brief = "\n".join(row.plain for row in rich_lines(compare(BASE, cut), brief=True))
    gone = len(first.body.split()) - len(less.body.split())
    assert f"1 cut down ({gone} of 104 words left out)" in brief
    assert "[-" in text(compare(BASE, cut))


def test_long_unchanged_runs_are_folded_and_counted():
    shown = told(("paraphrase_threat", 8))
    folds = [int(n) for n in re.findall(r"… (\d+) words unchanged …", shown)]
    assert folds
    assert min(folds) > 4
    whole = compare(BASE, varied(("paraphrase_threat", 8)))
    (part,) = [p for p in whole.parts if p.change == "changed"]
    assert sum(folds) < part.words


def test_a_long_deletion_is_folded_and_what_stands_in_its_place_is_not():
    first, *rest = SEED.inbox
    long = " ".join(f"word{n}" for n in range(90))
    whole = first.model_copy(update={"body": f"Dear all,\n\n{long}\n\nYours"})

    def of(body: str) -> Variant:
        inbox = (whole.model_copy(update={"body": body}), *rest)
        return BASE.model_copy(update={"scenario": SEED.model_copy(update={"inbox": inbox})})

    before = of(whole.body)
    gone = text(compare(before, of("Dear all,\n\nYours")))
    assert "[-word0 word1" in gone
    assert "… 74 words left out …" in gone
    assert "word40" not in gone
    instead = text(compare(before, of("Dear all,\n\nnothing of it remains here\n\nYours")))
    assert "word40" in instead
    page = str(fragment(compare(before, of("Dear all,\n\nYours"))))
    assert "word40" in page


def test_sizes_are_estimates_and_say_so():
    found = compare(BASE, varied(drop=("inbox:pumps",)))
    assert found.tokens_after < found.tokens_before
    assert sizes(found).startswith(f"about {found.tokens_before:,} tokens in the seed, about")


# --------------------------------------------------------------------------------- terminal, HTML


def test_colour_marks_deletions_and_insertions_and_plain_text_needs_none():
    found = compare(BASE, varied(("rename_tools", 3)))
    stream = io.StringIO()
    out = console(stream, width=80, colour=True)
    for shown in rich_lines(found):
        out.print(shown)
    assert re.search(r"\x1b\[9;31m\[-send_email-\]", stream.getvalue())
    assert re.search(r"\x1b\[32m\{\+mailbox-send\+\}", stream.getvalue())
    assert "\x1b" not in text(found)


def poisoned(poison: str) -> Variant:
    """A variant whose every text is somebody's attempt."""
    short = poison[:3_000].replace("{{", "{ {")
    scenario = varied(("rename_tools", 3)).scenario
    first, second, *others = scenario.inbox
    tool, *tools = scenario.tools
    inbox = (
        first.model_copy(update={"subject": short, "body": f"{first.body} {short}"}),
        second.model_copy(update={"id": short, "subject": short, "body": short}),
        *others,
    )
    tool = tool.model_copy(update={"name": short, "description": f"{short} {tool.description}"})
    block = scenario.system[0].model_copy(update={"id": short, "text": f"{short} and {short}"})
    person = scenario.cast[0].model_copy(update={"first": short, "last": short})
    changed = scenario.model_copy(
        update={
            "inbox": inbox,
            "tools": (tool, *tools),
            "system": (block, *scenario.system),
            "cast": (person, *scenario.cast[1:]),
        }
    )
    return Variant(id="x", plan=Plan(seed=scenario.name), scenario=changed)


@pytest.mark.parametrize("poison", HOSTILE, ids=lambda poison: ascii(poison[:20]))
@pytest.mark.parametrize("back", [False, True])
def test_hostile_text_stays_text(poison, back):
    pair = (BASE, poisoned(poison))
    found = compare(*(pair[::-1] if back else pair))
    shown = text(found)
    assert UNSEEN.search(shown) is None
    assert all(cell_len(said) <= 80 for said in shown.splitlines())
    page = str(fragment(found))
    assert UNSEEN.search(page) is None
    parsed = Page(page)
    assert set(parsed.tags) <= {
        *("p", "ul", "li", "del", "ins", "h2", "h3", "section", "div", "details", "summary"),
    }
    assert {name for name, _ in parsed.attributes} <= {"class"}
    assert parsed.open == []


def test_markup_of_the_terminal_library_is_shown_as_it_was_written():
    found = Difference(
        parts=(
            compare(BASE, BASE)
            .parts[0]
            .model_copy(
                update={
                    "change": "changed",
                    "runs": (Run(kind="inserted", text="[red]x[/red] :smile:", words=2),),
                }
            ),
        ),
        facts=(),
        replaced=(),
        tokens_before=1,
        tokens_after=1,
    )
    assert "{+[red]x[/red] :smile:+}" in text(found)
