"""The transcripts browser's data say what the run's store says, and nothing in them acts."""

import json
import random
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports
from fuzzer.errors import StoreError
from fuzzer.exhibits import material
from fuzzer.material import Material
from fuzzer.records import Evidence, Ratings, Reading, Report, Trial, Verdict
from fuzzer.store import RunStore
from fuzzer.transcript import Action, Call, Transcript, Turn, Usage
from fuzzer.transform import Plan, Step
from reports import trial_index
from reports.html import render
from reports.page import TEMPLATES
from reports.parcels import FOLDER, LIMIT, Parcels
from reports.text import line, plain
from reports.trial_index import BITS, COLUMNS, NAMES, OTHER, UNKNOWN, VERDICTS
from reports.trials import PLACE, TEXT_LIMIT, pack, placed
from tests.test_parcels import beside, inside
from tests.test_reports import ALL, HOSTILE, UNSEEN

REPORT = ALL["brittle"]
FRAME = re.compile(
    r'<div id="parcels" hidden data-index="([0-9a-f]{16})" data-folder="(|report-data)" '
    r'data-left="(\d+)">\n(.*?)</div>',
    re.S,
)


class Unpacked(NamedTuple):
    """What a page holds of its trials, read as the layout in `reports.trial_index` says."""

    head: dict[str, Any]
    columns: dict[str, list[int]]
    names: list[list[str]]  # of the transforms of each trial
    texts: list[dict[str, Any]]
    left: int


def unpacked(page: str, directory: Path | None = None) -> Unpacked:
    (found,) = FRAME.findall(page)
    index, folder, left, elements = found
    parcels = inside(elements)
    if folder:
        assert directory is not None
        parcels |= beside(directory)
    raw = parcels[index]
    (length,) = struct.unpack_from("<I", raw)
    assert (4 + length) % 8 == 0
    head = orjson.loads(raw[4 : 4 + length])
    columns, at, n = {}, 4 + length, head["trials"]
    for (name, size), (wanted, kind) in zip(head["columns"], COLUMNS, strict=True):
        assert name == wanted
        columns[name] = list(struct.unpack_from(f"<{n}{kind}", raw, at))
        at += size * n
    idx = 0
    for i, step in enumerate(columns["idx"]):
        columns["idx"][i] = idx = (idx + step) % 2**32
    planes = [raw[at + p * n : at + (p + 1) * n] for p in range(head["planes"])]
    assert at + len(planes) * n == len(raw)
    names = [
        [name for t, name in enumerate(head["transforms"]) if planes[t >> 3][i] >> (t & 7) & 1]
        for i in range(n)
    ]
    texts: list[dict[str, Any]] = []
    for name, first in head["chunks"]:
        if name in parcels:
            assert first == len(texts)
            texts += orjson.loads(parcels[name])
    return Unpacked(head, columns, names, texts, int(left))


def packed(trials: list[Trial]) -> Unpacked:
    with Parcels(None, 10**9) as parcels:
        return unpacked(placed(PLACE, pack(trials, parcels), parcels))


def trial(idx: int = 0, **changes: Any) -> Trial:
    given: dict[str, Any] = {
        "idx": idx,
        "variant_id": f"{idx:024x}",
        "seed": "a-seed",
        "plan": Plan(seed="a-seed", steps=(Step(transform="rename", params={"draw": idx % 3}),)),
        "stratum": "half",
        "account": "explore",
        "epoch": 0,
        "distance": 1,
        "transcript": Transcript(turns=(Turn("assistant", f"answer {idx}"),), usage=Usage(3, 4)),
        "verdict": Verdict(value="safe", judge="rules"),
    }
    return Trial(**(given | changes))


# -------------------------------------------------------------------------------- the same facts

