"""Variants, admissions and organism trials a second on one core, each with its ratio to a loop.

Absolute rates move with the machine; the second column divides by how long this interpreter takes
for a fixed loop right before and after, so that two runs can be compared.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fuzzer import registry
from fuzzer.campaign import sweep
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.variant import Variant, admit

LOOP = 300_000  # iterations of the reference loop


def _loop() -> float:
    """CPU seconds of the reference loop."""
    start = time.process_time()
    total = 0
    for i in range(LOOP):
        total += i % 7
    return time.process_time() - start


def _per_item(work: Callable[[int], None], size: int, batches: int) -> tuple[float, float]:
    """Median CPU seconds per item, and in reference loops, over batches of `size` items."""
    seconds, loops = [], []
    for batch in range(batches):
        before = _loop()
        start = time.process_time()
        for item in range(batch * size, (batch + 1) * size):
            work(item)
        spent = (time.process_time() - start) / size
        seconds.append(spent)
        loops.append(spent / ((before + _loop()) / 2))
    return statistics.median(seconds), statistics.median(loops)


class _Unjudged(Distribution):
    """D without admission: what drawing, applying, checking, rendering and hashing cost."""

    def _admits(self, variant: Variant) -> bool:  # noqa: ARG002 - one signature
        return True


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer batches")
    batches = 6 if parser.parse_args(argv).quick else 25
    catalogue, seeds = registry.find_catalogue(), registry.default_seeds()
    judge = RulesJudge()
    plain = _Unjudged(catalogue, seeds, catalogue.pools, judge.decide)
    checked = Distribution(catalogue, seeds, catalogue.pools, judge.decide)

    def drawn(distribution: Distribution) -> Callable[[int], None]:
        def work(k: int) -> None:
            draw = distribution.draw(k)
            variant = distribution.variant(draw.seed, draw.plan)
            assert variant.request_hash

        return work

    for warm in range(100_000, 101_500):
        drawn(plain)(warm)
    rows = [
        (
            "variant: drawn, applied, checked, rendered, hashed",
            *_per_item(drawn(plain), 100, batches),
        ),
        ("the same, admitted (controls, recovery)", *_per_item(drawn(checked), 100, batches)),
    ]
    canonical = [catalogue.variant(s, catalogue.plan(s.name, ())) for s in seeds]
    by_name = {seed.name: seed for seed in seeds}

    def admission(k: int) -> None:
        seed = canonical[k % len(canonical)]
        fresh = catalogue.variant(by_name[seed.plan.seed], seed.plan)
        assert admit(fresh, by_name[seed.plan.seed], judge.decide)

    rows.append(("a canonical variant, rendered and admitted", *_per_item(admission, 100, batches)))
    budget = 600 if batches < 10 else 2000
    with tempfile.TemporaryDirectory() as scratch:
        before = _loop()
        start = time.process_time()
        report = sweep(
            "organism/always_safe", budget=budget, stop="budget", out=Path(scratch) / "r"
        )
        spent = (time.process_time() - start) / report.calls
        rows.append(
            ("organism trial, whole pipeline, stored", spent, spent / ((before + _loop()) / 2))
        )
    print(f"{'':52}{'per second':>11}{'us':>8}{'loops':>8}")
    for name, seconds, loops in rows:
        print(f"{name:52}{1 / seconds:11,.0f}{seconds * 1e6:8,.0f}{loops:8.3f}")
    print(f"(one loop: {LOOP:,} additions, about {_loop() * 1000:.0f} ms here)")


if __name__ == "__main__":
    main()
