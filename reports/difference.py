"""What a variant's request says otherwise than its seed's, word by word, for a person to read.

Part by part: paragraphs of the prompt by their ids, the items of the inbox by id, number, subject
or likeness, tools by role. What is left out whole is one line, what is replaced everywhere (a
renamed person) is told once, long unchanged runs are folded. How the inbox and the calls are
written down is a fact beside it: a diff of two notations would show nothing else.

A `Difference` is a value, shown by `reports.difference_views`. It holds texts as they are, and they
are hostile until they are shown there.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fuzzer.likeness import changed_share
from fuzzer.records import Record
from fuzzer.scenario import Channel, Medium, Scenario, Tool
from fuzzer.tools import fingerprint, native_tools
from reports.text import line, plural

if TYPE_CHECKING:
    from fuzzer.variant import Variant

EVERYWHERE = 3  # times from which on a replacement is told once, for all its places
PHRASE = 6  # words at most of a replacement that is told so
ALIKE = 0.5  # share of words changed up to which two texts are taken for the same one
ISLAND = 2  # unchanged words between two changes that only break up what is read as one

Kind = Literal["same", "deleted", "inserted"]
Section = Literal["prompt", "inbox", "tools"]
Change = Literal["same", "changed", "left out", "added"]


class Run(Record):
    """Words in a row that were kept, deleted or inserted; `text` has the white space before each.

    Joined, the runs that are not deleted are the new text, byte for byte but for white space at its
    end; those that are not inserted hold the words of the old one.
    """

    kind: Kind
    text: str
    words: int
    told: bool = False  # a change that is among those replaced throughout


class Part(Record):
    """A paragraph, an item of the inbox or a tool, before and after."""

    section: Section
    name: str  # as a line shows it: "mail “Q3 figures” from Dana Reyes"
    change: Change
    runs: tuple[Run, ...]
    words: int  # of the old text; of an added part, of the new one
    notes: tuple[str, ...] = ()  # "moved from place 3 to 7", "other line breaks"
    told: bool = False  # all its changes are among those replaced throughout


class Replacement(Record):
    """The same words replaced by the same words, again and again."""

    old: str
    new: str
    times: int


class Fact(Record):
    """Something about the whole request that is not a word of it."""

    name: str
    before: str
    after: str


class Difference(Record):
    """What a request says otherwise than its seed's; tokens are estimates (`Request.tokens`)."""

    parts: tuple[Part, ...]
    facts: tuple[Fact, ...]
    replaced: tuple[Replacement, ...]  # most often first
    tokens_before: int
    tokens_after: int

    @property
    def changed(self) -> bool:
        """Whether anything is told that differs."""
        return bool(self.facts) or any(p.change != "same" or p.notes for p in self.parts)

    @property
    def left_out(self) -> tuple[Part, ...]:
        """What stands in the seed and no more in the variant."""
        return tuple(part for part in self.parts if part.change == "left out")


# ----------------------------------------------------------------------------------------- words

# A word lies between white space; where a script writes none, every sign is one.
_SIGN = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff01-\uff60"
_WORD = re.compile(rf"\s*(?:[{_SIGN}]|[^\s{_SIGN}]+)")


def words(text: str) -> list[str]:
    r"""The words of a text, each with the white space before it.

    >>> words("Dear Ann,\n\nsee you.")
    ['Dear', ' Ann,', '\n\nsee', ' you.']
    """
    return _WORD.findall(text)


def runs(old: str, new: str) -> tuple[Run, ...]:
    """The words of two texts as runs in reading order, a deletion before what stands in its place.

    A longest matching block after another (Ratcliff and Metzener 1988, as `difflib` has it, with
    its guess about common words off: "the" is no junk here). What the texts begin and end with
    alike is left out of the search.

    >>> [(run.kind, run.text) for run in runs("at six today", "at nine today")]
    [('same', 'at'), ('deleted', ' six'), ('inserted', ' nine'), ('same', ' today')]
    """
    was, now = words(old), words(new)
    a, b = [word.strip() for word in was], [word.strip() for word in now]
    head = _alike(a, b)
    tail = _alike(a[head:][::-1], b[head:][::-1])
    mine, theirs = a[head : len(a) - tail], b[head : len(b) - tail]
    found: list[tuple[Kind, list[str]]] = [("same", now[:head])]
    breaks = ["\n" in word[: len(word) - len(word.lstrip())] for word in was[head:]]
    for tag, i1, i2, j1, j2 in _blocks(mine, theirs, breaks):
        if tag == "equal":
            found.append(("same", now[head + j1 : head + j2]))
        else:
            found.append(("deleted", was[head + i1 : head + i2]))
            found.append(("inserted", now[head + j1 : head + j2]))
    found.append(("same", now[len(now) - tail :]))
    return tuple(
        Run.of(kind=kind, text="".join(said), words=len(said)) for kind, said in found if said
    )


