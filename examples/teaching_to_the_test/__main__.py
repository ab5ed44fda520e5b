"""`make example`: trains, measures, and writes results.json, RESULTS.md and figure.svg."""

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from examples.teaching_to_the_test.figure import figure
from examples.teaching_to_the_test.measure import Size, Trained, run
from examples.teaching_to_the_test.summary import Results, results
from examples.teaching_to_the_test.table import markdown

HERE = Path(__file__).parent


def measured(size: Size, workers: int) -> Results:
    """Every training seed, in as many processes; which one runs where changes nothing."""
    context = multiprocessing.get_context("spawn")
    trained: list[Trained] = []
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for one in pool.map(run, range(size.training_seeds), [size] * size.training_seeds):
            trained.append(one)
            print(f"training seed {one.training_seed}: done", file=sys.stderr, flush=True)
    return results(size, trained)


def as_json(found: Results) -> str:
    """Results as JSON, a cell on each line."""
    told = found.model_dump(mode="json")
    parts = [f'"size": {json.dumps(told["size"])}']
    for name in ("deals", "sweeps", "cells"):
        rows = ",\n".join(json.dumps(row) for row in told[name])
        parts.append(f'"{name}": [\n{rows}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(found: Results, folder: Path) -> None:
    """The three files."""
    for name, told in (("results.json", as_json), ("RESULTS.md", markdown), ("figure.svg", figure)):
        (folder / name).write_text(told(found), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.teaching_to_the_test")
    parser.add_argument("--out", type=Path, default=HERE, help="where the files go")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--training-seeds", type=int, default=Size().training_seeds)
    parser.add_argument("--redraw", action="store_true", help="only write again what was measured")
    options = parser.parse_args(arguments)
    if options.redraw:
        stored = (options.out / "results.json").read_bytes()
        write(Results.model_validate_json(stored), options.out)
        return
    started = time.monotonic()
    size = Size(training_seeds=options.training_seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    write(measured(size, options.workers), options.out)
    print(f"{options.out}: {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
