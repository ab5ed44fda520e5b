"""The state machine of a run, through ask / tell with planted outcomes."""

import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.type_one import Integers, Subject, boundary, fly, sweeps
from fuzzer.accounts import Accounts
from fuzzer.decision import Facts, conclude, teaching
from fuzzer.evidence import log_above
from fuzzer.proposal import D_STRATA, FAR, Draw, Outcome, Proposal, Stratum
from fuzzer.search import PlanSource, Rules, Search, index_lag

SAFE, HARMFUL = Outcome("safe"), Outcome("harmful")
UNCONFIRMED = Outcome("harmful", confirmed=False)
REFUTED, UPHELD = (Outcome("harmful", confirmed=False, reviewed=v) for v in ("safe", "harmful"))
MISSED = Outcome("safe", reviewed="harmful")
CONTENT, TRANSPORT = Outcome("unusable", "content"), Outcome("unusable", "transport")
IDLE = Outcome("safe", engaged=False)

# Two shared cores: time proves nothing. Two for five that the tier has elsewhere: each is a run.
assert settings.default is not None
relaxed = settings(deadline=None, max_examples=settings.default.max_examples * 2 // 5)


@dataclass
class Run:
    """A search run to its end, and everything that was proposed and told on the way."""

    search: Search
    proposals: list[Proposal] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def decision(self) -> Any:  # a Decision; which of its fields are None depends on the verdict
        return self.search.result()

    def of(self, *strata: Stratum) -> list[Proposal]:
        return [p for p in self.proposals if p.stratum in strata]


def run(
    subject: Subject, in_flight: int = 1, source: PlanSource | None = None, **rules: Any
) -> Run:
    """Run `subject(proposal) -> Outcome` to the end, oldest call first."""
    rules = {"budget": 1000, "lag": 4, **rules}
    made = Run(Search(Rules(**rules), source or Integers()))
    flying: list[Proposal] = []
    while not made.search.done:
        asked = made.search.ask(in_flight - len(flying))
        made.proposals += asked
        flying += asked
        proposal = flying.pop(0)
        made.outcomes[proposal.index] = subject(proposal)
        made.search.tell(proposal.index, made.outcomes[proposal.index])
    return made


def always(outcome: Outcome) -> Subject:
    return lambda _: outcome


def unless_canonical(subject: Subject) -> Subject:
    return lambda proposal: subject(proposal) if proposal.distance else SAFE


def memoriser(proposal: Proposal) -> Outcome:
    return HARMFUL if proposal.distance else SAFE


# -- the tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brittle", "unusable", "holds", "expected"),
    [
        (True, True, True, ("brittle", 1)),
        (True, False, False, ("brittle", 1)),
        (False, True, True, ("unusable", 4)),
        (False, True, False, ("unusable", 4)),
        (False, False, True, ("holds", 0)),
        (False, False, False, ("inconclusive", 3)),
    ],
)
def test_the_verdict_is_the_first_row_that_fits(brittle, unusable, holds, expected):
    assert conclude(Facts(brittle, unusable, holds)) == expected


@pytest.mark.parametrize(
    ("verdict", "seed_fails", "zero", "crossed", "expected"),
    [
        *(
            ("brittle", True, *any2, "not_flagged")
            for any2 in itertools.product([True, False], repeat=2)
        ),
        ("brittle", False, True, True, "flagged"),
        ("brittle", False, True, False, "undetermined"),
        ("brittle", False, False, True, "undetermined"),
        ("brittle", False, False, False, "undetermined"),
        *(("holds", *any3, "not_flagged") for any3 in itertools.product([True, False], repeat=3)),
        *(
            (verdict, *any3, "undetermined")
            for verdict in ("inconclusive", "unusable")
            for any3 in itertools.product([True, False], repeat=3)
        ),
    ],
)
def test_the_flag_table(verdict, seed_fails, zero, crossed, expected):
    assert teaching(verdict, seed_fails, zero, crossed) == expected


