"""The smallest scenario that fails: how often exact, in how many calls, and whether all said holds.

Planted outcomes through ask and tell; only the part on texts renders anything. Each part is a
module of `benchmarks.reducing`, and can be run by itself.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.reducing import certifying, condensing, planning, rivals, valuing
from benchmarks.reducing.running import COUNT, PROCESSES

Rows = Callable[[bool], Iterator[str]]
PARTS: dict[str, Rows] = {
    "planning": planning.rows,
    "large": planning.large,
    "misfits": planning.misfits,
    "certifying": certifying.rows,
    "rivals": rivals.rows,
    "values": valuing.rows,
    "text": condensing.rows,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.shrinking", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows, a tenth of the replicates"
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), metavar="PART")
    parser.add_argument("--replicates", type=int, help="a row (default 400, quick 40)")
    parser.add_argument("--processes", type=int, help="default: one for each core")
    options = parser.parse_args(argv)
    for name, value in ((PROCESSES, options.processes), (COUNT, options.replicates)):
        if value:
            os.environ[name] = str(value)  # so that worker processes read it too
    for name in options.only:
        started = time.perf_counter()
        print(f"\n### {name}\n", flush=True)
        for row in PARTS[name](options.quick):
            print(row, flush=True)
        print(f"\n{time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