text = st.sampled_from(("", "__proto__", "constructor", "a", "b\ud800", *HOSTILE[:13])) | st.text(
    st.characters(codec=None, categories=None), max_size=12
)
params = st.dictionaries(text, text | st.integers() | st.none() | st.lists(text), max_size=2)
plans = st.builds(
    Plan,
    seed=text,
    steps=st.lists(st.builds(Step, transform=text, params=params), max_size=4).map(tuple),
    drop=st.lists(text, max_size=1).map(tuple),
)
calls = st.builds(Call, name=text, input=st.dictionaries(text, text, max_size=2))
turns = st.builds(
    Turn,
    role=st.sampled_from(("assistant", "environment")),
    text=text,
    calls=st.lists(calls, max_size=1).map(tuple),
    reasoning=text,
)
verdicts = st.builds(
    Verdict,
    value=st.sampled_from(("harmful", "safe", "unusable", "refer")),
    evidence=st.lists(
        st.builds(Evidence, turn=st.integers(0, 2), quote=text, why=text), max_size=2
    ).map(tuple),
    engaged=st.booleans(),
    judge=text,
    cause=text,
    utility=st.none() | st.floats(0, 1),
    confirmed=st.booleans(),
    reviewed=st.sampled_from((None, "harmful", "safe")),
    disputed=st.booleans(),
    reading=st.none() | st.builds(Reading, reached_target=st.booleans(), condition=text),
    ratings=st.none() | st.builds(Ratings),
    opinions=st.just(()) | st.tuples(st.builds(Verdict, value=st.just("safe"), judge=text)),
)
many = st.lists(
    st.builds(
        trial,
        idx=st.integers(0, 2**31),
        seed=text,
        plan=plans,
        stratum=st.sampled_from(("canonical", "half", "single", "far", "shrink")),
        account=text,
        epoch=st.integers(0, 2**31),
        distance=st.integers(0, 300),
        phase=st.sampled_from(("sweep", "shrink:3", "shrink:3:text", "twins")) | text,
        state=st.sampled_from(("answered", "done", "after_stop")),
        transcript=st.builds(
            Transcript,
            turns=st.lists(turns, max_size=3).map(tuple),
            actions=st.lists(
                st.builds(Action, role=text, args=st.just({}), raw_name=text, error=text),
                max_size=1,
            ).map(tuple),
            cause=text,
            usage=st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
        ),
        verdict=st.none() | verdicts,
    ),
    max_size=5,
)


def value_of(found: Trial) -> str:
    said = found.verdict.value if found.verdict else "refer"
    return "not judged" if said == "refer" else said


def strings(value: Any) -> list[str]:
    """Every string in a JSON value, keys too."""
    if isinstance(value, dict):
        return [each for pair in value.items() for part in pair for each in strings(part)]
    if isinstance(value, list):
        return [each for part in value for each in strings(part)]
    return [value] if isinstance(value, str) else []


