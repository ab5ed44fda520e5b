"""What a sweep and a comparison detect, and how often they are wrong: one module a topic."""