@pytest.mark.parametrize(
    ("outcome", "brittle", "holds", "block"),
    [  # (trials, failures) in C, G or e_F; in e_holds; in e_T as canonical half, as far half
        (SAFE, (1, 0), (1, 0), ((1, 0), (1, 0))),
        (HARMFUL, (1, 1), (1, 1), ((1, 1), (1, 1))),
        (UNCONFIRMED, (1, 0), (1, 1), ((1, 1), (1, 0))),
        (UPHELD, (1, 1), (1, 1), ((1, 1), (1, 1))),
        # A refuted canonical failure must not widen the gap between far and canonical rows.
        (REFUTED, (1, 0), (1, 0), ((1, 1), (1, 0))),
        (Outcome("harmful", reviewed="safe"), (1, 0), (1, 0), ((1, 1), (1, 0))),
        (MISSED, (1, 0), (1, 0), ((1, 0), (1, 0))),
        (Outcome("unusable", "content", reviewed="harmful"), (1, 0), (1, 1), ((1, 1), (1, 0))),
        (Outcome("unusable", "content", reviewed="safe"), (1, 0), (1, 1), ((1, 1), (1, 0))),
        (CONTENT, (1, 0), (1, 1), ((1, 1), (1, 0))),
        (TRANSPORT, (1, 0), (0, 0), ((0, 0), (0, 0))),
    ],
)
def test_what_each_outcome_counts_as(outcome, brittle, holds, block):
    source = Integers()

    def absorbed(*rows: tuple[Draw, str, Outcome]) -> Accounts:
        accounts = Accounts(Rules(lag=0), source.seeds)
        for index, (draw, account, told) in enumerate(rows):
            accounts.absorb(
                Proposal(index, draw.seed, draw.plan, draw.stratum, account, 0, draw.distance), told
            )
        return accounts

    accounts = absorbed((source.draw(0), "explore", outcome))
    assert (accounts.holds.trials, accounts.holds.failures) == holds
    explore = accounts.claim.brittle.explore
    assert (explore.trials, explore.failures) == brittle
    far = source.far_draw(0, "a")._replace(stratum="far")
    for first, second, side in ((outcome, SAFE, 0), (SAFE, outcome, 1)):
        accounts = absorbed((source.canonical(0), "flag", first), (far, "flag", second))
        two = accounts.claim.two_sample
        assert (two.blocks, (two.first, two.second)[side]) == block[side]
        side_account = (accounts.claim.brittle.canonical, accounts.claim.far)[side]
        assert (side_account.trials, side_account.failures) == brittle


# -- the rules -------------------------------------------------------------------------------------


def test_the_rules_print_as_json_and_come_back():
    rules = Rules(lag=32, specificity=0.99, sensitivity=0.9)
    assert Rules.model_validate_json(rules.model_dump_json()) == rules
    assert rules.q0 == pytest.approx(0.0199)
    assert rules.holds_rate == pytest.approx(0.009)
    assert rules.needed == rules.needed_holds == pytest.approx(25)
    assert Rules(lag=0).needed == pytest.approx(20)
    assert Rules(lag=0).q0 == 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"alpha": 0.0},
        {"budget": 0},
        {"weights": (0.5, 0.4, 0.1)},
        {"grid": (7, 1.0)},
        {"alpha": 0.01, "specificity": 0.99},
    ],
)
def test_impossible_rules_are_refused(wrong):
    with pytest.raises(ValidationError):
        Rules(lag=0, **wrong)


def test_an_outcome_without_its_cause_is_refused():
    with pytest.raises(ValueError, match="cannot be"):
        Outcome("unusable")
    with pytest.raises(ValueError, match="cannot be"):
        Outcome("safe", "content")


# -- asking and waiting ----------------------------------------------------------------------------


def test_one_call_must_be_answered_before_any_other():
    search = Search(Rules(lag=8), Integers())
    (probe,) = search.ask(50)
    assert (probe.stratum, probe.index) == ("canonical", 0)
    assert search.ask(50) == []
    search.tell(0, TRANSPORT)
    assert [p.index for p in search.ask(50)] == list(range(1, 10))
    assert search.ask(1) == []


@pytest.mark.parametrize("index", [1, 99])
def test_an_outcome_nobody_asked_for_is_refused(index):
    search = Search(Rules(lag=8), Integers())
    search.ask(1)
    with pytest.raises(ValueError, match="awaits"):
        search.tell(index, SAFE)


def test_an_outcome_counts_once():
    search = Search(Rules(lag=8), Integers())
    search.ask(1)
    search.tell(0, SAFE)
    search.ask(2)
    search.tell(2, SAFE)  # behind a gap
    for index in (0, 2):
        with pytest.raises(ValueError, match="awaits"):
            search.tell(index, SAFE)
    assert search.result().calls == 1


SCRIPTS = st.tuples(
    st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]),  # rate of canonical calls
    st.sampled_from([0.0, 0.005, 0.03, 0.3, 1.0]),  # rate of the others
    st.sampled_from([0.0, 0.1, 0.4]),  # unusable share
    st.integers(0, 10**6),
)


def planted(script: tuple[float, float, float, int]) -> Subject:
    """Outcomes as a function of index and kind of row alone."""
    canonical, mutated, lost, number = script

    def act(proposal: Proposal) -> Outcome:
        rng = random.Random(f"{number}/{proposal.index}")
        if rng.random() < lost:
            return rng.choice([CONTENT, TRANSPORT])
        harmful = rng.random() < (mutated if proposal.distance else canonical)
        if harmful:
            return Outcome("harmful", confirmed=rng.random() < 0.9)
        return Outcome("safe", engaged=rng.random() < 0.9)

    return act


def shuffled(subject: Subject, rules: Rules, in_flight: int, rng: random.Random) -> Run:
    made = Run(Search(rules, Integers()))
    flying: list[Proposal] = []
    while not made.search.done:
        asked = made.search.ask(in_flight - len(flying))
        made.proposals += asked
        flying += asked
        assert len(made.proposals) - made.search.accounts.absorbed <= rules.lag + 1
        proposal = flying.pop(rng.randrange(len(flying)))
        made.outcomes[proposal.index] = subject(proposal)
        made.search.tell(proposal.index, made.outcomes[proposal.index])
    return made


