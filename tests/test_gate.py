"""The gate: never more at once than it says, first come first served, nobody forgotten.

The clock of these loops jumps to whatever is due next, so that hours of waiting take no time; where
nothing is due any more, and somebody still waits, that is an error and no hang.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.subjects.gate import Gate


class Jumping(asyncio.SelectorEventLoop):
    """An event loop that waits for nothing but the next thing that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None) -> Any:
            if timeout is None or self.now > 1e6:
                raise RuntimeError("somebody waits, and nothing will ever happen")
            self.now += max(0.0, timeout)
            return select(0)

        selector.select = jump

    def time(self) -> float:
        """The clock."""
        return self.now


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def begin() -> None:
        await story()

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(begin())


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Log:
    """Who was let in, when, and how many were inside then."""

    gate: Gate
    inside: int = 0
    entered: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def visit(self, who: int, seconds: float, *, served: bool = True) -> None:
        async with self.gate:
            self.inside += 1
            assert self.inside <= self.gate.limit
            self.entered.append(who)
            self.times.append(now())
            try:
                await asyncio.sleep(seconds)
            finally:
                self.inside -= 1
            if served:
                self.gate.answered()


async def begun(log: Log, count: int, seconds: float = 1.0) -> list["asyncio.Task[None]"]:
    """So many visitors, in order, each at the gate."""
    tasks = [asyncio.create_task(log.visit(who, seconds)) for who in range(count)]
    await asyncio.sleep(0)
    return tasks


# ------------------------------------------------------------------------------------- one by one


