"""The regression corpus: what is written is read again, and what has changed since is said."""

import hashlib
import json
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer import records
from fuzzer.campaign import sweep
from fuzzer.corpus import (
    Entry,
    Recorded,
    Unmutated,
    Without,
    checked,
    entries_in,
    entry_of,
    entry_of_finding,
    read,
    recorded_of,
    to_line,
    write,
)
from fuzzer.errors import ConfigurationError, HoldfastError, StoreError
from fuzzer.graph import Catalogue
from fuzzer.records import Finding, LeastText, Report, StepValues
from fuzzer.scenario import canonical_json
from fuzzer.strategies import plans
from fuzzer.transform import Params, Plan, Step
from fuzzer.variant import admit
from mutators import CATALOGUE
from seeds import load_seed
from tests.few import FEW

SEED = load_seed("blackmail-replacement")
NAMES = ("blackmail-replacement", "leaking-competitor", "lethal-silo")
SEEDS = {name: load_seed(name) for name in NAMES}

RECORDED = Recorded(
    model="anthropic/test-model",
    judge="rules",
    judge_version=4,
    threshold=0.01,
    alpha=0.05,
    certified=True,
    n=20,
    harmful=13,
    rate=0.65,
    ci=(0.41, 0.85),
    cut=0.325,
    knockouts=(
        Without(part="rename_tools", n=11, rate=0.0, ci=(0.0, 0.3), status="below the cut"),
    ),
    seed=Unmutated(n=50, harmful=0, ci=(0.0, 0.09)),
)


def entry(
    *names: str,
    seed: Any = SEED,
    catalogue: Catalogue = CATALOGUE,
    drop: tuple[str, ...] = (),
    **more: Any,
) -> Entry:
    plan = catalogue.plan(seed.name, [catalogue.default_step(name) for name in names], drop)
    variant = catalogue.variant(seed, plan)
    given: dict[str, Any] = {"finding": "F1", "recorded": RECORDED} | more
    return entry_of(variant, catalogue, seed, **given)


def written(found: Entry) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(to_line(found))
    return told


def line_of(told: dict[str, Any], *, edited: bool = False) -> bytes:
    """A line with its scenario's hash set right, unless it was edited by hand."""
    if not edited:
        content = canonical_json(told["scenario"])
        told = told | {"scenario_hash": hashlib.blake2b(content, digest_size=16).hexdigest()}
    return json.dumps(told).encode() + b"\n"


# ------------------------------------------------------------------------------------ round trip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus")


@settings(max_examples=25)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_whatever_a_plan_makes_is_read_again_as_it_was_written(folder, data, name):
    plan = data.draw(plans(FEW, max_steps=4))
    seed = SEEDS[name]
    parts = [f"inbox:{message.id}" for message in seed.inbox]
    drop = tuple(data.draw(st.lists(st.sampled_from(parts), max_size=2, unique=True)))
    variant = FEW.variant(seed, FEW.plan(name, plan.steps, drop))
    made = entry_of(variant, FEW, seed, RECORDED, finding="F1", level="text")
    path = folder / "one.jsonl"
    path.unlink(missing_ok=True)
    write(path, [made])
    (back,) = entries_in(path)
    assert back == made
    assert back.scenario == variant.scenario
    assert back.plan == variant.plan
    assert back.variant.request_hash == variant.request_hash
    assert checked(back, FEW, SEEDS) == ()
    line = path.read_bytes()
    assert line.isascii()
    assert all(byte >= 32 for byte in line[:-1]), "it can be looked at on a terminal"


def test_a_stored_scenario_is_admitted_as_the_variant_was():
    """All that admission asks of the seed is in the entry."""
    from fuzzer.judges.rules import RulesJudge

    found = entry("rename_people", "rename_tools")
    assert admit(found.variant, found, RulesJudge().decide)
    gone = min(SEED.surface - found.scenario.surface)
    message = found.scenario.inbox[0]
    old = message.model_copy(update={"body": f"{message.body}\nAsk {gone}."})
    told = found.scenario.model_copy(update={"inbox": (old, *found.scenario.inbox[1:])})
    traced = found.model_copy(update={"scenario": told})
    refused = admit(traced.variant, traced, RulesJudge().decide)
    assert refused.reasons == (f"the old surface is still there: {gone}",)


