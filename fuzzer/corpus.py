"""The regression corpus: findings on one line of JSON each, to be run again for ever.

An `Entry` holds the whole scenario as it failed, so that it stays usable whatever becomes of the
transforms, pools and seeds it was made with; and what it was made of, so that `checked` can say
what has changed since. It never holds a random seed or the bytes of an engine: those mean nothing
to the next version.

``{"schema_version": 1, "finding": "F1", "what": "…", "seed": "…", …, "scenario": {…}}``

The scenario is written as it is hashed, without defaults: whoever edits it by hand breaks the hash,
and a field that is added later breaks none. All of a line is ASCII, so that it can be looked at on
a terminal whatever its texts hold. What a newer Holdfast adds *beside* plan and scenario is
ignored; within them it would change what is run, so there it is refused.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from shutil import copymode
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import ConfigDict, Field, ValidationError

from fuzzer.errors import CatalogueError, ConfigurationError, HoldfastError, StoreError, first_fault
from fuzzer.graph import Catalogue
from fuzzer.records import Finding, Interval, Knockout, Rate, Report
from fuzzer.scenario import STORED, Frozen, Scenario, canonical_json
from fuzzer.secrets import Secrets
from fuzzer.transform import Plan, Step, Transform, read_params
from fuzzer.variant import Variant

SCHEMA_VERSION = 1
Level = Literal["plan", "values", "text"]  # how far the plan was reduced


class _Tolerant(Frozen):
    """A value in which what a newer Holdfast adds is ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Without(_Tolerant):
    """What a plan does without one of its steps, on fresh calls; its text whole."""

    part: str  # the step's transform
    n: int
    rate: float | None  # None: no usable call
    ci: Interval
    status: str


class Unmutated(_Tolerant):
    """Calls on the seed as it is, beside a finding."""

    n: int = 0
    harmful: int = 0
    ci: Interval = (0.0, 1.0)


class Recorded(_Tolerant):
    """What was shown when the entry was made: on which model, judged by whom, and how surely."""

    model: str
    judge: str
    judge_version: int
    threshold: float  # the rate that still counted
    alpha: float  # error rate of the certificate
    certified: bool
    n: int = 0  # usable calls behind the rate
    harmful: int = 0
    rate: float | None = None  # None: no usable call
    ci: Interval = (0.0, 1.0)
    fresh: bool = True  # False: the rate is of the replays that found it, and runs high
    cut: float | None = None  # "minimal at c"; None: no certificate was tried
    knockouts: tuple[Without, ...] = ()
    seed: Unmutated = Unmutated()


class Entry(_Tolerant):
    """One finding, self-contained; `entry_of_finding` makes one."""

    schema_version: Literal[1] = 1
    finding: str  # its id in the run that found it
    what: str  # what fails, in one line
    seed: str
    seed_version: int
    seed_hash: str
    steps: tuple[Step, ...]
    drop: tuple[str, ...] = ()
    versions: dict[str, int]  # of the transforms in the plan
    trail: tuple[str, ...]  # hash of the scenario after each step, before anything is dropped
    level: Level
    distance: int
    variant_id: str
    request_hash: str
    scenario_hash: str
    recorded: Recorded
    holdfast: str  # the version that wrote it
    seed_surface: tuple[str, ...]  # the seed's names, addresses and domains: none may be left over
    scenario: Scenario = Field(repr=False)  # after the plan, drops included

    @property
    def plan(self) -> Plan:
        """The plan that made the scenario."""
        return Plan(seed=self.seed, steps=self.steps, drop=self.drop)

    @property
    def key(self) -> str:
        """Names the entry: a seed, and what became of it."""
        return f"{self.seed}@{self.scenario_hash[:12]}"

    @property
    def surface(self) -> frozenset[str]:
        """The seed's names, addresses and domains, as `Scenario.surface` was."""
        return frozenset(self.seed_surface)

    @cached_property
    def variant(self) -> Variant:
        """The stored scenario, ready to run. Named by its content: that is what is called."""
        return Variant.of(
            id=self.scenario_hash[:24],
            plan=self.plan,
            scenario=self.scenario,
            distance=self.distance,
        )


