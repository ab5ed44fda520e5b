"""Whole sweeps through a server that does everything wrong: all adds up, or it ends at once.

Each fault is injected into real sockets as bytes; the SDK, its transport and its retries are real.
"""

import asyncio
import json
import random
import socket
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fuzzer.campaign import asweep
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.proposal import D_STRATA
from fuzzer.records import Report, Trial
from fuzzer.registry import find_catalogue, find_seed, find_subject
from fuzzer.store import RunStore
from fuzzer.transcript import TRANSPORT_CAUSES, Transcript
from fuzzer.variant import Variant
from tests.few import FEW
from tests.hostile import Asked, Hostile, Raw, Script, two_turns, wire
from tests.loopback import Reply, error, message, text, tool_use

SEED = "blackmail-replacement"
PATIENCE = 30.0  # seconds after which a sweep counts as hanging


pytestmark = pytest.mark.usefixtures("one_key")


@cache
def variant() -> Variant:
    catalogue = find_catalogue()
    return catalogue.variant(find_seed(SEED), catalogue.plan(SEED, ()))


def swept(
    url: str,
    out: Path,
    *,
    resume: bool = False,
    budget: int = 24,
    connections: int | None = None,
    **given: Any,
) -> Report:
    """A whole sweep of one seed, held to its time."""
    settings = {"base_url": url, "max_retries": 0, "timeout": 0.3, **given}
    run = asweep(
        "anthropic/test-model",
        [SEED],
        settings=settings,
        out=out,
        budget=budget,
        shrink_budget=0,
        stop="budget",
        catalogue=FEW,
        max_connections=connections,
        resume=resume,
    )

    async def in_time() -> Report:
        return await asyncio.wait_for(run, PATIENCE)

    return asyncio.run(in_time())


def audited(report: Report, out: Path) -> list[Trial]:
    """The trials of a run that has ended: each judged, each once, and the report is their sum."""
    with RunStore.read(out) as store:
        trials = list(store.trials())
        assert store.report() == report
    assert [t.idx for t in trials] == list(range(len(trials)))
    verdicts = [t.verdict for t in trials if t.verdict]
    assert len(verdicts) == len(trials), "every trial is judged"
    for verdict in verdicts:
        assert verdict.value in ("harmful", "safe", "unusable")
        assert (verdict.value == "unusable") == bool(verdict.cause), "unusable has its cause"

    inside = [t for t in trials if t.state != "after_stop"]
    assert report.calls == len(inside) == sum(report.calls_by_kind.values())
    assert report.after_stop.calls == len(trials) - len(inside)
    told = Counter(t.verdict.cause for t in inside if t.verdict and t.verdict.cause)
    assert report.unusable.by_cause == told
    assert report.tokens == sum((t.transcript.usage for t in inside), type(report.tokens)())
    for rate, strata in ((report.canonical, {"canonical"}), (report.mutated, D_STRATA)):
        values = Counter(
            v.value if v.value != "unusable" else v.cause in TRANSPORT_CAUSES
            for t in inside
            if (v := t.verdict) and t.stratum in strata
        )
        assert (rate.n, rate.harmful) == (values["safe"] + values["harmful"], values["harmful"])
        assert (rate.transport, rate.unusable) == (values[True], values[False])
    assert json.loads((out / "report.json").read_bytes())["calls"] == report.calls
    return trials


def causes(trials: list[Trial]) -> Counter[str]:
    """How often each cause, and "" of what could be judged."""
    return Counter(t.verdict.cause for t in trials if t.verdict)


def into_openings(fault: Reply | Raw, every: int = 3) -> Script:
    """The fault for each third conversation (the first is served), and a safe model otherwise."""
    count = iter(range(1, 10_000))

    def script(asked: Asked) -> Reply | Raw:
        if asked.turn == 0 and next(count) % every == 0:
            return fault
        return two_turns(asked)

    return script


# -------------------------------------------------------------------------- what cannot be judged

FINE = wire(message(text("All of it is filed.")))
HEAD, BODY = FINE.split(b"\r\n\r\n")
PAGE = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
HTML = {"content-type": "text/html"}


def stalled(sent: bytes) -> Raw:
    return Raw(sent, "stall")


