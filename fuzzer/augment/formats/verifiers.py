"""An environment package for verifiers (v1, from 0.4 on)."""

from collections.abc import Iterator

from fuzzer.augment.formats.base import About, Format, Summary
from fuzzer.augment.formats.code import Code, package_name
from fuzzer.augment.formats.files import File
from fuzzer.augment.formats.packages import PLAYED, opener, seeds

FOLDER = "verifiers"
#: Template and where it goes; `PACKAGE` stands for the package's name.
_FILES = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "init.py.j2": "PACKAGE/__init__.py",
    "taskset.py.j2": "PACKAGE/taskset.py",
    "harness.py.j2": "PACKAGE/harness.py",
}


def _data(about: About) -> str:
    return f"{FOLDER}/{package_name(about.title)}/data"


def _beside(about: About, _: tuple[File, ...], __: Summary) -> Iterator[tuple[str, str | bytes]]:
    package = package_name(about.title)
    code = Code(FOLDER)
    for template, path in _FILES.items():
        yield (
            f"{FOLDER}/{path.replace('PACKAGE', package)}",
            code.render(
                template,
                package=package,
                distribution=package.replace("_", "-"),
                canary=about.canary,
                version=about.version or "0",
            ),
        )
    yield from seeds(about, _data(about))


VERIFIERS = Format(
    "verifiers",
    FOLDER,
    "an environment package for verifiers (v1)",
    PLAYED,
    opener(_data),
    _beside,
)
