"""A difference as people read it: coloured on a terminal, as plain text, as HTML.

Whatever a scenario says is made plain here, and escaped on a page. Marks stand without colour as
well: ``[-deleted-]``, ``{+inserted+}``.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup
from rich.text import Text

from reports.difference import Difference, Kind, Part, Replacement, Run, Section, words
from reports.screen import console
from reports.text import line, plain, plural

CONTEXT = 8  # unchanged words shown on either side of a change
FOLDED = 2 * CONTEXT + 6  # words of an unchanged run from which on its middle is folded
GONE = 40  # words of a deletion without anything in its place from which on its middle is folded


class _Fold(NamedTuple):
    """The middle of a run that need not be read, not shown."""

    kind: Kind
    text: str
    words: int


def _pieces(part: Part) -> Iterator[Run | _Fold]:
    """The runs of a part, the middle of long unchanged ones folded.

    What is replaced throughout stands as it is now, unmarked.
    """
    shown = _unmarked(part.runs)
    for number, run in enumerate(shown):
        last = number == len(shown) - 1
        if run.kind == "same":
            before = 0 if number == 0 else CONTEXT  # what follows a change
            after = 0 if last else CONTEXT
            most = FOLDED - (2 * CONTEXT - before - after)
        else:
            before = after = CONTEXT
            alone = run.kind == "deleted" and (last or shown[number + 1].kind == "same")
            most = GONE if alone else run.words + 1
        if run.words < most:
            yield run
        else:
            yield from _folding(run, before, after)


def _folding(run: Run, before: int, after: int) -> Iterator[Run | _Fold]:
    each = words(run.text)
    cut = len(each) - after
    if before:
        yield Run.of(kind=run.kind, text="".join(each[:before]), words=before)
    yield _Fold(run.kind, "".join(each[before:cut]), cut - before)
    if after:
        yield Run.of(kind=run.kind, text="".join(each[cut:]), words=after)


def _unmarked(runs: Sequence[Run]) -> list[Run]:
    """The runs with what is told already taken for unchanged, in its new form."""
    joined: list[Run] = []
    for run in runs:
        if run.told and run.kind == "deleted":
            continue
        kind: Kind = "same" if run.told else run.kind
        if joined and joined[-1].kind == kind == "same":
            last = joined.pop()
            run = Run.of(kind=kind, text=last.text + run.text, words=last.words + run.words)
        joined.append(Run.of(kind=kind, text=run.text, words=run.words))
    return joined


_HEADINGS: dict[Section, str] = {"prompt": "Prompt", "inbox": "Inbox", "tools": "Tools"}
_MARKS: dict[Kind, tuple[str, str]] = {
    "same": ("", ""),
    "deleted": ("[-", "-]"),
    "inserted": ("{+", "+}"),
}
_THROUGHOUT = "Replaced throughout, and not marked below:"
_STYLES: dict[Kind, str] = {"same": "", "deleted": "red strike", "inserted": "green"}


def _times(one: Replacement) -> str:
    return plural(one.times, "time")


def sizes(difference: Difference) -> str:
    """How long the request was and is, in a phrase.

    >>> sizes(Difference(parts=(), facts=(), replaced=(), tokens_before=4150, tokens_after=870))
    'about 4,150 tokens in the seed, about 870 here (21%)'
    """
    before, after = difference.tokens_before, difference.tokens_after
    share = f" ({after / before:.0%})" if before else ""
    return f"about {before:,} tokens in the seed, about {after:,} here{share}"


def _head(part: Part) -> str:
    """What a part is and what became of it, on one line."""
    size = f"({plural(part.words, 'word')})"
    notes = f"; {', '.join(part.notes)}" if part.notes else ""
    if part.change in ("left out", "added"):
        return f"{part.change}: {part.name} {size}{notes}"
    if part.told:
        return f"{part.name}: changed only as told above{notes}"
    if part.change == "same":
        return f"{part.name}: {', '.join(part.notes)}" if part.notes else part.name
    return f"{part.name}{notes}"


def rich_lines(difference: Difference, width: int = 80, *, brief: bool = False) -> list[Text]:
    """The difference as lines of so many columns, coloured, with marks that need no colour.

    `brief` counts what was only left out, whole or in part: what stands there instead is shown.
    """
    out = console(io.StringIO(), width=width)
    lines: list[Text] = []
    for block, indent in _blocks_of(difference, brief):
        for shown in block.wrap(out, width - indent, tab_size=4):
            shown.rstrip()
            lines.append(Text(" " * indent).append_text(shown) if shown.plain else Text())
    return lines


def text(difference: Difference, width: int = 80) -> str:
    """The same without colour, for a file: ``[-deleted-]``, ``{+inserted+}``."""
    return "\n".join(shown.plain for shown in rich_lines(difference, width)) + "\n"


def _blocks_of(difference: Difference, brief: bool) -> Iterator[tuple[Text, int]]:
    """Each block with its indent, in reading order."""
    yield Text(f"Length: {sizes(difference)}."), 0
    for fact in difference.facts:
        yield _replacing(f"{fact.name}: ", fact.before, fact.after), 0
    if difference.replaced:
        yield Text(_THROUGHOUT, style="bold"), 0
    for one in difference.replaced:
        yield _replacing("", one.old, one.new).append(f" {_times(one)}"), 2
    for section, heading in _HEADINGS.items():
        parts = [part for part in difference.parts if part.section == section]
        if parts:
            yield Text(), 0
            yield from _section(heading, parts, brief)


def _section(heading: str, parts: Sequence[Part], brief: bool) -> Iterator[tuple[Text, int]]:
    counted: dict[str, list[Part]] = {}
    for part in parts:
        if said := _counted(part, brief):
            counted.setdefault(said, []).append(part)
    if list(counted) == [_STILL] and len(counted[_STILL]) == len(parts):
        yield Text(f"{heading}: all {len(parts):,} unchanged"), 0
        return
    yield Text(heading, style="bold underline"), 0
    for part in parts:
        if not _counted(part, brief):
            yield from _part(part)
    for said, these in counted.items():
        total = plural(sum(part.words for part in these), "word")
        if said == _CUT:
            gone = sum(run.words for part in these for run in part.runs if run.kind == "deleted")
            total = f"{gone:,} of {total} left out"
        yield Text(f"{len(these):,} {said} ({total})", style="dim"), 0


_STILL, _CUT = "unchanged", "cut down"


def _counted(part: Part, brief: bool) -> str:
    """As what a part is only counted; "" where it is shown."""
    if part.notes and not (brief and part.change == "left out"):
        return ""
    if part.change == "same":
        return _STILL
    if part.told:
        return "changed only as told above"
    if brief and part.change == "left out":
        return "left out"
    only_less = all(run.kind != "inserted" or run.told for run in part.runs)
    return _CUT if brief and part.change == "changed" and only_less else ""


def _replacing(before: str, old: str, new: str) -> Text:
    shown = Text(before)
    shown.append(f"[-{line(old)}-]", style=_STYLES["deleted"])
    return shown.append(" ").append(f"{{+{line(new)}+}}", style=_STYLES["inserted"])


def _part(part: Part) -> Iterator[tuple[Text, int]]:
    style = _STYLES["deleted"].split()[0] if part.change == "left out" else "bold"
    yield Text(_head(part), style=style), 0
    if part.told or part.change in ("left out", "same"):
        return
    shown = Text()
    for space, said, piece in _spaced(part):
        if isinstance(piece, _Fold):
            shown.append(space).append(_folded(piece), style="dim")
        else:
            opened, closed = _MARKS[piece.kind]
            shown.append(space).append(f"{opened}{said}{closed}", style=_STYLES[piece.kind])
    yield shown, 2


def _folded(piece: _Fold) -> str:
    what = "unchanged" if piece.kind == "same" else "left out"
    return f"… {plural(piece.words, 'word')} {what} …"


def _spaced(part: Part, *, fold: bool = True) -> Iterator[tuple[str, str, Run | _Fold]]:
    """Each piece with the white space before it and its words: a mark stands at the first word.

    What is inserted stands beside what it replaces, not a paragraph below.
    """
    before: Kind | None = None
    begun = False  # whether a word of the new text has been shown: its first has no white space
    for piece in _pieces(part) if fold else part.runs:
        shown = plain(piece.text)
        said = shown.lstrip()
        space = shown[: len(shown) - len(said)]
        kind = piece.kind
        if before is None:
            space = ""
        elif (before, kind) == ("deleted", "inserted"):
            space = " "
        elif not begun:
            space = space or " "
        yield space, said, piece
        before, begun = kind, begun or kind != "deleted"


# ------------------------------------------------------------------------------------------ HTML


def fragment(difference: Difference, level: int = 2) -> Markup:
    """The difference as escaped HTML: ``<del>``, ``<ins>``, folds as ``<details>``; no style.

    Its headings are of `level`, 2 to 5, and the one below.
    """
    put: Callable[[str], Markup] = Markup
    shown = [put("<p>Length: {}.</p>").format(sizes(difference))]
    one = put("<p>{}: <del>{}</del> <ins>{}</ins></p>")
    shown += [one.format(f.name, line(f.before), line(f.after)) for f in difference.facts]
    if difference.replaced:
        row = put("<li><del>{}</del> <ins>{}</ins> {}</li>")
        rows = [row.format(line(r.old), line(r.new), _times(r)) for r in difference.replaced]
        shown.append(put("<p>{}</p>\n<ul>{}</ul>").format(_THROUGHOUT, put("").join(rows)))
    for section, heading in _HEADINGS.items():
        parts = [part for part in difference.parts if part.section == section]
        if parts:
            shown.append(put(f"<h{level}>{{}}</h{level}>").format(heading))
        shown += [_html_part(part, level + 1, put) for part in parts]
    return put("\n").join(shown)


def _html_part(part: Part, level: int, put: Callable[[str], Markup]) -> Markup:
    folded = part.change in ("same", "left out") or part.told
    inner = put("").join(_html_piece(*piece, put) for piece in _spaced(part, fold=not folded))
    if folded:
        same = " (unchanged)" if part.change == "same" and not part.notes else ""
        return put(
            '<details class="{}"><summary>{}{}</summary><div class="said">{}</div></details>'
        ).format(part.change.replace(" ", "-"), _head(part), same, inner)
    head = f"<h{level}>{{}}</h{level}>"
    return put(f'<section class="{{}}">{head}<div class="said">{{}}</div></section>').format(
        part.change, _head(part), inner
    )


def _html_piece(space: str, said: str, piece: Run | _Fold, put: Callable[[str], Markup]) -> Markup:
    if isinstance(piece, _Fold):
        inner = put("<del>{}</del>" if piece.kind == "deleted" else "{}").format(said)
        fold = put('{}<details class="fold"><summary>{}</summary>{}</details>')
        return fold.format(space, _folded(piece), inner)
    tag = {"deleted": "del", "inserted": "ins"}.get(piece.kind)
    return put(f"{{}}<{tag}>{{}}</{tag}>" if tag else "{}{}").format(space, said)
