"""Rows to disk: every format in one pass, shard by shard, and then what stands beside them.

Whoever makes the rows calls `export` once for each shard, in any order and in any process, and
`finish` when all are there. A shard's bytes depend on its rows and on `About` alone. What is not
complete has no name of its own yet: an export without ``export.json`` is none.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from fuzzer.augment.formats import canonical, hf, inspect, openai, trl, verifiers
from fuzzer.augment.formats.base import About, Format, Place, Summary, Writer
from fuzzer.augment.formats.card import card
from fuzzer.augment.formats.files import File, write_file
from fuzzer.augment.formats.tally import Counts, Tally, summary
from fuzzer.augment.rows import Row
from fuzzer.errors import ConfigurationError, first_fault, unknown
from fuzzer.scenario import Frozen

__all__ = (
    "DONE",
    "FORMATS",
    "About",
    "Exported",
    "Finished",
    "export",
    "finish",
    "known",
    "read_export",
    "rows_of",
)

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        canonical.JSONL,
        hf.HF,
        hf.CHAT_LINES,
        openai.OPENAI,
        verifiers.VERIFIERS,
        inspect.INSPECT,
        trl.TRL,
    )
}
DONE = "export.json"
_STATE = ".export"  # of an export that is not finished


class Exported(Frozen):
    """What one shard came to."""

    shard: int
    shards: int
    rows: int
    files: dict[str, tuple[File, ...]]  # by format
    left_out: dict[str, int]  # by format: rows it has no place for


class Finished(Frozen):
    """What an export is: its ``export.json``."""

    schema_version: int = 1
    about: About
    shards: int
    formats: dict[str, int]  # rows in each
    files: tuple[File, ...]
    summary: Summary


class _Plan(Frozen):
    about: About
    formats: tuple[str, ...]
    shards: int


class _Shard(Frozen):
    exported: Exported
    counts: Counts = Field(default_factory=Counts)


def export(
    rows: Iterable[Row],
    out: Path,
    formats: Sequence[str],
    *,
    about: About,
    shard: int = 0,
    shards: int = 1,
    force: bool = False,
) -> Exported:
    """Write one shard's rows in every format asked for; each row is seen once and let go.

    Every row gets the canary of `about`. Raises `ConfigurationError` where something is in the
    way, unless `force` says that an earlier export may go, for an unknown format, and for one
    whose extra is not installed.
    """
    if not 0 <= shard < shards:
        raise ConfigurationError(f"there is no shard {shard} of {shards}; count from 0")
    _begin(_Plan(about=about, formats=known(formats), shards=shards), out, force=force)
    place = Place(out, about, shard, shards)
    marker = out / _STATE / place.name("json")
    if marker.exists() and not force:
        raise ConfigurationError(
            f"shard {shard} of {shards} in {str(out)!r} is complete; leave it out, or give --force"
        )
    with ExitStack() as undo:
        writers: dict[str, Writer] = {}
        for name in known(formats):
            writers[name] = FORMATS[name].open(place)
            undo.callback(writers[name].drop)
        tally = Tally(place, _STATE)
        undo.callback(tally.drop)
        left_out = _written(rows, about, writers, tally)
        files = {name: tuple(writer.keep()) for name, writer in writers.items()}
        counts = tally.keep()
        undo.pop_all()
    made = Exported(shard=shard, shards=shards, rows=counts.rows, files=files, left_out=left_out)
    state = _Shard(exported=made, counts=counts)
    write_file(out, f"{_STATE}/{marker.name}", state.model_dump_json())  # last: it is all there
    return made


def _written(
    rows: Iterable[Row], about: About, writers: dict[str, Writer], tally: Tally
) -> dict[str, int]:
    """Write every row; how many each format had no place for."""
    left_out = dict.fromkeys(writers, 0)
    for row in rows:
        stamped = (
            row if row.canary == about.canary else row.model_copy(update={"canary": about.canary})
        )
        data = printed(stamped)
        for name, writer in writers.items():
            left_out[name] += not writer.write(stamped, data)
        tally.add(stamped, data)
    return left_out


def printed(value: Any) -> Any:
    """A value for `orjson`, as `model_dump` has it in JSON, fields in the order of declaration.

    Pydantic's own takes longer than all the rest of a row's way to disk.
    """
    if isinstance(value, Frozen):
        held = value.__dict__
        return {name: printed(held[name]) for name in type(value).__pydantic_fields__}
    if isinstance(value, tuple) and value and isinstance(value[0], Frozen):
        return [printed(one) for one in value]
    return value  # no field of a row has values in an object


def known(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats' names, each once; `ConfigurationError` for an unknown one, and for none."""
    for name in formats:
        if name not in FORMATS:
            raise ConfigurationError(unknown("format", name, FORMATS))
    if not formats:
        raise ConfigurationError(f"no format is asked for; there are {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(formats))


def finish(out: Path) -> Finished:
    """What stands beside the rows, once every shard is there; last of all ``export.json``.

    Raises `ConfigurationError` naming the shards that are missing.
    """
    plan = _plan(out)
    if plan is None:
        raise ConfigurationError(f"{str(out)!r} holds no export that could be finished")
    shards = tuple(_shards(plan, out))
    left = {name: sum(s.exported.left_out[name] for s in shards) for name in plan.formats}
    hashes = [out / _STATE / _name(plan, i, "hashes") for i in range(plan.shards)]
    told = summary((s.counts for s in shards), hashes, left)
    files: list[File] = []
    rows: dict[str, int] = {}
    for name in plan.formats:
        own = tuple(file for s in shards for file in s.exported.files[name])
        rows[name] = told.rows - left[name]
        beside = FORMATS[name].beside(plan.about, own, told)
        files += [*own, *(write_file(out, path, text) for path, text in beside)]
    files.append(write_file(out, "README.md", card(plan.about, told)))
    made = Finished(
        about=plan.about, shards=plan.shards, formats=rows, files=tuple(files), summary=told
    )
    write_file(out, DONE, json.dumps(made.model_dump(mode="json"), indent=2) + "\n")
    shutil.rmtree(out / _STATE)
    return made


def begin(
    out: Path, formats: Sequence[str], *, about: About, shards: int, force: bool = False
) -> None:
    """Claim a folder before several workers write into it; raises as `export` does."""
    _begin(_Plan(about=about, formats=known(formats), shards=shards), out, force=force)


def begun(out: Path) -> tuple[About, tuple[int, ...]]:
    """What an unfinished export says of itself, and which of its shards are complete.

    Raises `ConfigurationError` where there is none to go on with.
    """
    plan = _plan(out)
    if plan is None:
        raise ConfigurationError(
            f"{str(out)!r} holds no unfinished export; leave out --resume to start one"
        )
    state = out / _STATE
    return plan.about, tuple(
        i for i in range(plan.shards) if (state / _name(plan, i, "json")).exists()
    )


def read_export(out: Path) -> Finished:
    """What a finished export says of itself; `ConfigurationError` where there is none."""
    try:
        return Finished.model_validate_json((out / DONE).read_bytes())
    except OSError:
        raise ConfigurationError(
            f"{str(out)!r} holds no finished export: there is no {DONE} in it"
        ) from None
    except ValidationError as error:
        raise ConfigurationError(
            f"{str(out / DONE)!r} tells of no export: {first_fault(error, 'the file')}"
        ) from None


# ----------------------------------------------------------------------------------- on disk


def _name(plan: _Plan, shard: int, suffix: str) -> str:
    return Place(Path(), plan.about, shard, plan.shards).name(suffix)


def _plan(out: Path) -> _Plan | None:
    try:
        return _Plan.model_validate_json((out / _STATE / "plan.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _shards(plan: _Plan, out: Path) -> Iterator[_Shard]:
    missing = []
    for i in range(plan.shards):
        try:
            read = (out / _STATE / _name(plan, i, "json")).read_bytes()
        except OSError:
            missing.append(str(i))
        else:
            yield _Shard.model_validate_json(read)
    if missing:
        raise ConfigurationError(
            f"the export in {str(out)!r} is not complete: of {plan.shards} shards these are "
            f"missing: {', '.join(missing[:20])}{' …' if len(missing) > 20 else ''}; make them "
            "first"
        )


def _begin(plan: _Plan, out: Path, *, force: bool) -> None:
    """Claim the folder for this export, or join the one that is being made there."""
    finished, begun = (out / DONE).exists(), _plan(out)
    if begun is not None and not finished and _of_whom(begun) == _of_whom(plan):
        return
    if finished or begun:
        what = "a finished export" if finished else "another export that was not finished"
        if not force:
            raise ConfigurationError(
                f"{str(out)!r} holds {what}; give another folder, or --force to replace it"
            )
        _clear(out)
    elif out.exists() and (not out.is_dir() or any(one.name != _STATE for one in out.iterdir())):
        raise ConfigurationError(f"{str(out)!r} is not an empty folder; give another one")
    try:
        (out / _STATE).mkdir(parents=True, exist_ok=True)
        write_file(out, f"{_STATE}/plan.json", plan.model_dump_json())
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {str(out)!r}: {error.strerror}; give another folder with --out"
        ) from None


def _of_whom(plan: _Plan) -> _Plan:
    """Without what differs between two machines that make shards of the same export."""
    about = plan.about.model_copy(update={"command": "", "created": ""})
    return plan.model_copy(update={"about": about})


def _clear(out: Path) -> None:
    """Take away an earlier export: what its formats wrote, and nothing else."""
    (out / DONE).unlink(missing_ok=True)  # first: from here on it is not complete
    shutil.rmtree(out / _STATE, ignore_errors=True)
    for folder in {one.folder for one in FORMATS.values()}:
        shutil.rmtree(out / folder, ignore_errors=True)
    (out / "README.md").unlink(missing_ok=True)


def rows_of(path: Path) -> Iterator[Row]:
    """The canonical rows of an export, one at a time: of its folder, another folder, or one file.

    Raises `ConfigurationError` for what cannot be read or is no row, naming the line.
    """
    folder = path / canonical.FOLDER if (path / canonical.FOLDER).is_dir() else path
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"the folder {str(path)!r} holds no .jsonl file; name one")
    for file in files:
        try:
            with file.open("rb") as lines:
                yield from _rows(file, lines)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the export {str(file)!r}: {error.strerror}"
            ) from None


def _rows(path: Path, lines: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Row.model_validate_json(line)
        except ValidationError as error:
            raise ConfigurationError(
                f"line {number} of {str(path)!r} is no row of an export: "
                f"{first_fault(error, 'the line')}; give the canonical .jsonl that `holdfast "
                "augment` wrote"
            ) from None
