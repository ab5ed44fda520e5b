"""A scenario of somebody's own becomes a seed file: names to slots, a mailbox to messages.

`bring` takes a text that exists, and an annotation that says who is who in it. The text is one of

* a sample of an Inspect data set (``.json``, ``.jsonl``): ``input`` is a text or chat messages;
* a ``.json`` file with ``system`` and ``user``;
* a text file with what the user says; the annotation names the other file (``system = "…"``).

The annotation is TOML in the format of a seed (`seeds`), without ``[[system]]`` and ``[[inbox]]``,
which come from the text, and with a few fields of its own::

    name = "my-seed"
    sample = "id-7"                       # of several samples: an id, or a number from 1

    [cast.target]
    first = "..."
    last = "..."
    address = "..."                       # in place of mailbox and org
    also = ["..."]                        # what else the text calls them

    [organisation.org]
    name = "..."
    domain = "..."
    also = ["..."]

    [goal]                                # likewise [threat] and [leverage]
    quote = "..."                         # the passage as it stands in the text
    cues = ["..."]                        # left out: made from the passage

    [blocks]                              # ids for paragraphs of the prompt, by words in them
    reflection = "Before you act"

Messages are numbered as they stand, ``message-1`` first; controls may refer to them so.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from fuzzer.dates import write_day, write_time
from fuzzer.errors import SeedError
from fuzzer.scenario import Style
from seeds.building import build, sentence, short
from seeds.checks import check
from seeds.company import Company
from seeds.passages import cues, cut, marked, unfilled, unmarked
from seeds.reading import Item, filled_in, moment, take_apart
from seeds.slotting import Doubts, Slotter
from seeds.sources import FACETS, LISTS, PLAIN, notes, texts
from seeds.writing import write

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Brought:
    """A seed file's text, its name, and what a person should look at before using it."""

    text: str
    name: str
    doubts: tuple[str, ...]


def bring(source: Path, annotation: Path) -> Brought:
    """The seed that a text and its annotation make; it is valid, or `SeedError` says why not."""
    said = notes(annotation)
    system, user, stem = texts(source, annotation, said)
    name = str(said.get("name", stem))
    doubts = Doubts()
    try:
        tables = _tables(said, name, system.strip(), user, doubts)
        text = f"# Brought in by `holdfast import` from {source.name!r}.\n\n{write(tables)}\n"
        _hold(text)
    except SeedError as error:
        raise SeedError(f"{source} with {annotation}: {error}") from None
    return Brought(text, name, doubts.sentences())


def _hold(text: str) -> None:
    """Refuse what the loader would refuse, as it would."""
    raw = tomllib.loads(text)
    try:
        check(build(raw))
    except ValidationError as error:
        raise SeedError(sentence(error, raw)) from None
    except SeedError as error:
        said = str(error).removeprefix(f"seed {raw.get('name')!r}").lstrip(",: ")
        raise SeedError(said) from None


def _tables(said: Table, name: str, prompt: str, user: str, doubts: Doubts) -> Table:
    """The tables of the seed file, in the usual order."""
    mailbox = take_apart(user)
    opening = "\n\n".join(part for part in (mailbox.before, mailbox.after) if part)
    if mailbox.after:
        doubts.note("stood behind the last message and now stands before the first", "opening")
    if not mailbox.items:
        doubts.note(
            "no messages were recognised, so all of it is the opening, and no variant of this seed "
            "will be admitted; give each message lines From:, To: and Subject:",
            "user text",
        )
    bodies = {f"message-{n}": item.body for n, item in enumerate(mailbox.items, start=1)}
    told = {"system": prompt, "opening": opening, **bodies}
    quotes = {
        facet: cut(facet, quote, told, doubts)
        for facet in FACETS
        if (quote := str(said.get(facet, {}).get("quote", "")).strip())
    }
    company = Company(said, doubts)
    inbox = [
        _message(where, item, told[where], company, doubts)
        for where, item in zip(bodies, mailbox.items, strict=True)
    ]
    clock = _clock(said, [moment(item.date) for item in mailbox.items], doubts)
    _date(inbox, mailbox.items, clock["now"], doubts)
    style = _style(said, clock, "\n".join([*told.values(), *quotes.values()]))
    slotter = company.slotter(_other(said, write_time(clock["deadline"], Style(**style))))
    for message in inbox:
        near = [message["from"], *message["to"], *message.get("cc", ())]
        for field in ("subject", "body"):
            message[field] = unmarked(slotter.fill(message[field], message["id"], near))
    _look_for_deadlines(clock["deadline"], style, inbox, doubts)
    blocks = _blocks(told["system"], told["opening"], said, _now(clock, style), slotter)
    facets = {facet: _facet(facet, said, quotes.get(facet, ""), slotter) for facet in FACETS}
    _count_controls(said, doubts)
    return {
        "name": name,
        "version": said.get("version", 1),
        "summary": said.get("summary", f"Brought in as {name}."),
        **{field: said[field] for field in PLAIN if field in said},
        **({} if inbox else {"inbox": []}),
        "clock": clock,
        **({"style": style} if style else {}),
        "organisation": company.places,
        "cast": company.cast,
        **facets,
        "system": blocks,
        **({"inbox": inbox} if inbox else {}),
        **{field: _annotated(said[field], field, slotter) for field in _REST if field in said},
    }


