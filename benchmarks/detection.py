"""What the search finds, with how many calls, and how often it is wrong: all by ask and tell.

The real search, evidence, shrinking and attribution on planted outcomes; nothing is rendered or
judged. Each part is a table of `benchmarks.detecting`, and can be run by itself.
"""

import argparse
import time
from collections.abc import Callable, Iterator

from benchmarks.detecting import (
    ahead,
    attributing,
    comparing,
    errors,
    exposed,
    scored,
    searching,
    several,
    teaching,
)

Rows = Callable[[bool], Iterator[str]]
PARTS: dict[str, Rows] = {
    "errors": errors.rows,
    "searching": searching.rows,
    "scored": scored.rows,
    "teaching": teaching.rows,
    "attributing": attributing.rows,
    "several": several.rows,
    "comparing": comparing.rows,
    "exposed": exposed.rows,
    "ahead": ahead.rows,
}


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.detection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the replicates, or fewer")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), metavar="PART")
    options = parser.parse_args(argv)
    for name in options.only:
        started = time.perf_counter()
        print(f"\n### {name}\n", flush=True)
        for row in PARTS[name](options.quick):
            print(row, flush=True)
        print(f"\n{time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
