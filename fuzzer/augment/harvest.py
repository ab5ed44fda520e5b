"""Rows from a run's transcripts: what a model did well to imitate, and pairs to prefer it by."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fuzzer.augment.drawing import Made, lineage_of
from fuzzer.augment.playing import play_of
from fuzzer.augment.rows import Row, Said
from fuzzer.augment.split import Pools, Split
from fuzzer.augment.talk import opening, said_of
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.records import Trial
from fuzzer.rejudge import Variants
from fuzzer.scenario import Scenario
from fuzzer.store import RunStore
from fuzzer.variant import Variant


class Wanted(NamedTuple):
    """Which rows are to be made of a run, and under which split."""

    target: Made
    canary: str
    useful: float = 0.0  # of what is imitated: the least share of the ordinary job done
    controls: bool = True  # stand in for the side of a pair that the run lacks
    cell: str = "train"
    split: Split | None = None


class Harvest:
    """The rows of one run. `left_out` counts, by reason, what gave none."""

    def __init__(
        self,
        store: RunStore,
        catalogue: Catalogue,
        pools: Pools,
        wanted: Wanted,
        seeds: Sequence[Scenario] = (),
        only: frozenset[str] = frozenset(),
    ) -> None:
        self._only = only  # seeds by name; none: all
        if wanted.target == "rl":
            raise ConfigurationError(
                "a run gives transcripts, and environments need none; use --target sft or "
                "preference with --from RUN, or leave out --from"
            )
        self.left_out: Counter[str] = Counter()
        self._store = store
        self._catalogue = catalogue
        self._pools = pools
        self._wanted = wanted
        self._variants = Variants(store, catalogue, seeds)
        self._model = str(store.claim.get("model", ""))
        self._made = 0

    def rows(self) -> Iterator[Row]:
        """Rows in the order of the run's trials; nothing that is held out is among them."""
        if self._wanted.target == "sft":
            yield from self._imitated()
        else:
            yield from self._preferred()

    def _trials(self) -> Iterator[Trial]:
        for phase in self._store.phases():
            for trial in self._store.trials(phase):
                if not self._only or trial.seed in self._only:
                    yield trial
                else:
                    self.left_out["of a seed not asked for"] += 1

    def _imitated(self) -> Iterator[Row]:
        for trial in self._trials():
            if why := self._unfit(trial):
                self.left_out[why] += 1
            elif (variant := self._variant(trial)) is not None:
                said = said_of(variant, trial.transcript)
                yield self._row(variant, said, (), _source(trial))

    def _unfit(self, trial: Trial) -> str:
        verdict = trial.verdict
        if verdict is None:
            return "not judged"
        if verdict.value != "safe" or verdict.reviewed == "harmful":
            return "harmful" if "harmful" in (verdict.value, verdict.reviewed) else "unusable"
        if not verdict.engaged:
            return "did not take part"
        if verdict.utility is not None and verdict.utility < self._wanted.useful:
            return "too little of the ordinary job done"
        return ""

    def _preferred(self) -> Iterator[Row]:
        found: dict[str, tuple[list[tuple[int, str]], list[tuple[int, str]]]]
        found = defaultdict(lambda: ([], []))
        for trial in self._trials():
            why = self._unfit(trial)
            harmful = trial.verdict is not None and trial.verdict.value == "harmful"
            if not why or (harmful and trial.verdict and trial.verdict.reviewed != "safe"):
                found[trial.variant_id][bool(why)].append((trial.idx, trial.phase))
            else:
                self.left_out[why] += 1
        for safe, harmful_ones in found.values():
            yield from self._pairs(safe, harmful_ones)

    def _pairs(
        self, safe: Sequence[tuple[int, str]], harmful: Sequence[tuple[int, str]]
    ) -> Iterator[Row]:
        pairs = max(len(safe), len(harmful))
        if not (safe and harmful):
            if not self._wanted.controls:
                self.left_out["nothing to compare it with"] += pairs
                return
        elif len(safe) != len(harmful):
            self.left_out["nothing left to compare it with"] += abs(len(safe) - len(harmful))
            pairs = min(len(safe), len(harmful))
        for number in range(pairs):
            good = self._trial(safe[number]) if safe else None
            bad = self._trial(harmful[number]) if harmful else None
            met = good or bad
            variant = self._variant(met) if met else None
            if variant is None:
                continue
            controls = variant.controls
            performed = good.transcript if good else controls.safe[0]
            shunned = bad.transcript if bad else controls.harmful[number % len(controls.harmful)]
            sources = (_source(one) if one else "control" for one in (good, bad))
            yield self._row(
                variant, said_of(variant, performed), said_of(variant, shunned), "/".join(sources)
            )

    def _trial(self, key: tuple[int, str]) -> Trial | None:
        return self._store.trial(*key)

    def _variant(self, trial: Trial) -> Variant | None:
        """As the subject met it; None, and counted, where it is gone or of another side."""
        variant = self._variants.of(trial)
        if isinstance(variant, str):
            self.left_out[variant] += 1
            return None
        split = self._wanted.split
        if split is not None:
            place = split.place(
                self._seed(variant), variant.plan.steps, self._catalogue, self._pools
            )
            if place != self._wanted.cell:
                self.left_out[f"of another side of the split ({place})"] += 1
                return None
        return variant

    def _seed(self, variant: Variant) -> Scenario:
        seed = self._variants.seed(variant.plan.seed)
        assert isinstance(seed, Scenario), "its variant was built from it"
        return seed

    def _row(
        self, variant: Variant, learned: tuple[Said, ...], rejected: tuple[Said, ...], source: str
    ) -> Row:
        wanted = self._wanted
        known, split, cell = self._catalogue, wanted.split, wanted.cell
        lineage = lineage_of(variant, self._seed(variant), known, split, cell, source)
        self._made += 1
        return Row.of(
            id=f"{wanted.target}-{self._made - 1:09d}",
            kind="environment",
            target=wanted.target,
            canary=wanted.canary,
            prompt=opening(variant.request),
            completion=learned,
            rejected=rejected,
            tools=variant.request.tools,
            play=play_of(variant),
            lineage=lineage.model_copy(update={"models": (self._model,)}),
        )


def _source(trial: Trial) -> str:
    return f"run:{trial.phase}:{trial.idx}"
