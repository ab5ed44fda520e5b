"""Who makes the shards: this process, several of them, or the workers of a Ray cluster.

Whoever makes a shard makes the same bytes. The workers of a cluster write into one folder that all
of them see.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from fuzzer.augment.shards import Job, Made, make
from fuzzer.errors import ConfigurationError

Engine = Literal["local", "processes", "ray"]
Told = Callable[[Made], None]


def run(
    job: Job,
    engine: Engine,
    workers: int,
    shards: Sequence[int] | None = None,
    told: Told = lambda _: None,
) -> list[Made]:
    """Make the shards of a job (`shards`: only these), and say what came of each as it comes.

    Raises `ConfigurationError` where the engine is not installed or cannot start.
    """
    asked = list(shards if shards is not None else range(job.shards))
    text = job.model_dump_json()
    made = []
    for said in _ENGINES[engine](text, asked, workers):
        one = Made.model_validate_json(said)
        told(one)
        made.append(one)
    return sorted(made, key=lambda one: one.shard)


def _here(job: str, shards: list[int], workers: int) -> Iterator[str]:  # noqa: ARG001
    for shard in shards:
        yield make(job, shard)


def _in_processes(job: str, shards: list[int], workers: int) -> Iterator[str]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(make, job, shard) for shard in shards]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _on_ray(job: str, shards: list[int], workers: int) -> Iterator[str]:
    ray = _imported()
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        where: dict[str, Any] = {"address": address} if address else {"num_cpus": workers}
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", **where)
        except Exception as error:
            raise ConfigurationError(
                f"Ray cannot start ({type(error).__name__}: {str(error)[:200]}); mend RAY_ADDRESS, "
                "or use --engine processes"
            ) from None
    try:
        remote = ray.remote(make)
        waiting = [remote.remote(job, shard) for shard in shards]
        while waiting:
            ready, waiting = ray.wait(waiting)
            yield from ray.get(ready)
    finally:
        if started:
            ray.shutdown()


def _imported() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigurationError(
            "--engine ray needs the extra: pip install 'holdfast[ray]' (or use --engine processes)"
        ) from None
    return ray


_ENGINES: dict[str, Callable[[str, list[int], int], Iterator[str]]] = {
    "local": _here,
    "processes": _in_processes,
    "ray": _on_ray,
}
