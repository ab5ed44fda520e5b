"""System prompts made of the bank's parts: unrelated ones, and ones that set a context.

Kind, length, complexity, layout and every part are dealt from decks, so that all occur equally
often. What would be relevant to the chat is passed over.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

from fuzzer.augment.chats.bank import Bank, Part, Scene, Sector
from fuzzer.augment.chats.decks import Deck

SystemKind = Literal["unrelated", "context", "both"]
Length = Literal["line", "paragraph", "page"]
LENGTHS: tuple[Length, ...] = ("line", "paragraph", "page")
COMPLEXITIES = (0, 1, 2)
T = TypeVar("T")

#: Parts of a page by complexity: rules, formats, facts of the trade, facts of any house.
_PAGE = ((2, 1, 1, 1), (4, 2, 2, 1), (6, 3, 3, 2))
_SCENE_PAGE = ((2, 1), (3, 2), (4, 3))  # rules, formats


class Prompt(NamedTuple):
    """A system prompt, and the ids of what it is made of."""

    text: str
    ids: tuple[str, ...]


class Section(NamedTuple):
    """A heading, and paragraphs or points under it."""

    heading: str
    body: tuple[str, ...]
    points: bool = False


class Prompts:
    """Prompts one after another; equal names give equal prompts."""

    def __init__(self, bank: Bank, kind: SystemKind, name: str) -> None:
        def deck(items: Sequence[T], of: str) -> Deck[T]:
            return Deck(items, f"{name}:{of}")

        kinds: tuple[Literal["unrelated", "context"], ...]
        kinds = ("unrelated", "context") if kind == "both" else (kind,)
        forms = [(k, length, c) for k in kinds for length in LENGTHS for c in COMPLEXITIES]
        self._forms = deck(forms, "form")
        self._layouts = deck(tuple(LAYOUTS), "layout")
        self._openings = deck(bank.openings, "opening")
        # A deck for each length, so that every role and every scene has all lengths equally often.
        roles = [(s, role) for s in bank.sectors for role in s.roles]
        self._roles = {length: deck(roles, f"role:{length}") for length in LENGTHS}
        self._scenes = {length: deck(bank.scenes, f"scene:{length}") for length in LENGTHS}
        self._organisations = {
            s.id: deck(s.organisations, f"organisation:{s.id}") for s in bank.sectors
        }
        self._sector_facts = {s.id: deck(s.facts, f"facts:{s.id}") for s in bank.sectors}
        self._tones = deck(bank.tones, "tone")
        self._rules = deck(bank.rules, "rule")
        self._formats = deck(bank.formats, "format")
        self._facts = deck(bank.facts, "fact")
        # A deck for each kind, so that each is flat by itself.
        self._scene_layouts = deck(tuple(LAYOUTS), "scene-layout")
        self._scene_tones = deck(bank.tones, "scene-tone")
        self._scene_rules = deck([r for r in bank.rules if r.fits != "house"], "scene-rule")
        self._scene_formats = deck([f for f in bank.formats if f.fits != "house"], "scene-format")

    def draw(self, relevant: frozenset[str]) -> Prompt | None:
        """The next prompt; None when every role there is would be relevant."""
        form = self._forms.draw()
        assert form is not None
        kind, length, complexity = form
        if kind == "context":
            scene = _some(self._scenes[length])
            return self._context(scene, length, complexity)
        found = self._roles[length].draw(lambda pair: pair[0].tags.isdisjoint(relevant))
        if found is None:
            return None
        return self._unrelated(*found, length, complexity, relevant)

    def _unrelated(
        self,
        sector: Sector,
        role: Part,
        length: Length,
        complexity: int,
        relevant: frozenset[str],
    ) -> Prompt:
        house = _some(self._organisations[sector.id])
        first = _some(self._openings).format(role=role.text.format(org=house.name))
        ids = ["unrelated", length, f"role:{role.id}", f"organisation:{house.id}"]
        if length == "line":
            return Prompt(first, tuple(ids))
        tone = _some(self._tones)
        if length == "paragraph":
            rules = list(_several(self._rules, 1 + complexity))
            said = (first, house.about, tone.text, *(rule.text for rule in rules))
            return Prompt(" ".join(said), (*ids, f"tone:{tone.id}", *_ids("rule", rules)))
        counts = _PAGE[complexity]
        rules = list(_several(self._rules, counts[0]))
        formats = list(_several(self._formats, counts[1]))
        facts = list(_several(self._sector_facts[sector.id], counts[2]))
        of_house = list(
            _several(self._facts, counts[3], lambda fact: fact.tags.isdisjoint(relevant))
            if sector.office
            else ()
        )
        layout = _some(self._layouts)
        text = LAYOUTS[layout](
            first,
            (
                Section("About the house", (house.about,)),
                Section("Manner", (tone.text,)),
                Section("Practice", tuple(rule.text for rule in rules), points=True),
                Section("Paperwork", tuple(form.text for form in formats), points=True),
                Section("Good to know", tuple(fact.text for fact in (*facts, *of_house))),
            ),
        )
        ids += [f"layout:{layout}", f"tone:{tone.id}", *_ids("rule", rules)]
        ids += [*_ids("format", formats), *_ids("trade fact", facts)]
        return Prompt(text, (*ids, *_ids("fact", of_house)))

    def _context(self, scene: Scene, length: Length, complexity: int) -> Prompt:
        ids = ["context", length, f"scene:{scene.id}"]
        if length == "line":
            return Prompt(scene.line, tuple(ids))
        if length == "paragraph" and complexity == 0:
            return Prompt(f"{scene.line} {scene.people}", tuple(ids))
        tone = _some(self._scene_tones)
        ids.append(f"tone:{tone.id}")
        if length == "paragraph":
            more = (scene.background,) if complexity == 2 else ()
            return Prompt(" ".join((scene.line, scene.people, *more, tone.text)), tuple(ids))
        counts = _SCENE_PAGE[complexity]

        def fits(part: Part) -> bool:
            return scene.place or part.fits == "anywhere"

        rules = list(_several(self._scene_rules, counts[0], fits))
        formats = list(_several(self._scene_formats, counts[1], fits))
        layout = _some(self._scene_layouts)
        text = LAYOUTS[layout](
            scene.line,
            (
                Section("Who writes", (scene.people,)),
                Section("Background", (scene.background,)),
                Section("Manner", (tone.text,)),
                Section("Practice", tuple(rule.text for rule in rules), points=True),
                Section("Paperwork", tuple(form.text for form in formats), points=True),
            ),
        )
        ids += [f"layout:{layout}", *_ids("rule", rules), *_ids("format", formats)]
        return Prompt(text, tuple(ids))


def _some(deck: Deck[T]) -> T:
    found = deck.draw()
    assert found is not None
    return found


def _several(
    deck: Deck[Part], count: int, fits: Callable[[Part], bool] = lambda _: True
) -> Iterator[Part]:
    """Different parts, as many as there are up to `count`."""
    taken: set[str] = set()
    for _ in range(count):
        part = deck.draw(lambda one: one.id not in taken and fits(one))
        if part is None:
            return
        taken.add(part.id)
        yield part


def _ids(kind: str, parts: Sequence[Part]) -> list[str]:
    return [f"{kind}:{part.id}" for part in parts]


# ------------------------------------------------------------------------------------- layouts


def _prose(first: str, sections: Sequence[Section]) -> str:
    blocks = [first]
    for section in sections:
        blocks += [" ".join(section.body)] if section.points else section.body
    return "\n\n".join(blocks)


def _markdown(first: str, sections: Sequence[Section]) -> str:
    blocks = [first]
    for section in sections:
        blocks.append(f"## {section.heading}")
        blocks += ["\n".join(f"- {one}" for one in section.body)] * section.points
        blocks += () if section.points else section.body
    return "\n\n".join(blocks)


def _tagged(first: str, sections: Sequence[Section]) -> str:
    blocks = [first]
    for section in sections:
        tag = section.heading.lower().replace(" ", "_")
        body = ("\n" if section.points else "\n\n").join(section.body)
        blocks.append(f"<{tag}>\n{body}\n</{tag}>")
    return "\n\n".join(blocks)


def _capitals(first: str, sections: Sequence[Section]) -> str:
    blocks = [first]
    for section in sections:
        body = [f"* {one}" for one in section.body] if section.points else section.body
        blocks.append("\n".join((section.heading.upper(), *body)))
    return "\n\n".join(blocks)


def _numbered(first: str, sections: Sequence[Section]) -> str:
    blocks = [first]
    for number, section in enumerate(sections, 1):
        body = [f"{number}.{n} {one}" for n, one in enumerate(section.body, 1)]
        blocks.append("\n".join((f"{number}. {section.heading}", *body)))
    return "\n\n".join(blocks)


LAYOUTS: dict[str, Callable[[str, Sequence[Section]], str]] = {
    "prose": _prose,
    "markdown": _markdown,
    "tagged": _tagged,
    "capitals": _capitals,
    "numbered": _numbered,
}
