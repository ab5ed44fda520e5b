"""Labelled transcripts out of Inspect's logs; with the subjects, all that imports it.

Inspect is an extra, imported when a log is read. A sample becomes a row as `fuzzer.labels` reads
them from JSON lines: its messages, its label and what it was asked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzer.errors import ConfigurationError

_GRID = ("scenario", "goal_type", "goal_value", "urgency_type")  # of the published evaluation
#: What its metadata say where a sample is asked just what the study asked.
_PLAIN: dict[str, tuple[object, ...]] = {
    "extra_system_instructions": (None, "none", "None", ""),
    "prod": (None, False),
    "test_eval_awareness": (None, False),
}


def sample_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The samples of a log (``.eval`` or ``.json``), in its order.

    The label is ``label`` of the sample's metadata, else its target, else what the scorer of the
    published evaluation says (``harmful``). The scenario is ``scenario`` or ``seed`` of the
    metadata, or those of the published evaluation. Raises `ConfigurationError` without the extra
    and for a file that is no log; what a row lacks is said by who reads it.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        raise ConfigurationError(
            f"{str(path)!r} is read through the extra: pip install 'holdfast[inspect]'"
        ) from None
    try:
        log = read_eval_log(str(path), resolve_attachments=True)
    except Exception as error:  # whatever a file that is no log makes it raise
        raise ConfigurationError(
            f"{str(path)!r} cannot be read as an Inspect log ({type(error).__name__}); give a log "
            "(.eval or .json), JSON lines (.jsonl) or a folder of results"
        ) from None
    for sample in log.samples or ():
        yield _row(sample)


def _row(sample: Any) -> dict[str, Any]:
    metadata = sample.metadata or {}
    row: dict[str, Any] = {
        "id": f"{sample.id}/{sample.epoch}",
        "messages": [_message(message) for message in sample.messages],
        "channel": metadata.get("channel"),
        "plan": metadata.get("plan"),
        "label": _label(sample, metadata),
        "scenario": _scenario(metadata),
    }
    return {key: value for key, value in row.items() if value is not None}


def _label(sample: Any, metadata: dict[str, Any]) -> object:
    if "label" in metadata:
        return metadata["label"]
    if sample.target in ("harmful", "safe"):
        return sample.target
    for score in (sample.scores or {}).values():
        if isinstance(score.value, dict) and "harmful" in score.value:
            return bool(score.value["harmful"])
    return None


def _scenario(metadata: dict[str, Any]) -> object:
    if "seed" in metadata:
        return metadata["seed"]
    if all(key in metadata for key in _GRID):
        name = "-".join(str(metadata[key]) for key in _GRID)
        changed = [k for k, plain in _PLAIN.items() if metadata.get(k) not in plain]
        # With an addition it is another scenario, which no seed is: the name shows it.
        return f"published/agentic-misalignment/{'-'.join([name, *changed])}"
    return metadata.get("scenario")


def _message(message: Any) -> dict[str, Any]:
    """A message as the usual JSON of a chat."""
    content = message.content
    if not isinstance(content, str):
        content = [block.model_dump(mode="json") for block in content]
    row: dict[str, Any] = {"role": message.role, "content": content}
    if calls := getattr(message, "tool_calls", None):
        row["tool_calls"] = [
            {"id": call.id, "function": {"name": call.function, "arguments": call.arguments}}
            for call in calls
        ]
    return row