@pytest.mark.parametrize("most", [1, 3, 7])
def test_as_many_as_allowed_enter_at_once_and_the_rest_in_the_order_they_came(most):
    async def story() -> None:
        log = Log(Gate(most))
        tasks = await begun(log, 20)
        assert log.inside == most
        await asyncio.gather(*tasks)
        assert log.entered == list(range(20))
        assert now() == pytest.approx(1000 + -(-20 // most))

    run(story)


def test_those_that_were_in_flight_together_halve_the_limit_once():
    async def story() -> None:
        gate = Gate(16)
        began = now()
        await asyncio.sleep(0.1)
        for _ in range(16):
            gate.overloaded(None, began)
        assert (gate.limit, gate.turned_away) == (8, 16)
        began = now()
        await asyncio.sleep(0.1)
        gate.overloaded(None, began)
        assert gate.limit == 4
        for _ in range(9):
            await asyncio.sleep(0.1)
            gate.overloaded(None, now())
        assert gate.limit == 1, "never none at all"

    run(story)


def test_it_recovers_by_about_one_a_round_and_never_beyond_what_is_allowed():
    async def story() -> None:
        gate = Gate(8)
        for _ in range(5):
            gate.overloaded(None, now())
        assert gate.limit == 1
        for limit in range(1, 8):
            assert gate.limit == limit
            for _ in range(limit + 1):
                gate.answered()
        for _ in range(500):
            gate.answered()
        assert gate.limit == 8
        gate.allow(3)
        assert gate.limit == 3

    run(story)


def test_a_time_to_wait_holds_everybody_and_the_longest_counts():
    async def story() -> None:
        gate = Gate(4)
        log = Log(gate)
        gate.overloaded(5.0, now())
        gate.overloaded(30.0, now())
        gate.overloaded(1.0, now())
        gate.overloaded(None, now())
        await asyncio.gather(*await begun(log, 6))
        assert log.times[0] == pytest.approx(1030)
        assert log.entered == list(range(6))

    run(story)


def test_a_time_to_wait_can_grow_while_they_wait():
    async def story() -> None:
        gate = Gate(4)
        log = Log(gate)
        gate.overloaded(5.0, now())
        tasks = await begun(log, 3)
        await asyncio.sleep(4)
        gate.overloaded(5.0, now())
        await asyncio.gather(*tasks)
        assert log.times[0] == pytest.approx(1009)

    run(story)


@pytest.mark.parametrize("wait", [1e9, float("inf"), float("nan"), -5.0])
def test_a_time_nobody_can_wait_is_not_waited(wait):
    async def story() -> None:
        gate = Gate(4)
        log = Log(gate)
        gate.overloaded(wait, now())
        await asyncio.gather(*await begun(log, 3))
        assert max(log.times) <= 1000 + 3600

    run(story)


# ----------------------------------------------------------------------------------- cancellation


def test_who_gives_up_waiting_leaves_no_trace():
    async def story() -> None:
        log = Log(Gate(2))
        tasks = await begun(log, 6)
        for task in tasks[2:5]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert log.entered == [0, 1, 5]
        assert now() == pytest.approx(1002)

    run(story)


def test_who_is_let_in_and_gives_up_at_that_moment_gives_the_place_on():
    async def story() -> None:
        gate = Gate(1)
        log = Log(gate)
        first, second, third = await begun(log, 3)
        await asyncio.sleep(1)  # the first leaves, and the second has been told
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert log.entered[0] == 0
        assert log.entered[-1] == 2
        assert log.inside == 0
        await asyncio.gather(*await begun(log, 2))

    run(story)


def test_who_tries_again_takes_a_new_turn_behind_those_who_wait():
    async def story() -> None:
        gate = Gate(1)
        log = Log(gate)

        async def twice() -> None:
            async with gate:
                await asyncio.sleep(1)
                await gate.again()
                assert log.entered == [0, 1, 2]

        tries = asyncio.create_task(twice())
        await asyncio.sleep(0)
        await asyncio.gather(tries, *await begun(log, 3))

    run(story)


def test_a_failure_inside_frees_the_place():
    async def story() -> None:
        gate = Gate(1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with gate:
                    raise ZeroDivisionError
        await asyncio.gather(*await begun(Log(gate), 2))

    run(story)


def test_a_loop_that_ends_while_the_gate_is_closed_locks_nobody_out_of_the_next():
    gate = Gate(2)

    async def ends_early() -> None:
        gate.overloaded(60.0, now())
        for task in await begun(Log(gate), 4):
            task.cancel()
        await asyncio.sleep(0)

    async def goes_on() -> None:
        log = Log(gate)
        await asyncio.gather(*await begun(log, 4))
        assert log.entered == [0, 1, 2, 3]
        assert log.times[0] == pytest.approx(1060)

    run(ends_early)
    run(goes_on)


# --------------------------------------------------------------------------------- all of it mixed

moments = st.floats(0, 5).map(lambda seconds: round(seconds, 1))


@st.composite
def visitors(draw: st.DrawFn) -> dict[str, Any]:
    """When somebody comes, how long they stay, and what becomes of it."""
    return {
        "arrives": draw(moments),
        "stays": draw(moments),
        "gives_up": draw(st.none() | moments),
        "refused": draw(st.none() | st.tuples(st.none() | moments)),
        "fails": draw(st.booleans()),
    }


@given(st.integers(1, 5), st.lists(visitors(), min_size=1, max_size=25))
def test_whatever_happens_it_keeps_its_promises(most, crowd):
    """Never above the limit, first come first served, closed is closed, and nothing leaks."""

    async def story() -> None:
        gate = Gate(most)
        arrived: list[int] = []
        entered: dict[int, float] = {}
        gone: set[int] = set()
        state = {"inside": 0, "closed": 0.0}
        refused = {
            "at": 0.0,
            "limit": 0,
            "closed": 0.0,
        }  # when last, and the most allowed just then

        def assert_let_in() -> None:
            """Who was let in before somebody was refused at the same moment may still come."""
            same = now() == refused["at"]
            assert state["inside"] <= max(gate.limit, refused["limit"] if same else 0) <= most
            assert now() >= (refused if same else state)["closed"] - 1e-6

        async def visit(who: int, told: dict[str, Any]) -> None:
            await asyncio.sleep(told["arrives"])
            arrived.append(who)
            try:
                async with gate:
                    state["inside"] += 1
                    assert_let_in()
                    entered[who] = began = now()
                    try:
                        await asyncio.sleep(told["stays"])
                        if told["refused"] is not None:
                            (wait,) = told["refused"]
                            if now() > refused["at"]:
                                refused.update(at=now(), limit=0, closed=state["closed"])
                            refused["limit"] = max(refused["limit"], gate.limit)
                            gate.overloaded(wait, began)
                            state["closed"] = max(state["closed"], now() + (wait or 0.0))
                            await asyncio.sleep(wait or 0.0)
                            state["inside"] -= 1
                            try:
                                await gate.again()
                            finally:
                                state["inside"] += 1
                            assert_let_in()
                        if told["fails"]:
                            raise ZeroDivisionError
                        gate.answered()
                    finally:
                        state["inside"] -= 1
            except asyncio.CancelledError:
                gone.add(who)
                raise

        tasks = [asyncio.create_task(visit(*one)) for one in enumerate(crowd)]
        for task, told in zip(tasks, crowd, strict=True):
            if told["gives_up"] is not None:
                asyncio.get_running_loop().call_later(told["gives_up"], task.cancel)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, ZeroDivisionError | asyncio.CancelledError)

        assert state["inside"] == 0
        moments = [entered[who] for who in arrived if who in entered]
        assert moments == sorted(moments), "first come first served"
        assert {who for who in arrived if who not in gone} <= set(entered), "nobody is forgotten"
        for _ in range(100):
            gate.answered()
        assert gate.limit == most
        log = Log(gate)
        tasks = await begun(log, most + 1)
        await asyncio.sleep(max(0.0, state["closed"] - now()))
        await asyncio.sleep(0.5)
        assert log.inside == most, "every place is free again, and no place was added"
        await asyncio.gather(*tasks)

    run(story)
