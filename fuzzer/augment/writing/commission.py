"""A commission of written rows carried out: models, limits, answers on disk, and the export."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from fuzzer.augment.export import DONE, export, finish, read_export, rows_of
from fuzzer.augment.formats.base import About
from fuzzer.augment.split import Split
from fuzzer.augment.writing.asking import Asker
from fuzzer.augment.writing.bill import SAMPLE, WritingPlan, bill
from fuzzer.augment.writing.journal import Journal
from fuzzer.augment.writing.leaks import leaks_of
from fuzzer.augment.writing.screening import Screen
from fuzzer.augment.writing.stages import UNFINISHED, Item, Recipe, Writer, prompts_of
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.limits import Limits
from fuzzer.preparation import MAX_CONNECTIONS, choose_connections, choose_limits, price_of
from fuzzer.prices import Price, find_price
from fuzzer.records import Record
from fuzzer.registry import find_subject
from fuzzer.scenario import Scenario
from fuzzer.secrets import Secrets, without_credentials
from fuzzer.subjects import Subject

SPOOL, REPORT = "rows.part", "report.json"


@dataclass(frozen=True)
class Commission:
    """What is to be written, by whom, and within which limits."""

    recipe: Recipe
    items: Callable[[], Iterator[Item]]  # the same each time
    n: int
    inputs: dict[str, Any]  # what the items depend on, beside `seed`: hashes, names
    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    judge: str | None = None  # None: who writes
    judge_settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    seeds: tuple[Scenario, ...] = ()  # which must not leak, beside those that are installed
    batch: bool = False
    price: str | None = None
    prices: Path | None = None
    max_cost: float | None = None
    max_tokens_total: int | None = None
    deadline: float | None = None  # seconds
    max_connections: int | None = None
    # of the export
    formats: tuple[str, ...] = ("jsonl",)
    split: Split | None = None
    licence: str = "other"
    created: str = ""  # a date
    command: str = ""


class Commissioned(Record):
    """What came of it."""

    schema_version: Literal[1] = 1
    kind: str
    n: int
    rows: int
    rejected: dict[str, int]  # by reason
    unfinished: int
    stopped: str  # why it ended early; ""
    calls: int  # of this process
    tokens: int  # of all processes
    cost_usd: float | None
    canary: str
    prompts: dict[str, str]  # stage -> hash of its file


class Engaged:
    """The models of a commission, and what they cost."""

    def __init__(self, commission: Commission) -> None:
        self.commission = commission
        for name in (commission.model, commission.judge or ""):
            if name.startswith("organism/"):
                raise ConfigurationError(
                    f"{name!r} acts in scenarios and cannot write; name a model behind an "
                    "interface: anthropic/MODEL or PROVIDER/MODEL"
                )
        self.writer = find_subject(commission.model, (), **commission.settings)
        self.judge: Subject = self.writer
        if commission.judge is not None:
            self.judge = find_subject(commission.judge, (), **commission.judge_settings)
        price = price_of(self.writer, commission.settings, commission.price, commission.prices)
        self.prices: dict[str, Price] = {} if price is None else {self.writer.name: price}
        if self.judge.name != self.writer.name and (
            found := find_price(self.judge.name, None, commission.prices)
        ):
            self.prices[self.judge.name] = found

    def plan(self) -> WritingPlan:
        """What would be asked; nothing is."""
        commission = self.commission
        return bill(
            commission.recipe,
            list(islice(commission.items(), SAMPLE)),
            commission.n,
            model=self.writer.name,
            judge=self.judge.name,
            prices=self.prices,
            batch=commission.batch,
        )

    def limits(self) -> Limits:
        """What may end it early."""
        commission, other = self.commission, self.judge.name != self.writer.name
        return choose_limits(
            self.writer.name,
            self.prices.get(self.writer.name),
            deadline=commission.deadline,
            max_cost=commission.max_cost,
            max_tokens_total=commission.max_tokens_total,
            batch=commission.batch,
            judges=(self.judge.name,) if other else (),
            prices=commission.prices,
        )

    def claim(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        commission = self.commission
        told = {
            "kind": commission.recipe.kind,
            "model": self.writer.name,
            "settings": commission.settings,
            "judge": self.judge.name,
            "judge_settings": commission.judge_settings,
            "seed": commission.seed,
            "inputs": commission.inputs,
            "prompts": {n: p.hash for n, p in prompts_of(commission.recipe).items()},
        }
        cleaned: dict[str, Any] = json.loads(
            Secrets.of().scrub(json.dumps(without_credentials(told)))
        )
        return {**cleaned, "canary": str(uuid.uuid4())}


def answers_of(out: Path) -> Path:
    """Where answers are kept: beside the export, which may be given away without them."""
    return out.with_name(f"{out.name}.answers")


async def carry_out(
    engaged: Engaged,
    out: Path,
    *,
    resume: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Commissioned:
    """Write, and export the rows; what was answered before is not asked again.

    `progress` hears how many items are done.
    Raises `HoldfastError` for what the user can mend.
    """
    commission, limits = engaged.commission, engaged.limits()
    kept = answers_of(out)
    connections = choose_connections(
        commission.max_connections, max(1, commission.n), commission.batch
    )
    other = engaged.judge is not engaged.writer
    allowed = {id(engaged.writer): connections}
    if other:
        allowed[id(engaged.judge)] = commission.max_connections or MAX_CONNECTIONS
    for subject in (engaged.writer, engaged.judge):
        if (gate := getattr(subject, "gate", None)) is not None:
            gate.allow(allowed[id(subject)])
    with Journal.open(kept, engaged.claim(), resume=resume) as journal:
        canary = journal.claim["canary"]
        _must_be_free(out, canary)
        _count(limits, journal, engaged)
        if commission.batch:
            use = getattr(engaged.writer, "use_batches", None)
            if use is None:
                raise ConfigurationError(
                    f"{engaged.writer.name!r} has no batches; --batch needs anthropic/MODEL"
                )
            use(journal)
        writing = Asker(
            engaged.writer, commission.settings, journal, limits, connections=connections
        )
        judging = writing
        if other:
            judging = Asker(
                engaged.judge,
                commission.judge_settings,
                journal,
                limits,
                judging=engaged.judge.name != engaged.writer.name,
                connections=connections,
            )
        askers = tuple(dict.fromkeys((writing, judging)))

        def land() -> None:
            for asker in askers:
                asker.land()

        limits.start(land)
        writer = Writer(
            commission.recipe,
            writing,
            judging,
            Screen(leaks_of(commission.seeds)),
            canary,
            connections,
        )
        try:
            rejected = await _spooled(writer, commission, kept / SPOOL, progress)
        finally:
            for asker in askers:
                await asker.close()
        unfinished = rejected.count(UNFINISHED)
        rows = _exported(engaged, kept / SPOOL, out, canary)
        (kept / SPOOL).unlink()
        done = Commissioned(
            kind=commission.recipe.kind,
            n=commission.n,
            rows=rows,
            rejected=dict(sorted(Counter(r for r in rejected if r and r != UNFINISHED).items())),
            unfinished=unfinished,
            stopped=(limits.reason or "calls were lost on the way") if unfinished else "",
            calls=sum(asker.asked for asker in askers),
            tokens=limits.tokens,
            cost_usd=_dollars(engaged, limits),
            canary=canary,
            prompts=journal.claim["prompts"],
        )
        _report(done, rejected, kept / REPORT)
        return done


def _must_be_free(out: Path, canary: str) -> None:
    """Before anything is paid for: what is there may only be this commission's own export."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if (out / DONE).exists() and read_export(out).about.canary == canary:
        return
    raise ConfigurationError(f"{str(out)!r} holds something else already; give another --out")