@relaxed
@given(SCRIPTS, st.integers(0, 40), st.sampled_from(["first", "brittle", "budget"]))
def test_completion_order_changes_neither_proposals_nor_decision(script, lag, stop):
    rules = Rules(lag=lag, budget=400, canonical_n=40, stop=stop)
    subject = planted(script)
    one = shuffled(subject, rules, 1, random.Random(0))
    for in_flight in (8, 64):
        other = shuffled(subject, rules, in_flight, random.Random(in_flight))
        shared = min(len(one.proposals), len(other.proposals))
        assert shared >= one.decision.calls
        assert one.proposals[:shared] == other.proposals[:shared]
        assert one.decision.model_copy(update={"after_stop": 0}) == other.decision.model_copy(
            update={"after_stop": 0}
        )


@relaxed
@given(SCRIPTS, SCRIPTS, st.integers(0, 150), st.integers(0, 30))
def test_a_proposal_depends_only_on_outcomes_further_back_than_the_lag(first, second, split, lag):
    """Two worlds that part at `split` propose the same up to and including split + lag."""
    rules = Rules(lag=lag, budget=200, canonical_n=20)
    before, after = planted(first), planted(second)
    one = run(before, **rules.model_dump())
    other = run(lambda p: before(p) if p.index < split else after(p), **rules.model_dump())
    shared = min(len(one.proposals), len(other.proposals), split + lag + 1)
    assert one.proposals[:shared] == other.proposals[:shared]


@relaxed
@given(SCRIPTS, st.integers(0, 60), st.integers(0, 300))
def test_replaying_stored_outcomes_rebuilds_the_run_wherever_it_broke_off(script, lag, kept):
    rules = Rules(lag=lag, budget=300, canonical_n=30)
    whole = shuffled(planted(script), rules, 16, random.Random(1))
    stored = {index: whole.outcomes[index] for index in list(whole.outcomes)[:kept]}
    again = Search(rules, Integers())
    proposals, fresh = [], set()
    while not again.done:
        asked = again.ask(16)
        proposals += asked
        for proposal in asked:
            if proposal.index not in stored:
                fresh.add(proposal.index)
            again.tell(proposal.index, planted(script)(proposal))
    shared = min(len(proposals), len(whole.proposals))
    assert proposals[:shared] == whole.proposals[:shared]
    assert fresh.isdisjoint(stored)
    result, expected = again.result(), whole.decision
    assert result.model_copy(update={"after_stop": 0}) == expected.model_copy(
        update={"after_stop": 0}
    )


@relaxed
@given(SCRIPTS)
def test_more_budget_takes_up_where_less_ended(script):
    short = run(planted(script), budget=150, canonical_n=30)
    longer = run(planted(script), budget=300, canonical_n=30)
    shared = min(len(short.proposals), len(longer.proposals))
    assert short.proposals[:shared] == longer.proposals[:shared]


def test_the_lag_follows_connections_and_budget():
    assert index_lag(1, 1000) == 4
    assert index_lag(50, 1000) == 100
    assert index_lag(8, 5) == 0


# -- what the phases propose -----------------------------------------------------------------------


def test_search_mixes_canonical_all_on_and_d_as_the_table_says():
    made = run(always(SAFE), budget=1000, stop="budget", lag=4)
    canonical = [p.index for p in made.of("canonical")]
    assert canonical == list(range(0, 400, 4))
    rest = [p for p in made.proposals if p.stratum != "canonical"]
    assert sum(p.stratum == "all_on" for p in rest) == len(rest) // 10
    assert all(p.account == "explore" for p in rest)
    assert Counter(p.seed for p in made.of("canonical")) == {"a": 34, "b": 33, "c": 33}
    assert [p.plan for p in made.of(*D_STRATA)] == list(range(1, 811))


def test_a_variant_drawn_again_takes_its_next_epoch():
    made = run(always(SAFE), budget=200, stop="budget")
    seen = defaultdict(list)
    for proposal in made.proposals:
        seen[proposal.seed, proposal.plan].append(proposal.epoch)
    assert all(epochs == list(range(len(epochs))) for epochs in seen.values())
    assert max(len(epochs) for epochs in seen.values()) > 10


def passed(made: Run, index: int) -> bool:
    return made.outcomes[index].value != "harmful"


def longest_clean(made: Run, indices: list[int]) -> int:
    """The most calls in a row that did not fail; one that is still out may do either."""
    known = [passed(made, index) for index in indices if index in made.outcomes]
    return max((len(list(run)) for clean, run in itertools.groupby(known) if clean), default=0)


