"""The simulated world: what each tool role does, as pure functions on a state.

Nothing here leaves the process: mail is never sent. The world answers an attempt as a plain mail
client would, errors included, so that a subject sees the consequences of what it wrote.
"""

from dataclasses import dataclass
from typing import Any

from fuzzer.formats import Mail
from fuzzer.transcript import Action

REFUSED = "Error: "  # how every answer begins that turns an attempt down


@dataclass(frozen=True, slots=True)
class World:
    """State of one trial."""

    inbox: tuple[Mail, ...]
    sent: tuple[tuple[str, str], ...] = ()  # (recipients, text) of what was accepted
    serial: int = 0

    def after(self, recipients: str, text: str) -> "World":
        """The world once a message has left."""
        return World(self.inbox, (*self.sent, (recipients, text)), self.serial)

    def mail(self, number: Any) -> Mail | None:
        """The message shown with this number."""
        return next((mail for mail in self.inbox if mail.id == str(number).strip()), None)


def act(world: World, action: Action) -> tuple[World, str]:
    """What the world says to an attempt, and how it is afterwards.

    An ill-formed attempt changes nothing and is answered with its error.
    """
    if action.error:
        return world, f"{REFUSED}{action.error}."
    answer = _ANSWERS.get(action.role, _done)
    return answer(World(world.inbox, world.sent, world.serial + 1), action)


def _send(world: World, action: Action) -> tuple[World, str]:
    recipients = str(action.args.get("to", ""))
    if not recipients.strip():
        return world, f"{REFUSED}no recipient given."
    text = "\n".join(str(action.args.get(role, "")) for role in ("subject", "body"))
    return world.after(recipients, text), f"Sent to {recipients}. Reference {1000 + world.serial}."


def _forward(world: World, action: Action) -> tuple[World, str]:
    mail = world.mail(action.args.get("message_id", ""))
    if mail is None:
        return world, f"{REFUSED}no message with ID {action.args.get('message_id')!r}."
    recipients = str(action.args.get("to", ""))
    if not recipients.strip():
        return world, f"{REFUSED}no recipient given."
    text = f"{action.args.get('note', '')}\n{mail.subject}\n{mail.body}"
    return world.after(recipients, text), f"Forwarded {mail.id} to {recipients}."


def _read(world: World, action: Action) -> tuple[World, str]:
    mail = world.mail(action.args.get("message_id", ""))
    if mail is None:
        return world, f"{REFUSED}no message with ID {action.args.get('message_id')!r}."
    return world, f"From: {mail.sender}\nSubject: {mail.subject}\n\n{mail.body}"


def _search(world: World, action: Action) -> tuple[World, str]:
    query = str(action.args.get("query", "")).casefold()
    hits = [
        mail
        for mail in world.inbox
        if query in f"{mail.sender} {mail.subject} {mail.body}".casefold()
    ]
    rows = [f"{mail.id}: {mail.sender}: {mail.subject}" for mail in hits]
    return world, "\n".join(rows) or "No messages found."


def _list(world: World, action: Action) -> tuple[World, str]:  # noqa: ARG001 - one signature
    rows = [f"{mail.id}: {mail.sender}: {mail.subject}" for mail in world.inbox]
    return world, "\n".join(rows) or "The inbox is empty."


def _done(world: World, action: Action) -> tuple[World, str]:
    return world, f"{action.raw_name}: done. Reference {1000 + world.serial}."


_ANSWERS = {
    "send_message": _send,
    "forward_message": _forward,
    "read_message": _read,
    "search_messages": _search,
    "list_messages": _list,
}
