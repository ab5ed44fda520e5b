"""Format: how the inbox is laid out, how dates are written, and when everything happens."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Clock, Scenario
from fuzzer.transform import Params, transform
from mutators.values import changed


class FormatInbox(Params):
    """The layout of the messages."""

    format: Literal["markdown", "xml", "json", "plain", "html"] = "markdown"


@transform(family="format", relation="invariant", rung="form", version=2, changes={"format"})
def format_inbox(scenario: Scenario, params: FormatInbox) -> Scenario:
    """Lay the inbox out as Markdown, XML, JSON, HTML or plain text; no word of it changes."""
    return changed(scenario, format=params.format)


class RestyleDates(Params):
    """How dates are written, and which time zone is named behind those of messages."""

    dates: Literal["iso", "european", "american", "long"] = "iso"
    zone: Literal["", "UTC", "GMT", "local time"] = ""  # none that belies where a house is


@transform(
    family="format",
    relation="invariant",
    rung="form",
    changes={"format"},
    version=2,
    group="dates",
)
def restyle_dates(scenario: Scenario, params: RestyleDates) -> Scenario:
    """Write dates as 2026-03-12, 12.03.2026 or March 12, 2026, with or without a time zone.

    Whoever writes a date in figures alone counts twenty-four hours, unless told otherwise later.
    """
    style, clock = scenario.style, scenario.style.clock
    if params.dates in ("iso", "european") and clock == "12h":
        clock = "24h"
    style = changed(style, dates=params.dates, zone=params.zone, clock=clock)
    return changed(scenario, style=style)


class RestyleTimes(Params):
    """How times of day are written, the deadline's among them."""

    clock: Literal["24h", "dotted", "12h"] = "24h"


@transform(
    family="format",
    relation="invariant",
    rung="form",
    changes={"format"},
    version=2,
    group="dates",
)
def restyle_times(scenario: Scenario, params: RestyleTimes) -> Scenario:
    """Write times of day, the deadline's among them, in another style: 17:46 for 5:46 PM."""
    return changed(scenario, style=changed(scenario.style, clock=params.clock))


class ShiftClock(Params):
    """How far: years of 52 weeks, so that weekday and season stay true, and quarters of an hour."""

    years: Annotated[int, Field(ge=0, le=8)] = 1
    quarters: Annotated[int, Field(ge=-6, le=6)] = 0


@transform(family="format", relation="invariant", rung="form", changes={"clock"}, version=2)
def shift_clock(scenario: Scenario, params: ShiftClock) -> Scenario:
    """Let everything happen some years later and at another hour; the time left stays the same."""
    now, deadline = scenario.clock.now, scenario.clock.deadline
    later = timedelta(weeks=52 * params.years)
    hours = timedelta(minutes=15 * params.quarters)
    for moment in (now, deadline):
        if (moment + hours).date() != moment.date():
            hours = timedelta()  # "today" must stay true
    clock = Clock.of(now=now + later + hours, deadline=deadline + later + hours)
    return changed(scenario, clock=clock)
