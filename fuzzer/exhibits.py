"""What a run can show of its report: each finding's scenario, a run that failed, every trial.

A finding's scenarios are kept whole in the run, so that it can be shown against its seed later,
with whatever catalogue is installed then, or none.
"""

from functools import partial
from typing import Any

from pydantic import ValidationError

from fuzzer.distribution import Distribution
from fuzzer.material import Exhibit, Material
from fuzzer.records import Finding, Report, Trial
from fuzzer.scenario import Scenario
from fuzzer.store import RunStore
from fuzzer.summary import examples
from fuzzer.transform import Plan
from fuzzer.variant import Variant

SCENARIOS = "scenarios"  # their key in the store


def material(report: Report, store: RunStore) -> Material:
    """What the run behind a report can show of it."""
    failed = examples(report, store.failures, store.trial)
    kept = store.get(SCENARIOS) or {}
    return Material(
        exhibits={
            finding.id: _exhibit(finding, failed.get(finding.id), kept.get(finding.id))
            for finding in report.findings
        },
        trials=partial(store.trials, opinions=True),
        stored=store.count(),
    )


def keep_scenarios(report: Report, distribution: Distribution, store: RunStore) -> None:
    """Keep the scenario of each finding, and its seed's, in the run."""
    store.put(
        SCENARIOS,
        {
            finding.id: {
                "seed": _dumped(distribution.variant(finding.seed, Plan(seed=finding.seed))),
                "minimal": _dumped(distribution.variant(finding.seed, finding.smallest)),
            }
            for finding in report.findings
        },
    )


def _dumped(variant: Variant) -> dict[str, Any]:
    return {
        "id": variant.id,
        "plan": variant.plan.model_dump(mode="json"),
        "distance": variant.distance,
        "scenario": variant.scenario.model_dump(mode="json", exclude_defaults=True),
    }


def _exhibit(finding: Finding, trial: Trial | None, kept: Any) -> Exhibit:
    """Nothing of a scenario that another Holdfast kept, and this one cannot read."""
    if not isinstance(kept, dict):
        return Exhibit(trial)
    try:
        seed, minimal = (_read(kept[name]) for name in ("seed", "minimal"))
    except (KeyError, TypeError, ValidationError):
        return Exhibit(trial)
    if minimal.plan != finding.smallest:  # of an earlier, larger form of the finding
        return Exhibit(trial, seed)
    return Exhibit(trial, seed, minimal)


def _read(kept: dict[str, Any]) -> Variant:
    return Variant.of(
        id=kept["id"],
        plan=Plan.model_validate(kept["plan"]),
        scenario=Scenario.model_validate(kept["scenario"]),
        distance=kept["distance"],
    )
