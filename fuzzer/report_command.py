"""`report`: a run's report again, for people, for other programs and for CI."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import (
    deployment_option,
    json_option,
    judge_options,
    plugin_option,
    read_judge,
)

if TYPE_CHECKING:
    from fuzzer.judges import Judge
    from fuzzer.records import Report
    from fuzzer.store import RunStore
    from reports.baseline import SavedReport

FORMATS = ("text", "json", "html", "markdown", "junit", "sarif")
LARGEST = 64 * 2**20  # bytes of a baseline: a report is some hundred thousand


@click.command()
@click.argument("run", required=False, metavar="RUN")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--out", metavar="FILE", help="Write this file, not standard output.")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="FILE",
    help="A saved report.json; a brittle run fails on what is new only; may be repeated.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of report.json; needs no RUN.")
@click.option(
    "--rejudge", is_flag=True, help="Judge what is stored again, without a call to the model."
)
@deployment_option
@judge_options
@plugin_option
@json_option
def report(
    *,
    run: str | None,
    kind: str,
    out: str | None,
    baselines: tuple[str, ...],
    schema: bool,
    rejudge: bool,
    deployment: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """A run's report again, from its store; exits as the sweep did.

    With --baseline a brittle run exits with 0 if saved reports have all its findings already, on
    the same seed by the same transforms; with 1 if anything is new or not pinned down. With
    --rejudge the judge installed now, or the one named, judges the stored transcripts; its
    verdicts stand beside those of the run, which keeps its accounts and its verdict.
    """
    if schema:
        from reports.schema import published

        _put(published(), out)
        return
    if run is None:
        raise ConfigurationError("report needs RUN, the directory of a run (or --schema)")
    if as_json:
        kind = "json"
    if rejudge:
        if deployment is not None:
            raise ConfigurationError("--rejudge makes no forecast; leave out --deployment")
        if baselines:
            raise ConfigurationError("--rejudge keeps the run's verdict; leave out --baseline")
        sys.exit(_rejudge(run, kind, out, plugins, read_judge(given)))
    if given["judge_model"]:
        raise ConfigurationError("--judge-model judges stored transcripts with --rejudge; add it")
    from fuzzer.store import RunStore
    from reports.baseline import gated, passed_by

    saved = [_saved(name) for name in baselines]
    with RunStore.read(run) as store:
        found = store.report()
        if found is None:
            raise ConfigurationError(
                f"the run in {run!r} has not ended; continue it with `holdfast sweep … --out {run} "
                "--resume`"
            )
        if deployment is not None:
            from fuzzer.deployment import with_deployment

            found = with_deployment(found, store, deployment)
        if saved:
            found = gated(found, saved)
        if kind == "text" and out is None:
            _show(found, run)
        elif kind == "html" and out is not None:
            _write_page(found, store, out)
        else:
            _put(_RENDERED[kind](found, store, run), out)
    sys.exit(passed_by(found))


# ----------------------------------------------------------------------------------------- formats


def _show(found: "Report", run: str) -> None:
    from reports.baseline import gate_lines
    from reports.console import final

    final(found, run)
    if told := gate_lines(found):
        click.echo("\n".join(["", *told]))


def _text(found: "Report", _: "RunStore", run: str) -> bytes:
    from reports.baseline import gate_lines
    from reports.console import final_text

    told = gate_lines(found)
    return "\n".join(
        [final_text(found, run).rstrip("\n"), *(["", *told] if told else []), ""]
    ).encode()


def _json(found: "Report", _: "RunStore", __: str) -> bytes:
    from reports import to_json

    return to_json(found)


def _html(found: "Report", store: "RunStore", _: str) -> bytes:
    from fuzzer.exhibits import material
    from reports.baseline import noted
    from reports.html import render

    return render(noted(found), material(found, store)).encode()


def _write_page(found: "Report", store: "RunStore", out: str) -> None:
    from fuzzer.exhibits import material
    from reports import write_page
    from reports.baseline import noted

    write_page(noted(found), Path(out), material(found, store))


def _markdown(found: "Report", _: "RunStore", __: str) -> bytes:
    from reports.markdown import render

    return render(found).encode()


def _junit(found: "Report", _: "RunStore", __: str) -> bytes:
    from reports.junit import render

    return render(found)


def _sarif(found: "Report", _: "RunStore", __: str) -> bytes:
    from reports.sarif import render

    return render(found, _seed_files(found))


_RENDERED: "dict[str, Callable[[Report, RunStore, str], bytes]]" = {
    "text": _text,
    "json": _json,
    "html": _html,
    "markdown": _markdown,
    "junit": _junit,
    "sarif": _sarif,
}


def _seed_files(found: "Report") -> dict[str, str]:
    """Where the built-in seeds of a run lie in Holdfast, as far as they were swept as released."""
    from seeds.released import released

    known = released()
    return {
        row.seed: f"seeds/{row.seed}.toml"
        for row in found.seeds_detail
        if row.content_hash and row.content_hash in known.get(row.seed, {}).values()
    }


# -------------------------------------------------------------------------------------- baselines


def _saved(name: str) -> "SavedReport":
    """A saved report, or that of a run's directory."""
    from reports.baseline import read

    path = Path(name)
    path = path / "report.json" if path.is_dir() else path
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read --baseline {str(path)!r} ({error.strerror}); save one with "
            "`holdfast report RUN --format json --out FILE`"
        ) from None
    if len(content) > LARGEST:
        raise ConfigurationError(f"--baseline {str(path)!r} is too large for a report.json")
    return read(name, content)


# ------------------------------------------------------------------------------------------ writing


def _put(content: bytes, out: str | None) -> None:
    """To a file, whole or not at all, else to standard output."""
    if out is None:
        click.echo(content, nl=False)
        return
    from reports import put_file

    put_file(Path(out), content)


def _rejudge(run: str, kind: str, out: str | None, plugins: tuple[str, ...], judge: "Judge") -> int:
    if kind not in ("text", "json"):
        raise ConfigurationError(f"--rejudge prints text or JSON; leave out --format {kind}")
    from fuzzer.registry import plugged_in
    from fuzzer.rejudge import rejudge
    from reports.rejudged import show, text

    catalogue, own = plugged_in(plugins)
    found = rejudge(run, judge=judge, catalogue=catalogue, seeds=own)
    if kind == "json":
        _put(f"{found.model_dump_json(indent=2, ensure_ascii=True)}\n".encode(), out)
    elif out is None:
        show(found)
    else:
        _put(text(found).encode(), out)
    return found.exit_code