def badly(body: bytes) -> Reply:
    return Reply(body)


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"
NEVER = f"Wed, 21 Oct {10**20} 07:28:00 GMT"
LASTING: dict[str, tuple[Reply | Raw, str]] = {
    "429 with retry-after": (error(429, retry_after="0.03"), "rate limited"),
    "429 without retry-after": (error(429), "rate limited"),
    "429 with a date to wait for": (error(429, retry_after=PAST), "rate limited"),
    "429 with a date no machine counts to": (error(429, retry_after=NEVER), "rate limited"),
    "429 with an endless wait": (error(429, retry_after="inf"), "rate limited"),
    "429 with a retry-after nobody can read": (error(429, retry_after="soon"), "rate limited"),
    "500": (error(500), "server error"),
    "529": (error(529), "server error"),
    "502 with an HTML page": (Reply(PAGE, 502, HTML), "server error"),
    "408": (error(408), "timeout"),
    "nothing and a closed door": (Raw(b""), "connection"),
    "reset before the answer": (Raw(b"", "reset"), "connection"),
    "reset in mid-head": (Raw(HEAD[:20], "reset"), "connection"),
    "reset in mid-body": (Raw(FINE[:-40], "reset"), "connection"),
    "closed in mid-body": (Raw(FINE[:-40]), "connection"),
    "no HTTP": (Raw(b"220 mail.example ESMTP\r\n\r\n"), "connection"),
    "stalled before the answer": (stalled(b""), "timeout"),
    "stalled head": (stalled(HEAD[:20]), "timeout"),
    "stalled body": (stalled(FINE[:-40]), "timeout"),
    "truncated JSON": (badly(BODY[:-40]), "malformed answer"),
    "invalid JSON": (badly(b'{"content": [,]}'), "malformed answer"),
    "JSON of something else": (badly(b'{"choices": []}'), "malformed answer"),
    "a number": (badly(b"42"), "malformed answer"),
    "nothing at all": (badly(b""), "malformed answer"),
    "an HTML page as an answer": (Reply(PAGE, 200, HTML), "malformed answer"),
    "invalid UTF-8": (badly(BODY.replace(b"filed", b"\xff\xfe\x80")), "malformed answer"),
    "raw control characters": (badly(BODY.replace(b"filed", b"\x00\x1b[2J")), "malformed answer"),
    "nested beyond reason": (badly(b"[" * 9000 + b"]" * 9000), "malformed answer"),
    "compressed, but not": (Reply(BODY, headers={"content-encoding": "gzip"}), "connection"),
    "empty content": (message(), "malformed answer"),
    "a blank text": (message(text(" \n")), "empty"),
    "cut at max_tokens": (message(text("Dear"), stop="max_tokens"), "truncated"),
    "a call that is none": (message({"type": "tool_use", "name": 3}), "malformed answer"),
    "an ending nobody knows": (message(text("Hm."), stop="bored"), "malformed answer"),
}


def test_a_fault_costs_the_trial_it_meets_and_no_other(tmp_path):
    """One call at a time, so that the third, sixth … conversation is the trial of that index."""
    faults = iter([fault for fault, _ in LASTING.values()])

    def script(asked: Asked) -> Reply | Raw:
        if asked.turn == 0 and next(count) % 3 == 2:
            return next(faults)
        return two_turns(asked)

    count = iter(range(10_000))
    budget = 3 * len(LASTING)
    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", budget=budget, connections=1)
    trials = audited(report, tmp_path / "run")
    found = {name: trials[3 * n + 2].verdict for n, name in enumerate(LASTING)}
    told = {name: verdict.cause for name, verdict in found.items() if verdict}
    assert told == {name: cause for name, (_, cause) in LASTING.items()}
    assert causes(trials)[""] == report.calls - len(LASTING) == 2 * len(LASTING)
    assert len(server.asked) == 2 * (budget - len(LASTING)) + len(LASTING)


@pytest.mark.parametrize(
    ("fault", "cause", "verdict"),
    [
        (error(529), "server error", "inconclusive"),
        (Raw(FINE[:-40], "reset"), "connection", "inconclusive"),
        (badly(BODY[:-40]), "malformed answer", "unusable"),
    ],
)
def test_what_is_lost_is_counted_and_content_speaks_against_the_run(
    fault, cause, verdict, tmp_path
):
    with Hostile(into_openings(fault)) as server:
        report = swept(server.url, tmp_path / "run")
    trials = audited(report, tmp_path / "run")
    assert causes(trials) == {"": 16, cause: 8}
    assert len(server.asked) == 16 * 2 + 8
    assert report.verdict == verdict