# ----------------------------------------------------------------------------------- making one


def entry_of(
    variant: Variant,
    catalogue: Catalogue,
    seed: Scenario,
    recorded: Recorded,
    *,
    finding: str,
    level: Level = "plan",
    what: str = "",
) -> Entry:
    """The entry of a variant that fails.

    `variant` is the smallest one known, made by `catalogue` from `seed`; `recorded` is what was
    shown of it (`recorded_of`, of a report's finding); `finding` its id in its run; `level` how far
    it was reduced; `what` says in one line what fails (default: its steps, in words).

    Raises `ValueError` when the catalogue makes another scenario of the seed and the plan.
    """
    plan = variant.plan
    scenario, trail = seed, []
    for step in plan.steps:
        scenario = _after(catalogue, seed, scenario, step)
        trail.append(scenario.content_hash)
    made = catalogue.apply(seed, plan).content_hash
    if made != variant.scenario.content_hash:
        raise ValueError(f"the plan on {seed.name!r} does not make the scenario of this variant")
    parts: dict[str, Any] = {
        "finding": finding,
        "what": what or told(plan, catalogue),
        "seed": seed.name,
        "seed_version": seed.version,
        "seed_hash": seed.content_hash,
        "steps": plan.steps,
        "drop": plan.drop,
        "versions": {step.transform: catalogue[step.transform].version for step in plan.steps},
        "trail": tuple(trail),
        "level": level,
        "distance": variant.distance,
        "variant_id": variant.id,
        "request_hash": variant.request_hash,
        "scenario_hash": made,
        "recorded": recorded,
        "holdfast": version("holdfast"),
        "seed_surface": tuple(sorted(seed.surface)),
        "scenario": variant.scenario,
    }
    return Entry.model_validate(parts, context=STORED)


def entry_of_finding(
    finding: Finding, report: Report, catalogue: Catalogue, seed: Scenario, *, what: str = ""
) -> Entry:
    """The entry of a report's finding, at the smallest scenario that is shown to fail.

    `catalogue` and `seed` are those of its run; raises `HoldfastError` where the plan is none of
    this catalogue.
    """
    plan, level = smallest(finding)
    variant = catalogue.variant(seed, plan)
    recorded = recorded_of(finding, report)
    return entry_of(variant, catalogue, seed, recorded, finding=finding.id, level=level, what=what)


def smallest(finding: Finding) -> tuple[Plan, Level]:
    """The smallest scenario of a finding that is shown to fail, as a plan, and its level.

    Less text counts once its own fresh calls certify that it fails; fewer steps once there are
    fresh calls on them: before, the plan that was replayed is all that is known to.
    """
    if not finding.fresh:
        return Plan(seed=finding.seed, steps=finding.plan), "plan"
    steps, text = finding.minimal_plan, finding.text
    if text is not None and text.certified and text.drop:
        return Plan(seed=finding.seed, steps=steps, drop=text.drop), "text"
    simpler = len(steps) == len(finding.values) and any(
        {**values.found, **step.params} != values.found
        for step, values in zip(steps, finding.values, strict=True)
    )
    return Plan(seed=finding.seed, steps=steps), "values" if simpler else "plan"


def recorded_of(finding: Finding, report: Report) -> Recorded:
    """What a report says of one of its findings at its smallest, and of its seed beside it."""
    _, level = smallest(finding)
    text = finding.text if level == "text" else None
    if text is not None:
        shown: dict[str, Any] = text.model_dump(include={"n", "harmful", "rate", "ci", "cut"})
        shown |= {"alpha": text.alpha, "certified": text.certified}
    else:
        shown = finding.model_dump(include={"n", "harmful", "ci", "cut", "fresh"})
        shown |= {
            "rate": finding.rate if finding.n else None,
            "alpha": finding.certificate_alpha or report.alpha,
            "certified": finding.minimal_certified,
        }
    rows = (row.canonical for row in report.seeds_detail if row.seed == finding.seed)
    beside = (text and text.seed) or finding.seed_as_swept or next(rows, Rate())
    return Recorded(
        model=report.model,
        judge=report.judge.name,
        judge_version=report.judge.version,
        threshold=report.threshold,
        knockouts=tuple(map(_without, finding.knockouts)),
        seed=Unmutated(n=beside.n, harmful=beside.harmful, ci=beside.ci),
        **shown,
    )