_REST = ("tools", "ledger", *(field for field in LISTS if field != "tools"))


# --------------------------------------------------------------------------------- the messages


def _message(where: str, item: Item, body: str, company: Company, doubts: Doubts) -> Table:
    """A message between roles, its age not yet known."""
    sender = company.roles(item.sender, where)
    if not sender:
        raise SeedError(f"{where}: its From: names nobody ({item.sender!r}); mend the text")
    if not item.subject:
        doubts.note("has no subject; one was put in", where)
    copied = {"cc": company.roles(item.cc, where)} if item.cc else {}
    return {
        "id": where,
        "ago": 0,
        "from": sender[0],
        "to": company.roles(item.to, where),
        **copied,
        "subject": item.subject or "(no subject)",
        "body": body,
    }


def _clock(said: Table, sent: Iterable[datetime | None], doubts: Doubts) -> dict[str, datetime]:
    """When the subject is asked and when the threat falls due; guessed where it is not given."""
    clock = dict(said.get("clock", {}))
    for field, value in clock.items():
        if not isinstance(value, datetime) or value.tzinfo:
            raise SeedError(
                f"clock.{field}: {short(value)} is no local time; write one, as 2026-03-12T17:46:00"
            )
    if "now" not in clock:
        last = max((when for when in sent if when), default=datetime(2026, 1, 5, 16))
        clock["now"] = last + timedelta(minutes=10)
        doubts.note(f"not given; taken to be {clock['now']}", "clock.now")
    if "deadline" not in clock:
        clock["deadline"] = clock["now"] + timedelta(minutes=20)
        doubts.note(f"not given; taken to be {clock['deadline']}", "clock.deadline")
    return clock


def _date(inbox: list[Table], items: Iterable[Item], now: datetime, doubts: Doubts) -> None:
    """Give every message its age, and put the oldest first."""
    sent = [moment(item.date) for item in items]
    ages = [int((now - when).total_seconds() // 60) if when else None for when in sent]
    for message, item, when, age in zip(inbox, items, sent, filled_in(ages), strict=True):
        message["ago"] = max(age, 0)
        if when is None:
            what = f"its date {item.date!r} cannot be read" if item.date else "it has no date"
            doubts.note(f"{what}; put {message['ago']} minutes before now", message["id"])
        elif age < 0:
            doubts.note("was sent after clock.now; put at that time", message["id"])
    shown = [message["id"] for message in inbox]
    inbox.sort(key=lambda message: -message["ago"])
    if shown != [message["id"] for message in inbox]:
        doubts.note("not in the order of their dates; the oldest is first now", "messages")


# ------------------------------------------------------------------------------------- times


def _style(said: Table, clock: dict[str, datetime], text: str) -> Table:
    """How the text writes times, so that their slots read as it does."""
    style = dict(said.get("style", {}))
    try:
        Style(**style)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, ("style", *first["loc"])))
        raise SeedError(f"{field}: {short(first['input'])} cannot stand here; mend it") from None
    written: dict[str, Callable[[Style], str]] = {
        "clock": lambda style: write_time(clock["deadline"], style),
        "dates": lambda style: write_day(clock["now"], style),
    }
    for field, write_in in written.items():
        ways = get_args(Style.model_fields[field].annotation)
        if field in style or _stands(write_in(Style()), text):
            continue
        for way in ways[1:]:
            if _stands(write_in(Style(**{field: way})), text):
                style[field] = way
                break
    return style


def _now(clock: dict[str, datetime], style: Table) -> dict[str, str]:
    """How the present reads; only a prompt speaks of it."""
    made = Style(**style)
    return {
        write_time(clock["now"], made): "{{clock.time}}",
        write_day(clock["now"], made): "{{clock.date}}",
    }


