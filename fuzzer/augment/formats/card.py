"""The card of an export: what it is, how it was made, and what it cannot claim."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from fuzzer.augment.formats.base import About, Summary

_SHOWN = 60  # values of one table; the rest is counted together


class Plain(str):
    """Text that is Markdown already."""


def card(about: About, summary: Summary, configs: Mapping[str, str] | None = None) -> str:
    """The card as Markdown; with `configs` (name -> files) it has the header the hub reads."""
    return _template().render(
        about=about,
        summary=summary,
        header=Plain(header(about, summary, configs)) if configs else None,
        tables=[(name, _table(summary.counts.get(key, {}))) for key, name in _TABLES],
        command=code(about.command) if about.command else None,
        options=code(json.dumps(about.options, indent=1, ensure_ascii=False, default=str))
        if about.options
        else None,
    )


_TABLES = (
    ("kind", "Kind"),
    ("target", "Target"),
    ("seed", "Seed"),
    ("family", "Family of transforms"),
    ("distance", "Distance (invariant steps)"),
    ("channel", "Channel"),
)


def _table(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if all(value.isdigit() for value in counts):
        ordered.sort(key=lambda item: int(item[0]))
    rest = sum(n for _, n in ordered[_SHOWN:])
    return ordered[:_SHOWN] + ([(f"{len(ordered) - _SHOWN} others", rest)] if rest else [])


def header(about: About, summary: Summary, configs: Mapping[str, str]) -> str:
    """The YAML header. Every value is JSON, which is YAML, so that no text can end one."""
    task = {"rl": "reinforcement-learning"}
    tasks = {task.get(target, "text-generation") for target in summary.counts.get("target", {})}
    told: dict[str, Any] = {
        "license": line(about.licence),
        "pretty_name": line(about.title),
        "task_categories": sorted(tasks),
        "tags": ["ai-safety", "alignment", "synthetic", "holdfast"],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": files}]}
            for name, files in sorted(configs.items())
        ],
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(v)}" for key, v in told.items()), "---"])


# ---------------------------------------------------------------------------------- escaping


def line(text: object, limit: int = 500) -> str:
    r"""Text on one line in which every character shows: no controls, nothing that reorders.

    >>> line("a\n  b\x1b[31m\u202e")
    'a b�[31m�'
    """
    words = " ".join(str(text)[: 8 * limit].split())
    shown = "".join(c if c.isprintable() else "\ufffd" for c in words)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


_MARKS = re.compile(r"([\\`*_{}\[\]()<>#|~&:@$]|(?<=www)\.)", re.I)


def escape(value: object) -> str:
    r"""A value as Markdown that says just that.

    >>> escape("<b>[x](y)"), escape(1200), escape(0.25)
    ('\\<b\\>\\[x\\]\\(y\\)', '1,200', '0.25')
    """
    if isinstance(value, Plain):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else _MARKS.sub(r"\\\1", line(value))


def code(text: str) -> Plain:
    r"""A block of code that nothing in it can end.

    >>> code("a ``` b").splitlines()[0]
    '````text'
    """
    shown = "\n".join(line(one, 2_000) if one.strip() else "" for one in text.splitlines())
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return Plain(f"{fence}text\n{shown}\n{fence}")


def _listed(values: Iterable[object]) -> Plain:
    return Plain(", ".join(map(escape, values)) or "none")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # of HTML; Markdown is what `finalize` escapes for
        finalize=escape,
    )
    environment.filters["listed"] = _listed
    return environment.get_template("card.md.j2")
