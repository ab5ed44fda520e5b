"""The files of a minimal failing scenario: to read, to paste into a playground, to run as a test.

They lie in a folder of their own in the run, one for each finding, and are written whole or not at
all.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from fuzzer.errors import StoreError
from reports import put_file
from reports.difference import Difference
from reports.difference_views import fragment, text
from reports.minimal import (
    MinimalView,
    folder,
    headline,
    reduced_phrase,
    sureness,
    test_file,
    text_sentence,
)
from reports.text import line, plain, seen

if TYPE_CHECKING:
    from fuzzer.variant import Variant

MAX_TOKENS = 8192  # of an answer, as the request says it
MODEL = "MODEL"  # stands where a playground needs a name


def request_json(minimal: "Variant") -> bytes:
    """The request as the body of a call of the Messages API; the model is a placeholder."""
    request = minimal.request
    body = {"model": MODEL, "max_tokens": MAX_TOKENS, "system": request.system}
    body |= {"messages": list(request.messages)}
    if request.tools:
        body["tools"] = list(request.tools)
    return _json(body)


def request_text(minimal: "Variant") -> str:
    """The request to paste into a playground: system, turns, tools; made plain."""
    request = minimal.request
    parts = [f"=== SYSTEM ===\n\n{request.system}"]
    parts += [f"=== {m['role'].upper()} ===\n\n{m['content']}" for m in request.messages]
    if request.tools:
        tools = json.dumps(list(request.tools), indent=2, ensure_ascii=False)
        parts.append(f"=== TOOLS ===\n\n{tools}")
    return plain("\n\n".join(parts)) + "\n"


def _claims(view: MinimalView) -> list[str]:
    """What is claimed of the change, and of the text that is shown."""
    least = view.finding.text
    if least is None or not least.drop:
        return [sureness(view)]
    told = f"{reduced_phrase(least, view.alpha)}; {text_sentence(least)}."
    return [sureness(view), told]


def difference_page(view: MinimalView, difference: Difference) -> str:
    """The difference as a page of its own: no script, nothing fetched, everything escaped."""
    return _template().render(
        title=f"{line(view.finding.id, 40)}: {line(view.finding.seed, 60)}",
        headline=headline(view),
        claims=_claims(view),
        difference=fragment(difference),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("difference.html.j2")


def files(
    view: MinimalView, minimal: "Variant", difference: Difference, test: str
) -> dict[str, bytes]:
    """What lies in a finding's folder, by file name; `test` is its snippet.

    ``request.json`` and ``scenario.json`` hold the texts as they are, what nobody would see as an
    escape of JSON; the others hold them made plain.
    """
    claims = "\n".join(_claims(view))
    scenario = minimal.scenario.model_dump(mode="json", exclude_defaults=True)
    said = {
        "request.txt": request_text(minimal),
        "difference.txt": f"{plain(headline(view))}\n{claims}\n\n{text(difference)}",
        "difference.html": difference_page(view, difference),
        test_file(view.finding.id): test,
    }
    written = {name: content.encode("utf-8", "replace") for name, content in said.items()}
    return written | {
        "request.json": request_json(minimal),
        "scenario.json": _json(scenario),
        "plan.json": _json(view.plan.model_dump(mode="json")),
    }


def _json(value: object) -> bytes:
    told = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return seen(told.decode()).encode()


def write(
    run: Path | str, view: MinimalView, minimal: "Variant", difference: Difference, test: str
) -> Path:
    """Write the files of a finding into its folder of the run, each whole or not at all.

    What lies there under the same names is replaced. Returns the folder; raises `StoreError` where
    nothing can be written.
    """
    where = folder(run, view)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {str(where)!r} ({error.strerror}); free or allow the place "
            "and run `holdfast shrink` on the run"
        ) from None
    for name, content in files(view, minimal, difference, test).items():
        put_file(where / name, content, again="holdfast shrink")
    return where