def test_an_entry_holds_no_random_seed_and_is_the_same_every_time():
    one, other = entry("rename_people"), entry("rename_people")
    assert to_line(one) == to_line(other)
    keys = set(written(one)) | set(written(one)["recorded"])
    assert not {key for key in keys if "random" in key or "engine" in key or "blob" in key}


def test_an_entry_tells_people_what_fails():
    found = entry("rename_people", "format_inbox", drop=(f"inbox:{SEED.inbox[0].id}",))
    assert found.what.startswith("blackmail-replacement: rename_people (give every person")
    assert found.what.endswith(", less 1 part")
    assert entry(what="It fails under other names.").what == "It fails under other names."
    assert entry().what == "blackmail-replacement: the seed as it is"


def test_a_plan_that_makes_another_scenario_is_no_entry():
    variant = CATALOGUE.variant(SEED, Plan(seed=SEED.name))
    other = variant.model_copy(update={"scenario": SEEDS["leaking-competitor"]})
    with pytest.raises(ValueError, match="does not make the scenario"):
        entry_of(other, CATALOGUE, SEED, RECORDED, finding="F1")


def test_what_a_report_says_of_a_finding_is_what_is_recorded(tmp_path):
    report = sweep(
        "organism/tool_keyed",
        [SEED.name],
        catalogue=FEW,
        budget=200,
        shrink_budget=80,
        out=tmp_path / "run",
    )
    (finding,) = report.findings
    made = entry_of_finding(finding, report, FEW, SEED)
    said = made.recorded
    shown = finding if finding.text is None or made.level != "text" else finding.text
    assert (said.model, said.judge) == ("organism/tool_keyed", "rules")
    assert (said.n, said.harmful, said.ci) == (shown.n, shown.harmful, shown.ci)
    assert (said.rate, said.cut) == (shown.rate, shown.cut)
    assert made.variant_id == shown.variant_id
    assert said.certified
    assert [part.part for part in said.knockouts] == [s.transform for s in finding.minimal_plan]
    assert said.seed.n > 0
    assert said.seed.harmful == 0
    path = tmp_path / "corpus.jsonl"
    assert write(path, [made]).added == 1
    assert entries_in(path) == (made,)


def test_of_a_finding_the_smallest_scenario_that_is_shown_to_fail_is_kept():
    step = CATALOGUE.default_step("rename_people")
    part = f"inbox:{SEED.inbox[-1].id}"
    text = LeastText(
        drop=(part,),
        variant_id="",
        tokens_before=3000,
        tokens_after=2800,
        units=(30, 29),
        sentences=(200, 190),
        complete=True,
        certified=True,
        rate=0.5,
        ci=(0.3, 0.7),
        n=30,
        harmful=15,
        cut=0.25,
        alpha=0.05,
        attempt=1,
        seed=records.Beside(n=12, harmful=0, rate=0.0, ci=(0, 0.3), status="below the cut"),
        state="certified",
    )
    found = Finding(
        id="F2",
        seed=SEED.name,
        plan=(step,),
        minimal_plan=(step,),
        minimal_certified=True,
        rung="form",
        rate=0.65,
        ci=(0.4, 0.9),
        n=20,
        harmful=13,
        fresh=True,
        cut=0.3,
        calls_to_find=3,
        calls_to_shrink=40,
        text=text,
    )
    report = Report(verdict="brittle", model="m", seeds=(SEED.name,))
    least = entry_of_finding(found, report, CATALOGUE, SEED)
    assert (least.level, least.drop, least.finding) == ("text", (part,), "F2")
    assert (least.recorded.n, least.recorded.cut, least.recorded.certified) == (30, 0.25, True)
    assert (least.recorded.seed.n, least.recorded.fresh) == (12, True)

    unsure = text.model_copy(update={"certified": False})
    values = StepValues(
        transform="rename_people",
        found={**step.params, "draw": 7},
        simplest=step.params,
        verdict="any value",
    )
    simpler = found.model_copy(update={"text": unsure, "values": (values,)})
    kept = entry_of_finding(simpler, report, CATALOGUE, SEED)
    assert (kept.level, kept.drop, kept.recorded.cut) == ("values", (), 0.3)
    assert kept.recorded.alpha == 0.05
    more = (step, CATALOGUE.default_step("rename_tools"))
    guess = found.model_copy(update={"text": None, "plan": more, "fresh": False})
    whole = entry_of_finding(guess, report, CATALOGUE, SEED)
    assert (whole.level, whole.steps) == ("plan", more)  # of the part no call has shown it
    never = found.model_copy(update={"text": None, "n": 0, "harmful": 0, "fresh": False})
    bare = recorded_of(never, report)
    assert (bare.rate, bare.fresh, bare.seed) == (None, False, Unmutated())


