"""Threats: how, and where in the inbox, the threat to the agent is told."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Message, Scenario, Threat, Wording
from fuzzer.transform import Params, transform
from mutators import banks, telling
from mutators.values import changed

SLOT = "{{threat}}"


class ParaphraseThreat(Params):
    """Which wording of the bank."""

    wording: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"threat"},
    requires={"threat"},
    before={"split_threat"},
)
def paraphrase_threat(scenario: Scenario, params: ParaphraseThreat) -> Scenario:
    """Tell the threat in other words of the same strength: same facts, same finality."""
    roles = frozenset(person.role for person in scenario.cast)
    known = _sayable(scenario.threat.kind, roles | {o.role for o in scenario.organisation})
    if not known:
        return scenario
    wording = known[params.wording % len(known)]
    threat = Threat.of(
        kind=scenario.threat.kind, by=scenario.threat.by, text=wording.text, cues=wording.cues
    )
    return changed(scenario, threat=threat)


@lru_cache(maxsize=256)
def _sayable(kind: str, roles: frozenset[str]) -> tuple[Wording, ...]:
    """The wordings of a kind that speak of nobody this scenario lacks."""
    return tuple(w for w in banks.wordings(kind) if banks.owners(w.text) <= roles)


class RelayThreat(Params):
    """Who tells the threat instead of the one who decides, and in which words."""

    by: Literal["notice", "it"] = "notice"
    wording: Annotated[int, Field(ge=0, lt=16)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"threat", "correspondence"},
    before={"quote_threat", "greet_mails"},
    group="threat_frame",
)
def relay_threat(scenario: Scenario, params: RelayThreat) -> Scenario:
    """Have a notice or the IT desk tell the threat; who decides it stays named."""
    at = next((i for i, message in enumerate(scenario.inbox) if SLOT in message.body), None)
    roles = {person.role for person in scenario.cast}
    if at is None or scenario.threat.by not in roles:
        return scenario
    announcing = scenario.inbox[at]
    person = params.by == "it" and "it" in roles and announcing.sender != "it"
    known = [relay for relay in banks.relays() if relay.person == person]
    relay = known[params.wording % len(known)]
    sender = "it" if person else relay.sender
    told = Message.of(
        id=f"{announcing.id}:relayed",
        sender=sender,
        to=tuple(who for who in announcing.to if who != sender) or ("agent",),
        cc=tuple(who for who in announcing.cc if who != sender),
        subject=relay.subject,
        body=relay.body,
        ago=announcing.ago,
    )
    pointing = changed(announcing, body=announcing.body.replace(SLOT, relay.pointer))
    inbox = (*scenario.inbox[:at], pointing, *scenario.inbox[at + 1 :])
    return changed(scenario, inbox=telling.followed(inbox, at, told, 2))


class QuoteThreat(Params):
    """Which frame of the bank."""

    frame: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=3,
    changes={"inbox"},
    requires={"threat"},
    before={"split_threat"},
    group="threat_frame",
)
def quote_threat(scenario: Scenario, params: QuoteThreat) -> Scenario:
    """Set the threat off from the rest of its message: by a line before it, a rule, a label."""
    return telling.framed(scenario, SLOT, "threats", params.frame)


class DateThreat(Params):
    """How the time left is told; above an hour, by the quarter or by the hour."""

    phrase: Annotated[int, Field(ge=0, lt=16)] = 0
    unit: Literal["minutes", "hours"] = "minutes"


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"threat"},
    before={"split_threat"},
    group="threat_frame",
)
def date_threat(scenario: Scenario, params: DateThreat) -> Scenario:
    """Tell beside the hour how long it is until then, counted from the date of the message."""
    now, deadline = scenario.clock.now, scenario.clock.deadline
    phrases = banks.countdowns()
    phrase = phrases[params.phrase % len(phrases)]
    inbox = []
    for message in scenario.inbox:
        left = round((deadline - now).total_seconds()) // 60 + message.ago
        if SLOT in message.body and left > 0:
            span = _span(left, params.unit)
            by_hand = scenario.by_hand(message)
            said = f" {phrase.replace('SPAN', span)}" if by_hand else f"\n\nTime left: {span}."
            message = changed(message, body=message.body.replace(SLOT, SLOT + said))
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


_NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
_QUARTERS = ("", " and a quarter", " and a half", " and three quarters")


@lru_cache(maxsize=1024)
def _span(minutes: int, unit: str) -> str:
    """A stretch of time as people say it: to the minute only below an hour.

    >>> _span(14, "minutes"), _span(203, "minutes"), _span(75, "minutes"), _span(60, "hours")
    ('14 minutes', 'about three and a half hours', 'about an hour and a quarter', 'an hour')
    >>> _span(202, "hours"), _span(190, "hours"), _span(235, "hours")
    ('about three and a half hours', 'a little over three hours', 'not quite four hours')
    """
    if minutes < 60:
        return f"{minutes} minute{'s' * (minutes != 1)}"
    hours, rest = divmod(minutes, 60)
    if unit == "minutes" or 20 < rest < 40:
        hours, quarters = divmod(round(minutes / 15) if unit == "minutes" else hours * 4 + 2, 4)
        return f"about {_hours(hours, _QUARTERS[quarters])}"
    if rest >= 40:
        return f"not quite {_hours(hours + 1)}"
    return f"a little over {_hours(hours)}" if rest else _hours(hours)


def _hours(count: int, rest: str = "") -> str:
    if count == 1:
        return f"an hour{rest}"
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else count}{rest} hours"


class MoveThreat(Params):
    """Where in the listing the message with the threat stands; its date stays."""

    place: telling.Place = "last"


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"threat"},
    before={"split_threat", "remind_threat"},
    group="threat_place",
)
def move_threat(scenario: Scenario, params: MoveThreat) -> Scenario:
    """List the thread that tells the threat first, last or in the middle, and another beside it."""
    return changed(scenario, inbox=telling.moved(scenario.inbox, SLOT, params.place))


class SplitThreat(Params):
    """After which sentence the message breaks off, and how the second one begins."""

    cut: telling.Cut = "half"
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="threats",
    relation="invariant",
    rung="wording",
    version=2,
    changes={"inbox"},
    requires={"threat", "correspondence", "threat_by_hand"},
    before={"remind_threat"},
    group="threat_place",
)
def split_threat(scenario: Scenario, params: SplitThreat) -> Scenario:
    """Let the message with the threat break off; the rest of it follows a little later."""
    return telling.split(scenario, SLOT, scenario.threat.text, params.cut, params.draw)


class RemindThreat(Params):
    """Which reminder of the bank, and how many minutes ago it came."""

    wording: Annotated[int, Field(ge=0, lt=16)] = 0
    ago: Annotated[int, Field(ge=1, le=30)] = 5


@transform(
    family="threats",
    relation="pressure",
    version=2,
    changes={"inbox"},
    requires={"threat", "correspondence"},
)
def remind_threat(scenario: Scenario, params: RemindThreat) -> Scenario:
    """Repeat the threat in an automatic reminder shortly before the session."""
    if not scenario.inbox:
        return scenario
    reminder = banks.reminders()[params.wording % len(banks.reminders())]
    made = Message.of(
        id="reminder:threat",
        sender=reminder.sender,
        to=("agent",),
        cc=(),
        subject=reminder.subject,
        body=reminder.body,
        ago=params.ago,
    )
    upward = telling.goes_upward(scenario.inbox)
    inbox = (made, *scenario.inbox) if upward else (*scenario.inbox, made)
    return changed(scenario, inbox=inbox)
