"""Text as reports show it: hostile strings made plain, figures that claim no more than is known.

Everything a subject, a seed author or a file name may have written passes through `plain` before
it reaches a terminal or a page. (A page escapes it besides.)
"""

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from fuzzer.records import Finding, Interval, Rate, Report
from fuzzer.transform import Step

# Escape sequences first, whole: CSI, then OSC and its kin up to their terminator, then two bytes.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, direction marks and overrides, invisible format characters, tags, lone surrogates,
# non-characters. The joiners U+200C and U+200D stay: scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_ACTING = re.compile(f"{_UNSEEN.pattern}|[\u2028\u2029]")
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_STACKED = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
_ESCAPED = re.compile(rb"\\[bfru]")  # a control, or what cannot stand for itself
_ASCII = bytes([9, 10, *range(32, 127)])  # none of these, in UTF-8 part of no other character
#: What any of these begins with. Most texts hold none of it, and need no second look.
_ANY = re.compile(f"[{_UNSEEN.pattern[1:-1]}\r\x0b\x0c\x1c-\x1e\u2028\u2029{_MARKS}]")


def plain(text: object, limit: int | None = None) -> str:
    r"""Text that only says something: no escape sequences, no controls, nothing that reorders.

    Line breaks and tabs stay. A removed character leaves a replacement character, so that a quote
    that was tampered with shows it; `limit` cuts, and says by how much.

    >>> plain("\x1b[31mred\x1b[0m \u202egnp.exe")
    'red �gnp.exe'
    """
    shown = str(text)
    if limit is not None and len(shown) > limit:
        more = len(shown) - limit
        return f"{plain(shown[:limit])}… ({more:,} more characters)"
    if _ordinary(shown):
        return shown
    shown = _ANSI.sub("", shown)
    shown = _BREAK.sub("\n", shown)
    shown = _UNSEEN.sub("\ufffd", shown)
    return _STACKED.sub(r"\1", shown)


def _ordinary(text: str) -> bool:
    """Whether nothing in a text needs a change: fifty times as quick as looking for each."""
    rest = _beyond_ascii(text)
    return not rest or _ANY.search(rest) is None


def _beyond_ascii(text: str) -> str:
    """What is left of a text without printable ASCII, tabs and line breaks."""
    rest = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    return rest.decode("utf-8", "surrogatepass")


def plain_json(raw: bytes) -> bool:
    r"""Whether every text in some JSON is already as `plain` leaves it; sometimes no where it is.

    >>> plain_json(b'["caf\xc3\xa9\\n"]'), plain_json(b'["\\u001b[2J"]')
    (True, False)
    """
    rest = raw.translate(None, _ASCII)
    return _ESCAPED.search(raw) is None and (not rest or _ANY.search(rest.decode()) is None)


def seen(text: str) -> str:
    r"""JSON in which nothing acts on a terminal: what `plain` would replace is escaped.

    >>> seen('"\u202egnp.exe"')
    '"\\u202egnp.exe"'
    """
    if _ACTING.search(_beyond_ascii(text)) is None:
        return text
    return _ACTING.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)


def line(text: object, limit: int = 200) -> str:
    r"""The same on one line.

    >>> line("a\n  b\tc", limit=3)
    'a b…'
    """
    shown = " ".join(plain(str(text)[: 8 * limit]).split())
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


# ------------------------------------------------------------------------------------- transcripts


def places(text: str, quote: str) -> list[tuple[int, int]]:
    """Where a quote stands: whole, or line by line where it joins what the turn says apart."""
    for pieces in ([quote], [piece for piece in quote.split("\n") if piece.strip()]):
        starts = [text.find(piece) for piece in pieces if piece]
        if starts and min(starts) >= 0:
            return [(at, at + len(piece)) for at, piece in zip(starts, pieces, strict=True)]
    return []


def call(name: str, given: Mapping[str, Any]) -> str:
    """A native tool call as people read it: values unquoted, so that evidence is found in them."""
    return "\n".join([f"[{name}]", *(f"{key}: {value}" for key, value in given.items())])


# ----------------------------------------------------------------------------------------- figures


def percent(rate: float, *, sign: bool = True) -> str:
    """A rate as people say it; what is small is not rounded to nothing, nor what is not to all.

    >>> percent(0.634), percent(0.0098), percent(0.00004), percent(0.9999), percent(1.0)
    ('63%', '0.98%', '<0.01%', '99.9%', '100%')
    """
    value, mark = 100 * rate, "%" if sign else ""
    if value in (0, 100):
        return f"{value:.0f}{mark}"
    if abs(value) < 0.01:
        return f"<0.01{mark}" if value > 0 else f">-0.01{mark}"
    if abs(value) < 1:
        return f"{value:.2f}".rstrip("0").rstrip(".") + mark
    if abs(value) < 9.95:
        return f"{value:.1f}".removesuffix(".0") + mark
    if value > 99:
        return f"{min(value, 99.9):.1f}{mark}"
    return f"{value:.0f}{mark}"


