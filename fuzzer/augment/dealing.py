"""A split dealt to disk: the manifest, and its salt beside it for its owner's eyes alone."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from fuzzer import registry
from fuzzer.augment.split import Split, deal
from fuzzer.errors import ConfigurationError
from fuzzer.preparation import choose_pools

SALT = "HOLDFAST_SALT"


def deal_to(path: Path, plugins: tuple[str, ...] = ()) -> Split:
    """Deal all seeds and transforms there are into a new manifest at `path`.

    The salt is that of the environment (``HOLDFAST_SALT``), or a fresh one, written beside it.
    Raises `ConfigurationError` when a file cannot be written.
    """
    catalogue, own = registry.plugged_in(plugins)
    seeds = (*registry.default_seeds(), *own)
    salt = os.environ.get(SALT) or secrets.token_hex(16)
    created = datetime.now(UTC).date().isoformat()
    split = deal(seeds, catalogue, choose_pools(catalogue, seeds), salt, created=created)
    try:
        if not os.environ.get(SALT):
            beside = path.with_name(path.name + ".salt")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(salt + "\n")
        path.write_text(split.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the manifest {str(path)!r}: {error.strerror}; name another with --split"
        ) from None
    return split
