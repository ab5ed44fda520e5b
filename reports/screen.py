"""Blocks of text on a terminal, or as plain text of so many columns."""

import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

Blocks = Callable[[int], Iterable[RenderableType]]  # in reading order, for so many columns


class _Console(Console):
    """One whose reader may go away: rich would end the program, with a code that says brittle."""

    def on_broken_pipe(self) -> None:
        """Say nothing more; a sweep that is paid for goes on."""
        self.quiet = True


def console(stream: TextIO, *, width: int | None = None, colour: bool | None = None) -> Console:
    """A console that interprets nothing; NO_COLOR and TERM=dumb are heeded."""
    return _Console(
        file=stream,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        no_color=("NO_COLOR" in os.environ) if colour is None else not colour,
        force_terminal=colour,
    )


def put(blocks: Blocks, stream: TextIO | None = None) -> None:
    """Print on standard output, or a stream; without trailing spaces where it is no terminal."""
    out = console(stream or sys.stdout)
    if out.is_terminal:
        lay_out(out, blocks(out.width))
    else:
        out.file.write(as_text(blocks, out.width))


def as_text(blocks: Blocks, width: int) -> str:
    """The same as plain text."""
    stream = io.StringIO()
    lay_out(console(stream, width=width, colour=False), blocks(width))
    return "\n".join(said.rstrip() for said in stream.getvalue().split("\n")).rstrip("\n") + "\n"


def lay_out(out: Console, blocks: Iterable[RenderableType]) -> None:
    """Print each block; one that must not be wrapped is left to the terminal."""
    for block in blocks:
        out.print(block, soft_wrap=isinstance(block, Text) and bool(block.no_wrap))