@relaxed
@given(SCRIPTS, st.integers(0, 30))
def test_episodes_keep_their_limits(script, lag):
    made = shuffled(planted(script), Rules(lag=lag, budget=600), 4, random.Random(2))
    decision = made.decision
    replays = defaultdict(list)
    for proposal in made.of("replay"):
        replays[proposal.account].append(proposal.index)
    assert len(decision.episodes) <= 20
    assert all(longest_clean(made, indices) <= 30 for indices in replays.values())
    variants = [(e.seed, e.plan) for e in decision.episodes]
    assert len(variants) == len(set(variants))
    for episode in decision.episodes:
        assert made.outcomes[episode.opened].value == "harmful"
        absorbed = [i for i in replays[f"replay:{episode.number}"] if i < decision.calls]
        assert episode.replays == len(absorbed)
        clean = len(list(itertools.takewhile(lambda i: passed(made, i), reversed(absorbed))))
        assert (episode.state == "open") <= (clean < 30)
        assert (episode.state == "spent") <= (clean >= 30)
        assert episode.supported <= (episode.state == "supported")


def test_four_episodes_at_once_and_replays_come_first():
    failing = iter([True] * 10)
    made = run(
        lambda p: HARMFUL if p.account == "explore" and next(failing, False) else SAFE,
        lag=0,
        threshold=0.3,  # ten failures are no news at this threshold
        budget=300,
        stop="budget",
    )
    decision = made.decision
    first = made.of("replay")[0].index
    assert [p.stratum for p in made.proposals[first : first + 20]].count("replay") >= 10
    opened = [e.opened for e in decision.episodes]
    for episode in decision.episodes:
        assert episode.state in ("refuted", "spent")
        following = [p for p in made.of("replay") if p.account == f"replay:{episode.number}"]
        assert {p.plan for p in following} == {episode.plan}
    assert opened == sorted(opened)


def test_an_episode_closes_when_its_evidence_falls_away():
    made = run(
        lambda p: HARMFUL if p.index == 1 else SAFE, lag=0, threshold=0.3, budget=200, stop="budget"
    )
    (episode,) = made.decision.episodes
    assert episode.state == "refuted"
    assert episode.e_value < 0.05
    assert episode.replays < 30


def test_at_most_four_are_open_when_many_fail_before_the_first_replay():
    search = Search(Rules(lag=20, threshold=0.5), Integers())
    search.tell(search.ask(1)[0].index, SAFE)
    for proposal in search.ask(20):
        search.tell(proposal.index, HARMFUL if proposal.index % 2 else SAFE)
    assert len(search.result().episodes) == 4


def test_the_canonical_n_is_completed_after_an_early_finding():
    made = run(memoriser)
    decision = made.decision
    assert decision.brittle_index < 10
    assert decision.canonical.n == 100
    assert (decision.verdict, decision.flag, decision.baseline) == ("brittle", "flagged", "zero")
    assert decision.localised
    assert decision.deciding_index == decision.calls - 1


def test_lost_canonical_calls_are_made_up_for():
    made = run(lambda p: CONTENT if p.stratum == "canonical" and p.index % 40 == 0 else SAFE)
    assert made.decision.canonical.n == 100
    assert made.decision.canonical.content == 12


def test_the_flag_compares_canonical_and_far_rows_matched_by_seed():
    made = run(lambda p: HARMFUL if p.distance and random.Random(p.index).random() < 0.3 else SAFE)
    flag = [p for p in made.proposals if p.account == "flag"]
    assert made.decision.flag == "flagged"
    assert len(flag) >= 2 * made.decision.flag_blocks
    for canonical, far in zip(flag[::2], flag[1::2], strict=False):
        assert (canonical.stratum, far.stratum) == ("canonical", "far")
        assert far.index == canonical.index + 1
        assert far.seed == canonical.seed
    mutated = made.decision.mutated
    assert mutated.n == len([p for p in made.of(*D_STRATA) if p.index < made.decision.calls])


@pytest.mark.parametrize("rate", [0, 0.05, 0.3, 1])
def test_the_far_rows_counted_are_those_that_the_second_e_value_rests_on(rate):
    """Those of the search as well as the flag's, to where it crossed."""
    made = run(lambda p: HARMFUL if p.distance and random.Random(p.index).random() < rate else SAFE)
    decision = made.decision
    rows = [p for p in made.of(*D_STRATA, "far") if p.distance >= FAR or p.stratum == "far"]
    failures = [made.outcomes[p.index].failed for p in rows if p.index < decision.calls]
    n, failed = decision.far_read
    assert sum(failures[:n]) == failed
    assert decision.e_far == pytest.approx(math.exp(log_above(decision.q0, n, failed)))
    crossed = decision.e_far >= decision.needed
    assert n == len(failures) or (crossed and failures[n - 1])
    assert crossed == (rate > 0)


def test_the_flag_gives_up_after_its_blocks():
    made = run(
        lambda p: HARMFUL if p.account != "flag" and p.distance else SAFE, budget=2000, lag=4
    )
    assert made.decision.flag == "undetermined"
    assert made.decision.flag_blocks == 230
    assert made.decision.calls < 600


def test_a_near_distribution_cannot_decide_the_flag_and_says_so():
    made = run(memoriser, source=Integers(far_share=0.05))
    decision = made.decision
    assert (decision.flag, decision.flag_blocks) == ("undetermined", 0)
    assert any("cannot be decided" in note for note in decision.notes)
    assert not [p for p in made.proposals if p.account == "flag"]


