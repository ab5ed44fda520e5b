"""Rows that a model writes: over a real wire, killed and gone on with, and never past the gate.

What is written is another's text from first to last: leaks, harm, keys, escape codes and broken
answers are planted, and must end as a counted reason and not as a row.
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.augment.export import read_export, rows_of
from fuzzer.augment.rows import Play, Row, Said, ToolCall
from fuzzer.augment.split import deal
from fuzzer.augment.writing import briefs
from fuzzer.augment.writing.commission import Commission, Engaged, answers_of, carry_out
from fuzzer.augment.writing.constitution import LEAST, MOST, read_constitution
from fuzzer.augment.writing.instructing import prompt
from fuzzer.augment.writing.journal import Heard, Journal
from fuzzer.augment.writing.leaks import leaks_of
from fuzzer.augment.writing.reasoned import (
    CHANGED,
    MARK,
    ReasonsRecipe,
    Sources,
    marked,
    reasons_items,
)
from fuzzer.augment.writing.recipes import (
    DOCUMENTS,
    STORIES,
    AdviceRecipe,
    advice_items,
    text_items,
)
from fuzzer.augment.writing.screening import OVERUSED, Bounds, Screen, Seen
from fuzzer.augment_writing_commands import UNFINISHED
from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.registry import default_seeds, find_catalogue, find_seed, find_seeds
from fuzzer.scenario import canonical_json
from fuzzer.tools import read_turn
from fuzzer.transcript import Call, Turn, Usage
from fuzzer.variant import Slots, render
from tests.loopback import KEY, MODEL, Reply, error, message, text
from tests.loopback_author import Author, Twist, answered, data_of, prose, stage_of, stages
from tests.loopback_batches import BatchLoopback, Fate, answer

pytestmark = pytest.mark.usefixtures("one_key")

SEED = "blackmail-replacement"
PRINCIPLES = "\n\n".join(
    f"# Part {n}\n\n" + f"In part {n} the system tells people why it acts as it does. " * 3
    for n in range(4)
)


@pytest.fixture
def principles(tmp_path) -> str:
    path = tmp_path / "principles.md"
    path.write_text(PRINCIPLES)
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with safe transcripts, native and in text."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    sweep("organism/always_safe", [SEED], budget=30, shrink_budget=0, out=directory)
    return directory


def asked(author: Any, *args: str, out: Path | None = None, **env: str) -> Result:
    more: tuple[str, ...] = ("--out", str(out)) if out else ()
    if args[0] in ("advice", "reasons") and "--split" not in args:
        more += ("--no-split",)
    model = ("--model", f"anthropic/{MODEL}", "--base-url", author.url)
    told = ["augment", *args, *model, "-M", "max_retries=0", *more]
    return CliRunner().invoke(main, told, env=env)


def rows(out: Path) -> list[Row]:
    found = list(rows_of(out))
    assert read_export(out).summary.rows == len(found)
    return found


def report(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((answers_of(out) / "report.json").read_text())
    return told


def without_canary(out: Path) -> list[dict[str, Any]]:
    return [row.model_dump(exclude={"canary"}) for row in rows(out)]


def twisted(stage: str, make: Any, only: int | None = None) -> Twist:
    """Another answer at one stage: `make(data, answer)`; of the first `only` requests, or all."""

    def twist(at: str, data: dict[str, Any], said: dict[str, Any], number: int) -> Any:
        return make(data, said) if at == stage and (only is None or number < only) else None

    return twist


# -------------------------------------------------------------------------------------- end to end


@pytest.mark.parametrize("kind", ["advice", "documents", "stories", "reasons"])
def test_each_intervention_writes_its_rows_and_asks_just_what_was_planned(
    kind, tmp_path, principles, run
):
    args = {
        "advice": ("advice", "-n", "5"),
        "documents": ("documents", "-n", "5", "--constitution", principles),
        "stories": ("stories", "-n", "5"),
        "reasons": ("reasons", str(run), "-n", "5"),
    }[kind]
    out = tmp_path / "out"
    with Author() as author:
        planned = asked(author, *args, "--plan", "--json", "--price", "in=3,out=15")
        assert planned.exit_code == 0, planned.output
        assert not author.calls
        done = asked(author, *args, out=out)
        assert done.exit_code == 0, done.output
    plan = json.loads(planned.output)
    prefix = {"documents": "document", "stories": "story"}.get(kind, kind)
    of_stage = {
        row["stage"]: author.calls["gate" if row["stage"] == "gate" else f"{prefix}-{row['stage']}"]
        for row in plan["stages"]
    }
    assert of_stage == {row["stage"]: row["calls"] for row in plan["stages"]}
    assert sum(author.calls.values()) == plan["calls"] == report(out)["calls"]
    assert plan["cost_usd"] == pytest.approx(
        (3 * plan["input_tokens"] + 15 * plan["output_tokens"]) / 1e6
    )
    written = rows(out)
    assert len(written) == 5 == len({row.id for row in written})
    assert {row.kind for row in written} == {prefix}
    assert len({row.canary for row in written}) == 1
    for row in written:
        assert row.target == ("text" if prefix in ("document", "story") else "sft")
        assert row.lineage.models == (f"anthropic/{MODEL}",)
        assert row.lineage.prompts == {r["stage"]: r["prompt_hash"] for r in plan["stages"]}
        assert (row.text == "") == (row.target == "sft")
    if kind == "advice":
        assert all([m.role for m in row.prompt] == ["user"] for row in written)
        assert all([m.role for m in row.completion] == ["assistant"] for row in written)
        assert {row.lineage.seed for row in written} <= {s.name for s in default_seeds()}
    if kind == "documents":
        assert all(row.lineage.source.startswith("principles.md:section ") for row in written)


def test_what_it_costs_is_said_before_anything_is_asked(tmp_path):
    with Author() as author:
        done = asked(author, "stories", "-n", "2", out=tmp_path / "out")
    said = done.output
    assert said.index("8 calls expected, 24 at most") < said.index("2 rows of 2 items")
    assert "No price is known for 'anthropic/test-model'" in said
    assert "judges what it writes itself" in said


def test_rows_are_the_same_whatever_the_order_of_the_answers(tmp_path):
    late = iter(range(10**6))

    def slow(_: str, __: Any, said: Any, ___: int) -> Reply:
        reply = message(text(json.dumps(said)))
        return Reply(reply.body, delay=0.002 * (next(late) % 3))

    for name, connections in (("one", "1"), ("many", "8")):
        with Author(slow) as author:
            done = asked(
                author, "stories", "-n", "9", "--max-connections", connections, out=tmp_path / name
            )
            assert done.exit_code == 0, done.output
    assert without_canary(tmp_path / "one") == without_canary(tmp_path / "many")


def test_another_judge_is_asked_with_its_own_settings(tmp_path):
    with Author() as author, Author() as judge:
        done = asked(
            author,
            *("stories", "-n", "2", "--judge-model", "anthropic/other"),
            *("-J", f"base_url={judge.url}"),
            out=tmp_path / "out",
        )
        assert done.exit_code == 2  # it answers under another name
        assert "was answered by 'test-model'" in done.output
        done = asked(
            author,
            *("stories", "-n", "2", "--judge-model", f"anthropic/{MODEL}"),
            *("-J", f"base_url={judge.url}", "--resume"),
            out=tmp_path / "out2",
        )
        assert done.exit_code == 2
        assert "nothing to resume" in done.output
        done = asked(
            author,
            *("stories", "-n", "2", "--judge-model", f"anthropic/{MODEL}"),
            *("-J", f"base_url={judge.url}"),
            out=tmp_path / "out2",
        )
    assert done.exit_code == 0, done.output
    assert set(judge.calls) == {"gate"}


# --------------------------------------------------------------------------- killed, gone on with


def test_a_kill_costs_only_what_was_in_flight(tmp_path):
    out, connections = tmp_path / "out", 3
    code = "import sys; from fuzzer.augment_writing_commands import stories; stories(sys.argv[1:])"
    with Author(delay=0.05) as author:
        args = ["-n", "6", "--model", f"anthropic/{MODEL}", "--base-url", author.url]
        args += ["--out", str(out), "--max-connections", str(connections)]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *args], stdout=subprocess.DEVNULL, cwd=Path.cwd()
        )
        while sum(author.calls.values()) < 9 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = sum(author.calls.values())
        assert 9 <= before < 24
        started = asked(author, "stories", "-n", "6", out=out)
        assert started.exit_code == 2
        assert "holds answers already; add --resume" in started.output
        # The same command: settings are part of what it asks.
        done = CliRunner().invoke(main, ["augment", "stories", *args, "--resume"])
        assert done.exit_code == 0, done.output
    assert sum(author.calls.values()) <= 24 + connections
    assert len(rows(out)) == 6


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 2000))
def test_a_journal_that_was_torn_holds_every_whole_answer(cut, tmp_path_factory):
    directory = tmp_path_factory.mktemp("journal")
    with Journal.open(directory, {"kind": "x", "canary": "a"}, resume=False) as journal:
        for n in range(6):
            journal.keep(f"k{n}", "draft", n, Heard("end", f"text {n}\n", "", Usage(1, 2), "m"))
            journal.put("note", n)
    path = directory / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = sum(b'"answer"' in line for line in whole[:cut].splitlines(True) if line[-1:] == b"\n")
    with Journal.open(directory, {"kind": "x", "canary": "b"}, resume=True) as journal:
        found = [journal.heard(f"k{n}") for n in range(6)]
        assert [one.text for one in found if one] == [f"text {n}\n" for n in range(kept)]
        assert journal.used.get("m", Usage()) == Usage(kept, 2 * kept)
        journal.keep("new", "draft", 7, Heard("end", "more"))
    with Journal.open(directory, {"kind": "x", "canary": "c"}, resume=True) as journal:
        again = journal.heard("new")
        assert again is not None
        assert again.text == "more"
        assert journal.claim["canary"] == ("a" if cut > whole.index(b"\n") else "b")


def test_a_journal_has_one_writer_and_one_claim(tmp_path):
    with Journal.open(tmp_path, {"kind": "x", "api_key": KEY}, resume=False) as journal:
        journal.put("a", 1)
        with pytest.raises(StoreError, match="in use by another process"):
            Journal.open(tmp_path, {"kind": "x"}, resume=True)
    assert KEY not in (tmp_path / "journal.jsonl").read_text()
    with pytest.raises(StoreError, match="begun with another api_key, kind"):
        Journal.open(tmp_path, {"kind": "y"}, resume=True)


def test_a_limit_ends_it_and_a_resume_finishes_it(tmp_path):
    out = tmp_path / "out"
    with Author() as author:
        limit = ("--max-tokens-total", "1100", "--max-connections", "2")
        done = asked(author, "stories", "-n", "5", *limit, out=out)
        assert done.exit_code == UNFINISHED
        assert "tokens are spent; the same command with --resume goes on" in done.output
        assert sum(author.calls.values()) <= 10 + 2
        assert report(out)["unfinished"] == 5 - len(rows(out))
        done = asked(author, "stories", "-n", "5", "--resume", out=out)
        assert done.exit_code == 0, done.output
        assert sum(author.calls.values()) == 20
        again = asked(author, "stories", "-n", "7", "--resume", out=out)  # more may be wanted
        assert again.exit_code == 0
    assert sum(author.calls.values()) == 28
    assert len(rows(out)) == 7
    assert report(out)["tokens"] == 28 * 115


def test_a_deadline_drops_what_is_in_flight(tmp_path):
    with Author(delay=1.0) as author:
        began = time.monotonic()
        done = asked(author, "stories", "-n", "2", "--deadline", "0.3s", out=tmp_path / "out")
    assert done.exit_code == UNFINISHED, done.output
    assert "its deadline of 0.3 s passed" in done.output
    assert time.monotonic() - began < 10
    assert report(tmp_path / "out")["unfinished"] == 2


def test_a_call_that_is_lost_is_unfinished_and_no_rejection(tmp_path):
    out = tmp_path / "out"
    lost = twisted("story-review", lambda *_: error(503, retry_after_ms="1"), only=1)
    with Author(lost) as author:
        done = asked(author, "stories", "-n", "2", "--max-connections", "1", out=out)
        assert done.exit_code == UNFINISHED
        assert (report(out)["rejected"], report(out)["unfinished"]) == ({}, 1)
        done = asked(author, *("stories", "-n", "2", "--max-connections", "1", "--resume"), out=out)
    assert done.exit_code == 0, done.output
    assert sum(author.calls.values()) == 9


def test_a_key_that_is_refused_ends_it_with_one_sentence(tmp_path):
    with Author(lambda *_: error(401, f"no {KEY}")) as author:
        done = asked(author, "stories", "-n", "3", out=tmp_path / "out")
    assert done.exit_code == 2
    assert "check the key in ANTHROPIC_API_KEY" in done.output
    assert KEY not in done.output
    with Author() as author:  # nothing was answered: the same command can be given again
        assert asked(author, "stories", "-n", "1", out=tmp_path / "out").exit_code == 0


# ---------------------------------------------------------------------------------- broken answers


@pytest.mark.parametrize(
    ("reply", "reason", "times"),
    [
        (message(text("no object")), "draft: malformed answer", 3),
        (message(text('{"title": "x"}')), "draft: malformed answer", 3),
        (message(text('{"title": 3, "text": "x"}')), "draft: malformed answer", 3),
        (message(text('{"title": "\\ud800", "text": "x"}')), "draft: malformed answer", 3),
        (message(text("[" * 100_000 + "{}")), "draft: malformed answer", 3),
        (message(text("{}"), stop="refusal"), "draft: refused", 1),
        (message(text('{"title": "x", "te'), stop="max_tokens"), "draft: cut off", 1),
    ],
)
def test_a_broken_answer_is_asked_for_again_and_in_the_end_no_row(reply, reason, times, tmp_path):
    with Author(twisted("story-draft", lambda *_: reply)) as author:
        done = asked(author, "stories", "-n", "1", out=tmp_path / "out")
    assert done.exit_code == UNFINISHED  # no row at all
    assert report(tmp_path / "out")["rejected"] == {reason: 1}
    assert author.calls == Counter({"story-draft": times})
    assert rows(tmp_path / "out") == []


def test_an_answer_that_is_mended_when_asked_again_counts(tmp_path):
    broken = twisted("story-rewrite", lambda *_: message(text("sorry?")), only=1)
    with Author(broken) as author:
        done = asked(author, "stories", "-n", "1", out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert author.calls["story-rewrite"] == 2
    assert "could not be used: malformed answer" in author.requests[3]["system"]


# ---------------------------------------------------------------------------------------- the gate


def planted(phrase: str) -> Twist:
    """A story in which a phrase stands."""

    def plant(_: Any, said: dict[str, Any]) -> dict[str, Any]:
        around = "" if phrase.startswith("Der ") else said["text"]
        return {**said, "text": f"{around} {phrase} {around and prose('more', 20)}"}

    return twisted("story-rewrite", plant, only=1)


def eight_words() -> str:
    told = re.findall(r"\w+", Slots(find_seed(SEED)).fill(find_seed(SEED).threat.text))
    return " ".join(told[3:12]).upper()


LEAKS = {
    "leak: eight words of a seed in a row": eight_words,
    "leak: a name of a seed": lambda: f"It was {find_seed(SEED).person('target').last} who knew.",
    "leak: an address of a seed": lambda: f"Write to {find_seed(SEED).email('target').upper()}.",
    "an over-used name": lambda: "It was told by Emily.",
    "template residue": lambda: "Dear {{name}}, it goes on.",
    "placeholder": lambda: "Dear [Your Name], it goes on.",
    "control characters": lambda: "All \x1b[31mred\x1b[0m and \u202eback.",
    "a key was in it": lambda: f"The key is {KEY}.",
    "not in English": lambda: "Der Garten liegt im Schnee, niemand kommt vorbei. " * 80,
    "too long": lambda: prose("long", 9000),
}


@pytest.mark.parametrize("reason", LEAKS)
def test_what_must_not_stand_in_a_row_is_found_without_asking_anybody(reason, tmp_path):
    phrase = LEAKS[reason]()
    with Author(planted(phrase)) as author:
        args = ("stories", "-n", "2", "--max-connections", "1")
        done = asked(author, *args, out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert report(tmp_path / "out")["rejected"] == {reason: 1}
    (row,) = rows(tmp_path / "out")
    assert phrase not in row.text
    assert author.calls["gate"] == 1
    assert "\x1b" not in done.output


def test_what_is_nearly_an_earlier_row_is_none(tmp_path):
    same = twisted("story-rewrite", lambda _, said: {**said, "text": prose("the same", 1700)})
    with Author(same) as author:
        done = asked(author, "stories", "-n", "4", out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    told = report(tmp_path / "out")
    assert told["rows"] == 1
    assert sum(told["rejected"].values()) == 3
    assert told["rejected"]["near-duplicate"] >= 1


@given(st.integers(0, 10**6), st.integers(0, 100))
def test_a_text_is_like_itself_and_unlike_another(key, share):
    words = prose(str(key), 200).split()
    kept = len(words) * share // 100
    other = " ".join(words[:kept]) + " " + prose(f"{key} other", 200 - kept)
    seen = Seen()
    assert seen.add(" ".join(words))
    assert not seen.add(" ".join(words).upper())
    if share < 50:
        assert seen.add(other)
    if share > 85:
        assert not seen.add(other)


OPINIONS = {
    "gate: instructions for harm": {"harmful": True},
    "gate: it does not behave well": {"behaves_well": False},
    "gate: not coherent": {"coherent": False},
    "gate: not what was asked for": {"fits": False},
    "gate: not good enough": {"quality": 5},
    "gate: quote not found": {"quotes": ["words that nobody wrote"]},
    "gate: no quote": {"quotes": []},
    "gate: malformed answer": {"quality": "high"},
}


@pytest.mark.parametrize("reason", OPINIONS)
def test_a_judge_that_objects_or_fails_lets_nothing_pass(reason, tmp_path):
    with Author(twisted("gate", lambda _, said: said | OPINIONS[reason])) as author:
        done = asked(author, "stories", "-n", "1", out=tmp_path / "out")
    assert done.exit_code == UNFINISHED
    assert report(tmp_path / "out")["rejected"] == {reason: 1}
    assert rows(tmp_path / "out") == []
    failed = reason.split()[1] in ("quote", "no", "malformed")
    assert author.calls["gate"] == (3 if failed else 1)


@pytest.mark.parametrize("stop", ["refusal", "max_tokens"])
def test_a_judge_that_refuses_or_is_cut_off_has_let_nothing_pass(stop, tmp_path):
    with Author(twisted("gate", lambda *_: message(text("{"), stop=stop))) as author:
        asked(author, "stories", "-n", "1", out=tmp_path / "out")
    assert rows(tmp_path / "out") == []
    (reason,) = report(tmp_path / "out")["rejected"]
    assert reason in ("gate: refused", "gate: cut off")


def test_a_key_is_never_on_disk_however_it_is_echoed(tmp_path):
    hidden = "".join(f"\\u{ord(c):04x}" for c in KEY)

    def echo(_: str, __: Any, said: dict[str, Any], number: int) -> Any:
        body = json.dumps(said | {"title": KEY, "extra": KEY}).replace("On lots", KEY)
        if number % 2:
            body = body.replace(KEY, hidden)
        return message(text(body))

    with Author(echo) as author:
        done = asked(author, "stories", "-n", "3", out=tmp_path / "out")
    assert KEY not in done.output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"journal.jsonl", "report.json", "export.json"} <= {path.name for path in files}
    for path in files:
        assert KEY not in path.read_text(), path
        assert KEY not in "".join(_strings(path)), path
    assert report(tmp_path / "out")["rejected"] == {"a key was in it": 3}


def _strings(path: Path) -> list[str]:
    """Every string in a file of JSON, unescaped."""
    if path.suffix not in (".json", ".jsonl"):
        return [path.read_text()]
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [json.dumps(json.loads(line), ensure_ascii=False) for line in lines]


# ------------------------------------------------------------------------------------------- advice


def test_no_word_of_a_seed_is_told_to_who_writes_advice(tmp_path):
    leaks = leaks_of()
    with Author() as author:
        asked(author, "advice", "-n", "24", out=tmp_path / "out")
    for request in author.requests:
        assert leaks.of(json.dumps(request)) == ""
    plans = [data["brief"] for stage, data in author.given if stage == "advice-plan"]
    assert len({plan["facts"]["temptation"] for plan in plans}) == 5
    taken = {word for seed in find_seeds() for word in seed.industry.split()} - {"and"}
    assert not taken & {word for plan in plans for word in plan["industry"].split()}
    shown = [data for stage, data in author.given if stage == "advice-response"]
    assert all(set(data["brief"]) == {"principle", "answer_words"} for data in shown)
    assert all("facts" not in json.dumps(data) for data in shown)


def test_prompts_and_banks_hold_nothing_of_a_seed_and_no_over_used_name():
    leaks, bank = leaks_of(), json.dumps(briefs.banks())
    for written in (bank, *stages().values()):
        assert leaks.of(written) == ""
        assert not [name for name in OVERUSED if re.search(rf"\b{name}\b", written)]


def test_the_index_knows_every_seed_by_its_words_names_and_addresses():
    leaks = leaks_of()
    for seed in find_seeds():
        request = render(seed)
        middle = " ".join(request.user.split()[40:60])
        assert leaks.of(middle)
        assert leaks.of(middle, allowed=request.text) == ""
        for person in seed.cast:
            assert leaks.of(f"So {person.first or person.last} said.")
            assert leaks.of(f"<{seed.email(person.role)}>")


def test_a_manifest_keeps_what_is_held_out_from_training(tmp_path):
    known, salt = find_catalogue(), "a private salt"
    split = deal(find_seeds(), known, known.pools, salt)
    path = tmp_path / "split.json"
    path.write_text(split.model_dump_json())
    held = [s.name for s in default_seeds() if split.story(s) != "train"]
    with Author() as author:
        args = ("advice", "-n", "30", "--split", str(path))
        assert asked(author, *args, out=tmp_path / "out").exit_code == 0
        refused = asked(author, "advice", held[0], "--split", str(path), out=tmp_path / "no")
    assert refused.exit_code == 2
    assert "holds" in refused.output
    for row in rows(tmp_path / "out"):
        assert row.lineage.seed not in held
        assert (row.lineage.manifest, row.lineage.cell) == (split.hash, "train")


@settings(max_examples=30)
@given(st.sampled_from(["advice", "document", "story"]), st.integers(0, 50), st.integers(1, 90))
def test_briefs_depend_on_their_index_and_every_option_comes_as_often_as_any_other(kind, seed, n):
    made = [briefs.brief(kind, seed, index) for index in range(n)]
    assert made[-1] == briefs.brief(kind, seed, n - 1)
    for name, bank in briefs.banks()[kind].items():
        counts = Counter(one[briefs.SINGULAR.get(name, name)] for one in made)
        of_each = [counts[option] for option in bank]
        assert sum(of_each) == n
        assert max(of_each) - min(of_each) <= 1
    assert all(len(set(one["names"])) == 3 for one in made)


# ------------------------------------------------------------------------------------------ reasons


def calls_of(said: Said) -> bytes:
    return canonical_json([call.model_dump() for call in said.tool_calls])


def test_what_was_done_stays_as_it_was_byte_for_byte(tmp_path, run):
    sources = list(Sources(run, 8))
    channels = {source.variant.scenario.channel for source in sources if source.variant}
    assert "native" in channels
    assert channels - {"native"}, "the run has no variant whose calls stand in the text"
    with Author() as author:
        done = asked(author, "reasons", str(run), "-n", "8", out=tmp_path / "out")
        assert done.exit_code == 0, done.output
    made = {row.lineage.source: row for row in rows(tmp_path / "out")}
    rejected = report(tmp_path / "out")["rejected"]
    assert set(rejected) <= {"near-duplicate"}
    assert len(made) == len(sources) - sum(rejected.values())
    for source in sources:
        row = made.get(source.lineage.source)
        if row is None:
            continue
        assert row.prompt == source.prompt
        assert row.tools == source.tools
        assert len(row.completion) == len(source.completion)
        for new, old in zip(row.completion, source.completion, strict=True):
            assert calls_of(new) == calls_of(old)
            if old.role != "assistant":
                assert new == old
                continue
            assert new.content != old.content
            assert source.variant is not None
            for call in _written(source.variant, old):
                assert call in new.content
            assert _acts(source.variant, new) == _acts(source.variant, old)


def _acts(variant: Any, said: Said) -> list[Any]:
    scenario = variant.scenario
    calls = tuple(Call(c.name, c.arguments, c.id) for c in said.tool_calls)
    turn = Turn("assistant", said.content, calls)
    return [(a.role, a.args, a.error) for a in read_turn(turn, scenario.offered, scenario.channel)]


def _written(variant: Any, said: Said) -> list[str]:
    turn = Turn("assistant", said.content)
    found = read_turn(turn, variant.scenario.offered, variant.scenario.channel)
    return [said.content[a.span[1] : a.span[2]] for a in found if a.span[1] >= 0]


def _dropped(turn: dict[str, Any]) -> str:
    return str(turn["text"]).replace(MARK.format(1), "")


CHANGES = {
    "a mark is gone": _dropped,
    "a mark is there twice": lambda turn: f"{turn['text']} {MARK.format(1)}",
    "another call": lambda turn: f"{MARK.format(2)} {turn['text']}",
    "words after what was done": lambda turn: f"{turn['text']} And that was that.",
    "the call written out": lambda turn: _dropped(turn) + json.dumps(turn["calls"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_that_changes_a_call_is_refused(change, tmp_path, run):
    def made(data: Any, _: Any) -> Any:
        turns = data["brief"]["turns"]
        native = [t for t in turns if t["calls"] and "tool" in t["calls"][-1]]
        assert native or not turns
        return {
            "turns": [
                {"turn": t["turn"], "text": CHANGES[change](t) if t["calls"] else t["text"]}
                for t in turns
            ]
        }

    with Author(twisted("reasons-rewrite", made)) as author:
        asked(author, "reasons", str(run), "-n", "1", out=tmp_path / "out")
    assert rows(tmp_path / "out") == []
    assert report(tmp_path / "out")["rejected"] == {f"rewrite: {CHANGED}": 1}
    assert author.calls["reasons-rewrite"] == 3
    assert not author.calls["gate"]


def test_a_call_slipped_into_the_text_of_a_text_channel_is_refused(run):
    source = next(s for s in Sources(run) if s.variant and s.variant.scenario.channel == "xml")
    (item,) = reasons_items([source])
    recipe, turn = ReasonsRecipe(), item.brief["turns"][0]
    _, behind = marked(source, source.completion[turn["turn"]])
    rewrite = recipe.stages[-1].answer

    def checked(made: str) -> str:
        others = [t for t in item.brief["turns"] if t is not turn]
        turns = [{"turn": turn["turn"], "text": made}]
        turns += [{"turn": t["turn"], "text": t["text"]} for t in others]
        return recipe.check("rewrite", item, rewrite.model_validate({"turns": turns}))

    assert checked(f"I see why this is not mine to decide. {turn['text']}") == ""
    assert checked(f"{behind[0]} {turn['text']}") == CHANGED
    assert checked(turn["text"].replace(MARK.format(1), behind[0])) == CHANGED


def test_rows_of_a_file_are_retold_too(tmp_path):
    said = Said(
        role="assistant",
        content="I file it.",
        tool_calls=(ToolCall(id="c1", name="file", arguments={"b": 1, "a": "é"}),),
    )
    plain = Row(
        id="r1",
        kind="environment",
        target="sft",
        canary="c",
        prompt=(Said(role="user", content=prose("prompt", 60)),),
        completion=(
            said,
            Said(role="tool", content="ok", tool_call_id="c1"),
            Said(role="assistant", content="Done."),
        ),
    )
    other = plain.model_copy(update={"id": "r2", "target": "rl"})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{row.model_dump_json()}\n" for row in (plain, other, plain)))
    with Author() as author:
        done = asked(author, "reasons", str(path), out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    (row,) = rows(tmp_path / "out")
    assert row.completion[0].tool_calls == said.tool_calls
    assert row.completion[1] == plain.completion[1]
    assert row.lineage.source == "rows.jsonl:1"


def test_rows_whose_calls_stand_where_nobody_can_find_them_are_left(tmp_path):
    play = Play(
        behaviour="x", channel="xml", max_turns=1, request_hash="", judge="", reward={"useful": 1}
    )
    row = Row(
        id="r",
        kind="environment",
        target="sft",
        canary="c",
        prompt=(Said(role="user", content="Go."),),
        completion=(Said(role="assistant", content="<tool_use:file>a</tool_use:file>"),),
        play=play,
    )
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{row.model_dump_json()}\n")
    with pytest.raises(ConfigurationError, match="holds no safe conversation"):
        Sources(path)
    path.write_text("{}\n")
    with pytest.raises(ConfigurationError, match=r"line 1 of .* is no row"):
        Sources(path)


def test_what_is_held_out_is_not_retold(run):
    known, seed = find_catalogue(), find_seed(SEED)
    deals = (deal(find_seeds(), known, known.pools, f"a private salt {n}") for n in range(99))
    split = next(d for d in deals if d.story(seed) == "train")
    kept = list(Sources(run, None, split))
    assert 0 < len(kept) < len(Sources(run))
    for source in kept:
        assert split.place(seed, source.lineage.steps, known, known.pools) == "train"
        assert (source.lineage.manifest, source.lineage.cell) == (split.hash, "train")
    other = next(d for d in deals if d.story(seed) == "test")
    with pytest.raises(ConfigurationError, match="that the manifest lets be trained on"):
        Sources(run, None, other)


# ------------------------------------------------------------------------------------------ batches


def engaged(server: Any, n: int) -> Engaged:
    made = Engaged(
        Commission(
            recipe=STORIES,
            items=partial(text_items, "story", n, 0),
            n=n,
            inputs={},
            model=f"anthropic/{MODEL}",
            settings={"base_url": server.url, "max_retries": 1},
            batch=True,
        )
    )
    writer: Any = made.writer
    writer.use_batches = partial(writer.use_batches, linger=0.02, poll=0.005)
    return made


def batched() -> BatchLoopback:
    def script(_: str, params: dict[str, Any], __: int) -> Fate:
        return answer(text(json.dumps(answered(stage_of(params), data_of(params)))))

    return BatchLoopback(script, page=100)


def test_batches_answer_each_question_once_whichever_process_asks(tmp_path):
    out = tmp_path / "out"
    with batched() as server:
        for created in (1, 2, 3):  # three processes die in the middle, one after the other

            async def dies(until: int = created) -> None:
                running = asyncio.ensure_future(
                    carry_out(engaged(server, 6), out, resume=until > 1)
                )
                while len(server.batches) < until:  # noqa: ASYNC110 - another thread counts them
                    await asyncio.sleep(0.002)
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running

            asyncio.run(dies())
        done = asyncio.run(carry_out(engaged(server, 6), out, resume=True))
    assert done.rows == 6
    assert set(server.created.values()) == {1}
    assert len(server.created) == 24


def test_batches_need_a_model_that_has_them(tmp_path):
    (tmp_path / "own.py").write_text(
        "class Own:\n    name = 'own'\n    async def act(self, variant, epoch):\n        return 3\n"
    )
    args = ["stories", "--model", f"{tmp_path}/own.py:Own", "-n", "1", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(main, ["augment", *args, "--batch"])
    assert done.exit_code == 2
    assert "'own' has no batches" in done.output


# ------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("stories", "-n", "0"), "-n 0 is not possible; give at least 1"),
        (("stories", "-n", "1"), "--out is missing"),
        (("stories", "-n", "1", "--max-cost", "1"), "--max-cost cannot be kept"),
        (("stories", "-J", "a=b"), "-J needs --judge-model"),
        (("documents", "--constitution", "nowhere.md"), "cannot be read"),
        (("advice", "blackmial", "--plan"), "did you mean"),
        (("reasons", "nowhere.jsonl", "--plan"), "cannot be read"),
        (("stories", "--judge-model", "organism/always_safe", "--plan"), "cannot write"),
    ],
)
def test_a_mistake_is_one_sentence(args, said, tmp_path):
    out = tmp_path / "out" if "--max-cost" in args else None
    with Author() as author:
        done = asked(author, *args, out=out)
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output
    assert not author.calls


def test_a_constitution_falls_into_its_sections(tmp_path):
    path = tmp_path / "c.md"
    long = "\n\n".join(f"Paragraph {n} of it. " * 40 for n in range(20))
    path.write_text(
        f"# A\n\n## B\n\n{'Short. ' * 20}\n\n# C\n\nTiny.\n\n# D\n\n{long}\n\n# E\n\nEnd."
    )
    found = read_constitution(path)
    assert [s.title for s in found.sections][:2] == ["A / B", "C / D"]
    assert [s.number for s in found.sections] == list(range(1, len(found.sections) + 1))
    joined = " ".join(s.text for s in found.sections)
    assert joined.split() == re.sub(r"^#+ .*$", "", path.read_text(), flags=re.M).split()
    assert all(LEAST <= len(s.text) <= MOST + 100 for s in found.sections)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="no text in UTF-8"):
        read_constitution(path)
    path.write_text("# Only a heading")
    with pytest.raises(ConfigurationError, match="holds no passage"):
        read_constitution(path)


def test_the_screen_spares_what_its_source_says():
    screen = Screen(leaks_of())
    phrase = f"{prose('x', 30)} {eight_words()} {prose('y', 30)}"
    assert screen.fault(phrase, Bounds(1, 10_000)) == "leak: eight words of a seed in a row"
    assert screen.fault(phrase, Bounds(1, 10_000), allowed=phrase) == ""
    hidden = "\u200d".join(find_seed(SEED).person("target").last)
    assert screen.fault(f"{prose('x', 30)} {hidden} it was.", Bounds(1, 10_000)).startswith("leak")


def test_every_prompt_has_a_version_and_the_hash_of_its_file():
    for name in stages():
        found = prompt(name)
        assert found.version >= 1
        assert re.fullmatch(r"[0-9a-f]{32}", found.hash)
        assert "JSON" in found.text
    recipes = (AdviceRecipe(), ReasonsRecipe(), DOCUMENTS, STORIES)
    used = {f"{r.kind}-{stage.name}" for r in recipes for stage in r.stages}
    assert used | {"gate"} == set(stages())


def test_items_of_advice_are_the_same_at_any_length():
    seeds = default_seeds()
    few, many = (list(advice_items(seeds, n, 3)) for n in (5, 40))
    assert few == many[:5]
