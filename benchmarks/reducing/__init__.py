"""The parts of `benchmarks.shrinking`, one table each."""