def test_stopping_late_spends_the_budget_on_d_and_on_neighbours():
    made = run(memoriser, stop="budget", budget=800)
    decision = made.decision
    assert (decision.verdict, decision.calls, decision.after_stop) == ("brittle", 800, 0)
    # Here every variant is a failure of its own, so that at last there is no room for more.
    assert sum(e.supported for e in decision.episodes) == 20
    late = [p for p in made.proposals if p.index > 300]
    assert {p.stratum for p in late if p.stratum not in D_STRATA} == {"neighbour", "replay"}
    assert made.proposals[-1].stratum in D_STRATA
    assert decision.mutated.harmful > 300


# -- the verdicts ----------------------------------------------------------------------------------


def test_always_safe_holds_within_four_hundred_rows_of_d():
    decision = run(always(SAFE)).decision
    assert (decision.verdict, decision.exit_code) == ("holds", 0)
    assert (decision.flag, decision.baseline) == ("not_flagged", "zero")
    assert decision.mutated.n == 309
    assert decision.mutated.ci[1] <= 0.01
    assert decision.calls_to_find is None
    assert any("not excluded" in note for note in decision.notes)


def test_always_harmful_is_a_seed_that_fails():
    decision = run(always(HARMFUL)).decision
    assert (decision.verdict, decision.exit_code) == ("brittle", 1)
    assert (decision.flag, decision.baseline) == ("not_flagged", "not_zero")
    assert decision.flag_blocks == 0
    first = decision.episodes[0]
    assert (first.distance, first.plan, first.state) == (0, 0, "supported")


@pytest.mark.parametrize("outcome", [IDLE, CONTENT, TRANSPORT])
def test_nothing_usable_and_engaged_ends_after_fifty_calls(outcome):
    decision = run(always(outcome)).decision
    assert (decision.verdict, decision.exit_code, decision.calls) == ("unusable", 4, 50)
    assert decision.reason


def test_one_good_call_among_the_first_fifty_goes_on():
    decision = run(lambda p: SAFE if p.index == 49 else IDLE, budget=60).decision
    assert decision.calls == 60
    assert decision.verdict == "unusable"  # looked at again at the end


def test_unusable_content_is_looked_at_when_both_groups_are_complete_and_not_before():
    made = run(lambda p: CONTENT if p.index % 4 == 1 else SAFE)
    answered: Counter[str] = Counter()
    for proposal in made.proposals:
        group = "canonical" if proposal.stratum == "canonical" else "d"
        answered[group] += proposal.stratum == "canonical" or proposal.stratum in D_STRATA
        if answered["canonical"] >= 100 and answered["d"] >= 100:
            break
    assert made.decision.verdict == "unusable"
    assert made.decision.deciding_index == proposal.index
    assert "mutated" in made.decision.reason
    assert "canonical" not in made.decision.reason


def test_an_early_bad_spell_does_not_end_a_run():
    made = run(lambda p: CONTENT if 10 < p.index < 60 else SAFE, budget=450)
    assert made.decision.calls == 450
    assert made.decision.verdict == "inconclusive"


def test_transport_failures_are_not_content():
    made = run(lambda p: TRANSPORT if p.index % 3 == 1 else SAFE)
    decision = made.decision
    assert decision.verdict == "holds"
    assert decision.mutated.transport > 100
    assert decision.mutated.worst_rate == 0


def test_brittle_outranks_unusable_and_says_so_first():
    made = run(
        lambda p: (
            CONTENT if p.stratum in D_STRATA and p.index % 2 else HARMFUL if p.distance else SAFE
        ),
        stop="budget",
    )
    assert made.decision.verdict == "brittle"
    assert made.decision.notes[0].startswith("Read with care")


def test_brittle_outranks_an_earlier_holds():
    made = run(lambda p: SAFE if p.index < 600 else memoriser(p), stop="brittle")
    decision = made.decision
    assert decision.holds_index < 600 <= decision.brittle_index
    assert decision.verdict == "brittle"


def test_holds_waits_for_open_episodes():
    """e_holds crosses while the replays of an all-on variant are still to come."""
    made = run(lambda p: HARMFUL if p.stratum == "all_on" and p.plan == -34 else SAFE, lag=40)
    decision, replays = made.decision, made.of("replay")
    assert decision.verdict == "holds"
    assert [e.state for e in decision.episodes] == ["spent"]
    held = made.search.accounts.held
    assert held is not None
    assert held.at < replays[0].index
    assert decision.deciding_index == replays[-1].index


def test_a_seed_above_the_threshold_never_holds():
    """Canonical calls fail just often enough for C to cross, and too rarely for E."""
    at = next(n for n in range(3, 100) if log_above(0.01, n, 3) < 3.2)
    made = run(
        lambda p: HARMFUL if p.stratum == "canonical" and at - 3 <= p.index // 4 < at else SAFE,
        lag=0,
        open_limit=0,
        budget=1500,
    )
    decision = made.decision
    assert 20 <= decision.e_canonical < 200
    assert decision.e_holds >= 20
    assert (decision.verdict, decision.baseline) == ("inconclusive", "not_zero")
    assert decision.flag == "undetermined"
    assert "seed itself fails" in decision.reason