def _look_for_deadlines(due: datetime, style: Table, inbox: list[Table], doubts: Doubts) -> None:
    """Note times that may be the deadline, written as its slot would not be."""
    minutes = f"[:.]{due.minute:02d}" if due.minute else "(?:[:.]00)?"
    half = "a" if due.hour < 12 else "p"
    often = re.compile(
        rf"(?i)(?<![\w:.])(?:{due.hour % 12 or 12}{minutes} ?{half}\.?m\b"
        rf"|{due.hour:02d}[:.h]{due.minute:02d}(?!\w))"
    )
    usual = write_time(due, Style(**style))
    for message in inbox:
        for match in often.finditer(unfilled(message["body"])):
            doubts.note(
                f"{match.group()!r} may be the deadline; if so, write it {usual!r} in the source, "
                "and it becomes a slot",
                message["id"],
            )


def _stands(written: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(written)}(?!\w)", text) is not None


# ----------------------------------------------------------------------------------- the prompt


def _blocks(
    prompt: str, opening: str, said: Table, now: dict[str, str], slotter: Slotter
) -> list[Table]:
    """The prompt paragraph by paragraph, then what the user says before the messages."""
    wanted = dict(said.get("blocks", {}))
    blocks: list[Table] = []
    for number, paragraph in enumerate(_paragraphs(prompt), start=1):
        named = [key for key, words in wanted.items() if str(words) in paragraph]
        key = "goal" if marked("goal", paragraph) else next(iter(named), f"system-{number}")
        wanted.pop(key, None)
        blocks.append({"id": key, "text": _prompted(paragraph, key, now, slotter)})
    for key, words in wanted.items():
        slotter.doubts.note(f"{words!r} stands in no paragraph of its own", f"blocks.{key}")
    if opening:
        text = _prompted(opening, "opening", now, slotter)
        blocks.append({"id": "opening", "place": "user", "text": text})
        if marked("goal", opening):
            slotter.doubts.note(
                "stands in what the user says; a stranger looks for it in the system prompt",
                "goal.quote",
            )
    if not blocks:
        raise SeedError("system: no prompt and nothing before the messages; give a prompt")
    return blocks


def _paragraphs(text: str) -> list[str]:
    return [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text) if part.strip()]


def _prompted(text: str, where: str, now: dict[str, str], slotter: Slotter) -> str:
    filled = slotter.fill(text, where)
    for written, slot in now.items():
        filled = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", slot, filled)
    return unmarked(filled)


def _facet(facet: str, said: Table, quote: str, slotter: Slotter) -> Table:
    """The table of a facet: its passage with slots, and cues that find it."""
    given = {"kind": "none", "by": said.get("ledger", {}).get("target", "agent")}
    table = {**(given if facet == "threat" else {}), **said.get(facet, {})}
    table.pop("quote", None)
    listed = table.pop("cues", [])
    if not (isinstance(listed, list) and all(isinstance(cue, str) for cue in listed)):
        raise SeedError(f"{facet}.cues: {short(listed)} is no list of patterns; put it in brackets")
    if not quote:
        return {**table, "text": "", "cues": []}
    text = slotter.fill(quote, f"{facet}.quote")
    return {**table, "text": text, "cues": cues(facet, text, listed, slotter)}


# ------------------------------------------------------------------------------- the annotation


def _other(said: Table, deadline: str) -> dict[str, str]:
    """What else becomes a slot: names of tools, the programs behind them, the deadline."""
    other = {deadline: "{{clock.deadline}}"}
    seen: set[str] = set()
    for tool in said.get("tools", ()):
        role, name, product = (str(tool.get(key, "")) for key in ("role", "name", "product"))
        if role not in seen:
            if "_" in name:
                other[name] = f"{{{{tool.{role}}}}}"
            if " " in product:
                other.setdefault(product, f"{{{{product.{role}}}}}")
        seen.add(role)
    return other


_NO_TEXT = ("name", "role", "verdict", "behaviour", "target", "message_id", "weight")


def _annotated(value: Any, table: str, slotter: Slotter) -> Any:
    """Names in what the ledger and the controls say are slotted too; patterns are left alone."""
    if table not in ("ledger", "controls"):
        return value
    if isinstance(value, list):
        return [_annotated(item, table, slotter) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: slotter.fill_annotated(item, table)
        if isinstance(item, str) and key not in _NO_TEXT
        else _annotated(item, table, slotter)
        for key, item in value.items()
    }


def _count_controls(said: Table, doubts: Doubts) -> None:
    for verdict in ("harmful", "safe"):
        if sum(control.get("verdict") == verdict for control in said.get("controls", ())) == 1:
            doubts.note(
                f"only one is {verdict}; a variant is admitted with two of each, so add one",
                "controls",
            )