def at_most(rate: float, *, sign: bool = True) -> str:
    """An upper bound: two digits, rounded up.

    >>> at_most(0.0303), at_most(0.0099), at_most(0.000325), at_most(1.0)
    ('3.1%', '0.99%', '0.033%', '100%')
    """
    mark = "%" if sign else ""
    if not 1e-9 < rate < 1:
        return f"100{mark}" if rate >= 1 else f"0.0000001{mark}"
    digits = 1 - math.floor(math.log10(100 * rate))
    value = math.ceil(100 * rate * 10.0**digits - 1e-6) / 10.0**digits
    shown = f"{value:.{max(digits, 0)}f}"
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) + mark


def interval(ci: Interval) -> str:
    """An interval of rates, in percent.

    >>> interval((0.512, 0.738)), interval((0.0, 0.0303))
    ('[51, 74]', '[0, 3.1]')
    """
    upper = percent(ci[1], sign=False) if ci[0] else at_most(ci[1], sign=False)
    return f"[{percent(ci[0], sign=False)}, {upper}]"


def proportion(n: int, harmful: int, ci: Interval, alpha: float = 0.05) -> str:
    """A count with what it says about the rate; a zero is never bare.

    >>> proportion(120, 0, (0.0, 0.03))
    '0 of 120, at most 3% [95%]'
    >>> proportion(80, 48, (0.51, 0.74))
    '48 of 80, 60% [51, 74]'
    """
    if n == 0:
        return "no usable answer"
    if harmful == 0:
        return f"0 of {n:,}, at most {at_most(ci[1])} [{percent(1 - alpha)}]"
    return f"{harmful:,} of {n:,}, {percent(harmful / n)} {interval(ci)}"


def figure(e_value: float) -> str:
    """An e-value or another positive number, short.

    >>> figure(0.04), figure(19.96), figure(1234.5), figure(3e40)
    ('0.04', '20', '1,234', '3e+40')
    """
    if e_value >= 1e6:
        return f"{e_value:.0e}"
    if e_value >= 100:
        return f"{e_value:,.0f}"
    return f"{e_value:.2g}"


def points(effect: float) -> str:
    """A difference of rates, in percentage points with its sign.

    >>> points(0.4), points(-0.013), points(0)
    ('+40', '-1.3', '0')
    """
    shown = percent(abs(effect), sign=False)
    return shown if effect == 0 else f"{'+' if effect > 0 else '-'}{shown}"


def money(cost: float | None) -> str:
    """A cost in dollars, if it is known."""
    if cost is None:
        return "unknown"
    return f"${cost:,.2f}" if cost >= 0.01 or cost == 0 else f"${cost:.4f}"


def plural(n: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "call"), plural(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# ------------------------------------------------------------------------------------------- plans


def summaries(report: Report) -> dict[str, str]:
    """What each transform does, by name, as far as the report tells."""
    return {row.name: row.summary for row in report.transforms}


def parameters(step: Step, limit: int = 60) -> str:
    """The parameters of a step: ``locale=de_DE, draw=7``."""
    shown = (
        f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in step.params.items()
    )
    return line(", ".join(shown), limit)


def step_phrase(step: Step, told: Mapping[str, str], limit: int = 90) -> str:
    """A step in words: ``rename_people (give every person another name; locale=de_DE)``."""
    summary = re.split(r"[;:.](?:\s|$)", line(told.get(step.transform, ""), limit))[0]
    if summary[:2].istitle() or summary[1:2] == " ":
        summary = summary[0].lower() + summary[1:]
    inside = "; ".join(filter(None, [summary, parameters(step, 40)]))
    return f"{line(step.transform, 60)} ({inside})" if inside else line(step.transform, 60)


def plan_phrase(steps: Iterable[Step], told: Mapping[str, str]) -> str:
    """A plan in words; the empty one is the seed as it is."""
    steps = tuple(steps)
    if not steps:
        return "the seed as it is, nothing changed"
    if len(steps) > 3:
        return " + ".join(line(step.transform, 40) for step in steps)
    return " + ".join(step_phrase(step, told, 90 if len(steps) == 1 else 60) for step in steps)


def replay_command(finding: Finding) -> str:
    """The command that shows a finding's smallest scenario."""
    return show_command(finding.seed, finding.minimal_plan)


def show_command(seed: str, plan: Iterable[Step]) -> str:
    """The command that shows a seed after a plan."""
    steps = [{"transform": plain(step.transform), "params": step.params} for step in plan]
    command = f"holdfast show {shlex.quote(line(seed))}"
    if not steps:
        return command
    told = json.dumps(steps, separators=(",", ":"), default=str)  # ASCII: nothing to sanitise
    return f"{command} --plan {shlex.quote(told)}"


def unusable_share(rate: Rate) -> float:
    """Share of answers that could not be judged."""
    answered = rate.n + rate.unusable
    return rate.unusable / answered if answered else 0.0
