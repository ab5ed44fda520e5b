"""What it costs to be watched: sweeps of an organism, with the panel and without, in pairs.

    python -m benchmarks.watching [--quick]

Processor time of the process. A pair's two sweeps make the same calls, one right after the other,
in turns first; the panel is drawn to a terminal that nobody looks at. On a machine that others use
pairs differ by more than what is measured, so the time within what watching adds (counting, looking
at the evidence, drawing) is told too, as a share of the watched sweep.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.live import Live

from fuzzer.campaign import sweep
from fuzzer.evidence import confidence_sequence
from fuzzer.outlook import Counting
from reports.live import Progress


class Unseen(io.StringIO):
    """A terminal that nobody looks at."""

    def isatty(self) -> bool:
        """Yes."""
        return True


_within = [0.0]  # seconds of processor time within what watching adds


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its time added up."""

    def run(*given: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*given)
        finally:
            _within[0] += time.thread_time() - began

    return run


def measured(calls: int, model: str, *, watched: bool) -> float:
    """Seconds of processor time that a sweep of so many calls takes."""
    progress = Progress(lambda n, k: confidence_sequence(n, k, 0.05), stream=Unseen())
    with tempfile.TemporaryDirectory() as scratch:
        began = time.process_time()
        options: dict[str, Any] = {"budget": calls, "stop": "budget", "shrink_budget": 0}
        out = Path(scratch) / "run"
        if watched:
            with progress:
                report = sweep(model, out=out, progress=progress.update, **options)
        else:
            report = sweep(model, out=out, **options)
        took = time.process_time() - began
    assert report.calls == calls
    return took


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what watching adds to a sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--pairs", type=int)
    given = parser.parse_args(arguments)
    os.environ.setdefault("TERM", "xterm-256color")
    for owner, name in ((Counting, "__call__"), (Counting, "last"), (Live, "refresh")):
        setattr(owner, name, timed(getattr(owner, name)))
    calls = given.calls or (300 if given.quick else 2_000)
    pairs = given.pairs or (1 if given.quick else 6)
    for model in ("organism/memoriser", "organism/always_safe"):
        measured(min(calls, 200), model, watched=True)  # imports, caches
        ratios, shares = [], []
        for number in range(pairs):
            order = (True, False) if number % 2 else (False, True)
            took = {}
            for watched in order:
                _within[0] = 0.0
                took[watched] = measured(calls, model, watched=watched)
                shares += [_within[0] / took[watched]] if watched else []
            ratios.append(took[True] / took[False] - 1)
        shown = ", ".join(f"{ratio:+.1%}" for ratio in ratios)
        print(
            f"{model}: {calls:,} calls, watched {statistics.median(ratios):+.1%} (median of "
            f"{pairs} pairs: {shown}); within what watching adds {statistics.median(shares):.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
