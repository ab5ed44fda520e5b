"""A forecast spends nothing, repeats the search's own arithmetic, and promises what it can show."""

import asyncio
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.type_one import Integers
from fuzzer import forecast as module
from fuzzer.decision import Rules
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import confidence_sequence
from fuzzer.forecast import Bill, Calls, Forecast, forecast
from fuzzer.prices import FREE, Price
from fuzzer.proposal import Draw, Outcome
from fuzzer.registry import find_subject
from fuzzer.search import Search
from fuzzer.subjects.organisms import built_in
from fuzzer.transcript import Transcript
from fuzzer.variant import Request, Variant
from reports.forecast import show
from seeds import load_seed

SEEDS = tuple(map(load_seed, ("blackmail-replacement", "blackmail-replacement-goal")))
PRICE = Price(input=3, output=15, cache_read=0.3, cache_write=3.75, batch=0.5, source="a test")
relaxed = settings(deadline=None, max_examples=30)  # two shared cores: time proves nothing


class Fake:
    """A subject that counts whatever is asked of it."""

    name = "fake/model"

    def __init__(self) -> None:
        self.acts = 0
        self.closed = 0

    async def act(self, variant: Variant, epoch: int) -> Transcript:  # noqa: ARG002
        self.acts += 1
        raise AssertionError("a forecast must not act")

    async def close(self) -> None:
        self.closed += 1


class Counting(Fake):
    """One whose provider counts tokens; from the call `fails` on it refuses."""

    def __init__(self, fails: float = math.inf) -> None:
        super().__init__()
        self.fails = fails
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    async def count_tokens(self, request: Request) -> int:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        refused = self.asked >= self.fails
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if refused:
            raise ConfigurationError("no such endpoint")
        return 1000 + len(request.tools)


def run(subject, seeds=SEEDS, sample=6, **options) -> Forecast:
    return asyncio.run(forecast(subject, seeds, sample=sample, **options))


def dollars(bill: Bill) -> float:
    assert bill.cost_usd is not None
    return bill.cost_usd


def shown(found: Forecast) -> str:
    stream = io.StringIO()
    show(found, stream=stream)
    return stream.getvalue()


# ----------------------------------------------------------------------------------- nothing spent


def test_the_subject_is_never_asked_to_act_and_is_closed():
    subject = Fake()
    found = run(subject, price=PRICE)
    assert (subject.acts, subject.closed) == (0, 1)
    assert found.counted_by == "estimate"


def test_the_provider_counts_gently_where_it_can():
    subject = Counting()
    found = run(subject, sample=20, price=PRICE)
    assert (subject.acts, subject.asked, subject.closed) == (0, 20, 1)
    assert subject.most_at_once == module.AT_ONCE
    assert found.counted_by == "count_tokens"
    assert 1000 <= found.canonical.mean <= found.canonical.most < 1100
    assert (found.canonical.n, found.mutated.n) == (2, 18)
    assert not any("bytes" in sentence for sentence in found.assumptions)
    assert not found.notes


@pytest.mark.parametrize("fails", [1, 4])
def test_a_provider_that_does_not_count_is_estimated_and_said(fails):
    subject = Counting(fails)
    found = run(subject, sample=30, price=PRICE)
    assert found.counted_by == "estimate"
    assert found.canonical.most > 2000  # all of one kind: no counts among the estimates
    assert subject.asked <= fails + 2 * module.AT_ONCE  # a refusal ends the others
    assert any("no such endpoint" in note for note in found.notes)
    assert any("bytes" in sentence for sentence in found.assumptions)


