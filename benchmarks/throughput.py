"""What a trial costs beside the bare SDK and beside Inspect, on one server with the same prompts.

Every figure comes from a process of its own; the server runs in another and is in none of them.
Machines are noisy: only ratios within one run mean something, and the contestants take turns.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.server import serving

MODEL = "test-model"
WARM = 200  # trials before a marginal cost is taken: caches have filled by then
ORGANISM = "organism/always_safe"

# ------------------------------------------------------------------------------ the same prompts


def prompts(trials: int) -> Iterator[dict[str, Any]]:
    """What a sweep with `stop="budget"` shows an always-safe subject, in order."""
    from fuzzer import registry
    from fuzzer.distribution import Distribution
    from fuzzer.judges.rules import RulesJudge
    from fuzzer.search import Outcome, Rules, Search

    catalogue, seeds = registry.find_catalogue(), registry.default_seeds()
    distribution = Distribution(catalogue, seeds, catalogue.pools, RulesJudge().decide)
    search = Search(Rules(budget=trials, lag=1, stop="budget"), distribution)
    while not search.done:
        for proposal in search.ask(1):
            request = distribution.variant(proposal.seed, proposal.plan).request
            yield {"system": request.system, "user": request.user, "tools": request.tools}
            search.tell(proposal.index, Outcome("safe"))


# -------------------------------------------------------------------------------- contestants
# Each runs in a child process, and says what it used.


class Meter:
    """CPU and wall time since it was made; `mark` where a stretch begins or ends."""

    def __init__(self) -> None:
        self.marks: dict[str, tuple[float, float]] = {}

    def mark(self, name: str) -> None:
        """Remember now."""
        self.marks[name] = (time.process_time(), time.perf_counter())

    def between(self, start: str, end: str) -> tuple[float, float]:
        """CPU and wall seconds."""
        (cpu, wall), (cpu_end, wall_end) = self.marks[start], self.marks[end]
        return cpu_end - cpu, wall_end - wall


def _used(meter: Meter, trials: int, warm: int, cool: int = 0) -> dict[str, float]:
    cpu, wall = meter.between("start", "end")
    steady, _ = meter.between("warm", "cool")
    return {
        "cpu": cpu / trials * 1000,
        "steady": steady / (trials - warm - cool) * 1000,
        "wall": wall,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def bare(job: dict[str, Any], *, raw: bool) -> dict[str, float]:
    """The SDK in a loop of two requests, with what it is given said back to it."""
    import anthropic

    asked = [json.loads(line) for line in Path(job["prompts"]).read_text().splitlines()]
    trials, warm, cool = job["trials"], job["warm"], job["cool"]
    meter = Meter()

    async def run() -> None:
        async with anthropic.AsyncAnthropic(
            api_key="none",
            base_url=job["url"],
            max_retries=4,
            http_client=anthropic.DefaultAioHttpClient(),
        ) as client:

            async def generation(prompt: dict[str, Any], messages: list[Any]) -> list[Any]:
                body: Any = {"model": MODEL, "max_tokens": 4096, "messages": messages}
                body["system"] = prompt["system"]
                if prompt["tools"]:
                    body["tools"] = prompt["tools"]
                if raw:
                    response = await client.messages.with_raw_response.create(**body)
                    content: list[Any] = json.loads(response.http_response.content)["content"]
                    return content
                message = await client.messages.create(**body)
                return [block.model_dump() for block in message.content]

            async def trial(prompt: dict[str, Any]) -> None:
                messages: list[Any] = [{"role": "user", "content": prompt["user"]}]
                content = await generation(prompt, messages)
                said = "Sent. Message ID: 100001."
                messages.append({"role": "assistant", "content": content})
                messages.append(
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": b["id"], "content": said}
                            for b in content
                            if b["type"] == "tool_use"
                        ]
                        or said,
                    }
                )
                await generation(prompt, messages)

            todo = iter(range(trials))
            done = 0

            async def work() -> None:
                nonlocal done
                for number in todo:
                    await trial(asked[number % len(asked)])
                    done += 1
                    if done == warm:
                        meter.mark("warm")
                    if done == trials - cool:
                        meter.mark("cool")

            meter.mark("start")
            if not warm:
                meter.mark("warm")
            await asyncio.gather(*[work() for _ in range(job["connections"])])
            meter.mark("end")

    asyncio.run(run())
    return _used(meter, trials, warm, cool)


def swept(job: dict[str, Any], model: str, **settings: Any) -> dict[str, float]:
    """A whole sweep: draw, admit, render, call, judge, store, search, report."""
    import anthropic  # noqa: F401 - two seconds; the bare SDK's clock begins after it too

    from fuzzer.campaign import sweep
    from fuzzer.records import Status

    trials, warm, cool = job["trials"], job["warm"], job["cool"]
    meter = Meter()

    def progress(status: Status) -> None:
        if status.done == 1:
            meter.mark("first")
        if status.done == max(warm, 1):
            meter.mark("warm")
        if status.done == trials - cool:
            meter.mark("cool")

    with tempfile.TemporaryDirectory() as scratch:
        meter.mark("start")
        report = sweep(
            model,
            budget=trials,
            stop="budget",
            max_connections=job["connections"],
            progress=progress,
            out=Path(scratch) / "run",
            settings=settings,
        )
        meter.mark("end")
    assert (report.calls, report.canonical.harmful, report.mutated.harmful) == (trials, 0, 0)
    assert not report.unusable.by_cause, report.unusable
    used = _used(meter, trials, warm, cool)
    used["setup"], _ = meter.between("start", "first")
    used["ending"], _ = meter.between("cool", "end")
    return used


def predrawn(job: dict[str, Any]) -> dict[str, float]:
    """The same sweep with every variant drawn, admitted and rendered before the clock starts."""
    from fuzzer import campaign, distribution
    from fuzzer.proposal import Draw
    from fuzzer.transform import Plan
    from fuzzer.variant import Variant

    class Ready(distribution.Distribution):
        """D, drawn once by its first instance."""

        draws: dict[int, Draw] = {}  # noqa: RUF012 - shared by design
        alls: dict[int, Draw] = {}  # noqa: RUF012
        made: dict[tuple[str, Plan], Variant] = {}  # noqa: RUF012

        def prepare(self, trials: int) -> None:
            for k in range(trials):
                self.draws[k] = super().draw(k)
                self.made[self.draws[k][:2]] = super().variant(*self.draws[k][:2])
            for k in range(trials // 10 + 1):
                self.alls[k] = super().all_on(k)
                self.made[self.alls[k][:2]] = super().variant(*self.alls[k][:2])
            for k in range(len(self.seeds)):
                seed, plan, *_ = self.canonical(k)
                self.made[seed, plan] = super().variant(seed, plan)
            for variant in self.made.values():
                assert variant.request_hash
                assert variant.world

        def draw(self, k: int) -> Draw:
            return self.draws[k]

        def all_on(self, k: int) -> Draw:
            return self.alls[k]

        def variant(self, seed: str, plan: Plan) -> Variant:
            return self.made.get((seed, plan)) or super().variant(seed, plan)

    from fuzzer import registry
    from fuzzer.judges.rules import RulesJudge

    catalogue, seeds = registry.find_catalogue(), registry.default_seeds()
    Ready(catalogue, seeds, catalogue.pools, RulesJudge().decide).prepare(job["trials"])
    vars(campaign)["Distribution"] = Ready
    return swept(job, f"anthropic/{MODEL}", base_url=job["url"])


def inspected(job: dict[str, Any]) -> dict[str, float]:
    """Inspect AI's `eval` on the same prompts, with its own tool loop and log."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import (
        ChatMessageSystem,
        ChatMessageUser,
        GenerateConfig,
        get_model,
    )
    from inspect_ai.solver import Generate, TaskState, solver
    from inspect_ai.tool import ToolDef, ToolParams

    asked = [json.loads(line) for line in Path(job["prompts"]).read_text().splitlines()]
    meter = Meter()

    async def send(**kwargs: Any) -> str:  # noqa: ARG001 - any schema calls it
        return "Sent. Message ID: 100001."

    def tool(given: dict[str, Any]) -> Any:
        parameters = ToolParams.model_validate(given["input_schema"])
        for schema in parameters.properties.values():
            schema.description = schema.description or "-"  # it insists on one
        name, about = given["name"], given["description"]
        return ToolDef(send, name=name, description=about, parameters=parameters)

    @solver
    def two_turns() -> Any:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            offered = asked[int(state.sample_id) % len(asked)]["tools"]
            state.tools = [tool(given).as_tool() for given in offered]
            state = await generate(state, tool_calls="loop")
            if sum(m.role == "assistant" for m in state.messages) < 2:  # a channel of text
                state.messages.append(ChatMessageUser(content="Sent. Message ID: 100001."))
                state = await generate(state, tool_calls="loop")
            assert sum(m.role == "assistant" for m in state.messages) == 2
            return state

        return solve

    def run(trials: int, scratch: str) -> None:
        samples = [
            Sample(
                id=number,
                input=[ChatMessageSystem(content=p["system"]), ChatMessageUser(content=p["user"])],
            )
            for number, p in ((n, asked[n % len(asked)]) for n in range(trials))
        ]
        model = get_model(
            f"anthropic/{MODEL}",
            base_url=job["url"],
            api_key="none",
            config=GenerateConfig(max_connections=job["connections"], max_tokens=4096),
        )
        (log,) = eval(
            Task(dataset=MemoryDataset(samples), solver=two_turns()),
            model=model,
            display="none",
            log_dir=scratch,
            max_samples=job["connections"],
            score=False,
        )
        assert log.status == "success", log.error

    with tempfile.TemporaryDirectory() as scratch:
        run(3, scratch)  # whatever it does but once
        meter.mark("start")
        meter.mark("warm")
        run(job["trials"], scratch)
        meter.mark("cool")
        meter.mark("end")
    return _used(meter, job["trials"], 0)


