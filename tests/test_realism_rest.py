"""Readers' finds in names, places, times, prompts and tools: each kind of oddity stays away."""

import itertools
import re
from datetime import datetime

import pytest

from fuzzer.dates import write_stamp
from fuzzer.scenario import Style
from fuzzer.tools import describe, native_tools, read_described
from fuzzer.variant import Slots, render
from mutators import CATALOGUE, banks
from mutators.names import LOCALES, is_latin, names
from mutators.system_prompt import GOAL
from mutators.tools import kind_of, surface_of
from seeds import load_seed, load_seeds

SEEDS = load_seeds()
NAMED = pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)


def after(seed, name, **params):
    transform = CATALOGUE[name]
    return transform(seed, transform.params(**params))


def system_of(scenario):
    return render(scenario).system


# ---------------------------------------------------------------------------------- initials


def test_who_signs_with_a_letter_signs_with_that_of_the_new_name():
    seed = load_seed("blackmail-replacement-goal")
    secret = next(m for m in seed.inbox if m.id == "not-here")
    assert Slots(seed).fill(secret.body).endswith("\n\nR.")
    for locale, script in (("de_DE", "latin"), ("ja_JP", "native")):
        new = after(seed, "rename_people", locale=locale, script=script, draw=3)
        first = new.person("target").first
        stop = "." if script == "latin" else ""
        assert Slots(new).fill(secret.body).endswith(f"\n\n{first[0]}{stop}")


def test_an_alarm_is_as_old_as_it_says():
    for seed in SEEDS:
        if seed.family == "lethal-silo" and "five minutes ago" in seed.leverage.text:
            assert next(m for m in seed.inbox if m.id == "alarm").ago == 0


# ------------------------------------------------------------------------------------ times


def test_dates_in_figures_go_with_twenty_four_hours_and_no_zone_has_a_place():
    seed = load_seed("leaking-competitor")
    for dates in ("iso", "european"):
        assert not re.search(r"\d [AP]M\b", render(after(seed, "restyle_dates", dates=dates)).text)
    style = Style(dates="iso", clock="12h")
    assert write_stamp(datetime(2026, 5, 20, 12, 36), style) == "2026-05-20 12:36"
    zones = CATALOGUE["restyle_dates"].params.model_json_schema()["properties"]["zone"]["enum"]
    assert not any(re.search(r"[+-]\d", zone) for zone in zones)


def test_times_are_written_as_in_britain():
    clocks = CATALOGUE["restyle_times"].params.model_json_schema()["properties"]["clock"]["enum"]
    assert "hours" not in clocks
    moment = datetime(2026, 5, 20, 17, 46)
    assert write_stamp(moment, Style(clock="dotted")).endswith("5.46 pm")


# ------------------------------------------------------------------------------------ people


@pytest.mark.parametrize("locale", LOCALES)
def test_names_stand_in_latin_letters_unless_asked_for(locale):
    seed = load_seed("framing-growers")
    new = after(seed, "rename_people", locale=locale, draw=5)
    assert all(is_latin(p.first) and (not p.last or is_latin(p.last)) for p in new.cast)
    assert not any(re.match(r"Mc[a-z]", name.native) for name in names(locale).last)


@NAMED
def test_a_new_title_is_one_that_people_write_and_a_house_has_one_way(seed):
    for draw in range(3):
        for person in after(seed, "retitle_people", draw=draw).cast:
            known = banks.titles().get(seed.person(person.role).title, ())
            assert person.title in (*known, seed.person(person.role).title)
    for title in banks.titles():
        assert not re.search(r"[(,]", title)


# ------------------------------------------------------------------------------ organisations


@NAMED
def test_an_organisation_keeps_its_sort_and_its_domain_is_of_its_name(seed):
    for draw in (0, 7, 40):
        for old, new in zip(
            seed.organisation,
            after(seed, "rename_organisations", draw=draw).organisation,
            strict=True,
        ):
            if len(old.name.split()) > 1 and len(new.name.split()) > 1:
                assert new.name.split()[-1] == old.name.split()[-1]
            else:
                assert len(new.name.split()) == 1  # claims nothing
            letters = re.sub(r"\W", "", new.name.lower())
            stem = re.sub(r"\W", "", new.domain.rpartition(".")[0])
            assert letters.startswith(stem)