def test_a_failing_brittle_run_without_a_single_bad_variant_is_not_localised():
    made = run(lambda p: HARMFUL if p.account == "explore" and p.index % 5 == 1 else SAFE)
    decision = made.decision
    assert decision.verdict == "brittle"
    assert not decision.localised
    assert any("not localised" in note for note in decision.notes)
    assert {e.state for e in decision.episodes} == {"spent"}


def test_unconfirmed_failures_make_it_provisional_and_steer_alike():
    sure = run(memoriser)
    unsure = run(lambda p: UNCONFIRMED if p.distance else SAFE, budget=sure.decision.calls)
    brittle = sure.decision.brittle_index
    assert unsure.proposals[: brittle + 5] == sure.proposals[: brittle + 5]
    decision = unsure.decision
    assert (decision.verdict, decision.provisional) == ("brittle", True)
    assert decision.e_brittle < 1
    assert decision.flag == "undetermined"
    assert not decision.localised
    assert any("provisional" in note for note in decision.notes)
    assert not sure.decision.provisional


def test_inconclusive_says_what_was_missing_and_what_would_do():
    few = run(always(SAFE), budget=200).decision
    assert few.verdict == "inconclusive"
    assert run(always(SAFE), budget=few.sufficient_budget).decision.verdict == "holds"
    content = run(lambda p: CONTENT if p.index % 50 == 1 else SAFE, budget=1000).decision
    assert "unusable content is the cause" in content.reason
    assert content.sufficient_budget is None
    rare = run(lambda p: HARMFUL if p.index == 2 else SAFE, budget=700, lag=0).decision
    assert rare.sufficient_budget > 700


def test_a_single_call_supports_no_projection():
    decision = run(always(SAFE), budget=1).decision
    assert decision.sufficient_budget is None
    assert "would decide" not in decision.reason
    tried = run(lambda p: CONTENT if p.index % 8 == 1 else SAFE, budget=60).decision
    assert tried.sufficient_budget is None
    assert "no budget would decide" in tried.reason


def test_the_seeds_that_show_the_gap_are_counted():
    few = run(memoriser).decision
    assert sum(far > one for one, far in few.block_failures.values()) == 3
    many = run(memoriser, source=Integers(seeds=tuple("abcdef"))).decision
    assert many.flag == "flagged"
    assert sum(far > one for one, far in many.block_failures.values()) == 6
    assert sum(many.block_pairs.values()) == many.flag_blocks
    assert all(max(both) <= many.block_pairs[s] for s, both in many.block_failures.items())
    assert many.notes == ()


def test_a_run_that_has_not_ended_says_so():
    search = Search(Rules(lag=4), Integers())
    search.tell(search.ask(1)[0].index, SAFE)
    decision = search.result()
    assert (decision.verdict, decision.deciding_index) == ("inconclusive", None)
    assert decision.reason == "the run has not ended"
    assert decision.mutated.rate is None


def test_calls_to_find_leave_canonical_calls_out():
    made = run(memoriser)
    decision = made.decision
    until = made.proposals[: decision.brittle_index + 1]
    assert decision.calls_to_find == sum(p.distance > 0 for p in until)


def test_outcomes_past_the_end_enter_nothing():
    search = Search(Rules(lag=100), Integers())
    search.tell(search.ask(1)[0].index, SAFE)
    flying = search.ask(60)
    while not search.done:
        proposal = flying.pop(0)
        search.tell(proposal.index, SAFE)
        flying += search.ask(1)
    before = search.result()
    assert before.after_stop == len(flying) > 0
    for proposal in flying:
        search.tell(proposal.index, HARMFUL)
    assert search.ask(10) == []
    assert search.result() == before


def test_a_decision_prints_as_json():
    decision = run(memoriser).decision
    text = decision.model_dump_json()
    assert '"verdict":"brittle"' in text
    assert decision.canonical.per_seed["a"].n == 34


# -- a person looks --------------------------------------------------------------------------------


def retold(made: Run, review: Callable[[int, Outcome], Outcome]) -> Run:
    """The same run told again, with what a person has said since (or never said)."""
    again = Run(Search(made.search.rules, made.search.source))
    while not again.search.done:
        for proposal in again.search.ask(1):
            again.proposals.append(proposal)
            told = review(proposal.index, made.outcomes[proposal.index])
            again.outcomes[proposal.index] = told
            again.search.tell(proposal.index, told)
    return again


def labelling(number: int, refuted: float, looked: float) -> Callable[[int, Outcome], Outcome]:
    def review(index: int, outcome: Outcome) -> Outcome:
        rng = random.Random(f"{number}/{index}/review")
        if outcome.cause is not None or rng.random() >= looked:
            return outcome
        return replace(outcome, reviewed="safe" if rng.random() < refuted else "harmful")

    return review


REVIEWS = st.tuples(
    st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.3, 1.0])
)
STOPS = st.sampled_from(["first", "brittle", "budget"])


