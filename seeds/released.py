"""The content hash of every version of every built-in seed: what was released never changes.

A result names the seed it was measured on by version and hash. Were a seed edited in place, two
results under one name would not be of one thing; so a changed seed is a new version beside the
old hash, and `added` refuses anything else.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from fuzzer.errors import SeedError
from fuzzer.scenario import Scenario

FILE = Path(__file__).parent / "released.json"
Released = dict[str, dict[str, str]]  # seed, version, hash


def released() -> Released:
    """What was recorded so far."""
    found: Released = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def added(before: Mapping[str, Mapping[str, str]], seeds: Iterable[Scenario]) -> Released:
    """The record with the present version of these seeds.

    Raises `SeedError` for a seed that has changed under a version that was recorded.
    """
    record = {name: dict(versions) for name, versions in before.items()}
    for seed in seeds:
        versions = record.setdefault(seed.name, {})
        known = versions.setdefault(str(seed.version), seed.content_hash)
        if known != seed.content_hash:
            raise SeedError(
                f"seed {seed.name!r} has changed, but version {seed.version} of it was released "
                f"already; write version = {seed.version + 1}"
            )
    return {name: record[name] for name in sorted(record)}


def text_of(record: Released) -> str:
    """The record as it is kept: one seed on a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(record[name])}" for name in record)
    return "{\n" + ",\n".join(lines) + "\n}\n"