def test_a_sweep_of_a_real_model_is_planned_without_a_key(monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    subject: Any = find_subject("anthropic/claude-test", [])
    found = run(subject, price=PRICE, caching=subject.caching)
    assert found.counted_by == "estimate"
    assert "ANTHROPIC_API_KEY" in found.notes[-1]
    assert found.caching, "its provider caches what a conversation repeats"


def test_another_error_while_counting_is_not_hidden():
    class Broken(Fake):
        async def count_tokens(self, request: Request) -> int:  # noqa: ARG002
            raise ZeroDivisionError

    subject = Broken()
    with pytest.raises(ZeroDivisionError):
        run(subject)
    assert subject.closed == 1


# ------------------------------------------------------------------------------------------ calls


class Nothing(Integers):
    """A plan source without scenarios: only the order of calls matters here."""

    def draw(self, k: int) -> Draw:
        return super().draw(k)._replace(stratum="half")

    def far_draw(self, k: int, seed: str) -> Draw:  # noqa: ARG002
        raise AssertionError("nothing fails here")


def searched(rules: Rules) -> tuple[Calls, str]:
    """What a search without a failure really proposes, and its verdict."""
    search = Search(rules, Nothing())
    kinds = {"canonical": 0, "half": 0, "all_on": 0, "repeat": 0}
    while not search.done:
        for proposal in search.ask(1):
            kinds[proposal.stratum] += 1
            search.tell(proposal.index, Outcome("safe"))
    calls = Calls(
        canonical=kinds["canonical"],
        mutated=kinds["half"] + kinds["all_on"] + kinds["repeat"],
        all_on=kinds["all_on"],
        repeats=kinds["repeat"],
        shrink=0,
        total=sum(kinds.values()),
    )
    return calls, search.result().verdict


@relaxed
@given(
    st.integers(1, 1500),
    st.sampled_from([0.004, 0.01, 0.03, 0.2]),
    st.floats(0.01, 0.4),
    st.sampled_from([1, 1, 2, 5]),
)
def test_calls_and_reach_are_those_of_a_search_without_a_failure(budget, threshold, alpha, epochs):
    rules = Rules(threshold=threshold, alpha=alpha, budget=budget, lag=budget // 10, epochs=epochs)
    calls, verdict = searched(rules)
    reach = module._reach(rules)
    assert reach.reachable == (verdict == "holds")
    if reach.reachable:
        assert calls.total == reach.least_budget
    assert module._clean(rules, calls.total) == calls


def test_a_run_that_goes_on_spends_its_budget_and_one_that_stops_does_not():
    first, whole = (
        run(Fake(), budget=600, stop=stop, sample=4, shrink_budget=50)
        for stop in ("first", "budget")
    )
    assert first.expected.calls.total == first.reach.least_budget == 444
    assert whole.expected.calls.total == 600
    for found in (first, whole):
        assert found.expected.calls.shrink == 0
        assert (found.most.calls.shrink, found.most.calls.total) == (50, 650)


# ------------------------------------------------------------------------------------------ reach


@relaxed
@given(st.integers(1, 20_000), st.floats(0.001, 0.3), st.floats(0.001, 0.4))
def test_the_smallest_rate_is_the_limit_of_the_sequence_that_the_verdict_uses(
    budget, threshold, alpha
):
    rules = Rules(threshold=threshold, alpha=alpha, budget=budget, lag=0)
    reach = module._reach(rules)
    assert reach.rate == confidence_sequence(reach.rows, 0, 1 / rules.needed_holds)[1]
    assert reach.rows_needed is not None
    assert confidence_sequence(reach.rows_needed, 0, alpha)[1] <= threshold * (1 + 1e-9)
    assert confidence_sequence(reach.rows_needed - 1, 0, alpha)[1] > threshold
    assert reach.least_budget is not None
    assert reach.rows_needed <= module._rows(rules, reach.least_budget)
    assert module._clean(rules, reach.least_budget).canonical == rules.canonical_n


def test_one_percent_takes_about_310_rows():
    found = run(Fake(), sample=4)
    assert found.reach.rows_needed == pytest.approx(310, abs=2)
    assert found.reach.rows == 810
    assert found.reach.reachable
    assert found.reach.rate < 0.004


def test_a_budget_that_cannot_reach_the_threshold_says_what_would():
    found = run(Fake(), budget=300, sample=4)
    assert not found.reach.reachable
    assert f"{found.reach.least_budget} calls" in found.notes[0]
    hopeless = run(Fake(), threshold=1e-9, sample=4)
    assert hopeless.reach.least_budget is None
    assert "ten million" in hopeless.notes[0]


# ------------------------------------------------------------------------------------------- cost


def test_an_organism_is_free():
    found = run(built_in("memoriser", SEEDS))
    assert (found.price, found.expected.cost_usd, found.most.cost_usd) == (FREE, 0, 0)


def test_without_a_price_there_is_no_cost_but_a_way_to_get_one():
    found = run(Fake())
    assert (found.price, found.expected.cost_usd, found.most.cost_usd) == (None, None, None)
    assert any("--price in=3,out=15" in note for note in found.notes)
    assert "cost unknown" in shown(found)


def test_the_bill_is_what_its_assumptions_say():
    class Even(Fake):
        async def count_tokens(self, request: Request) -> int:  # noqa: ARG002
            return 1000

    options = {"price": PRICE, "turns": 3, "output_tokens": 400, "budget": 600}
    plain = run(Even(), **options)
    trial = 1000 + 1500 + 2000
    assert plain.expected.input_tokens == 444 * trial
    assert plain.expected.output_tokens == 444 * 1200
    whole = (444 * trial * 3 + 444 * 1200 * 15) / 1e6
    assert plain.expected.cost_usd == pytest.approx(whole)
    assert plain.most.input_tokens == 800 * trial
    batch = run(Even(), batch=True, **options)
    assert batch.expected.cost_usd == pytest.approx(whole / 2)
    cached = run(Even(), caching=True, **options)
    assert cached.expected.input_tokens == 444 * trial
    assert cached.expected.cache_write_tokens == 444 * 2000
    assert cached.expected.cache_read_tokens == 444 * 2500
    assert dollars(cached.expected) < dollars(plain.expected)
    assert dollars(cached.most) > dollars(plain.most)  # no hit at all, and every write dearer
    assert cached.most.cache_read_tokens == 0


@pytest.mark.parametrize("caching", [False, True])
def test_expected_is_never_more_than_at_most(caching):
    found = run(Fake(), price=PRICE, caching=caching, turns=5)
    assert dollars(found.expected) < dollars(found.most)
    assert found.canonical.mean <= found.canonical.most
    assert found.mutated.mean <= found.mutated.most


# --------------------------------------------------------------------------------- what it is given


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"turns": 0}, "turns = 0"),
        ({"output_tokens": -1}, "output_tokens = -1"),
        ({"sample": 0}, "sample = 0"),
        ({"shrink_budget": -1}, "shrink_budget = -1"),
        ({"budget": 0}, "budget = 0"),
        ({"threshold": 1.5}, "threshold = 1.5"),
        ({"stop": "never"}, "stop = 'never'"),
    ],
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(ConfigurationError) as caught:
        run(Fake(), **options)
    assert says in str(caught.value)


def test_the_same_options_give_the_same_forecast_and_another_random_seed_another_sample():
    one, again, other = (run(Fake(), random_seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.mutated != other.mutated
    assert one.canonical == other.canonical


def test_a_forecast_prints_as_json_and_comes_back():
    found = run(Fake(), price=PRICE)
    assert Forecast.model_validate_json(found.model_dump_json()) == found
    assert json.loads(found.model_dump_json())["schema_version"] == 1


@pytest.mark.parametrize("options", [{}, {"price": PRICE, "batch": True, "caching": True}])
def test_it_is_shown_in_eighty_plain_columns(options):
    found = run(Counting(2), **options)
    hostile = found.model_copy(update={"model": "fake/\x1b[31m[bold]model"})
    text = shown(hostile)
    assert "\x1b" not in text
    assert "[bold]model" in text
    assert all(len(row) <= 80 for row in text.splitlines())
    assert len(text.splitlines()) < 40
    for fact in ("expected", "at most", "444", "rows of D", "Assumed"):
        assert fact in text
