"""Generated Python and TOML: templates, and what may be put into them."""

import keyword
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class Code:
    """Renders Python and TOML. What stands in code is a name, a number or a GUID, nothing else."""

    _PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,80}")

    def __init__(self, folder: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates" / folder),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # no page; `finalize` lets nothing through that needs it
            finalize=self._checked,
        )

    def render(self, template: str, **values: str) -> str:
        """The text of a file."""
        return self._environment.get_template(template).render(values)

    @classmethod
    def _checked(cls, value: object) -> str:
        text = str(value)
        if not cls._PLAIN.fullmatch(text):
            raise ValueError(f"{text!r} does not belong in code")
        return text


def package_name(title: str) -> str:
    """A name that Python and its packagers accept, from a title.

    >>> package_name("Mail agents, 2nd try"), package_name("../..;"), package_name("class")
    ('holdfast_mail_agents_2nd_try', 'holdfast_environments', 'holdfast_class')
    """
    words = re.findall(r"[a-z0-9]+", title.lower())
    name = "_".join(words)[:40].strip("_") or "environments"
    name = name if name.startswith("holdfast") else f"holdfast_{name}"
    assert name.isidentifier() and not keyword.iskeyword(name)  # noqa: PT018
    return name
