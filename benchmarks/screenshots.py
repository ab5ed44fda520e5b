"""The README's picture, taken anew: ``python -m benchmarks.screenshots``, by hand, with a browser.

Runs what `make sweep` runs and takes the top of its report at 1400 pixels into ``docs/report.png``;
with ``--run DIR`` that of a run there is. Refuses a picture of `LIMIT` bytes or more: a repository
keeps every version of it.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.browser import Browser

WIDTH, HEIGHT = 1400, 1150  # pixels: the verdict, its figures and evidence, the rates
LIMIT = 250_000  # bytes
PICTURE = Path(__file__).parents[1] / "docs" / "report.png"


def taken(page: Path, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The top of a page as a PNG, in light colours."""
    with Browser() as browser, browser.tab(width, height) as tab:
        tab.media(scheme="light")
        tab.open(page)
        return tab.screenshot()


def swept(out: Path) -> Path:
    """A run as `make sweep` makes it: 1 is its exit code for brittle."""
    ran = subprocess.run([sys.executable, "-m", "fuzzer", "sweep", "--out", str(out)], check=False)
    if ran.returncode != 1:
        sys.exit(f"the demonstration ended with {ran.returncode}, and 1 (brittle) is what it shows")
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the picture, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a run whose page is taken")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture's file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        picture = taken((given.run or swept(Path(home) / "run")) / "report.html")
    if len(picture) >= LIMIT:
        sys.exit(f"the picture has {len(picture):,} bytes, and {LIMIT:,} are too many")
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_bytes(picture)
    print(f"{given.out}: {WIDTH} by {HEIGHT} pixels, {len(picture):,} bytes")


if __name__ == "__main__":
    main()
