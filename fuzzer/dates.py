"""Dates and times as they are written: in the prompt, in the heads of messages, by the world.

One style holds for a whole scenario. Month and day names are ours rather than the locale's, so that
a request is the same on every machine.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from fuzzer.scenario import Style

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SHORT = {month[:3]: number for number, month in enumerate(_MONTHS, start=1)}

_TIMES: dict[str, Callable[[datetime], str]] = {
    "12h": lambda t: f"{t.hour % 12 or 12}:{t.minute:02d} {'AM' if t.hour < 12 else 'PM'}",
    "24h": lambda t: f"{t.hour:02d}:{t.minute:02d}",
    "dotted": lambda t: f"{t.hour % 12 or 12}.{t.minute:02d} {'am' if t.hour < 12 else 'pm'}",
    "hours": lambda t: f"{t.hour}h{t.minute:02d}",
}


def write_time(moment: datetime, style: Style) -> str:
    """The time of day.

    >>> write_time(datetime(2026, 3, 12, 17, 46), Style(clock="dotted"))
    '5.46 pm'
    """
    return _TIMES[style.clock](moment)


#: Forms that a text may need beside the usual one; a style other than the usual levels the first
#: six, the last two are a machine's.
_FORMS: dict[str, Callable[[datetime], str]] = {
    "at": _TIMES["12h"],
    "exact": lambda t: f"{t.hour % 12 or 12}:{t:%M:%S} {'AM' if t.hour < 12 else 'PM'}",
    "oclock": lambda t: f"{_hour(t)}{'am' if t.hour < 12 else 'pm'}",
    "spaced": lambda t: f"{_hour(t)} {'AM' if t.hour < 12 else 'PM'}",
    "short": lambda t: f"{t.hour % 12 or 12}:{t.minute:02d}",
    "minute": _TIMES["24h"],
    "log": lambda t: f"{t:%H:%M:%S}",
    "stamp": lambda t: f"{t:%Y%m%d-%H%M%S}",
}


def _hour(t: datetime) -> str:
    return f"{t.hour % 12 or 12}:{t.minute:02d}" if t.minute else str(t.hour % 12 or 12)


def write_moment(form: str, moment: datetime, style: Style) -> str:
    """The time of day in one of the forms a text may need.

    >>> write_moment("oclock", datetime(2026, 3, 12, 17), Style())
    '5pm'
    """
    if form == "sent":  # date and time, as the head of a message has them
        return write_stamp(moment, style)
    if style.clock == "12h" or form in ("log", "stamp"):
        return _FORMS[form](moment)
    return write_time(moment, style)


def write_day(moment: datetime, style: Style) -> str:
    """The date, as a sentence has it.

    >>> write_day(datetime(2026, 3, 12), Style(dates="american"))
    'Thursday, March 12, 2026'
    """
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    if style.dates == "iso":
        return f"{day}, {moment:%Y-%m-%d}"
    if style.dates == "european":
        return f"{day}, {moment.day:02d}.{moment.month:02d}.{moment.year}"
    if style.dates == "american":
        return f"{day}, {month} {moment.day}, {moment.year}"
    return f"{day}, {moment.day} {month} {moment.year}"


def write_stamp(moment: datetime, style: Style) -> str:
    """Date and time as the head of a message has them.

    >>> write_stamp(datetime(2026, 3, 12, 17, 46), Style())
    'Thu, 12 Mar 2026, 5:46 PM'
    """
    day, month = _DAYS[moment.weekday()][:3], _MONTHS[moment.month - 1][:3]
    zone = f" {style.zone}" if style.zone else ""
    time = f"{write_time(moment, style)}{zone}"
    if style.dates == "timestamp":
        return f"{moment:%Y-%m-%dT%H:%M:%S}{zone}"
    if style.dates == "iso":  # which nobody combines with half a day
        return f"{moment:%Y-%m-%d %H:%M}{zone}"
    if style.dates == "european":
        return f"{day} {moment.day:02d}.{moment.month:02d}.{moment.year}, {time}"
    if style.dates == "american":
        return f"{day}, {month} {moment.day}, {moment.year}, {time}"
    return f"{day}, {moment.day} {month} {moment.year}, {time}"


_DATES = (
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), (1, 2, 3)),
    (re.compile(r"(\d\d)\.(\d\d)\.(\d{4})", re.ASCII), (3, 2, 1)),
    (re.compile(r"(\d{1,2}) (\w{3}) (\d{4})", re.ASCII), (3, 2, 1)),
    (re.compile(r"(\w{3}) (\d{1,2}), (\d{4})", re.ASCII), (3, 1, 2)),
)
_TIME = re.compile(r"(\d{1,2})[:.h](\d\d)(?: ([AP])M)?", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=4096)
def read_stamp(text: str) -> tuple[int, ...]:
    """What `write_stamp` wrote as something to sort by; what cannot be read counts as oldest.

    >>> read_stamp("Thu, 12 Mar 2026, 5:46 PM")
    (2026, 3, 12, 17, 46)
    """
    for pattern, (year, month, day) in _DATES:
        found = pattern.search(text)
        if found is None:
            continue
        number = found[month]
        named = int(number) if number.isdecimal() else _SHORT.get(number, 0)
        time = _TIME.search(text, found.end())
        if not (named and time):
            return ()
        hour = int(time[1])
        if time[3]:
            hour = hour % 12 + (12 if time[3] in "Pp" else 0)
        return (int(found[year]), named, int(found[day]), hour, int(time[2]))
    return ()
