"""The tables of `benchmarks.detection`, one module a topic."""