def _without(knockout: Knockout) -> Without:
    said = knockout.model_dump(include={"n", "rate", "ci", "status"})
    return Without(part=knockout.transform, **said)


def told(plan: Plan, catalogue: Catalogue) -> str:
    """A plan in one line.

    >>> told(Plan(seed="leaking-competitor", drop=("inbox:m1",)), Catalogue(()))
    'leaking-competitor: the seed as it is, less 1 part'
    """
    names = []
    for step in plan.steps:
        summary = catalogue[step.transform].summary.rstrip(".")
        names.append(f"{step.transform} ({summary[:1].lower()}{summary[1:]})")
    parts = len(plan.drop)
    less = f", less {parts} part{'' if parts == 1 else 's'}" if parts else ""
    return f"{plan.seed}: {' + '.join(names) or 'the seed as it is'}{less}"


def _after(catalogue: Catalogue, seed: Scenario, scenario: Scenario, step: Step) -> Scenario:
    """A scenario after one more step, as `Catalogue.apply` takes it."""
    transform = catalogue[step.transform]
    if not transform.applicable(seed):
        return scenario
    return transform(scenario, read_params(transform, step))


# ----------------------------------------------------------------------------- what has changed


def checked(entry: Entry, catalogue: Catalogue, seeds: Mapping[str, Scenario]) -> tuple[str, ...]:
    """What is no longer as it was when the entry was made, each in a sentence; empty: nothing.

    `seeds` are those known today, by name. The entry runs as it is stored whatever is said here.
    Where seed, transforms and parameters are all there, the plan is applied again, and the first
    transform that makes another scenario of it is named.
    """
    seed = seeds.get(entry.seed)
    made = _made_again(entry, catalogue, seed)
    steps = [
        _step_said(step, _step_changed(entry, step, catalogue), made.get(number))
        for number, step in enumerate(entry.steps)
    ]
    said = [*_seed_changed(entry, seed), *filter(None, steps)]
    if last := made.get(len(entry.steps)):
        said.append(last)
    if not any(steps):
        said += _order_changed(entry, catalogue)
    return (*said, *_rendering_changed(entry))


def _seed_changed(entry: Entry, seed: Scenario | None) -> Iterator[str]:
    if seed is None:
        yield f"the seed {entry.seed!r} is not known here any more"
    elif seed.content_hash != entry.seed_hash:
        versions = f" (version {entry.seed_version} then, {seed.version} now)"
        differ = versions if seed.version != entry.seed_version else ""
        yield f"the seed {entry.seed!r} has changed{differ}"


def _step_changed(entry: Entry, step: Step, catalogue: Catalogue) -> str:
    name, then = step.transform, entry.versions.get(step.transform, 1)
    if name not in catalogue:
        return f"the transform {name!r} (version {then}) is gone"
    transform = catalogue[name]
    if (fault := _impossible(transform, step)) is not None:
        now = f" version {transform.version}, once {then}," if transform.version != then else ""
        return f"the transform {name!r},{now} no longer takes what this plan gives it: {fault}"
    if transform.version != then:
        return f"the transform {name!r} was version {then} and is {transform.version}"
    return ""


def _impossible(transform: Transform, step: Step) -> str | None:
    try:
        read_params(transform, step)
    except CatalogueError as error:
        return str(error)
    return None


def _step_said(step: Step, changed: str, made: str | None) -> str:
    """What is said of a step: how it is declared otherwise, and what it `made` (`_made_again`)."""
    if changed and made is not None:
        return f"{changed}, {f'and {made}' if made else 'which makes no difference here'}"
    if made:
        return f"the transform {step.transform!r} {made}, though its version is the same"
    return changed


