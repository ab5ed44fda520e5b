"""The committed parameter pools: what a campaign draws from, filled by `holdfast new pools`."""

import json
from collections.abc import Iterable
from importlib import resources

from fuzzer.transform import Step, Transform


def read(transforms: Iterable[Transform]) -> dict[str, tuple[Step, ...]]:
    """The pool of each of these transforms, simplest value first.

    A pool of another version of its transform is left out: it is filled again when it is needed,
    and a test sees to it that none is committed.
    """
    stored = json.loads(resources.files("mutators").joinpath("pools.json").read_text("utf-8"))
    pools = {}
    for transform in transforms:
        pool = stored.get(transform.name)
        if pool is None or pool["version"] != transform.version:
            continue
        pools[transform.name] = tuple(
            Step.of(transform=transform.name, params=params) for params in pool["values"]
        )
    return pools