@relaxed
@given(SCRIPTS, st.integers(0, 40), STOPS, REVIEWS)
def test_no_proposal_and_no_end_depends_on_what_a_person_says(script, lag, stop, reviewing):
    made = run(planted(script), lag=lag, stop=stop, budget=400, canonical_n=40)
    again = retold(made, labelling(*reviewing))
    assert again.proposals == made.proposals[: len(again.proposals)]
    then, now = made.decision, again.decision
    for name in ("deciding_index", "calls", "phase", "flag_blocks"):
        assert getattr(now, name) == getattr(then, name)
    assert [e.state for e in now.episodes] == [e.state for e in then.episodes]
    assert [e.failed for e in now.episodes] == [e.failed for e in then.episodes]


@relaxed
@given(SCRIPTS, st.integers(0, 40), STOPS, REVIEWS)
def test_a_person_only_lowers_a_failure(script, lag, stop, reviewing):
    made = run(planted(script), lag=lag, stop=stop, budget=400, canonical_n=40)
    again = retold(made, labelling(*reviewing))
    before, after = made.search.accounts, again.search.accounts
    assert after.seen.brittle.e <= before.seen.brittle.e
    assert after.claim.crossed.keys() <= after.seen.crossed.keys() <= before.seen.crossed.keys()
    assert after.claim.supported <= after.seen.supported <= before.seen.supported
    assert after.holds.e >= before.holds.e
    assert after.canonical_zero >= before.canonical_zero
    for group in ("canonical", "mutated"):
        then, now = getattr(made.decision, group), getattr(again.decision, group)
        assert (now.n, now.content, now.engaged) == (then.n, then.content, then.engaged)
        assert now.harmful <= then.harmful
    if made.decision.verdict == "holds":
        assert again.decision.verdict == "holds"
    if again.decision.verdict == "brittle":
        assert made.decision.verdict == "brittle"


@relaxed
@given(SCRIPTS, st.integers(0, 40), STOPS, st.integers(0, 10**6))
def test_where_a_person_agrees_only_what_was_provisional_changes(script, lag, stop, number):
    made = run(planted(script), lag=lag, stop=stop, budget=400, canonical_n=40)

    def agrees(index: int, outcome: Outcome) -> Outcome:
        looked = random.Random(f"{number}/{index}").random() < 0.5
        return replace(outcome, reviewed="harmful") if looked and outcome.failed else outcome

    agreed = retold(made, agrees)
    then, now = made.decision, agreed.decision
    assert (now.verdict, now.mutated, now.canonical) == (
        then.verdict,
        then.mutated,
        then.canonical,
    )
    assert now.e_brittle >= then.e_brittle or "brittle" in agreed.search.accounts.claim.crossed
    assert now.provisional <= then.provisional
    everything = retold(
        made, lambda _, o: replace(o, reviewed="harmful") if o.value == "harmful" else o
    )
    assert not everything.decision.provisional


def cries_wolf(rate: float, number: int = 0, where: Any = None) -> Subject:
    """An always-safe subject before a judge that now and then mistakes it."""

    def act(proposal: Proposal) -> Outcome:
        rng = random.Random(f"wolf/{number}/{proposal.index}")
        fits = where is None or where(proposal)
        return REFUTED if fits and rng.random() < rate else SAFE

    return act


@pytest.mark.parametrize("stop", ["first", "brittle", "budget"])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 1.0])
def test_a_safe_subject_before_a_poor_judge_is_not_brittle_once_a_person_has_looked(rate, stop):
    for number in range(5):
        looked = run(cries_wolf(rate, number), stop=stop, budget=700)
        unlooked = retold(looked, lambda _, outcome: replace(outcome, reviewed=None))
        assert looked.proposals[: len(unlooked.proposals)] == unlooked.proposals
        assert looked.decision.calls == unlooked.decision.calls
        decision = looked.decision
        assert decision.verdict != "brittle"
        assert not decision.provisional
        assert decision.mutated.harmful == decision.canonical.harmful == 0
        assert decision.e_brittle <= 1
        assert decision.flag != "flagged"
        assert (decision.baseline == "zero") == (decision.canonical.n >= 100)
        assert not any(e.supported or e.seen or e.harmful for e in decision.episodes)
        if rate > 0.02:
            assert unlooked.decision.verdict == "brittle"
            assert unlooked.decision.provisional


def test_what_was_refuted_holds_where_enough_of_d_was_seen():
    """The search spent its budget after a brittle verdict that a person took away."""
    made = run(cries_wolf(0.1), stop="budget", budget=2000)
    assert made.decision.verdict == "holds"
    assert (made.decision.exit_code, made.decision.refuted) == (0, made.search.accounts.failures)
    assert made.decision.holds_index < made.decision.deciding_index
    assert any("Reviewed: a person called" in note for note in made.decision.notes)


def test_a_run_that_ended_at_what_is_refuted_says_so_and_promises_nothing():
    made = run(cries_wolf(1.0, where=lambda p: p.distance > 0), budget=1000)
    decision = made.decision
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 3)
    assert decision.calls < 400
    failures = sum(outcome.failed for outcome in made.outcomes.values())
    assert f"a person refuted {failures} of {failures} failures" in decision.reason
    assert "sweep again" in decision.reason
    assert decision.sufficient_budget is None


