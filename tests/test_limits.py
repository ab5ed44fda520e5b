"""Money, tokens and time end a run where they must, and a resume goes on as if they never had."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fuzzer.campaign import asweep
from fuzzer.cli import main
from fuzzer.errors import ConfigurationError
from fuzzer.limits import Limits
from fuzzer.prices import Price
from fuzzer.records import Report
from fuzzer.store import RunStore
from fuzzer.transcript import Usage
from tests.few import FEW
from tests.hostile import Asked, Hostile, Raw, two_turns
from tests.loopback import Reply, message

SEED = "blackmail-replacement"
PATIENCE = 30.0
READ, WRITTEN = 105, 10  # tokens of one generation, as the server counts them
TRIAL = 2 * (READ + WRITTEN)
AT_ONCE = 4
PRICE = "in=100,out=1000"  # dollars per million tokens
DOLLARS = 2 * (READ * 100 + WRITTEN * 1000) / 1e6  # for one trial


pytestmark = pytest.mark.usefixtures("one_key")


def swept(url: str, out: Path, **options: Any) -> Report:
    given: dict[str, Any] = {
        "budget": 40,
        "shrink_budget": 0,
        "stop": "budget",
        "catalogue": FEW,
        "max_connections": AT_ONCE,
    }
    settings = {"base_url": url, "max_retries": 0}
    run = asweep("anthropic/test-model", [SEED], settings=settings, out=out, **given | options)

    async def in_time() -> Report:
        return await asyncio.wait_for(run, PATIENCE)

    return asyncio.run(in_time())


def stored(out: Path) -> list[int]:
    with RunStore.read(out) as store:
        trials = list(store.trials())
    assert all(t.verdict is not None for t in trials), "what is stored is judged"
    return [t.idx for t in trials]


def slowly(asked: Asked) -> Reply:
    """So that as many are in flight as may be."""
    return Reply(two_turns(asked).body, delay=0.005)


# --------------------------------------------------------------------------------- money and tokens

CAPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # a cap of ten trials, and of more
    "max_cost": ({"max_cost": 9.5 * DOLLARS}, {"max_cost": 1000 * DOLLARS}),
    "max_tokens_total": ({"max_tokens_total": 10 * TRIAL}, {"max_tokens_total": 1000 * TRIAL}),
}


@pytest.mark.parametrize("cap", CAPS)
def test_at_a_cap_nothing_more_is_launched_and_a_higher_one_goes_on(cap, tmp_path):
    low, high = CAPS[cap]
    with Hostile(slowly) as server:
        report = swept(server.url, tmp_path / "run", price=PRICE, **low)
        held = stored(tmp_path / "run")
        assert 10 <= len(held) <= 10 + AT_ONCE - 1, "no more beyond it than were in flight"
        assert len(server.asked) == 2 * len(held), "what was in flight is waited for"
        assert (report.stopped, report.verdict) == (cap, "inconclusive")
        assert report.reason is not None
        assert report.reason.startswith("the run stopped early: ")
        paid = (report.cost_usd or 0) + (report.after_stop.cost_usd or 0)
        assert paid == pytest.approx(len(held) * DOLLARS)

        same = swept(server.url, tmp_path / "run", price=PRICE, resume=True, **low)
        assert same.stopped == cap
        assert len(server.asked) == 2 * len(held), "a cap that is reached launches nothing at all"

        more = swept(server.url, tmp_path / "run", price=PRICE, resume=True, **high)
        assert more.stopped is None
        assert len(server.asked) == 2 * 40, "nothing is called twice"
        whole = swept(server.url, tmp_path / "whole", price=PRICE)
    assert stored(tmp_path / "run") == list(range(40))
    assert more.facts() == whole.facts()
    assert more.cost_usd == pytest.approx(40 * DOLLARS)


def test_what_stays_below_its_caps_is_the_run_it_would_have_been(tmp_path):
    with Hostile() as server:
        free = swept(server.url, tmp_path / "free", budget=20, price=PRICE)
        held = {"max_cost": 1.0, "max_tokens_total": 10**6, "deadline": 600.0}
        capped = swept(server.url, tmp_path / "capped", budget=20, price=PRICE, **held)
    assert capped.facts() == free.facts()
    assert capped.stopped is None


def test_without_a_price_a_cap_on_money_is_refused_before_any_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Hostile() as server:
        args = ["sweep", SEED, "--model", "anthropic/test-model", "--base-url", server.url]
        result = CliRunner().invoke(main, [*args, "--max-cost", "5"])
        assert not server.asked
    assert (result.exit_code, result.stdout) == (2, "")
    (said,) = result.stderr.splitlines()
    assert "no price is known for 'anthropic/test-model'" in said
    assert "--price" in said
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------- time


def test_a_deadline_drops_what_is_in_flight_and_a_resume_asks_it_again(tmp_path):
    slow = True

    def script(asked: Asked) -> Reply:
        stuck = slow and asked.number >= 25
        return Reply(two_turns(asked).body, delay=60 if stuck else 0)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", deadline=1.5)
        assert time.monotonic() - server.asked[0].arrived < 3.5, "time counts from the first call"
        held = stored(tmp_path / "run")
        assert (report.stopped, report.calls) == ("deadline", len(held))
        assert report.reason is not None
        assert "its deadline of 1.5 s passed" in report.reason
        assert 9 <= len(held) <= 12
        served = len(server.asked)
        slow = False
        more = swept(server.url, tmp_path / "run", resume=True)
        assert len(server.asked) - served <= 2 * (40 - len(held)), "turns answered are kept"
        whole = swept(server.url, tmp_path / "whole")
    assert more.facts() == whole.facts()


def test_a_trial_that_outlasts_its_time_is_unusable_and_the_next_begins(tmp_path):
    def script(asked: Asked) -> Reply | Raw:
        if asked.number % 6 == 5:
            return Raw(b"HTTP/1.1 200 OK\r\n", "stall")
        return two_turns(asked)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", budget=12, trial_timeout=1)
    assert report.calls == 12
    assert report.unusable.by_cause == {"timeout": sum(a.number % 6 == 5 for a in server.asked)}
    assert report.canonical.transport + report.mutated.transport <= 12


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("max_cost", 0, "max_cost = 0"),
        ("max_tokens_total", -5, "max_tokens_total = -5"),
        ("deadline", float("nan"), "deadline = nan"),
        ("trial_timeout", 0, "trial_timeout = 0"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_before_any_request(option, value, said, tmp_path):
    with Hostile() as server:
        with pytest.raises(ConfigurationError, match=said):
            swept(server.url, tmp_path / "run", price=PRICE, **{option: value})
        assert not server.asked
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("many", "stops"), [(10**15, True), (10**30, False), (-5, False)])
def test_usage_nobody_would_believe_breaks_nothing(many, stops, tmp_path):
    """A server may say anything: what is no count is nothing, and what is a huge one does stop."""

    def script(asked: Asked) -> Reply:
        used = {"input_tokens": many, "output_tokens": "many"} if asked.number == 9 else None
        return message({"type": "text", "text": "Filed."}, usage=used)

    with Hostile(script) as server:
        report = swept(server.url, tmp_path / "run", max_tokens_total=10**9)
    assert report.stopped == ("max_tokens_total" if stops else None)
    assert len(stored(tmp_path / "run")) in (range(10, 10 + AT_ONCE) if stops else [40])


def test_a_judge_without_a_price_makes_the_priced_one_no_cheaper():
    limits = Limits(max_cost=1.0, judge_prices={"priced": Price(input=1.0, output=1.0)})
    limits.spend_judging("another", Usage(input=5))
    limits.spend_judging("priced", Usage(input=1_000_000))
    assert limits.judge_dollars is None  # of all together nobody knows
    assert limits.dollars == pytest.approx(1.0)
    assert limits.stopped == "max_cost"
