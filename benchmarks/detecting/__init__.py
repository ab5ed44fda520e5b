"""What the benchmark of detection is made of, one module a topic."""
