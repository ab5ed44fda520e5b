"""Who is who in an imported text: cast and organisations of the annotation, and who joins them."""

import re
from collections.abc import Iterable
from typing import Any

from fuzzer.errors import SeedError, unknown
from seeds.building import short
from seeds.reading import people
from seeds.slotting import Doubts, Place, Slotter, Someone

Tables = dict[str, dict[str, Any]]

_ROLE = re.compile(r"[A-Za-z_][\w-]*")
_SLUG = re.compile(r"[^a-z0-9]+")
_GROUP = re.compile(  # a name that is nobody's: no family name is in it
    r"(?i)\b(all|teams?|staff|support|desk|board|office|list|group|department|committee|service|"
    r"services|systems?|notifications?|accounts?|no-?reply|everyone|distribution|operations)\b"
)


class Company:
    """The cast and the organisations, as the seed file will have them."""

    def __init__(self, notes: dict[str, Any], doubts: Doubts) -> None:
        self._doubts = doubts
        self.places: Tables = {r: dict(row) for r, row in notes.get("organisation", {}).items()}
        self.cast: Tables = {r: dict(row) for r, row in notes.get("cast", {}).items()}
        self._also: dict[tuple[str, str], tuple[str, ...]] = {}
        for table, rows in (("organisation", self.places), ("cast", self.cast)):
            for role, row in rows.items():
                where = f"{table}.{role}"
                if not _ROLE.fullmatch(role):
                    raise SeedError(f"{where}: not a word; a role is one, as in [cast.target]")
                self._also[table, role] = _names(row.pop("also", []), where)
        for role, row in self.places.items():
            _need(row, ("name", "domain"), f"organisation.{role}")
        for role, row in self.cast.items():
            _need(row, ("first",), f"cast.{role}")
            if "address" in row:
                self._settle(role, row)

    def _settle(self, role: str, row: dict[str, Any]) -> None:
        """An ``address`` as the mailbox and the organisation that a seed has for it."""
        mailbox, _, domain = str(row.pop("address")).partition("@")
        owners = {place["domain"].lower(): org for org, place in self.places.items()}
        if domain.lower() not in owners:
            raise SeedError(
                f"cast.{role}.address: {unknown('domain', domain, owners)}; add the organisation "
                "that has it, or mend the address"
            )
        row["mailbox"] = mailbox
        if owners[domain.lower()] != "org":
            row["org"] = owners[domain.lower()]

    def roles(self, value: str, where: str) -> list[str]:
        """The roles of everybody a head names; whoever is new joins the cast."""
        found = []
        for name, address in people(value):
            role = self._known(name, address) or self._join(name, address, where)
            if role not in found:
                found.append(role)
        return found

    def slotter(self, other: dict[str, str]) -> Slotter:
        """What puts slots into texts; `other` are tools, products and times by how they read."""
        someone = [
            Someone(
                role=role,
                first=str(row["first"]),
                last=str(row.get("last", "")),
                title=str(row.get("title", "")),
                address=self._address(row),
                also=self._also.get(("cast", role), ()),
            )
            for role, row in self.cast.items()
        ]
        places = [
            Place(
                role=role,
                name=str(row["name"]),
                domain=str(row["domain"]),
                city=str(row.get("city", "")),
                also=self._also.get(("organisation", role), ()),
            )
            for role, row in self.places.items()
        ]
        return Slotter(tuple(someone), tuple(places), other, self._doubts)

    def _address(self, row: dict[str, Any]) -> str:
        place = self.places.get(row.get("org", "org"), {})
        return f"{row.get('mailbox', '')}@{place.get('domain', '')}"

    def _known(self, name: str, address: str) -> str:
        for role, row in self.cast.items():
            if address:
                if self._address(row).lower() == address.lower():
                    return role
                continue
            full = f"{row['first']} {row.get('last', '')}".strip()
            called = (full, row["first"], *self._also.get(("cast", role), ()))
            if name.casefold() in {str(one).casefold() for one in called}:
                return role
        return ""

    def _join(self, name: str, address: str, where: str) -> str:
        """A new member of the cast, at a new organisation if need be."""
        mailbox, _, domain = (address or f"{_SLUG.sub('.', name.lower())}@").partition("@")
        role = _new("other", self.cast)
        org = self._organisation(domain.lower()) if domain else "org"
        place = str(self.places[org]["name"]) if org in self.places else ""
        called = mailbox.title() if not name or name.casefold() == place.casefold() else name
        first, _, last = called.partition(" ")
        row: dict[str, Any] = {"first": called}
        if last and " " not in last and not _GROUP.search(called):
            row = {"first": first, "last": last}
        row["mailbox"] = mailbox.strip(".") or role.replace("_", "")
        if org != "org":
            row["org"] = org
        self.cast[role] = row
        shown = f"{name} <{address}>" if name and address else name or address
        said = f"{shown} is not in the annotation and joins the cast as {role}"
        self._doubts.note(said, where)
        return role

    def _organisation(self, domain: str) -> str:
        for role, row in self.places.items():
            if row["domain"].lower() == domain:
                return role
        role = _new("outside", self.places)
        called = domain.rpartition(".")[0].replace(".", " ").replace("-", " ").title()
        self.places[role] = {"name": called or domain, "domain": domain}
        return role


def _names(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise SeedError(f'{where}.also: {short(value)} is no list of names; write also = ["…"]')


def _need(row: dict[str, Any], fields: Iterable[str], where: str) -> None:
    for field in fields:
        if not (isinstance(row.get(field), str) and row[field]):
            raise SeedError(f"{where}.{field}: this field is missing; add it")


def _new(stem: str, taken: Iterable[str]) -> str:
    number = 1
    while f"{stem}_{number}" in set(taken):
        number += 1
    return f"{stem}_{number}"
