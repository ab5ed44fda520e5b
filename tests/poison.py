"""What a subject, a seed's author or a file name may write to make a page act.

All of it is to stay text. Whatever runs sets ``window.__pwned``, or asks for something, goes
somewhere, opens a dialog. Short ones fit where a name is cut to a few dozen characters.
"""

from collections.abc import Collection, Iterator
from typing import Any

POISONS = (
    "<script>__pwned=1</script>",
    "</script><script>__pwned=1</script>",
    "<img src=x onerror=__pwned=1>",
    "<svg/onload=__pwned=1>",
    '" autofocus onfocus=__pwned=1 x="',
    "' onmouseover=__pwned=1 style=position:fixed;inset:0 '",
    "javascript:__pwned=1",
    "</style><style>*{display:none!important}</style>",
    "</title></textarea></template><iframe src=//x.invalid>",
    "--><!--><base href=//x.invalid/><meta http-equiv=refresh content=0>",
    "</details></section></main><h1>Holds</h1>",
    "{{7*7}}{% raw %}${__pwned=1}`${__pwned=1}`",
    "<!--parcels--><div id=parcels data-folder=//x.invalid>",
    "__proto__",
    "\u202egnp.exe\u2066iso\u2069\u200f\u061c",
    "\x1b[31mred\x1b]8;;http://x.invalid\x07\x1b[2J\x9b31m",
    "nul\x00bell\x07back\x08del\x7f",
    "lone\ud800surrogate\udfff",
    "e" + "\u0301" * 300,
    "\ufdfd" * 60,  # the widest character there is
    "x" * 1_000_000,
    "\n" * 3000 + "end",
    "<" * 20_000,
)


def spoilt(value: Any, poisons: Iterator[str], keep: Collection[str] = ()) -> Any:
    """The same JSON with every text in the place of another, but what stands under a kept key."""
    if isinstance(value, dict):
        return {
            key: inner if key in keep else spoilt(inner, poisons, keep)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [spoilt(inner, poisons, keep) for inner in value]
    return next(poisons) if isinstance(value, str) else value
