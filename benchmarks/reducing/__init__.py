"""Worlds, rivals and tables behind `benchmarks.shrinking`: one module a topic."""