@given(many)
@settings(deadline=None, max_examples=120)
def test_what_is_packed_unpacks_to_the_same_facts_and_nothing_in_it_acts(trials):
    found = packed(trials)
    head, columns = found.head, found.columns
    assert head["trials"] == len(found.texts) == len(trials)
    for i, (was, said) in enumerate(zip(trials, found.texts, strict=True)):
        verdict = was.verdict
        assert columns["idx"][i] == was.idx
        assert head["phases"][columns["phase"][i]] == line(was.phase, 120)
        assert head["seeds"][columns["seed"][i]] == line(was.seed, 120)
        assert VERDICTS[columns["verdict"][i]] == value_of(was)
        cause = was.verdict.cause if verdict and value_of(was) == "unusable" else None
        shown = "" if cause is None else line(cause or "referral unresolved", 120)
        assert head["causes"][columns["cause"][i]] == shown
        assert columns["epoch"][i] == was.epoch
        assert columns["distance"][i] == was.distance
        assert columns["tokens"][i] == was.transcript.usage.input + was.transcript.usage.output
        flags = columns["flags"][i]
        assert (flags & 1 != 0) == (verdict is not None and verdict.engaged)
        assert (flags & 2 != 0) == (was.state == "after_stop")
        assert (flags & 4 != 0) == (verdict is not None and not verdict.confirmed)
        assert (flags & 8 != 0) == (verdict is not None and verdict.reviewed == "harmful")
        assert (flags & 16 != 0) == (verdict is not None and verdict.reviewed == "safe")
        percent = UNKNOWN if not verdict or verdict.utility is None else 100 * verdict.utility
        assert columns["utility"][i] == pytest.approx(percent, abs=0.51)
        assert set(found.names[i]) == {line(step.transform, 120) for step in was.plan.steps}
        key = head["groups"][columns["group"][i]][0]
        if was.phase == "sweep":
            assert key == was.stratum
        elif was.phase.startswith("shrink:"):
            assert key == "shrink"
        assert len(said["turns"]) == len(was.transcript.turns)
        pairs = zip(was.transcript.turns, said["turns"], strict=True)
        for number, (turn, shown_turn) in enumerate(pairs):
            assert shown_turn["role"] == turn.role
            assert shown_turn.get("reasoning", "") == plain(turn.reasoning)
            if "said" not in shown_turn:
                assert not verdict or number not in {each.turn for each in verdict.evidence}
                assert (shown_turn["text"], len(shown_turn["calls"])) == (
                    turn.text,
                    len(turn.calls),
                )
            elif not turn.calls and not (verdict and verdict.evidence):
                assert "".join(shown_turn["said"]) == plain(turn.text)
        if all(plain(each) == each for each in strings(was.plan.model_dump())):
            steps = [json.loads(head["steps"][number]) for number in said.get("plan", ())]
            assert steps == [step.model_dump() for step in was.plan.steps]
    for each in strings([found.head, found.texts]):
        assert UNSEEN.search(each) is None
        assert plain(each) == each


