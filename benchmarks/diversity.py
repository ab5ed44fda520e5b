"""How different the draws are: distinct requests, covered pairs, distinct-2 and a Vendi score.

Distinct-2 and the Vendi score (`fuzzer.augment.diversity`) are set against the seeds as they are,
drawn as often: what is above that comes from the transforms.
"""

import argparse

from fuzzer import registry
from fuzzer.augment.diversity import distinct_2, vendi
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.transform import Plan
from fuzzer.variant import render


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    draws = 1_000 if parser.parse_args(argv).quick else 10_000
    sample = 200
    catalogue, seeds = registry.find_catalogue(), registry.default_seeds()
    distribution = Distribution(catalogue, seeds, catalogue.pools, RulesJudge().decide, 17)
    hashes: set[str] = set()
    plans: list[Plan] = []
    texts: dict[str, list[str]] = {seed.name: [] for seed in seeds}
    sizes: list[int] = []
    k = far = dense = 0
    while dense < draws:
        draw = distribution.draw(k)
        k += 1
        far += draw.distance >= 4
        plans.append(draw.plan)
        if draw.stratum == "single":
            continue
        dense += 1
        variant = distribution.variant(draw.seed, draw.plan)
        hashes.add(variant.request_hash)
        sizes.append(len(variant.request.text))
        if len(texts[draw.seed]) < sample:
            texts[draw.seed].append(variant.request.text)
    blind = sum(map(len, distribution.rejected.values()))
    coverable = set().union(*(catalogue.compatible_pairs(seed) for seed in seeds))
    covered = catalogue.covered_pairs(plans)
    plain = [render(seed).text for seed in seeds]
    mutated = [text for drawn in texts.values() for text in drawn[: max(1, sample // len(seeds))]]
    repeated = (plain * (len(mutated) // len(plain) + 1))[: len(mutated)]
    rows = [
        ("draws outside the single-step class", f"{dense:,}", ""),
        ("distinct requests among them", f"{len(hashes):,}", f"{len(hashes) / dense:.2%}"),
        ("draws in all, at distance 4 or more", f"{k:,}", f"{far / k:.1%}"),
        ("blind draws (rejected)", f"{blind:,}", f"{blind / (k + blind):.3%}"),
        (
            "pairs of transforms covered",
            f"{len(covered & coverable):,} of {len(coverable):,}",
            f"{len(covered & coverable) / len(coverable):.2%}",
        ),
        ("values in the pools", f"{sum(map(len, catalogue.pools.values())):,}", ""),
        ("characters in a request, median", f"{sorted(sizes)[len(sizes) // 2]:,}", ""),
        (f"distinct-2 of {len(mutated)} draws", f"{distinct_2(mutated):.4f}", ""),
        ("distinct-2 of the seeds as they are, as often", f"{distinct_2(repeated):.4f}", ""),
        (f"Vendi score of {len(mutated)} draws", f"{vendi(mutated):.1f}", ""),
        ("Vendi score of the seeds as they are, as often", f"{vendi(repeated):.1f}", ""),
    ]
    for name, value, share in rows:
        print(f"{name:52}{value:>20}{share:>10}")


if __name__ == "__main__":
    main()
