"""The tables of the detection benchmark, one module a topic."""