@pytest.mark.parametrize("poison", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_text_reaches_the_page_as_letters_of_base64_only(poison):
    said = Turn("assistant", poison, (Call(poison, {poison: poison}),))
    hostile = trial(
        seed=poison,
        plan=Plan(seed=poison, steps=(Step(transform=poison, params={poison: [poison]}),)),
        account=poison,
        phase=poison,
        transcript=Transcript(turns=(said,)),
        verdict=Verdict(value="unusable", cause=poison, judge=poison),
    )
    with Parcels() as parcels:
        page = placed(f"<p>{PLACE}</p>", pack([hostile, trial(1)], parcels), parcels)
    assert re.sub(r"[A-Za-z0-9+/=]{17,}", "", FRAME.sub("", page)) == "<p></p>"
    found = unpacked(page)
    assert found.columns["verdict"] == [2, 1]
    assert max(map(len, found.head["seeds"])) <= 121
    for each in strings([found.head, found.texts]):
        assert plain(each) == each
        assert len(each) <= 2 * TEXT_LIMIT + 100


def test_evidence_is_marked_where_it_stands_with_why():
    said = Turn("assistant", "I know. Stop it, or she learns.")
    verdict = Verdict(
        value="harmful", evidence=(Evidence(turn=0, quote="Stop it", why="a demand"),)
    )
    (shown,) = packed([trial(transcript=Transcript(turns=(said,)), verdict=verdict)]).texts
    assert shown["turns"][0]["said"] == ["I know. ", ["Stop it", "a demand"], ", or she learns."]


def test_a_text_beyond_the_limit_is_cut_and_says_by_how_much():
    long = trial(transcript=Transcript(turns=(Turn("assistant", "x" * (TEXT_LIMIT + 7)),)))
    marked = trial(
        transcript=Transcript(turns=(Turn("assistant", "x" * 200_000 + "pay" + "y" * 200_000),)),
        verdict=Verdict(value="harmful", evidence=(Evidence(turn=0, quote="pay", why="w"),)),
    )
    first, second = packed([long, marked]).texts
    (turn,) = first["turns"]
    assert (len(turn["said"][0]), turn["cut"]) == (TEXT_LIMIT, ["", "7 more characters"])
    (turn,) = second["turns"]
    assert ["pay", "w"] in turn["said"]
    shown = sum(len(each) if isinstance(each, str) else len(each[0]) for each in turn["said"])
    cut = sum(int(each.split()[0].replace(",", "")) for each in turn["cut"])
    assert shown + cut == 400_003


def test_steps_that_fill_the_list_stand_in_their_trials(monkeypatch):
    monkeypatch.setattr(trial_index, "STEPS_LIMIT", 100)
    found = packed([trial(i) for i in range(6)])
    steps = [
        json.loads(found.head["steps"][each] if isinstance(each, int) else each)
        for said in found.texts
        for each in said["plan"]
    ]
    assert steps == [{"transform": "rename", "params": {"draw": i % 3}} for i in range(6)]
    assert [type(said["plan"][0]) for said in found.texts[:3]] == [int, int, str]


def test_lists_to_choose_from_have_an_end_and_every_trial_a_place_in_them():
    trials = [
        trial(i, seed=f"s{i}", plan=Plan(seed="s", steps=(Step(transform=f"t{i}"),)))
        for i in range(NAMES + 50)
    ]
    found = packed(trials)
    assert len(found.head["seeds"]) == NAMES + 1
    assert len(found.head["transforms"]) == BITS
    assert found.head["seeds"][found.columns["seed"][-1]] == OTHER
    assert found.names[-1] == [OTHER]
    assert found.names[7] == ["t7"]


# ------------------------------------------------------------------------------------ from a run


def stored(directory: Path, trials: list[Trial], report: Report = REPORT) -> None:
    with RunStore.create(directory, {"model": "m"}) as store:
        store.save_transcripts((each, "") for each in trials)
        for each in trials:
            if each.verdict:
                store.save_verdict(each.idx, each.verdict, phase=each.phase)
        store.flush()
        store.finish(report)


def a_run() -> list[Trial]:
    values: list[Verdict | None] = [
        Verdict(value="harmful", judge="rules"),
        *[Verdict(value="safe", judge="rules")] * 3,
        Verdict(value="unusable", cause="truncated", judge="rules"),
        Verdict(value="unusable", cause="timeout", judge="rules"),
        None,
    ]
    sweep = [trial(i, verdict=values[i % len(values)]) for i in range(40)]
    shrunk = [trial(i, phase="shrink:1", stratum="shrink", verdict=values[i % 2]) for i in range(9)]
    return [*sweep, *shrunk]


def test_the_browser_counts_what_the_store_counts_in_its_order(tmp_path):
    stored(tmp_path, a_run())
    with RunStore.resume(tmp_path) as store:
        store.mark_after_stop(36)
        page = render(REPORT, material(REPORT, store))
        counts: Counter[str] = Counter()
        for phase in store.phases():
            counts += Counter(store.counts(phase))
        order = [(each.phase, each.idx) for each in store.trials()]
    found = unpacked(page)
    shown = Counter(VERDICTS[value] for value in found.columns["verdict"])
    assert shown == Counter({"not judged": counts.pop("answered")}) + counts
    phases = [found.head["phases"][phase] for phase in found.columns["phase"]]
    assert list(zip(phases, found.columns["idx"], strict=True)) == order
    assert sum(flags & 2 != 0 for flags in found.columns["flags"]) == 3
    assert "3 came in after the call that decided" in page
    for verdict, n in shown.items():
        rows = re.findall(
            rf'<th scope="row">{verdict}</th><td>[^<]*</td><td class="num">(\d+)', page
        )
        assert sum(map(int, rows)) == n


def test_a_persons_label_and_the_other_judges_stand_beside_the_verdict(tmp_path):
    opinions = tuple(Verdict(value="safe", judge=f"model {i}") for i in range(2))
    first = trial(0, verdict=Verdict(value="harmful", judge="panel", opinions=opinions))
    stored(tmp_path, [first, trial(1), trial(2, verdict=None)])
    with RunStore.resume(tmp_path) as store:
        store.save_verdict(0, Verdict(value="safe", judge="person"), enters=False)
        store.save_verdict(1, Verdict(value="refer", judge="person"), enters=False)
        store.save_verdict(1, Verdict(value="harmful", judge="later"), enters=False)
        store.flush()
        verdicts = [each.verdict for each in store.trials(opinions=True)]
        assert [v.reviewed if v else None for v in verdicts] == ["safe", None, None]
        assert [[o.judge for o in v.opinions] if v else None for v in verdicts] == [
            ["model 0", "model 1"],
            ["later"],
            None,
        ]
        assert all(v is None or v.opinions == () for v in (t.verdict for t in store.trials()))
        assert list(store.failures()) == []  # refuted: it counts as safe
        found = unpacked(render(REPORT, material(REPORT, store)))
    assert [flags & 24 for flags in found.columns["flags"]] == [16, 0, 0]
    assert [o["judge"] for o in found.texts[0]["verdict"]["opinions"]] == ["model 0", "model 1"]


def large(trials: int) -> Material:
    """Trials whose texts hardly compress: 40 kB each."""

    def each() -> Any:
        for i in range(trials):
            said = random.Random(i).randbytes(20_000).hex()
            yield trial(i, transcript=Transcript(turns=(Turn("assistant", said),)))

    return Material(trials=each, stored=trials)


def test_a_large_report_keeps_its_first_file_small_and_has_the_rest_beside(tmp_path):
    reports.write(REPORT, tmp_path, large(200))
    page = (tmp_path / "report.html").read_text()
    assert 0.6 * LIMIT < len(page.encode()) <= LIMIT
    found = unpacked(page, tmp_path)
    assert len(found.texts) == 200
    assert found.left == 0
    alone = render(REPORT, large(200))
    assert len(alone.encode()) <= LIMIT
    told = unpacked(alone)
    assert told.head["trials"] == 200
    assert 0 < told.left < len(told.head["chunks"])
    reports.write(REPORT, tmp_path, large(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert len(unpacked((tmp_path / "report.html").read_text()).texts) == 3


def test_pages_of_two_runs_in_one_folder_keep_what_each_needs(tmp_path):
    """`holdfast report RUN --format html --out FILE`, twice."""
    reports.write_page(REPORT, tmp_path / "one.html", large(120))
    reports.write_page(REPORT, tmp_path / "other.html", large(150))
    reports.write_page(REPORT, tmp_path / "small.html", large(1))
    for name, trials in (("one", 120), ("other", 150), ("small", 1)):
        page = (tmp_path / f"{name}.html").read_text()
        assert len(page.encode()) <= LIMIT
        found = unpacked(page, tmp_path)
        assert (len(found.texts), found.left) == (trials, 0)


def test_a_page_whose_making_fails_leaves_the_earlier_one_whole(tmp_path):
    reports.write(REPORT, tmp_path, large(200))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def failing() -> Any:
        for i, each in enumerate(large(240).trials()):
            if i == 230:
                raise StoreError("the disk is gone")
            yield each.model_copy(update={"account": "another"})

    with pytest.raises(StoreError, match="the disk is gone"):
        reports.write(REPORT, tmp_path, Material(trials=failing, stored=240))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert (tmp_path / FOLDER).is_dir()


def test_a_page_without_its_run_says_so():
    page = render(REPORT)
    assert PLACE not in page
    assert "made without the run's transcripts" in " ".join(page.split())
    assert 'id="parcels"' not in page


# ------------------------------------------------------------------------------------ the script


def test_the_script_makes_no_markup_of_strings_and_stays_small():
    script = (TEMPLATES / "report.js").read_text()
    assert len(script.encode()) < 25_000
    for acting in (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("),
        *("fetch(", "XMLHttpRequest", "import(", "setAttribute(`", "createContextualFragment"),
        *("DOMParser", "postMessage", "window.open", "WebSocket", "sendBeacon", "setHTML"),
    ):
        assert acting not in script, acting
    assert "</" not in script
    assert "<!--" not in script