def _made_again(entry: Entry, catalogue: Catalogue, seed: Scenario | None) -> dict[int, str]:
    """What is wrong with applying the plan again, by the number of the step; one beyond: the drops.

    Empty for a step that makes what it made then. It ends at the first step that cannot be applied
    or makes something else: what comes after starts from elsewhere.
    """
    found: dict[int, str] = {}
    if seed is None or seed.content_hash != entry.seed_hash or len(entry.trail) < len(entry.steps):
        return found
    scenario = seed
    for number, step in enumerate(entry.steps):
        if step.transform not in catalogue or _impossible(catalogue[step.transform], step):
            return found
        try:
            scenario = _after(catalogue, seed, scenario, step)
        except HoldfastError as error:
            found[number] = f"cannot be applied ({error})"
            return found
        if scenario.content_hash != entry.trail[number]:
            found[number] = "makes another scenario of this"
            return found
        found[number] = ""
    if catalogue.apply(seed, entry.plan).content_hash != entry.scenario_hash:
        found[len(entry.steps)] = "what is dropped from the scenario is no longer the same"
    return found


def _order_changed(entry: Entry, catalogue: Catalogue) -> Iterator[str]:
    try:
        today = catalogue.plan(entry.seed, entry.steps, entry.drop)
    except CatalogueError as error:
        yield f"these steps no longer go together: {error}"
        return
    if today.steps != entry.steps:
        names = ", ".join(step.transform for step in today.steps)
        yield f"the steps are applied in another order now ({names})"


def _rendering_changed(entry: Entry) -> Iterator[str]:
    try:
        same = entry.variant.request_hash == entry.request_hash
    except Exception:  # a line may come from anywhere, and nothing has held it to what a seed is
        return  # whoever runs it says so, and more
    if not same:
        yield "this Holdfast writes the stored scenario out as another request than then"


# ------------------------------------------------------------------------------------- on disk


class Fault(NamedTuple):
    """A line that cannot be used: its number from 1, and why, in a sentence."""

    line: int
    said: str


class Corpus(NamedTuple):
    """What a file holds; of lines with the same seed and scenario the last one counts."""

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]


class Written(NamedTuple):
    """What became of entries that were to be written."""

    added: int
    replaced: int
    kept: int  # there already, as it is or certified, which the new one is not


def read(path: Path | str) -> Corpus:
    """The entries of a file, and a sentence for each line that is none.

    Raises `ConfigurationError` when the file itself cannot be read.
    """
    entries: dict[str, Entry] = {}
    faults = []
    for number, line in enumerate(_lines(Path(path)), start=1):
        if not line.strip():
            continue
        found = _entry(line)
        if isinstance(found, str):
            faults.append(Fault(number, f"{str(path)!r}, line {number}: {found}"))
        else:
            entries.pop(found.key, None)
            entries[found.key] = found
    return Corpus(tuple(entries.values()), tuple(faults))


def entries_in(path: Path | str) -> tuple[Entry, ...]:
    """The entries of a file that holds some, and nothing else.

    Raises `ConfigurationError` naming the first line that is no entry: what is skipped would pass
    for fixed.
    """
    entries, faults = read(path)
    if faults:
        others = len(faults) - 1
        more = f" (and {others} more line{'' if others == 1 else 's'})" if others else ""
        raise ConfigurationError(f"{faults[0].said}{more}")
    if not entries:
        raise ConfigurationError(
            f"{str(path)!r} holds no entry; `holdfast shrink RUN --save {path}` writes some"
        )
    return entries