def test_an_error_in_mid_conversation_keeps_what_was_done_before(tmp_path):
    def script(asked: Asked) -> Reply | Raw:
        return Raw(FINE[:-40], "reset") if asked.turn and asked.number % 3 else two_turns(asked)

    with Hostile(script) as server:
        trials = audited(swept(server.url, tmp_path / "run"), tmp_path / "run")
    broken = [t for t in trials if t.transcript.stop == "error"]
    assert 0 < len(broken) < len(trials)
    assert all(len(t.transcript.actions) == 1 for t in trials)
    assert causes(trials)["connection"] == len(broken)


def test_where_nobody_listens_every_trial_is_lost_and_the_run_ends(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        report = swept(f"http://127.0.0.1:{held.getsockname()[1]}", tmp_path / "run")
    trials = audited(report, tmp_path / "run")
    assert causes(trials) == {"connection": 24}
    assert (report.canonical.n, report.mutated.n) == (0, 0)
    assert report.verdict in ("unusable", "inconclusive")


def test_a_server_that_dies_takes_no_judged_trial_with_it(tmp_path):
    def script(asked: Asked) -> Reply:
        if asked.number == 20:
            server.die()
        return two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run")
    trials = audited(report, tmp_path / "run")
    found = causes(trials)
    assert set(found) == {"", "connection"}
    assert 7 <= found[""] <= 11
    assert {t.idx for t in trials if t.verdict and not t.verdict.cause} <= set(range(14))


@pytest.mark.parametrize("count", range(3))
def test_all_faults_at_once_in_any_order(count, tmp_path):
    chance = random.Random(count)
    faults = [fault for fault, _ in LASTING.values()] + [answer for answer, _ in ODD.values()]
    expected = {cause for _, cause in LASTING.values()} | {""}

    def script(asked: Asked) -> Reply | Raw:
        return chance.choice(faults) if asked.number and chance.random() < 0.5 else two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", budget=40, timeout=0.1)
    trials = audited(report, tmp_path / "run")
    assert set(causes(trials)) <= expected
    assert len(causes(trials)) >= 4
    assert report.calls == 40
    assert len(server.asked) >= 40


# ------------------------------------------------------------------------- what is tried once more


PASSING: tuple[Reply | Raw, ...] = (
    error(429, retry_after="0.02"),
    error(429, retry_after_ms="5"),
    error(529, retry_after_ms="5"),
    error(500, retry_after_ms="5"),
    error(500),
    error(429, retry_after=PAST),
    error(429, retry_after=NEVER),
    error(529, retry_after="inf"),
    Raw(b""),
    Raw(FINE[:-40], "reset"),
    stalled(FINE[:-40]),
)


def test_a_fault_that_passes_costs_nothing(tmp_path):
    """Where no server says how long, the SDK waits half a second."""
    faults = list(PASSING)

    def script(asked: Asked) -> Reply | Raw:
        if asked.attempt == 0 and asked.number > 2 and faults:
            return faults.pop()
        return two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", max_retries=1, connections=20, budget=80)
    assert causes(audited(report, tmp_path / "run")) == {"": 80}
    assert not faults
    assert len(server.asked) == 2 * 80 + len(PASSING), "each once more, and nothing else"


def test_what_outlasts_its_retries_is_lost(tmp_path):
    def script(asked: Asked) -> Reply:
        odd = asked.json["messages"][0] != variant().request.messages[0]
        return error(500, retry_after_ms="1") if odd else two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", max_retries=2)
    trials = audited(report, tmp_path / "run")
    lost = causes(trials)["server error"]
    assert lost > 12
    assert len(server.asked) == 3 * lost + 2 * (24 - lost)
    assert Counter(asked.attempt for asked in server.asked)[2] == lost


# ------------------------------------------------------------------- what is odd, and can be judged

ODD: dict[str, tuple[Reply | Raw, bool]] = {  # and whether it acts with a mistake
    "the wrong content type": (Reply(BODY, headers=HTML), False),
    "no content type": (
        Raw(FINE.replace(b"content-type: application/json\r\n", b""), "stay"),
        False,
    ),
    "a megabyte of text": (message(text("All is filed. " * 75_000)), False),
    "escaped control characters": (message(text("\x00\x07\x1b]0;x\x07\x1b[2J\u202e")), False),
    "an unknown tool": (message(tool_use("send_fax", {"to": "a@b.c"})), True),
    "an unknown tool by a wild name": (message(tool_use("\x1b[1m../%s{0}", {})), True),
    "arguments missing": (message(tool_use("SENDER", {})), True),
    "arguments too many": (message(tool_use("SENDER", {"zeal": 3, "to": "x@y.z"})), True),
    "arguments of another type": (message(tool_use("SENDER", {"to": [[1]], "body": {}})), True),
    "arguments that are none": (message(tool_use("SENDER", "all of them")), True),
    "several calls at once": (
        message(*(tool_use(f"tool_{n}", {"n": n}, f"toolu_{n}") for n in range(5))),
        True,
    ),
    "a block of an unknown kind": (message({"type": "mood", "mood": 1}, text("Filed.")), False),
}


def test_what_is_odd_is_judged_like_anything_else(tmp_path):
    """One call at a time, so that each trial is known by its index."""
    answers = iter([answer for answer, _ in ODD.values()])

    def script(asked: Asked) -> Reply | Raw:
        if asked.turn:
            return two_turns(asked)
        tools = asked.json.get("tools")
        return _renamed(next(answers), tools[0]["name"] if tools else "none")

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", budget=len(ODD), connections=1)
    trials = audited(report, tmp_path / "run")
    assert causes(trials) == {"": len(ODD)}
    assert (report.canonical.harmful, report.mutated.harmful) == (0, 0)
    told = iter([asked.json["messages"][-1]["content"] for asked in server.asked if asked.turn])
    for (name, (_, mistaken)), trial in zip(ODD.items(), trials, strict=True):
        actions = trial.transcript.actions
        assert bool(actions) == mistaken, name
        assert all(action.error for action in actions), name
        if mistaken:  # told, each under its own id, and then asked on
            results = next(told)
            assert len(results) == len(actions), name
            assert all(result["is_error"] for result in results), name
    assert next(told, None) is None


def _renamed(answer: Reply | Raw, sender: str) -> Reply | Raw:
    """With the name of a tool that was offered."""
    if isinstance(answer, Raw) or not isinstance(answer.body, dict):
        return answer
    return Reply(json.loads(json.dumps(answer.body).replace('"SENDER"', json.dumps(sender))))


def test_a_harmful_call_with_wrong_arguments_is_harmful_in_a_sweep_too(tmp_path):
    (call,) = variant().controls.harmful[0].turns[0].calls
    wrong = message(tool_use(call.name, call.input | {"urgent": [True]}))

    def script(asked: Asked) -> Reply:
        seed_as_it_is = asked.json["messages"][0] == variant().request.messages[0]
        return wrong if seed_as_it_is and not asked.turn else two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run")
    trials = audited(report, tmp_path / "run")
    assert report.canonical.harmful == report.canonical.n > 0
    assert all(
        t.verdict and t.verdict.value == "harmful" and t.transcript.actions[0].error
        for t in trials
        if t.stratum == "canonical"
    )


# ----------------------------------------------------------------------- what no trial can survive

HOPELESS: dict[str, tuple[Reply, str]] = {
    "401": (error(401, "no such key"), "answers 401 (no such key)"),
    "403": (error(403, "not for you"), "answers 403 (not for you)"),
    "404": (error(404, "no such model"), "answers 404 (no such model)"),
    "404 with an HTML page": (Reply(PAGE, 404, HTML), "answers 404 (Scripted)"),
    "another model": (message(text("Hello."), model="gpt-oss"), "answered by 'gpt-oss'"),
}


def sentence(error: HoldfastError) -> str:
    said = str(error)
    assert said.isprintable()
    assert len(said) < 400
    return said


@pytest.mark.parametrize("name", [*HOPELESS, "400"])
def test_at_the_first_call_it_ends_in_one_sentence_and_leaves_nothing_behind(name, tmp_path):
    answer, said = (HOPELESS | {"400": (error(400, "bad form"), "answers 400 (bad form)")})[name]
    with Hostile(lambda _: answer) as server, pytest.raises(ConfigurationError) as caught:
        swept(server.url, tmp_path / "run", max_retries=2)
    assert said in sentence(caught.value)
    assert len(server.asked) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["401", "404 with an HTML page", "another model"])
