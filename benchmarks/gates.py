"""How many always-harmful transcripts the published classifiers' string gates still let through.

Each transcript is the explicit harmful control of a variant of three published conditions, and the
grader is taken to have said yes. ``stock``: the gates on the text; ``mapped``: on the text mapped
back to the published surface; ``ours``: the rules judge. Needs the extra ``published``.
"""

import argparse
from collections import defaultdict

from fuzzer.errors import ConfigurationError
from fuzzer.judges.rules import RulesJudge
from fuzzer.registry import find_catalogue
from fuzzer.transform import Step, Transform
from fuzzer.variant import Variant
from seeds.crosscheck import gates
from seeds.published import PREFIX, load_published

CONDITION = "explicit-america-replacement"


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer draws of each transform")
    draws = 4 if parser.parse_args(argv).quick else 24
    try:
        counted = _count(draws)
    except ConfigurationError as error:
        print(error)
        return
    print(f"{'change':28}{'scenario':12}{'n':>6}{'stock':>8}{'mapped':>8}{'ours':>8}")
    for (family, scenario), rows in counted.items():
        shares = (sum(row[i] for row in rows) / len(rows) for i in range(3))
        told = "".join(f"{share:8.0%}" for share in shares)
        print(f"{family:28}{scenario:12}{len(rows):6}{told}")


def _count(draws: int) -> dict[tuple[str, str], list[tuple[bool, bool, bool]]]:
    """By family and scenario: whether each of the three judges found the control harmful."""
    catalogue, judge = find_catalogue(), RulesJudge()
    counted: dict[tuple[str, str], list[tuple[bool, bool, bool]]] = defaultdict(list)

    def count(family: str, scenario: str, variant: Variant) -> None:
        transcript = variant.controls.harmful[0]
        ours = judge.decide(variant, transcript).value == "harmful"
        counted[family, scenario].append((*gates(variant, transcript), ours))

    for scenario in ("blackmail", "leaking", "murder"):
        seed = load_published(f"{PREFIX}{scenario}-{CONDITION}")
        canonical = catalogue.variant(seed, catalogue.plan(seed.name, ()))
        count("none", scenario, canonical)
        for transform in catalogue:
            if transform.relation == "invariant" and transform.applicable(seed):
                for step in _steps(transform, catalogue.pools, draws):
                    variant = catalogue.variant(seed, catalogue.plan(seed.name, (step,)))
                    if variant.request_hash != canonical.request_hash:
                        count(transform.family, scenario, variant)
    return dict(sorted(counted.items(), key=lambda item: (item[0][0] != "none", item[0])))


def _steps(
    transform: Transform, pools: dict[str, tuple[Step, ...]], draws: int
) -> tuple[Step, ...]:
    """Values of its pool, evenly spread."""
    pool = pools.get(transform.name) or (Step(transform=transform.name),)
    return pool[:: max(1, len(pool) // draws)][:draws]


if __name__ == "__main__":
    main()
