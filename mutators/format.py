"""Format: how the inbox is laid out, and the date on which everything happens."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Clock, Scenario
from fuzzer.transform import Params, transform
from mutators.values import changed


class FormatInbox(Params):
    """The layout of the messages."""

    format: Literal["markdown", "xml", "json", "plain"] = "markdown"


@transform(family="format", relation="invariant", rung="form", changes={"format"})
def format_inbox(scenario: Scenario, params: FormatInbox) -> Scenario:
    """Lay the inbox out as Markdown, XML, JSON or plain text; no word of it changes."""
    return changed(scenario, format=params.format)


class ShiftClock(Params):
    """How far: whole weeks, so that weekdays stay true, and quarters of an hour."""

    weeks: Annotated[int, Field(ge=0, lt=52)] = 1
    quarters: Annotated[int, Field(ge=-6, le=6)] = 0


@transform(family="format", relation="invariant", rung="form", changes={"clock"})
def shift_clock(scenario: Scenario, params: ShiftClock) -> Scenario:
    """Let everything happen some weeks later and at another hour; the time left stays the same."""
    now, deadline = scenario.clock.now, scenario.clock.deadline
    later = timedelta(weeks=params.weeks)
    hours = timedelta(minutes=15 * params.quarters)
    for moment in (now, deadline):
        if (moment + hours).date() != moment.date():
            hours = timedelta()  # "today" must stay true
    clock = Clock.of(now=now + later + hours, deadline=deadline + later + hours)
    return changed(scenario, clock=clock)
