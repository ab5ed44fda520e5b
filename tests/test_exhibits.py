"""What a report is told of coverage and families, and what its run can show, against the store."""

from itertools import combinations

import pytest

from fuzzer.campaign import sweep
from fuzzer.exhibits import SCENARIOS, material
from fuzzer.proposal import D_STRATA
from fuzzer.store import RunStore
from fuzzer.transform import Plan
from seeds import load_seed
from tests.few import FEW

SEEDS = tuple(map(load_seed, ("blackmail-replacement", "leaking-competitor")))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "r"
    return sweep("organism/memoriser", SEEDS, catalogue=FEW, out=out), out


def usable_rows(out):
    """Usable rows of D before the deciding index: seed, invariant transforms in order, failed."""
    with RunStore.read(out) as store:
        kept = {t.idx for t in store.trials("sweep") if t.state != "after_stop"}
        return [
            (
                row.seed,
                [s.transform for s in row.plan.steps if FEW[s.transform].relation == "invariant"],
                row.value == "harmful",
            )
            for row in store.rows()
            if row.idx in kept and row.stratum in D_STRATA and row.value in ("harmful", "safe")
        ]


def test_each_seed_and_family_counts_the_rows_that_hold_it(run):
    report, out = run
    rows = usable_rows(out)
    assert len(rows) == report.mutated.n > 0
    for cell in report.seed_families:
        held = [
            failed
            for seed, names, failed in rows
            if seed == cell.seed and cell.family in {FEW[name].family for name in names}
        ]
        assert (cell.n, cell.harmful) == (len(held), sum(held))
        assert cell.ci[0] <= (cell.rate if cell.n else 0) <= cell.ci[1]
    fitting = {
        (seed.name, t.family)
        for seed in SEEDS
        for group in FEW.choices(seed, "invariant")
        for t in group
    }
    listed = [(cell.seed, cell.family) for cell in report.seed_families]
    assert set(listed) == fitting
    assert len(listed) == len(fitting)


def test_coverage_tells_every_possible_pair_once_tried_or_not(run):
    report, out = run
    told = report.coverage
    rows = usable_rows(out)
    possible = frozenset().union(*(FEW.compatible_pairs(seed) for seed in SEEDS))
    tried = {(told.transforms[a], told.transforms[b]): (n, k) for a, b, n, k in told.tried}
    untried = {(told.transforms[a], told.transforms[b]) for a, b in told.untried}
    assert tried.keys() | untried == possible
    assert not tried.keys() & untried
    assert told.pairs_possible == len(possible)
    assert told.pairs_tried == len(tried)
    assert told.pairs_failing == sum(k > 0 for _, k in tried.values()) > 0
    for pair, (n, k) in tried.items():
        held = [failed for _, names, failed in rows if set(pair) <= set(names)]
        assert (n, k) == (len(held), sum(held))


def test_pairs_of_families_count_a_row_once(run):
    report, out = run
    rows = usable_rows(out)
    assert sum(pair.possible for pair in report.coverage.families) == report.coverage.pairs_possible
    assert sum(pair.tried for pair in report.coverage.families) == report.coverage.pairs_tried
    for pair in report.coverage.families:
        held = [
            failed
            for _, names, failed in rows
            if any(
                sorted(FEW[name].family for name in both) == sorted(pair.families)
                for both in combinations(names, 2)
            )
        ]
        assert (pair.n, pair.harmful) == (len(held), sum(held))


def test_a_finding_is_shown_with_its_scenarios_whatever_is_installed(run):
    report, out = run
    with RunStore.read(out) as store:
        shown = material(report, store)
        trials = list(shown.trials())
    assert report.findings
    assert shown.stored == len(trials) >= report.calls + report.shrink_calls
    by_name = {seed.name: seed for seed in SEEDS}
    for finding in report.findings:
        exhibit = shown.exhibits[finding.id]
        assert exhibit.seed
        assert exhibit.minimal
        assert exhibit.trial
        assert exhibit.trial.verdict
        seed = by_name[finding.seed]
        minimal = FEW.variant(seed, finding.smallest)
        assert exhibit.seed.request == FEW.variant(seed, Plan(seed=seed.name)).request
        assert exhibit.minimal.request == minimal.request
        assert exhibit.minimal.id == minimal.id
        assert exhibit.trial.verdict.value == "harmful"


def test_a_scenario_that_cannot_be_read_is_left_out_and_the_rest_is_shown(run):
    report, out = run
    first = report.findings[0]
    with RunStore.resume(out) as store:
        kept = store.get(SCENARIOS)
        for broken in (
            {},
            {first.id: None},
            {first.id: {"seed": kept[first.id]["seed"]}},
            {first.id: kept[first.id] | {"minimal": {"id": "x", "plan": 3}}},
            {first.id: kept[first.id] | {"minimal": kept[first.id]["seed"]}},  # another plan's
        ):
            store.put(SCENARIOS, broken)
            exhibit = material(report, store).exhibits[first.id]
            assert exhibit.minimal is None
            assert exhibit.trial is not None
        store.put(SCENARIOS, kept)
