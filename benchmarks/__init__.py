"""Measured numbers: `python -m benchmarks` runs every module with a main()."""