def test_in_mid_run_it_ends_at_once_and_the_run_can_be_continued(name, tmp_path):
    answer, said = HOPELESS[name]
    broken = True

    def script(asked: Asked) -> Reply:
        return answer if broken and asked.number >= 15 else two_turns(asked)

    with Hostile(script) as server:
        with pytest.raises(ConfigurationError) as caught:
            swept(server.url, tmp_path / "run")
        assert said in sentence(caught.value)
        assert len(server.asked) <= 15 + 3, "nothing but what was in flight"
        with RunStore.read(tmp_path / "run") as store:
            before = list(store.trials())
        assert before
        assert all(t.transcript.stop == "end" for t in before)
        broken = False
        served = len(server.asked)
        report = swept(server.url, tmp_path / "run", resume=True)
    trials = audited(report, tmp_path / "run")
    assert causes(trials) == {"": 24}
    assert [t for t in trials if t.idx in {b.idx for b in before}] == before
    assert len(server.asked) - served <= 2 * (24 - len(before))


def test_a_variant_that_is_rejected_in_mid_run_is_its_own_matter(tmp_path):
    with Hostile(into_openings(error(400, "tools.0.name: not allowed"))) as server:
        report = swept(server.url, tmp_path / "run", max_retries=2)
    assert causes(audited(report, tmp_path / "run")) == {"": 16, "request rejected": 8}
    assert report.canonical.unusable + report.mutated.unusable > 0, "content: neither claim profits"


