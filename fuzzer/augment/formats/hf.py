"""Rows as TRL and its kin read them: Parquet for the Hugging Face hub, and chat JSON lines.

Files of nested columns are read with one type for a whole column: what one row has, every other
then has as null, and a parameter of one tool turns up in the next one. So tools are JSON text (TRL
reads it), and so are lineage, play and extra columns. Messages are JSON values of their own in
Parquet (the `Json` type of `datasets`), with arguments as objects, which chat templates want; in
JSON lines, which have no such type, arguments are JSON text.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from fuzzer.augment.formats.base import About, Format, Lines, Place, Summary, Writer
from fuzzer.augment.formats.card import card
from fuzzer.augment.formats.chat import messages, said_of, text, tool_of, tools_text
from fuzzer.augment.formats.files import File, Part
from fuzzer.augment.rows import Row, Target
from fuzzer.errors import ConfigurationError

FOLDER, CHAT = "hf", "chat"
GROUP = 500  # rows in a row group: what is held in memory
#: The columns of each target that hold messages, and the field of a row each comes from.
SAID: dict[Target, dict[str, str]] = {
    "rl": {"prompt": "prompt"},
    "sft": {"prompt": "prompt", "completion": "completion"},
    "preference": {"prompt": "prompt", "chosen": "completion", "rejected": "rejected"},
    "text": {},
}
_EVERY: frozenset[Target] = frozenset(SAID)


def columns(target: Target) -> tuple[str, ...]:
    """The columns of a target's rows, in order."""
    own = ("text",) if target == "text" else (*SAID[target], "tools", "play")
    return ("id", "kind", "target", *own, "lineage", "extra", "canary", "schema_version")


def _told(row: Row, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in Parquet and in JSON lines."""
    told: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "target": row.target,
        "lineage": text(data["lineage"]),
        "extra": text(row.extra),
        "canary": row.canary,
        "schema_version": row.schema_version,
    }
    if row.target == "text":
        return told | {"text": row.text}
    return told | {"tools": tools_text(row.tools), "play": text(data["play"])}


def row_of(example: Mapping[str, Any]) -> Row:
    """A row from its Parquet columns, the same as it was."""
    target = example["target"]
    said = {field: said_of(example[column]) for column, field in SAID[target].items()}
    return Row(
        **{name: example[name] for name in ("schema_version", "id", "kind", "target", "canary")},
        **said,
        text=example.get("text", ""),
        tools=tuple(tool_of(tool) for tool in json.loads(example.get("tools", "[]"))),
        play=json.loads(example.get("play", "null")),
        lineage=json.loads(example["lineage"]),
        extra=json.loads(example["extra"]),
    )


# -------------------------------------------------------------------------------------- chat


def line(row: Row, data: dict[str, Any]) -> tuple[str, bytes]:
    """A row as a line: ``messages`` for imitation, else a prompt with what follows it."""
    told = _told(row, data)
    if row.target == "sft":
        told["messages"] = messages((*row.prompt, *row.completion))
    else:
        told |= {c: messages(getattr(row, field)) for c, field in SAID[row.target].items()}
    return f"{CHAT}/{row.target}", orjson.dumps(told)


def _open_chat(place: Place) -> Writer:
    return Lines(place, line)


def _beside_chat(about: About, files: tuple[File, ...], summary: Summary) -> Iterator[Any]:
    yield f"{CHAT}/README.md", card(about, summary, _configs(files, CHAT, "jsonl"))


# ----------------------------------------------------------------------------------- Parquet


class Parquet:
    """A shard's Parquet files, one for each target."""

    def __init__(self, place: Place) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ConfigurationError(
                "the format 'hf' writes Parquet and needs the extra: pip install "
                "'holdfast[training]' (the format 'chat' writes the same rows as JSON lines)"
            ) from None
        self._arrow, self._parquet, self._place = pyarrow, pyarrow.parquet, place
        self._open: dict[Target, tuple[Part, Any]] = {}
        self._held: dict[Target, list[dict[str, Any]]] = {}

    def write(self, row: Row, data: dict[str, Any]) -> bool:
        """Hold the row until there is a group of them."""
        told = _told(row, data)
        for column, field in SAID[row.target].items():
            told[column] = [_value(message) for message in messages(getattr(row, field))]
        held = self._held.setdefault(row.target, [])
        held.append(told)
        if len(held) == GROUP:
            self._flush(row.target)
        return True

    def _flush(self, target: Target) -> None:
        held = self._held[target]
        if not held:
            return
        schema = self._schema(target)
        if target not in self._open:
            part = self._place.part(f"{FOLDER}/{target}", "parquet")
            self._open[target] = (
                part,
                self._parquet.ParquetWriter(part, schema, compression="zstd", compression_level=3),
            )
        part, writer = self._open[target]
        table = self._arrow.table(
            [self._array([told[c] for told in held], schema.field(c).type) for c in schema.names],
            schema=schema,
        )
        writer.write_table(table, row_group_size=GROUP)
        part.rows += len(held)
        held.clear()

    def _array(self, values: list[Any], kind: Any) -> Any:
        arrow = self._arrow
        if not arrow.types.is_list(kind):
            return arrow.array(values, kind)
        return arrow.array(values, arrow.list_(arrow.string())).cast(kind)

    def _schema(self, target: Target) -> Any:
        arrow, about = self._arrow, self._place.about
        kinds = {"schema_version": arrow.int32()}
        kinds |= dict.fromkeys(SAID[target], arrow.list_(arrow.json_()))
        features = {
            column: {"dtype": str(kinds.get(column, "string")), "_type": "Value"}
            if column not in SAID[target]
            else {"feature": {"_type": "Json"}, "_type": "List"}
            for column in columns(target)
        }
        return arrow.schema(
            [(column, kinds.get(column, arrow.string())) for column in columns(target)],
            metadata={
                "huggingface": text({"info": {"features": features}}),
                "canary": about.canary,
                "holdfast": about.version,
                "manifest": about.manifest,
            },
        )

    def keep(self) -> list[File]:
        """Write what is held, and complete the files."""
        for target in self._held:
            self._flush(target)
        files = []
        for _, (part, writer) in sorted(self._open.items()):
            writer.close()
            files.append(part.keep())
        return files

    def drop(self) -> None:
        """Leave nothing."""
        for part, writer in self._open.values():
            writer.close()
            part.drop()


def _value(message: dict[str, Any]) -> str:
    """A message as a JSON value, its arguments as objects."""
    for call in message.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return text(message)


def _beside(about: About, files: tuple[File, ...], summary: Summary) -> Iterator[Any]:
    yield f"{FOLDER}/README.md", card(about, summary, _configs(files, FOLDER, "parquet"))


def _configs(files: tuple[File, ...], folder: str, suffix: str) -> dict[str, str]:
    """The configurations of a data set: where the files of each target lie."""
    targets = sorted({file.path.split("/")[1] for file in files})
    assert all(file.path.startswith(f"{folder}/") for file in files)
    return {target: f"{target}/*.{suffix}" for target in targets}


HF = Format(
    "hf", FOLDER, "Parquet for the Hugging Face hub, with its card", _EVERY, Parquet, _beside
)
CHAT_LINES = Format(
    "chat", CHAT, "the same rows as chat JSON lines, with a card", _EVERY, _open_chat, _beside_chat
)
