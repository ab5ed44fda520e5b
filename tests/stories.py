"""Built-in seeds as parameters of a test: one of each story by default, all in the long tier.

Conditions of one story share most of their text: what holds on one seldom fails on another.
"""

import pytest

from seeds import load_seeds


def by_story() -> list[object]:
    """Every built-in seed; all but the first of each story and behaviour are of the long tier."""
    seen: set[tuple[str, str]] = set()
    found: list[object] = []
    for seed in load_seeds():
        story = (seed.family, seed.ledger.behaviour)
        marks = (pytest.mark.slow,) if story in seen else ()
        seen.add(story)
        found.append(pytest.param(seed, marks=marks, id=seed.name))
    return found


every_seed = pytest.mark.parametrize("seed", by_story())