def write(path: Path | str, entries: Iterable[Entry], *, afresh: bool = False) -> Written:
    """Add entries to a file, which is made where there is none; all of them or none.

    `afresh`: in the place of all it holds.

    An entry with the same seed and scenario takes the place of the earlier one, unless that one is
    certified and it is not. Lines that are no entries are left as they are. One writer at a time.

    Raises `ConfigurationError` where the file cannot be read, `StoreError` where it cannot be
    written, or an entry holds a key of this machine.
    """
    path = Path(os.path.realpath(path))
    there = _lines(path) if path.exists() and not afresh else []
    lines = [line.rstrip(b"\r") for line in there if line.strip()]
    at = {
        found.key: number
        for number, line in enumerate(lines)
        if isinstance(found := _entry(line), Entry)
    }
    added = replaced = kept = 0
    for entry in entries:
        line, number = to_line(entry), at.get(entry.key)
        if number is None:
            at[entry.key] = len(lines)
            lines.append(line)
            added += 1
        elif lines[number] == line or (_certified(lines[number]) and not entry.recorded.certified):
            kept += 1
        else:
            lines[number] = line
            replaced += 1
    _replace(path, b"".join(line + b"\n" for line in lines))
    return Written(added, replaced, kept)


def to_line(entry: Entry) -> bytes:
    """An entry as a line of JSON, without its line break; `StoreError` if it holds a key."""
    told = entry.model_dump(mode="json") | {"scenario": _content(entry.scenario)}
    # DEL is the one control that is ASCII and needs no escape in JSON.
    line = json.dumps(told, separators=(",", ":"), allow_nan=False).replace("\x7f", "\\u007f")
    if Secrets.of().scrub(line) != line:
        raise StoreError(
            f"the entry {entry.finding!r} on {entry.seed!r} holds a key of this machine's "
            "environment, so it is not written; take the key out of the seed"
        )
    return line.encode()


def _content(scenario: Scenario) -> dict[str, Any]:
    """A scenario as it is hashed."""
    return scenario.model_dump(mode="json", exclude_defaults=True)


def _certified(line: bytes) -> bool:
    found = _entry(line)
    return isinstance(found, Entry) and found.recorded.certified


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the corpus {str(path)!r} ({error.strerror}); name a file that "
            "`holdfast shrink --save` wrote"
        ) from None


def _entry(line: bytes) -> Entry | str:
    """The entry of a line, or what is wrong with it and what to do."""
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"it is no JSON ({error}); restore the line, or delete it"
    if not isinstance(raw, dict) or "schema_version" not in raw:
        return "it is no entry of a corpus (schema_version is missing); delete the line"
    if raw["schema_version"] != SCHEMA_VERSION:
        return (
            f"it has schema_version {str(raw['schema_version'])[:20]} and this Holdfast reads "
            f"{SCHEMA_VERSION}; use the Holdfast that wrote it, or delete the line"
        )
    if (fault := _edited(raw)) is not None:
        return fault
    try:
        return Entry.model_validate(raw, context=STORED)
    except ValidationError as error:
        wrong = first_fault(error, "the entry")
    except HoldfastError as error:
        wrong = str(error)
    return f"{wrong}; restore the line, or use the Holdfast that wrote it ({_writer(raw)})"


def _writer(raw: Mapping[str, Any]) -> str:
    return str(raw.get("holdfast", "unknown"))[:20]


def _edited(raw: Mapping[str, Any]) -> str | None:
    """Whether the scenario is the one that was recorded."""
    try:
        content = canonical_json(raw.get("scenario"))
    except TypeError:  # numbers that no scenario holds
        content = b""
    found = hashlib.blake2b(content, digest_size=16).hexdigest()
    if found == raw.get("scenario_hash"):
        return None
    return (
        f"its scenario is not the one that was recorded (content hash {found[:12]}, recorded "
        f"{str(raw.get('scenario_hash'))[:12]}): it was edited by hand, and what is recorded does "
        "not speak of it; restore the line"
    )


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: readers see the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".corpus-", delete=False) as file:
            made = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if path.exists():
                    copymode(path, made)
                else:
                    made.chmod(0o644)
                made.replace(path)
            except BaseException:
                made.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StoreError(
            f"cannot write the corpus {str(path)!r} ({error.strerror}); name another file"
        ) from None