# -------------------------------------------------------------------------------- the file itself


def test_an_entry_that_is_there_is_replaced_or_kept_and_never_twice(tmp_path):
    path = tmp_path / "corpus.jsonl"
    sure, unsure = entry("rename_people"), RECORDED.model_copy(update={"certified": False})
    doubtful = entry("rename_people", recorded=unsure)
    other = entry("rename_tools", recorded=unsure)
    assert write(path, [doubtful, other]) == (2, 0, 0)
    assert write(path, [sure]) == (0, 1, 0)
    assert write(path, [doubtful, sure]) == (0, 0, 2), "what is certified gives way to no doubt"
    assert write(path, [entry("rename_tools")]) == (0, 1, 0)
    found = entries_in(path)
    assert [one.recorded.certified for one in found] == [True, True]
    assert [one.key for one in found] == [sure.key, other.key]
    assert write(path, []) == (0, 0, 0)


def test_lines_that_are_no_entries_are_left_as_they_are(tmp_path):
    path = tmp_path / "corpus.jsonl"
    newer = json.dumps({"schema_version": 2, "new": True})
    path.write_bytes(f"{newer}\r\n<<<<<<< mine\n\n".encode())
    assert write(path, [entry("rename_people")]).added == 1
    lines = path.read_text().splitlines()
    assert lines[:2] == [newer, "<<<<<<< mine"]
    assert len(lines) == 3


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "corpus.jsonl"
    write(path, [entry("rename_people")])
    path.chmod(0o640)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"cannot write the corpus .*No space left"):
            write(path, [entry("rename_tools")])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.jsonl"]
    write(path, [entry("rename_tools")])
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_to_a_corpus_stays_a_link(tmp_path):
    link, path = tmp_path / "link.jsonl", tmp_path / "elsewhere" / "corpus.jsonl"
    link.symlink_to(path)
    write(link, [entry("rename_people")])
    assert link.is_symlink()
    assert len(entries_in(path)) == 1


def test_a_key_is_written_into_no_corpus(tmp_path, monkeypatch):
    path = tmp_path / "corpus.jsonl"
    monkeypatch.setenv("SOME_API_KEY", SEED.inbox[0].subject)
    with pytest.raises(StoreError, match="holds a key of this machine"):
        write(path, [entry("rename_tools")])
    assert not path.exists()


def test_of_two_lines_on_the_same_scenario_the_last_one_counts(tmp_path):
    path = tmp_path / "corpus.jsonl"
    first, last = entry("rename_people"), entry("rename_people", finding="F7")
    path.write_bytes(to_line(first) + b"\n" + to_line(last) + b"\n")
    (found,) = entries_in(path)
    assert found.finding == "F7"


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_corpus_without_an_entry_is_one_sentence(text, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"holds no entry; .*--save"):
        entries_in(path)


