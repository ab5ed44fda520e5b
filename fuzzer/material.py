"""What a reporter is given beside the report: exhibits of its findings, and every trial."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from fuzzer.records import Trial
from fuzzer.variant import Variant


class Exhibit(NamedTuple):
    """What can be shown of a finding: a run that failed, and the scenario beside its seed's.

    `minimal` is the scenario of `Finding.smallest`. Each is None where the run does not have it.
    """

    trial: Trial | None = None
    seed: Variant | None = None
    minimal: Variant | None = None


def _no_trials() -> Iterator[Trial]:
    return iter(())


class Material(NamedTuple):
    """What a report can show beyond its own figures; empty for a report that has no run."""

    exhibits: Mapping[str, Exhibit] = MappingProxyType({})  # by finding id
    trials: Callable[[], Iterable[Trial]] = _no_trials  # all, the sweep's first; one at a time
    stored: int = 0  # how many trials