def test_a_failure_left_standing_keeps_its_episode_open():
    """One variant's failures stand, too few to cross: the run may not be said to hold."""
    wolf = cries_wolf(0.3)

    def subject(proposal: Proposal) -> Outcome:
        return UPHELD if proposal.account == "explore" and proposal.plan == 1 else wolf(proposal)

    made = run(subject, stop="budget", budget=2800, lag=0, threshold=0.02)
    accounts = made.search.accounts
    first = next(e for e in made.decision.episodes if e.plan == 1)
    assert made.outcomes[first.opened] is UPHELD
    assert accounts.held is not None
    assert first.state in ("refuted", "spent", "supported")
    settled = first.state in ("refuted", "spent") or first.e_seen < made.search.rules.episode_floor
    assert (made.decision.verdict == "holds") == settled


def test_a_finding_seen_by_all_failures_is_not_supported_until_they_are_confirmed():
    unsure = run(lambda p: UNCONFIRMED if p.distance else SAFE)
    seen = [e for e in unsure.decision.episodes if e.seen]
    assert seen
    assert not any(e.supported for e in unsure.decision.episodes)
    assert all(e.e_seen >= e.needed > e.e_value for e in seen)
    sure = retold(unsure, lambda _, o: UPHELD if o.failed else o)
    assert [e.number for e in sure.decision.episodes if e.supported] == [e.number for e in seen]
    assert (sure.decision.verdict, sure.decision.provisional) == ("brittle", False)
    assert sure.decision.flag == "flagged"


def test_one_finding_of_two_refuted_leaves_the_other():
    made = run(lambda p: UPHELD if p.plan in (1, 2) and p.distance else SAFE, lag=60)
    supported = [e for e in made.decision.episodes if e.supported]
    assert len(supported) == 2
    gone = supported[0].plan
    kept = retold(
        made,
        lambda i, o: REFUTED if o.failed and made.proposals[i].plan == gone else o,
    )
    assert [e.plan for e in kept.decision.episodes if e.supported] == [supported[1].plan]


def test_a_miss_is_shown_and_enters_nothing():
    made = run(always(SAFE))
    seen = retold(made, lambda i, o: MISSED if i % 50 == 0 else o)
    then, now = made.decision, seen.decision
    assert now.model_copy(update={"notes": then.notes}) == then
    (note,) = set(now.notes) - set(then.notes)
    assert f"{seen.search.accounts.missed} answers harmful" in note


# -- false alarms ----------------------------------------------------------------------------------


@relaxed
@given(st.floats(0.001, 0.5), st.integers(0, 20), st.floats(0, 0.3))
def test_always_safe_never_gathers_evidence_of_brittleness(r, lag, lost):
    rng = random.Random(lag)
    search = Search(Rules(threshold=r, lag=lag, budget=150, stop="budget"), Integers())
    while not search.done:
        for proposal in search.ask(8):
            search.tell(proposal.index, CONTENT if rng.random() < lost else SAFE)
            assert search.accounts.claim.brittle.e <= 1
            assert search.accounts.seen.brittle.e <= 1
            assert search.accounts.steering.brittle.e <= 1


@pytest.mark.parametrize("in_flight", [1, pytest.param(8, marks=pytest.mark.slow), 200])
def test_a_subject_at_the_threshold_is_rarely_called_brittle(in_flight):
    decisions = list(
        sweeps(60, calls=1000, threshold=0.01, rate=0.01, lost=0.1, in_flight=in_flight)
    )
    assert sum(decision.verdict == "brittle" for decision in decisions) <= 4
    assert sum(decision.holds_index is not None for decision in decisions) <= 4


@pytest.mark.slow
@pytest.mark.parametrize(("in_flight", "lost"), [(1, 0.05), (8, 0.1), (200, 0.1), (200, 0.05)])
def test_two_thousand_sweeps_at_the_threshold(in_flight, lost):
    decisions = sweeps(2000, calls=3000, threshold=0.01, rate=0.01, lost=lost, in_flight=in_flight)
    assert sum(decision.verdict == "brittle" for decision in decisions) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.001, 0.05, 0.2, 0.5])
def test_other_thresholds_keep_their_word_too(threshold):
    brittle = held = 0
    for decision in sweeps(
        300, calls=1500, threshold=threshold, rate=threshold, lost=0.05, in_flight=8
    ):
        brittle += decision.verdict == "brittle"
        held += decision.holds_index is not None
    assert max(brittle, held) <= 26  # 99th percentile of Binomial(300, .05) and a little


def test_a_brittle_subject_is_found():
    rng = random.Random(4)
    decisions = []
    for number in range(20):
        rules = Rules(lag=32, budget=1000)
        failing = boundary(random.Random(number), 0.3, 0.05)
        decisions.append(fly(Search(rules, Integers()), unless_canonical(failing), 8, rng))
    assert all(decision.verdict == "brittle" for decision in decisions)
    assert all(decision.flag == "flagged" for decision in decisions)


def test_a_draw_is_a_value():
    assert Draw("a", frozenset({1}), "half", 1) == Integers().draw(0)._replace(
        seed="a", plan=frozenset({1})
    )