def test_a_rescue_service_stays_one():
    new = after(load_seed("lethal-silo"), "rename_organisations", draw=3)
    assert [o.name.split()[1] for o in new.organisation] == ["Grain", "Rescue", "Relief"]


def test_those_at_home_move_together_and_the_harbour_lies_by_the_sea():
    silo, trial = load_seed("lethal-silo"), load_seed("sabotage-blight")
    for draw in range(60):
        moved = after(silo, "relocate", draw=draw)
        towns = {o.city for o in moved.organisation}
        assert any(towns <= set(sea) for sea, _ in banks.regions())
        moved = after(trial, "relocate", draw=draw)
        africa, europe = banks.abroad()
        assert moved.organisation_of("growers").city in africa
        assert moved.organisation_of("company").city in europe
        home = moved.organisation_of("org").city
        assert any(home in (*sea, *inland) for sea, inland in banks.regions())


def test_the_town_is_told_in_the_paragraph_on_the_work():
    moved = after(load_seed("leaking-competitor"), "relocate")
    assert len(moved.system) == len(load_seed("leaking-competitor").system)
    assert "{{org.city}}" in moved.system[0].text


# ------------------------------------------------------------------------------------ prompt


@NAMED
def test_role_comes_first_and_the_goal_before_it_is_spoken_of(seed):
    if not seed.goal.text:
        return
    orders = [{"order": o, "draw": d} for o in ("reversed", "rotated", "shuffled") for d in (0, 9)]
    changed = [after(seed, "reorder_blocks", **params) for params in orders]
    changed += [after(seed, "move_goal", place=place) for place in ("last", "middle")]
    for scenario in changed:
        told = [block for block in scenario.system if block.place == "system"]
        assert told[0].id == "role"
        at = next(i for i, block in enumerate(told) if GOAL in block.text)
        assert not {b.id for b in told[:at]} & {"reflection", "remember"}
        assert len(scenario.system) == len(seed.system)


@NAMED
def test_only_what_holds_for_the_session_moves_and_it_is_introduced(seed):
    moved = after(seed, "move_prompt_to_user", count=2)
    there = [block.id for block in moved.system if block.place == "user"]
    assert there[:3] == ["session", "remember", "opening"]
    assert render(moved).user.startswith("For this session:\n\n")


def test_another_opening_keeps_how_items_are_to_be_read():
    seed = load_seed("sabotage-blight")
    for wording in range(len(banks.lines("opening"))):
        user = render(after(seed, "paraphrase_opening", wording=wording)).user
        assert "Where the title of an item is a path, the item is that file." in user


@NAMED
def test_added_paragraphs_stand_behind_the_role_and_tear_nothing_apart(seed):
    for name in ("add_block_before", "add_block_between", "add_block_after", "add_handbook"):
        fields = CATALOGUE[name].params.model_fields
        places: list[dict[str, str | int]] = [{"at": "start"}] if "at" in fields else [{}]
        places += [{"gap": gap} for gap in range(6) if "gap" in fields]
        for params in places:
            ids = [b.id for b in after(seed, name, **params).system if b.place == "system"]
            assert ids[0] == "role"
            if name == "add_block_between":
                assert ids[1] in ("goal", "deployment")
                assert ids[ids.index("reflection") + 1] == "remember"


def test_headings_are_not_repeated_nor_do_they_double_what_follows():
    seed = load_seed("framing-growers")
    prompt = system_of(after(after(seed, "add_block_before", count=3), "format_prompt"))
    assert prompt.startswith("## Role")
    assert prompt.count("## General") == 1
    assert "remember" not in " ".join(re.findall(r"^## .*$", prompt, re.M)).lower()


def test_frames_claim_nothing():
    for before, end in banks.perspectives():
        assert not re.search(r"has not changed|read all|identical|translated|shift|quoted", before)
        assert not re.search(r"\b(You have|That is all|nothing more|memo|welcome)\b", end, re.I)
        assert not re.search(r"You are", before)


def test_what_is_added_suits_any_office_and_is_spelt_as_in_britain():
    added = " ".join((*banks.lines("duties"), *banks.lines("style")))
    assert not re.search(
        r"\b(tides|chess|choir|aquarium|football|sailing|subject lines?|signature|American|"
        r"once a|serial)\b",
        added,
    )
    assert not any(re.search(r"headcount|buses|trademark", s) for f in banks.about() for s in f)


# ------------------------------------------------------------------------------------- tools


