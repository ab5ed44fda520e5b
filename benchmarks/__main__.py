"""`make bench`: every benchmark, quickly. Run a module by itself for the full one."""

import importlib
import pkgutil
import sys

import benchmarks

PARTS = ("server", "detecting", "reducing", "screenshots")  # no benchmarks themselves


def main() -> None:
    """Run `main(["--quick"])` of each module of this package, or of those named."""
    wanted = sys.argv[1:]
    for module in sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__)):
        if module.startswith("_") or module in PARTS or (wanted and module not in wanted):
            continue
        print(f"\n== {module}\n", flush=True)
        importlib.import_module(f"benchmarks.{module}").main(["--quick"])


if __name__ == "__main__":
    main()
