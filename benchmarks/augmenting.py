"""Training environments a second on one core, what memory they take, and what two workers gain.

Every cell is a process of its own, since memory is only ever seen to grow. Rows are drawn, applied,
rendered, held to their controls (a share of them), and written as canonical JSON lines, in shards
that are deleted as soon as they are complete: a million rows are 17 GB.
"""

import argparse
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CANARY = "00000000-0000-4000-8000-000000000000"
SHARD = 2_000  # rows
EARLY = 9_500  # rows, about: memory then, to be compared with memory at the end


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 rows instead of 10,000")
    parser.add_argument("--million", action="store_true", help="memory at 1,000,000 rows")
    parser.add_argument("--one", nargs=3, metavar=("ROWS", "SIBLINGS", "CHECKED"))
    chosen = parser.parse_args(argv)
    if chosen.one:
        rows, siblings, checked = chosen.one
        print(json.dumps(_one(int(rows), int(siblings), float(checked))))
        return
    few = 1_000 if chosen.quick else 10_000
    print(
        f"{'rows':>9} {'siblings':>8} {'checked':>7} {'rows/s':>8} {'blind':>5} "
        f"{'early':>6} {'MiB':>6}"
    )
    for rows, siblings, checked in (
        (few, 1, 1.0),
        (few, 1, 0.02),
        (few, 16, 0.02),
        (few * 10, 16, 0.02),
        *([(1_000_000, 16, 0.02)] if chosen.million else []),
    ):
        said = _measured(rows, siblings, checked)
        print(
            f"{rows:>9,} {siblings:>8} {checked:>7.0%} {said['rate']:>8.0f} {said['blind']:>5.0f} "
            f"{said['early']:>6.0f} {said['mib']:>6.0f}"
        )
    print()
    _engines(few)


def _measured(rows: int, siblings: int, checked: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.augmenting"]
    command += ["--one", str(rows), str(siblings), str(checked)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    said: dict[str, float] = json.loads(ran.stdout)
    return said


def _one(rows: int, siblings: int, checked: float) -> dict[str, float]:
    from fuzzer import registry
    from fuzzer.augment.drawing import Environments, Recipe
    from fuzzer.augment.export import export
    from fuzzer.augment.formats.base import About
    from fuzzer.preparation import choose_pools, judging, rules_judge

    catalogue, seeds = registry.find_catalogue(), registry.default_seeds()
    twins = [seed for seed in registry.find_seeds() if seed.twin_of]
    recipe = Recipe(canary=CANARY, siblings=siblings, checked=checked)
    pools = choose_pools(catalogue, seeds)
    environments = Environments(recipe, seeds, twins, catalogue, pools, judging(rules_judge()))
    for _ in environments.rows(10_000_000, 10_000_500):  # what is learned once
        pass
    began, made, early = time.process_time(), 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, rows, SHARD):
            out = Path(folder) / "out"
            stop = min(start + SHARD, rows)
            drawn = environments.rows(start, stop)
            made += export(drawn, out, ("jsonl",), about=About(canary=CANARY)).rows
            shutil.rmtree(out)
            early = early or (_peak() if made >= EARLY else 0.0)
    return {
        "early": early,
        "rate": made / (time.process_time() - began),
        "blind": len(environments.blind),
        "mib": _peak(),
    }


def _peak() -> float:
    """The most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _engines(rows: int) -> None:
    """One worker against two, over the same shards, which must be the same bytes."""
    engines = ["processes"] + (["ray"] if importlib.util.find_spec("ray") else [])
    print(f"{'engine':>10} {'workers':>7} {'seconds':>8} {'gain':>5}")
    for engine in engines:
        with tempfile.TemporaryDirectory() as folder:
            took = [_engine(engine, workers, rows, folder) for workers in (1, 2)]
            for workers, seconds in enumerate(took, 1):
                print(f"{engine:>10} {workers:>7} {seconds:>8.1f} {took[0] / seconds:>5.2f}")
            parts = sorted(Path(folder, "1/canonical").glob("part-*"))
            same = all(
                part.read_bytes() == Path(folder, "2/canonical", part.name).read_bytes()
                for part in parts
            )
            print(f"{len(parts)} shards, the same bytes: {'yes' if same else 'NO'}")


def _engine(engine: str, workers: int, rows: int, folder: str) -> float:
    command = [sys.executable, "-m", "fuzzer", "augment", "environments", "--no-split", "--json"]
    command += ["-n", str(rows), "--shards", "8", "--siblings", "16", "--check", "2%"]
    command += ["--canary", CANARY, "--out", f"{folder}/{workers}"]
    command += ["--engine", engine, "--workers", str(workers)]
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