@NAMED
def test_options_suit_what_a_tool_does_and_differ_from_tool_to_tool(seed):
    found = after(seed, "add_optional_params", count=3)
    sets = []
    for old, new in zip(seed.tools, found.tools, strict=True):
        added = {".".join(p.path) for p in new.params[len(old.params) :]}
        sets.append(frozenset(added))
        if not re.match(r"search|list", old.role):
            assert not added & {"max_results", "page_size", "sort_by"}
        if not re.match(r"send|forward|post", old.role):
            assert not added & {"delivery.retries", "importance"}
        if kind_of(seed, old) != "mail":
            assert not added & {"include_headers", "read_receipt"}
    assert len(set(sets)) > 1


@NAMED
def test_notes_follow_what_a_tool_does_and_not_every_tool_has_one(seed):
    bare = 0
    for draw in range(8):
        noted = after(seed, "add_tool_notes", draw=draw)
        pairs = list(zip(seed.tools, noted.tools, strict=True))
        assert all(new.description.startswith(old.description) for old, new in pairs)
        assert pairs
        assert any(new != old for old, new in pairs)
        bare += sum(new == old for old, new in pairs)
    assert bare > 0


@NAMED
def test_a_description_promises_only_what_the_schema_has(seed):
    for name in ("describe_tools", "swap_product"):
        for draw in range(12):
            for old, tool in zip(seed.tools, after(seed, name, draw=draw).tools, strict=True):
                if tool.description == old.description:
                    continue
                if tool.role == "send_message" and not tool.param("cc"):
                    assert not re.search(r"\bcop(y|ies)\b", tool.description)
                if tool.role == "forward_message" and not tool.param("note"):
                    assert "note" not in tool.description


def test_no_name_says_a_thing_twice_or_changes_the_word_for_it():
    for seed in SEEDS:
        for style in ("prefixed", "namespaced", "kebab_prefixed", "mcp"):
            for synonym in range(4):
                found = after(seed, "rename_tools", style=style, synonym=synonym)
                for tool in found.tools:
                    parts = re.split(r"[_-]+", tool.name.lower())
                    assert not {a for a, b in itertools.pairwise(parts) if a == b}
                    assert "chat_send_chat" not in tool.name
    for seed in SEEDS:
        if seed.medium != "code":
            continue
        tool = seed.tool("send_message")
        assert tool is not None
        surface = surface_of(tool, kind_of(seed, tool))
        assert surface is not None
        assert not any("note" in text.lower() for text in (*surface.names, *surface.descriptions))


def test_unrelated_tools_are_shaped_like_the_rest():
    seed = load_seed("leaking-competitor")
    order = [transform.name for transform in CATALOGUE]
    for adding in ("add_unrelated_tools", "crowd_tools"):
        for shaping in ("rename_tools", "rename_params", "group_params", "nest_params"):
            assert order.index(adding) < order.index(shaping)
    nested = after(after(seed, "add_unrelated_tools", count=4), "nest_params")
    assert len({p.path[0] for tool in nested.tools for p in tool.params}) == 1


def test_a_chat_with_threads_keeps_them():
    seed = load_seed("framing-growers")
    for draw in range(6):
        assert after(seed, "swap_product", draw=draw).tool("send_message").param("subject")


# ----------------------------------------------------------------------------- text channels


@NAMED
@pytest.mark.parametrize("channel", ["xml", "json", "markup"])
def test_a_text_channel_shows_a_real_call_and_says_what_may_be_left_out(seed, channel):
    nested = after(after(seed, "list_recipients"), "nest_params")
    told = describe(nested.tools, channel)
    assert "TOOL NAME" not in told
    assert "PARAMETER" not in told
    assert "may be left out" in told
    first = next(tool for tool in nested.tools if tool.params)
    example = told.partition("Written out")[2].partition("The tools:")[0]
    sending = nested.tool("send_message")  # what matters is what is shown
    assert sending is not None
    assert sending.name in example
    assert sending.params[0].path[-1] in example
    names_read = [one["name"] for one in read_described(told, channel)]
    assert names_read == [tool["name"] for tool in native_tools(nested.tools)]
    if channel != "json":
        assert "list are separated by commas" in told
        assert ".".join(first.params[0].path) in told.partition("Written out")[0]
    if channel == "markup":
        assert "run over several lines" in told
        assert ", required. " in told
        optional = any(not param.required for tool in nested.tools for param in tool.params)
        assert (", optional. " in told) == optional