def _alike(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words two texts begin with alike."""
    for number, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return number
    return min(len(a), len(b))


def _blocks(
    a: list[str], b: list[str], breaks: Sequence[bool]
) -> list[tuple[str, int, int, int, int]]:
    """Edits as `difflib` lists them, with islands of a word or two joined to the changes around.

    `breaks` says before which words of `a` a line ends: what begins a line is no island.
    """
    codes = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    joined: list[tuple[str, int, int, int, int]] = []
    for number, (tag, i1, i2, j1, j2) in enumerate(codes):
        inside = 0 < number < len(codes) - 1
        island = tag == "equal" and inside and i2 - i1 <= ISLAND and not any(breaks[i1 : i2 + 1])
        if island and min(_size(codes[number - 1]), _size(codes[number + 1])) > 2 * ISLAND:
            tag = "replace"
        if joined and tag != "equal" and joined[-1][0] != "equal":
            _, left, _, below, _ = joined.pop()
            joined.append(("replace", left, i2, below, j2))
        else:
            joined.append((tag, i1, i2, j1, j2))
    return joined


def _size(code: tuple[str, int, int, int, int]) -> int:
    _, i1, i2, j1, j2 = code
    return i2 - i1 + j2 - j1


# ----------------------------------------------------------------------------------------- parts


class _Unit(NamedTuple):
    """One text of a request; `keys` say which it is, the surest first."""

    section: Section
    name: str
    keys: tuple[str, ...]
    text: str
    place: str = ""  # where it stands, if not where its section does
    date: str = ""  # of an item of the inbox
    dated: tuple[int, int] = (0, 0)  # where its line with the date stands in its text


_ITEM: dict[Medium, str] = {
    "mail": "mail",
    "chat": "message",
    "tickets": "ticket",
    "files": "file",
    "code": "change",
}
_CALLS: dict[Channel, str] = {
    "native": "native tool calls",
    "xml": "XML in the text",
    "json": "JSON in the text",
    "markup": "tags in the text",
}
_USER = "the user's turn"


def compare(seed: "Variant", minimal: "Variant") -> Difference:
    """What the request of `minimal` says otherwise than that of `seed`.

    Both are rendered for it, if they are not yet; raises `SeedError` as rendering does.
    """
    before, after = _units(seed), _units(minimal)
    parts: list[Part] = []
    facts = _facts(seed, minimal)
    for section in ("prompt", "inbox", "tools"):
        found, dates = _section(
            [unit for unit in before if unit.section == section],
            [unit for unit in after if unit.section == section],
        )
        parts += found
        facts += dates
    renamed = _renamed(seed.scenario, minimal.scenario)
    replaced, known = _replaced(parts, renamed)
    parts = [_marked(part, renamed, known) for part in parts]
    difference = Difference(
        parts=tuple(parts),
        facts=tuple(facts),
        replaced=replaced,
        tokens_before=seed.request.tokens,
        tokens_after=minimal.request.tokens,
    )
    if difference.changed or seed.request.text == minimal.request.text:
        return difference
    return difference.model_copy(update={"facts": (_UNSEEN,)})


_UNSEEN = Fact(name="written down otherwise", before="the same words", after="the same words")


def _facts(seed: "Variant", minimal: "Variant") -> list[Fact]:
    one, other = seed.scenario, minimal.scenario
    told = [
        ("inbox written as", one.format, other.format),
        ("calls written as", _CALLS[one.channel], _CALLS[other.channel]),
        ("told over", _turns(seed), _turns(minimal)),
    ]
    return [Fact(name=n, before=b, after=a) for n, b, a in told if b != a]


def _turns(variant: "Variant") -> str:
    said = sum(message["role"] == "user" for message in variant.request.messages)
    return plural(said, "turn of the user").replace("turn of the users", "turns of the user")


def _units(variant: "Variant") -> list[_Unit]:
    scenario = variant.scenario
    return [*_paragraphs(variant), *_items(variant), *map(_tool, scenario.tools)]


def _paragraphs(variant: "Variant") -> Iterator[_Unit]:
    scenario = variant.scenario
    offered = fingerprint(scenario.tools, scenario.channel)
    for block in scenario.system:
        if block.tells in ("", offered):
            said = variant.slots.fill(block.text)
            opening = " ".join(said[:400].split()[:6])
            place = _USER if block.place == "user" else ""
            yield _Unit("prompt", f"paragraph “{line(opening, 50)}…”", (block.id,), said, place)


def _items(variant: "Variant") -> Iterator[_Unit]:
    scenario = variant.scenario
    for message, mail in zip(scenario.inbox, variant.world.inbox, strict=True):
        shown = mail if scenario.style.numbers else mail._replace(id="")
        heads = "".join(f"{name}: {value}\n" for name, value in shown.headers(scenario.medium))
        sender = mail.sender.partition(" <")[0]
        name = f"{_ITEM[scenario.medium]} “{line(mail.subject, 60)}” from {line(sender, 40)}"
        keys = (f"id:{message.id}", f"number:{mail.id}", f"subject:{mail.subject}")
        start = heads.find(f": {mail.date}\n") if mail.date else -1
        dated = (max(heads.rfind("\n", 0, start), 0), start + len(mail.date) + 2)
        text = f"{heads}\n{mail.body}"
        yield _Unit("inbox", name, keys, text, "", mail.date, dated if start > 0 else (0, 0))


def _tool(tool: Tool) -> _Unit:
    """A tool in our own words, alike in every channel: name, description, a line a parameter."""
    (shown,) = native_tools((tool,))
    said = "\n".join([tool.name, tool.description, *_properties(shown["input_schema"], "")])
    keys = (f"{tool.role}:{tool.name}", f"role:{tool.role}")
    return _Unit("tools", f"tool {line(tool.name, 50)}", keys, said)


def _properties(schema: dict[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required", ())
    if other := _others(schema):
        yield f"{path or 'its input'}: {other}"
    for name, node in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        need = "required" if name in required else "optional"
        kind = node.get("type", "any")
        shown = kind if isinstance(kind, str) else " or ".join(map(str, kind))
        inner = "properties" in node
        rest = "" if inner else _others(node)
        yield " ".join(filter(None, [f"{where} ({shown}, {need})", node.get("description"), rest]))
        if inner:
            yield from _properties(node, where)


def _others(schema: dict[str, Any]) -> str:
    """What else a schema says: ``enum: a, b``, ``additionalProperties: False``."""
    known = ("type", "properties", "required", "description")
    return "; ".join(
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in schema.items()
        if key not in known
    )


# -------------------------------------------------------------------------------------- matching


def _section(before: list[_Unit], after: list[_Unit]) -> tuple[list[Part], list[Fact]]:
    """The parts of one section in the old order; what is new stands behind what precedes it.

    And, where the items bear other dates, that fact, told once for all of them.
    """
    partner = _matched(before, after)
    dates = [
        (before[i].date, after[j].date)
        for i, j in partner.items()
        if before[i].date != after[j].date
    ]
    all_dates = len(dates) >= EVERYWHERE
    back = {j: i for i, j in partner.items()}
    stayed = _in_order([partner[i] for i in sorted(partner)])
    placed: list[tuple[tuple[int, int], Part]] = []
    for i, unit in enumerate(before):
        j = partner.get(i)
        if j is None:
            placed.append(((i, -1), _whole(unit, "left out")))
        else:
            moved = (i + 1, j + 1) if j not in stayed else None
            placed.append(((i, -1), _both(unit, after[j], moved, all_dates)))
    last = -1
    for j, unit in enumerate(after):
        if j in back:
            last = back[j]
        else:
            placed.append(((last, j), _whole(unit, "added")))
    parts = [part for _, part in sorted(placed, key=lambda item: item[0])]
    if not all_dates:
        return parts, []
    name = f"dates of {len(dates):,} items of the inbox, the first of them"
    return parts, [Fact(name=name, before=dates[0][0], after=dates[0][1])]


def _matched(before: Sequence[_Unit], after: Sequence[_Unit]) -> dict[int, int]:
    """Which new unit each old one has become: by its keys, the surest first, then by likeness."""
    found: dict[int, int] = {}
    free = dict(enumerate(after))
    for level in range(max((len(unit.keys) for unit in (*before, *after)), default=0)):
        held: dict[str, list[int]] = {}
        for j, unit in free.items():
            held.setdefault(unit.keys[level], []).append(j)
        left = Counter(unit.keys[level] for i, unit in enumerate(before) if i not in found)
        for i, unit in enumerate(before):
            key = unit.keys[level]
            # Of several that share a key (tools of role "unrelated"), likeness decides.
            if i not in found and left[key] == 1 and len(held.get(key, ())) == 1:
                found[i] = held[key][0]
                del free[found[i]]
    pairs = sorted(
        (changed_share(unit.text, other.text), i, j)
        for i, unit in enumerate(before)
        if i not in found
        for j, other in free.items()
    )
    for share, i, j in pairs:
        if share <= ALIKE and i not in found and j in free:
            found[i] = j
            del free[j]
    return found


def _in_order(numbers: Sequence[int]) -> set[int]:
    """A longest rising subsequence: what need not have moved."""
    best: list[tuple[int, int]] = []  # (length that ends here, where the one before stands)
    for k, number in enumerate(numbers):
        before = [(best[m][0], m) for m in range(k) if numbers[m] < number]
        length, at = max(before, default=(0, -1))
        best.append((length + 1, at))
    at = max(range(len(best)), key=lambda k: best[k][0], default=-1)
    kept = set()
    while at >= 0:
        kept.add(numbers[at])
        at = best[at][1]
    return kept


def _whole(unit: _Unit, change: Literal["left out", "added"]) -> Part:
    kind: Kind = "deleted" if change == "left out" else "inserted"
    n = len(words(unit.text))
    run = Run(kind=kind, text=unit.text.rstrip(), words=n)
    notes = (f"in {unit.place}",) if unit.place and change == "added" else ()
    return Part(
        section=unit.section,
        name=unit.name,
        change=change,
        runs=(run,) if n else (),
        words=n,
        notes=notes,
    )


def _both(old: _Unit, new: _Unit, moved: tuple[int, int] | None, dates: bool) -> Part:
    """A part of both texts; with `dates` their dates are told elsewhere."""
    found = _around(old, new) if dates and old.date != new.date else runs(old.text, new.text)
    same = all(run.kind == "same" for run in found)
    notes = []
    if old.place != new.place:
        notes.append(
            f"moved from {old.place or 'the system prompt'} to {new.place or 'the system prompt'}"
        )
    elif moved:
        notes.append(f"moved from place {moved[0]} to {moved[1]}")
    if same and old.text.strip() != new.text.strip():
        notes.append("other line breaks or spaces")
    return Part(
        section=old.section,
        name=old.name,
        change="same" if same else "changed",
        runs=found,
        told=not same and all(run.told or run.kind == "same" for run in found),
        words=sum(run.words for run in found if run.kind != "inserted"),
        notes=tuple(notes),
    )


def _around(old: _Unit, new: _Unit) -> tuple[Run, ...]:
    """The runs before the line with the date, of it, marked as told, and after it."""
    (a, b), (c, d) = old.dated, new.dated
    dated = (
        run if run.kind == "same" else run.model_copy(update={"told": True})
        for run in runs(old.text[a:b], new.text[c:d])
    )
    return (*runs(old.text[:a], new.text[:c]), *dated, *runs(old.text[b:], new.text[d:]))


# ---------------------------------------------------------------------------------- replacements

_BARE = re.compile(r"^[\s<(\[\"'“”‘’]+|(?:['’]s)?[\s.,;:!?>)\]\"'“”‘’]+$|['’]s$")
_Pair = tuple[str, str]


def _renamed(one: Scenario, other: Scenario) -> dict[_Pair, _Pair]:
    """What a rename of the cast makes of what, each with the full names it belongs to."""
    found: dict[_Pair, _Pair] = {}
    people = {person.role: person for person in other.cast}
    organisations = {organisation.role: organisation for organisation in other.organisation}
    for old in one.cast:
        new = people.get(old.role)
        if new is None:
            continue
        addresses = (one.email(old.role), other.email(new.role))
        names = (old.name, new.name)
        for spoken in (
            *(names, (old.first, new.first), (old.last, new.last), addresses),
            *((old.nick or old.first, new.nick or new.first), (old.title, new.title)),
            *((old.first[:1], new.first[:1]), (old.last[:1], new.last[:1])),  # "R." signs, too
            (f"{names[0]} <{addresses[0]}>", f"{names[1]} <{addresses[1]}>"),
        ):
            _own(found, spoken, names if names[0] != names[1] else addresses)
    for firm in one.organisation:
        if (now := organisations.get(firm.role)) is not None:
            whole = (firm.name, now.name)
            for spoken in (whole, (firm.called, now.called), (firm.domain, now.domain)):
                _own(found, spoken, whole)
    return found


def _own(found: dict[_Pair, _Pair], spoken: _Pair, whole: _Pair) -> None:
    for pair in _zipped(*spoken):
        if pair[0] != pair[1]:
            found.setdefault(pair, whole)


def _zipped(old: str, new: str) -> list[_Pair]:
    """What is replaced by what: word for word where there are as many, else the phrase.

    Of several people in a row, each by the one in the same place.
    """
    listed, instead = old.split(";"), new.split(";")
    if len(listed) == len(instead) > 1:
        return [p for pair in zip(listed, instead, strict=True) for p in _zipped(*pair)]
    one, other = old.split(), new.split()
    if len(one) != len(other):
        one, other = [" ".join(one)], [" ".join(other)]
    return [_pair(was, now) for was, now in zip(one, other, strict=True)]


def _pair(was: str, now: str) -> _Pair:
    """Both without the marks around them, if these are the same."""
    bare = (_bare(was), _bare(now))
    return bare if bare[0] and was.replace(bare[0], bare[1], 1) == now else (was, now)


def _bare(word: str) -> str:
    return " ".join(_BARE.sub("", word).split())


def _replaced(
    parts: Iterable[Part], renamed: dict[_Pair, _Pair]
) -> tuple[tuple[Replacement, ...], set[_Pair]]:
    """What is replaced throughout, most often first, and the pairs that this accounts for.

    A rename is, however often it shows; anything else from `EVERYWHERE` times on.
    """
    counted: Counter[_Pair] = Counter()
    owners: dict[_Pair, set[_Pair]] = {}
    for pairs in (pairs for part in parts for pairs in _changes(part, renamed).values()):
        for pair in pairs:
            owners.setdefault(renamed.get(pair, pair), set()).add(pair)
        counted.update({renamed.get(pair, pair) for pair in pairs})
    names = set(renamed.values())
    kept = [(p, n) for p, n in counted.most_common() if n >= EVERYWHERE or p in names]
    told = tuple(Replacement(old=old, new=new, times=n) for (old, new), n in kept)
    return told, {pair for owner, _ in kept for pair in owners[owner]}


def _changes(part: Part, renamed: Container[_Pair]) -> dict[int, set[_Pair]]:
    """What phrases are replaced by in a part, by the place of the deletion among its runs.

    A long phrase is one only where everything in it is renamed.
    """
    found = {}
    for at, (old, new) in enumerate(pairwise(part.runs)):
        if (old.kind, new.kind) == ("deleted", "inserted") and not old.told:
            pairs = {pair for pair in _zipped(old.text, new.text) if pair[0] != pair[1]}
            if max(old.words, new.words) <= PHRASE or all(pair in renamed for pair in pairs):
                found[at] = pairs
    return found


def _marked(part: Part, renamed: Container[_Pair], known: set[_Pair]) -> Part:
    """The part with those of its changes marked that are told already."""
    told: set[int] = set()
    for at, pairs in _changes(part, renamed).items():
        if pairs and pairs <= known:
            told |= {at, at + 1}
    if not told:
        return part
    marked = tuple(
        run.model_copy(update={"told": True}) if at in told else run
        for at, run in enumerate(part.runs)
    )
    whole = all(run.told or run.kind == "same" for run in marked)
    return part.model_copy(update={"runs": marked, "told": whole})
