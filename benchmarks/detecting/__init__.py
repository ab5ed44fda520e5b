"""What a search finds and what may be said of it, by topic; `benchmarks.detection` runs them."""
