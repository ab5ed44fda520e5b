"""Contamination: what the guard costs a row, and what it finds.

In rows that were dealt to training it must find nothing; then in what was planted there: held-out
scenarios without lineage, reworded here and there, and one message of theirs in a longer text.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from random import Random

from fuzzer import registry
from fuzzer.augment.checking import check
from fuzzer.augment.contamination import Guard, request_text, row_text
from fuzzer.augment.rows import Lineage, Row, Said
from fuzzer.augment.split import Split, deal, story_of
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.scenario import Scenario
from fuzzer.transform import Plan
from fuzzer.variant import Slots

SHARES = (0.0, 0.02, 0.05)  # of words of a planted scenario that are others


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(argv)
    many = 300 if options.quick else options.rows
    catalogue, seeds = registry.find_catalogue(), registry.find_seeds()
    split = deal(seeds, catalogue, catalogue.pools, "a salt of the benchmark")
    began = time.perf_counter()
    guard = Guard(split, seeds, catalogue, catalogue.pools)
    print(f"guard made in {time.perf_counter() - began:.1f} s")
    rows = list(_environments(split, seeds, many))
    size = sum(len(row_text(row)) for row in rows) / many
    began = time.perf_counter()
    leaks = sum(guard.check(row) is not None for row in rows)
    took = (time.perf_counter() - began) / many
    print(
        f"{many:,} rows of {size:,.0f} characters: {1e3 * took:.1f} ms a row, {60 / took:,.0f} a "
        f"minute; {leaks} taken for leaks"
    )
    found = check(rows, guard)
    for name, like in (
        ("held-out stories", found.held_out_stories),
        ("held-out transforms on stories trained on", found.held_out_transforms),
    ):
        print(
            f"like {name}: J >= .8 in {like.near.rows} of {like.near.n}, .5 to .8 in "
            f"{like.similar.rows}, highest {like.highest:.2f}"
        )
    held_out = split.seeds(seeds, "test")
    for share in SHARES:
        planted = [_reworded(seed, share) for seed in held_out]
        caught = sum(guard.check(row) is not None for row in planted)
        print(f"scenarios with {share:.0%} of words changed: {caught} of {len(planted)} caught")
    pasted = [row for seed in held_out for row in _pasted(seed)]
    caught = sum(guard.check(row) is not None for row in pasted)
    print(f"messages inside a longer text: {caught} of {len(pasted)} caught")


def _environments(split: Split, seeds: Sequence[Scenario], many: int) -> Iterator[Row]:
    catalogue = registry.find_catalogue()
    known = split.catalogue(catalogue, catalogue.pools, "train")
    trained = split.seeds(seeds, "train")
    distribution = Distribution(known, trained, known.pools, RulesJudge().decide)
    for number in range(many):
        draw = distribution.draw(number)
        variant = distribution.variant(draw.seed, draw.plan)
        request = variant.request
        system = Said(role="system", content=request.system)
        said = (Said(role=m["role"], content=m["content"]) for m in request.messages)
        lineage = Lineage(
            manifest=split.hash,
            cell="train",
            seed=draw.seed,
            seed_family=story_of(distribution.scenarios[draw.seed]),
            steps=draw.plan.steps,
        )
        yield Row(
            id=str(number),
            kind="environment",
            target="rl",
            canary="",
            prompt=(system, *said),
            tools=request.tools,
            lineage=lineage,
        )


def _chat(name: str, text: str) -> Row:
    prompt = (Said(role="user", content=text),)
    return Row(id=name, kind="chat", target="sft", canary="", prompt=prompt)


def _reworded(seed: Scenario, share: float) -> Row:
    request = registry.find_catalogue().variant(seed, Plan(seed=seed.name)).request
    rng = Random(seed.name)
    words = request_text(request).split(" ")
    return _chat(seed.name, " ".join("other" if rng.random() < share else w for w in words))


def _pasted(seed: Scenario) -> Iterator[Row]:
    slots, around = Slots(seed), "Could you please look at what follows and tell me more? " * 200
    for message in seed.inbox:
        text = slots.fill(message.body)
        if len(text.split()) >= 40:
            yield _chat(f"{seed.name} {message.id}", f"{around}\n\n{text}\n\n{around}")


if __name__ == "__main__":
    main()