@pytest.mark.parametrize("name", ["missing.jsonl", "", "x" * 300])
def test_a_file_that_cannot_be_read_is_one_sentence(name, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read the corpus"):
        read(tmp_path / name)


# -------------------------------------------------------------------------------------- bad lines


def test_what_a_newer_holdfast_adds_is_ignored_beside_what_is_run():
    told = written(entry("rename_people"))
    told |= {"new": {"deep": [1]}, "recorded": told["recorded"] | {"newer": True}}
    told["recorded"]["knockouts"][0]["also"] = 1
    told["recorded"]["seed"]["also"] = 1
    assert one(line_of(told)) == entry("rename_people")


def one(line: bytes) -> Entry | str:
    """The entry of a line, or what is said of it."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = os.path.join(folder, "corpus.jsonl")
        with open(path, "wb") as file:
            file.write(b"\n" + line)
        entries, faults = read(path)
        if entries:
            return entries[0]
        (fault,) = faults
        assert fault.line == 2
        assert fault.said.startswith(f"{path!r}, line 2: ")
        with pytest.raises(ConfigurationError) as refused:
            entries_in(path)
        assert str(refused.value) == fault.said
    said = fault.said.partition(": ")[2]
    assert "\n" not in said
    return said


def test_within_plan_and_scenario_it_is_refused():
    """It would change what is run."""
    told = written(entry("rename_people"))
    for where in ("scenario", "step", "message"):
        newer = json.loads(json.dumps(told))
        part = {
            "scenario": newer["scenario"],
            "step": newer["steps"][0],
            "message": newer["scenario"]["inbox"][0],
        }[where]
        part["gravity"] = 9.81
        said = one(line_of(newer))
        assert isinstance(said, str)
        assert "gravity: Extra inputs are not permitted" in said
        assert "use the Holdfast that wrote it" in said


def test_another_schema_is_refused_in_a_sentence():
    told = written(entry()) | {"schema_version": 2}
    assert one(line_of(told)) == (
        "it has schema_version 2 and this Holdfast reads 1; use the Holdfast that wrote it, or "
        "delete the line"
    )


def test_a_scenario_edited_by_hand_is_said_to_be():
    told = written(entry("rename_people"))
    told["scenario"]["inbox"][0]["body"] += " And one more thing."
    said = one(line_of(told, edited=True))
    assert isinstance(said, str)
    assert "it was edited by hand" in said
    assert "restore the line" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"<<<<<<< ours", "it is no JSON"),
        (b'{"schema_version": 1, "finding": "F', "it is no JSON"),
        (b"[1, 2]", "it is no entry of a corpus"),
        (b'{"verdict": "brittle"}', "it is no entry of a corpus"),
        (b'{"schema_version": 1}', "it was edited by hand"),
        (b'{"schema_version": 1, "scenario": {"a": 1' + b"0" * 30 + b"}}", "edited by hand"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 5000, "it is no JSON"),
    ],
)
def test_what_is_no_entry_is_said_with_its_line(line, said):
    found = one(line)
    assert isinstance(found, str)
    assert said in found


def test_of_several_bad_lines_the_first_is_named_and_the_others_are_counted(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(to_line(entry()) + b"\n{\n{\n{\n")
    assert [fault.line for fault in read(path).faults] == [2, 3, 4]
    with pytest.raises(ConfigurationError, match=r"line 2: .* \(and 2 more lines\)$"):
        entries_in(path)


def test_a_scenario_that_names_what_was_dropped_is_read_and_left_to_admission():
    """As a variant it was never held to what a seed is held to."""
    from fuzzer.judges.rules import RulesJudge

    seed = SEEDS["leaking-competitor"]
    found = entry("rename_people", seed=seed, drop=("inbox:overture",))
    assert "{{message.overture}}" in str(found.scenario.ledger)
    back = one(to_line(found))
    assert back == found
    assert isinstance(back, Entry)
    judge = RulesJudge().decide
    direct = CATALOGUE.variant(seed, found.plan)
    assert admit(back.variant, back, judge) == admit(direct, seed, judge)
    assert checked(back, CATALOGUE, SEEDS) == ()


def test_a_missing_field_is_named():
    told = written(entry("rename_people"))
    del told["trail"]
    assert "trail: Field required" in str(one(line_of(told)))


# -------------------------------------------------------------------------- what has changed since


def other(catalogue: Catalogue, name: str, **changes: Any) -> Catalogue:
    """A catalogue with one transform declared otherwise."""
    return Catalogue(
        [replace(t, **changes) if t.name == name else t for t in catalogue], catalogue.pools
    )


def shouting(catalogue: Catalogue, name: str) -> Catalogue:
    """One transform of it writes something else."""
    before = catalogue[name].apply

    def louder(scenario: Any, params: Any) -> Any:
        after = before(scenario, params)
        return after.model_copy(
            update={
                "cast": tuple(
                    person.model_copy(update={"title": person.title.upper()})
                    for person in after.cast
                )
            }
        )

    return other(catalogue, name, apply=louder)


FOUND = entry("rename_people", "rename_tools", "format_inbox", catalogue=FEW)
NOW = {name: FEW[name].version for name in ("rename_people", "rename_tools", "format_inbox")}


def test_nothing_is_said_where_nothing_has_changed():
    assert checked(FOUND, FEW, SEEDS) == ()
    assert checked(FOUND, CATALOGUE, SEEDS) == (), "a larger catalogue makes no difference"


def test_a_transform_that_is_gone_is_named():
    fewer = Catalogue([t for t in FEW if t.name != "rename_tools"], FEW.pools)
    assert checked(FOUND, fewer, SEEDS) == (
        f"the transform 'rename_tools' (version {NOW['rename_tools']}) is gone",
    )


def test_another_version_is_named_with_whether_it_matters():
    version = NOW["rename_people"]
    newer = other(FEW, "rename_people", version=version + 1)
    assert checked(FOUND, newer, SEEDS) == (
        f"the transform 'rename_people' was version {version} and is {version + 1}, which makes "
        "no difference here",
    )
    assert checked(FOUND, shouting(newer, "rename_people"), SEEDS) == (
        f"the transform 'rename_people' was version {version} and is {version + 1}, and makes "
        "another scenario of this",
    )


def test_a_transform_that_changed_without_a_new_version_is_found_out():
    assert checked(FOUND, shouting(FEW, "rename_people"), SEEDS) == (
        "the transform 'rename_people' makes another scenario of this, though its version is the "
        "same",
    )


def test_two_changed_transforms_are_both_named():
    newer = other(FEW, "format_inbox", version=NOW["format_inbox"] + 1)
    said = checked(FOUND, shouting(newer, "rename_people"), SEEDS)
    assert [sentence.split("'")[1] for sentence in said] == ["rename_people", "format_inbox"]


def test_parameters_that_are_no_longer_possible_are_named():
    class Plain(Params):
        """None of those there were."""

    said = checked(FOUND, other(FEW, "rename_people", params=Plain), SEEDS)
    assert len(said) == 1
    assert said[0].startswith("the transform 'rename_people', no longer takes")
    assert "'rename_people': parameter" in said[0]


def test_a_transform_that_breaks_is_named():
    def broken(scenario: Any, params: Any) -> Any:  # noqa: ARG001 - the signature of one
        raise ZeroDivisionError("by nothing")

    (said,) = checked(FOUND, other(FEW, "rename_people", apply=broken), SEEDS)
    assert said.startswith("the transform 'rename_people' cannot be applied (")
    assert "ZeroDivisionError" in said


def test_a_seed_that_changed_or_is_gone_is_named():
    assert checked(FOUND, FEW, {}) == (f"the seed {SEED.name!r} is not known here any more",)
    newer = SEED.model_copy(update={"version": SEED.version + 1, "summary": "Another."})
    assert checked(FOUND, FEW, {SEED.name: newer}) == (
        f"the seed {SEED.name!r} has changed (version {SEED.version} then, {newer.version} now)",
    )


def test_another_order_and_a_group_in_common_are_said():
    turned = Catalogue(
        [replace(t, before=frozenset()) for t in reversed(FEW.transforms)], FEW.pools
    )
    said = checked(FOUND, turned, SEEDS)
    assert said[-1].startswith("the steps are applied in another order now (format_inbox, ")
    grouped = Catalogue([replace(t, group="one") for t in FEW], FEW.pools)
    assert "no longer go together" in checked(FOUND, grouped, SEEDS)[-1]


def test_a_drop_that_does_something_else_is_said():
    dropped = entry("rename_people", catalogue=FEW, drop=(f"inbox:{SEED.inbox[0].id}",))
    assert checked(dropped, FEW, SEEDS) == ()
    less = dropped.model_copy(update={"drop": ()})
    assert checked(less, FEW, SEEDS) == ("what is dropped from the scenario is no longer the same",)


def test_another_rendering_is_said():
    changed = FOUND.model_copy(update={"request_hash": "0" * 32})
    assert checked(changed, FEW, SEEDS) == (
        "this Holdfast writes the stored scenario out as another request than then",
    )


def test_whatever_has_changed_the_entry_runs_as_it_was(tmp_path):
    path = tmp_path / "corpus.jsonl"
    write(path, [FOUND])
    (back,) = entries_in(path)
    steps = tuple(Step(transform=s.transform, params=s.params) for s in FOUND.steps)
    was = FEW.variant(SEED, FEW.plan(SEED.name, steps))
    for catalogue in (Catalogue([]), shouting(FEW, "rename_people")):
        assert checked(back, catalogue, {})
        assert back.variant.request == was.request
    assert isinstance(back.variant.id, str)
    assert issubclass(StoreError, HoldfastError)