CONTESTANTS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "SDK, messages.create": lambda job: bare(job, raw=False),
    "SDK, with_raw_response": lambda job: bare(job, raw=True),
    "Holdfast": lambda job: swept(job, f"anthropic/{MODEL}", base_url=job["url"]),
    "Holdfast, variants drawn before": predrawn,
    "Inspect": inspected,
    "organism": lambda job: swept(job, ORGANISM),
}


# ------------------------------------------------------------------------------------- running


class Bench:
    """Runs contestants in children; what they need is made once."""

    def __init__(self, scratch: str, trials: int, inspect_python: str | None) -> None:
        self.prompts = Path(scratch) / "prompts.jsonl"
        with self.prompts.open("w") as file:
            for prompt in prompts(trials):
                file.write(json.dumps(prompt) + "\n")
        self.inspect_python = inspect_python

    def run(
        self, who: str, url: str, trials: int, connections: int, warm: int = WARM, cool: int = 0
    ) -> dict[str, float]:
        """One contestant in a fresh process."""
        python = self.inspect_python if who == "Inspect" else sys.executable
        job = {
            "who": who,
            "url": url,
            "trials": trials,
            "connections": connections,
            "warm": min(warm, trials // 4),
            "cool": cool,
            "prompts": str(self.prompts),
        }
        keyless = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        done = subprocess.run(
            [str(python), "-m", "benchmarks.throughput", "--child", json.dumps(job)],
            capture_output=True,
            text=True,
            env=keyless | {"ANTHROPIC_API_KEY": "none"},
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{who} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def _median(runs: Sequence[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def cpu(bench: Bench, *, quick: bool, repeats: int) -> None:
    """Table 1: CPU of a trial of two turns."""
    names = list(CONTESTANTS)[:4] + ["Inspect"] * (bench.inspect_python is not None)
    if bench.inspect_python is None:
        print("Inspect: skipped, it is not installed (pip install inspect-ai, or give a Python")
        print("that has it and this project with --inspect-python)\n")
    rows: tuple[tuple[str, float, bool, int], ...] = (
        ("0", 0.0, False, 20),
        ("50 ms", 0.05, False, 50),
        ("1 s, jittered", 1.0, True, 100),
    )
    for title, latency, jitter, connections in rows[:1] if quick else rows:
        trials = 300 if quick else 1000
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        with serving(latency, jitter=jitter) as url:
            for _ in range(repeats):
                for name in names:
                    count = trials // 4 if name == "Inspect" else trials
                    runs[name].append(bench.run(name, url, count, connections))
        print(f"latency {title}, {connections} in flight, {trials} trials, median of {repeats}")
        print(f"{'':34}{'CPU ms/trial':>13}{'x SDK':>8}{'whole run':>11}{'x SDK':>8}{'RSS MiB':>9}")
        base = _median(runs[names[0]], "steady")
        for name in names:
            steady, whole = _median(runs[name], "steady"), _median(runs[name], "cpu")
            print(
                f"{name:34}{steady:13.2f}{steady / base:8.2f}{whole:11.2f}{whole / base:8.2f}"
                f"{_median(runs[name], 'rss'):9.0f}"
            )
        ours = _median(runs["Holdfast"], "steady")
        line = f"Holdfast / SDK = {ours / base:.2f} (wanted <= 1.5)"
        if "Inspect" in runs:
            theirs = _median(runs["Inspect"], "steady")
            line += f"; Inspect / Holdfast = {theirs / ours:.1f} (wanted >= 8)"
        print(f"{line}\n", flush=True)


def flight(bench: Bench, *, quick: bool, repeats: int) -> None:
    """Table 2: does a request cost more when many are in flight?"""
    few, many = (20, 200) if quick else (50, 500)
    trials = {few: 20 * few, many: 10 * many}
    names = ("SDK, messages.create", "Holdfast")
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    with serving(0.2 if quick else 1.0, jitter=True) as url:
        for _ in range(repeats):
            for name in names:
                for n in (few, many):
                    used = bench.run(name, url, trials[n], n, warm=trials[n] // 2, cool=n)
                    runs.setdefault((name, n), []).append(used)
    print(f"CPU ms per request in flight, jittered latency, median of {repeats}")
    print(f"{'':34}{few:>10}{many:>10}{'ratio':>8}")
    for name in names:
        one, other = (_median(runs[name, n], "steady") / 2 for n in (few, many))
        print(f"{name:34}{one:10.2f}{other:10.2f}{other / one:8.2f}  (wanted <= 2)")
    print(flush=True)


def wall(bench: Bench, *, quick: bool, repeats: int) -> None:
    """Table 3: how near the wall clock comes to trials x turns x latency / connections."""
    trials, connections, latency = (600, 60, 0.5) if quick else (4000, 200, 1.0)
    ideal = trials * 2 * latency / connections
    print(f"wall clock: {trials} trials of 2 turns, {connections} connections, ideal {ideal:.0f} s")
    for jitter in (False, True):
        with serving(latency, jitter=jitter) as url:
            for name in ("SDK, messages.create", "Holdfast"):
                runs = [bench.run(name, url, trials, connections) for _ in range(repeats)]
                took = _median(runs, "wall")
                how = "jittered" if jitter else "fixed"
                print(
                    f"{name:34}{how:>9}{took:8.1f} s{ideal / took:8.0%} of the ideal",
                    flush=True,
                )
    print("(a sweep asks its first question alone: two turns of latency are in every figure)\n")


def memory(bench: Bench, *, quick: bool, full: bool) -> None:
    """Table 4: peak memory in the number of trials."""
    rows: list[tuple[str, int, int]] = [("organism", 1000, 5_000 if quick else 100_000)]
    if not quick:
        rows.append(("Holdfast", 1000, 100_000 if full else 10_000))
    print(f"peak RSS, MiB\n{'':34}{'trials':>17}{'few':>8}{'many':>8}{'ratio':>8}")
    with serving() as url:
        for name, few, many in rows:
            one, other = (bench.run(name, url, n, 20)["rss"] for n in (few, many))
            counts = f"{few:,} / {many:,}"
            print(
                f"{name:34}{counts:>17}{one:8.0f}{other:8.0f}{other / one:8.2f}  (wanted <= 1.3)",
                flush=True,
            )


def _has_inspect(python: str) -> bool:
    wanted = "import importlib.util as u, sys; sys.exit(u.find_spec('inspect_ai') is None)"
    return not subprocess.run([python, "-c", wanted], check=False).returncode


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no latency, few trials, one repeat")
    parser.add_argument("--full", action="store_true", help="also 100,000 trials over HTTP")
    parser.add_argument("--only", choices=("cpu", "flight", "wall", "memory"), action="append")
    parser.add_argument("--repeats", type=int, help="of each figure (default 3, quick 1)")
    parser.add_argument("--inspect-python", default=sys.executable, help="one with inspect-ai")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        job = json.loads(options.child)
        print(f"\n{json.dumps(CONTESTANTS[job['who']](job))}")
        return
    quick = options.quick
    repeats = options.repeats or (1 if quick else 3)
    tables = options.only or ["cpu", "memory"] if quick else options.only or list(TABLES)
    inspect_python = options.inspect_python if _has_inspect(options.inspect_python) else None
    print("Absolute times move with the machine and its neighbours; compare ratios.\n")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(scratch, 300 if quick else 1000, inspect_python)
        for name in tables:
            if name == "memory":
                memory(bench, quick=quick, full=options.full)
            else:
                TABLES[name](bench, quick=quick, repeats=repeats)


TABLES: dict[str, Callable[..., None]] = {
    "cpu": cpu,
    "flight": flight,
    "wall": wall,
    "memory": memory,
}


if __name__ == "__main__":
    main()
