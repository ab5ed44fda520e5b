"""Parts of `benchmarks.detection`: a module for each topic, with the rows of its table."""
