"""Worlds and tables behind `benchmarks.shrinking`: the levels beyond the plan."""