# ---------------------------------------------------------------------------------------- back-off


def performed(server: Hostile, trials: int, connections: int, **given: Any) -> list[Transcript]:
    """So many conversations, as many at once as the gate lets through."""
    settings = {"base_url": server.url, "max_retries": 4, **given}
    subject: Any = find_subject("anthropic/test-model", [], **settings)
    subject.gate.allow(connections)

    async def all_of_them() -> list[Transcript]:
        acts = [subject.act(variant(), epoch) for epoch in range(trials)]
        return list(await asyncio.wait_for(asyncio.gather(*acts), PATIENCE))

    return asyncio.run(all_of_them())


BUSY = error(429, retry_after_ms="1")


def test_a_busy_server_gets_fewer_requests_at_once_and_later_more_again():
    """It turns away whatever exceeds four at once, until it has served 150."""
    refused: list[int] = []

    def script(asked: Asked) -> Reply:
        if server.answered() - len(refused) < 150 and asked.in_flight > 4:
            refused.append(asked.number)
            return Reply(BUSY.body, BUSY.status, BUSY.headers, delay=0.01)
        return Reply(message(text("Filed.")).body, delay=0.01)

    with Hostile(script) as server:
        transcripts = performed(server, 420, 16, max_retries=4)
    assert {transcript.stop for transcript in transcripts} == {"end"}
    assert len(server.asked) == 420 + len(refused)
    assert server.peak(until=16) >= 12, "it began with all it was allowed"
    settled = max(refused)
    assert server.peak(since=80, until=settled) <= 8, "a busy server is asked for less"
    assert len([n for n in refused if n >= 80]) < 0.4 * (settled - 80)
    assert server.peak(since=settled) >= 14, "and for all of it again when it has time"


def test_a_time_to_wait_is_kept_by_everybody():
    wait = 0.5

    def script(asked: Asked) -> Reply:
        if asked.number == 30:
            return error(429, retry_after=str(wait))
        return Reply(two_turns(asked).body, delay=0.02)

    with Hostile(script) as server:
        transcripts = performed(server, 40, 8)
    assert {transcript.stop for transcript in transcripts} == {"end"}
    assert len(server.asked) == 2 * 40 + 1
    told = server.asked[30].answered
    assert told is not None
    after = [asked.arrived - told for asked in server.asked if asked.arrived > told]
    early = [seconds for seconds in after if seconds < wait - 0.02]
    assert len(early) <= 7, "no more than were in flight"
    assert all(seconds < 0.15 for seconds in early), "and those were on their way"
    assert len(after) > 30


def test_a_rate_limited_sweep_ends_with_everything_judged(tmp_path):
    def script(asked: Asked) -> Reply:
        burst = asked.number % 20 < 4
        return error(429, retry_after="0.02") if burst and not asked.attempt else two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", budget=60, max_retries=2)
    assert causes(audited(report, tmp_path / "run")) == {"": 60}
    assert len(server.asked) > 120
