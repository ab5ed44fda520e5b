"""A page that stands alone: one style, one script, and a policy that admits nothing else.

Every page of this package extends ``base.html.j2`` and is rendered here. The templates escape
whatever they print, and everything they print passes `clean` before; style and script are our own
files, and the policy names them by their hashes.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.text import (
    figure,
    interval,
    line,
    money,
    parameters,
    percent,
    plain,
    plural,
    points,
    proportion,
)

TEMPLATES = Path(__file__).parent / "templates"
FIELD_LIMIT = 20_000  # characters of any one text
SCRIPT = "report.js"


def render(template: str, styles: tuple[str, ...] = ("style.css",), **context: Any) -> str:
    """A template that extends ``base.html.j2``, with its styles in one, the script, the policy.

    `context` may hold `sections`, pairs of an id and a name: the page's navigation.
    """
    style = "".join(_read(name) for name in styles)
    script = _read(SCRIPT)
    given = {"style": Markup(style), "script": Markup(script), "sections": ()}
    return (
        environment()
        .get_template(template)
        .render(**given | {"policy": policy(style, script)} | context)
    )


def policy(style: str, script: str) -> Markup:
    """The page's Content-Security-Policy: exactly this style and this script, and no network."""
    return Markup(
        f"default-src 'none'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}' 'strict-dynamic'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja with everything escaped and made plain, and the figures as `reports.text` says them."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "percent": percent,
        "interval": interval,
        "points": points,
        "figure": figure,
        "proportion": proportion,
        "plural": plural,
        "money": money,
        "parameters": lambda step: parameters(step, 400),
    }
    found.filters |= {"line": line, "count": lambda n: f"{n:,}"}
    return found


def clean(value: object) -> object:
    """What a template prints: numbers and our own markup as they are, text made plain."""
    if isinstance(value, Markup | int | float):
        return value
    return "" if value is None else plain(value, FIELD_LIMIT)


@lru_cache(maxsize=8)
def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