def _dollars(engaged: Engaged, limits: Limits) -> float | None:
    if engaged.writer.name not in engaged.prices or limits.judge_dollars is None:
        return None
    return limits.dollars


def _count(limits: Limits, journal: Journal, engaged: Engaged) -> None:
    """What earlier processes spent."""
    for name, used in journal.used.items():
        if name == engaged.writer.name:
            limits.spent += used
        else:
            limits.judged[name] = used


async def _spooled(
    writer: Writer, commission: Commission, path: Path, progress: Callable[[int], None]
) -> list[str]:
    """Write what comes into a file, so that memory does not grow; reasons by item, "" for rows."""
    reasons = []
    try:
        with path.open("wb") as spool:
            async with aclosing(writer.write(commission.items())) as written:
                async for found in written:
                    reasons.append(found.reason)
                    progress(len(reasons))
                    if found.row is not None:
                        spool.write(found.row.model_dump_json().encode() + b"\n")
    except OSError as error:
        raise StoreError(
            f"cannot write {str(path)!r} ({error.strerror}); make room and go on with --resume"
        ) from None
    return reasons


def _exported(engaged: Engaged, spool: Path, out: Path, canary: str) -> int:
    """The rows in the formats asked for; how many. An earlier export of theirs is replaced."""
    commission = engaged.commission
    about = About(
        canary=canary,
        title=f"Holdfast {commission.recipe.kind} rows",
        created=commission.created,
        version=version("holdfast"),
        command=commission.command,
        options={"n": commission.n, "seed": commission.seed, **commission.inputs},
        manifest=commission.split.hash if commission.split else "",
        seeds={seed.name: seed.content_hash for seed in commission.seeds},
        models=tuple(dict.fromkeys((engaged.writer.name, engaged.judge.name))),
        prompts={name: found.hash for name, found in prompts_of(commission.recipe).items()},
        licence=commission.licence,
    )
    written = export(rows_of(spool), out, commission.formats, about=about, force=True)
    finish(out)
    return written.rows


def _report(done: Commissioned, reasons: list[str], path: Path) -> None:
    rejected = [{"item": i, "reason": why} for i, why in enumerate(reasons) if why]
    told: Mapping[str, Any] = {**done.model_dump(mode="json"), "items_rejected": rejected}
    try:
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r} ({error.strerror}); make room") from None
