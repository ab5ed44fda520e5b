"""Parcels: named blobs that a page carries in itself while it has room, else in files beside it.

A parcel is gzip in base64, named by a hash of its content. In the page it is an inert element
(``<script type="application/x-holdfast-parcel" id="parcel-NAME">``). Beside it, in
``report-data/NAME.js``, it is one call that the page's own script knows, ``holdfastParcel("NAME",
"BASE64")``; that script loads it when it is asked for, which works from a disk too, where a page
may not read files. A page made as a string has nothing beside it: what does not fit is left out.

A file's name is its content's, so that what is written never changes what an older page reads.
Files that no page needs any more go once the new page is in place (`Parcels.tidy`).
"""

import hashlib
import os
import re
import zlib
from base64 import b64encode
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from fuzzer.errors import StoreError

LIMIT = 3_000_000  # bytes of the first file in all
FOLDER = "report-data"  # beside the page
KIND = "application/x-holdfast-parcel"
LEVEL = 1  # of zlib: level 6 takes twice as long and saves an eighth
PENDING = 4  # parcels being compressed at a time; zlib does it beside the interpreter

_OURS = re.compile(r"[0-9a-f]{16}\.js(\.[0-9]+\.part)?")
_AROUND = len(f'<script type="{KIND}" id="parcel-{"0" * 16}"></script>\n')


class Parcel(NamedTuple):
    """A sealed blob: its name (16 hexadecimal digits), and its content in base64."""

    name: str
    text: bytes

    @property
    def element(self) -> str:
        """As it stands in a page."""
        return f'<script type="{KIND}" id="parcel-{self.name}">{self.text.decode()}</script>\n'

    @property
    def file(self) -> bytes:
        """As it stands beside one."""
        return b'holdfastParcel("%s","%s")\n' % (self.name.encode(), self.text)

    @property
    def size(self) -> int:
        """Bytes that its element takes in a page."""
        return _AROUND + len(self.text)


class Placed(NamedTuple):
    """Where the parcels of a page went."""

    first: str  # the name of the one that leads
    elements: str  # those in the page
    folder: str  # of those beside it; empty: none is
    left_out: tuple[str, ...]  # names of those that are nowhere


def seal(content: bytes) -> Parcel:
    """Compress a blob; the same content is always the same parcel."""
    packer = zlib.compressobj(LEVEL, wbits=31)  # gzip, without a time or a file's name
    packed = packer.compress(content) + packer.flush()
    return Parcel(hashlib.blake2b(packed, digest_size=8).hexdigest(), b64encode(packed))


class Parcels:
    """The parcels of one page, in the order in which they were added; use it in a ``with``.

    `directory` is where the page will stand; None: nowhere, it is a string. At most `limit` bytes
    and a few parcels are in memory at a time. Where the ``with`` ends in an error, the files it
    wrote are removed.
    """

    def __init__(self, directory: Path | None = None, limit: int = LIMIT) -> None:
        self._folder = None if directory is None else directory / FOLDER
        self._limit = limit
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="parcels")
        self._pending: deque[Future[Parcel]] = deque()
        self._held: list[Parcel] = []
        self._held_size = 0
        self._full = False
        self._names: list[str] = []
        self._known: set[str] = set()
        self._beside: set[str] = set()
        self._new: list[Path] = []
        self._left_out: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if kind is not None:
            self._withdraw()

    def add(self, content: bytes) -> None:
        """Take a blob.

        Raises `StoreError` where it has to be written and cannot be.
        """
        self._pending.append(self._pool.submit(seal, content))
        while len(self._pending) > PENDING:
            self._keep(self._pending.popleft().result())

    def names(self) -> tuple[str, ...]:
        """The names of all that was added, in its order."""
        while self._pending:
            self._keep(self._pending.popleft().result())
        return tuple(self._names)

    def place(self, page_size: int, first: bytes) -> Placed:
        """Decide what a page of so many bytes carries: `first` before all that was added.

        Raises `StoreError` where a parcel has to be written and cannot be.
        """
        self.names()  # all is sealed
        leading = seal(first)
        room, inside = self._limit - page_size, []
        for parcel in (leading, *self._held):
            if parcel.size <= room:
                room -= parcel.size
                inside.append(parcel.element)
            else:
                room = 0  # in order: no later one before an earlier
                self._put(parcel)
        self._held.clear()
        folder = FOLDER if self._beside else ""
        return Placed(leading.name, "".join(inside), folder, tuple(self._left_out))

    def tidy(self) -> None:
        """Remove what an earlier page had beside it; call it once the new page is in place.

        From here on nothing is taken back, for that page needs it; what cannot be removed is left.
        """
        self._new.clear()
        if self._folder is None or not self._folder.is_dir():
            return
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                if _OURS.fullmatch(path.name) and path.name not in self._beside:
                    with suppress(OSError):
                        path.unlink()
            if not self._beside:
                self._folder.rmdir()  # unless it holds something else

    def _keep(self, parcel: Parcel) -> None:
        """In memory while it may still fit, and every earlier one may."""
        self._names.append(parcel.name)
        if parcel.name in self._known:
            return  # the same again
        self._known.add(parcel.name)
        self._full = self._full or self._held_size + parcel.size > self._limit
        if self._full:
            self._put(parcel)
        else:
            self._held.append(parcel)
            self._held_size += parcel.size

    def _put(self, parcel: Parcel) -> None:
        """Beside the page, whole or not at all."""
        if self._folder is None:
            self._left_out.append(parcel.name)
            return
        path = self._folder / f"{parcel.name}.js"
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        self._beside.add(path.name)
        try:
            if path.exists():  # its name is its content's
                return
            self._folder.mkdir(exist_ok=True)
            part.write_bytes(parcel.file)
            self._new.append(path)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise _unwritable(self._folder, error) from None

    def _withdraw(self) -> None:
        with suppress(OSError):  # what cannot be taken back is in nobody's way
            for path in self._new:
                path.unlink(missing_ok=True)
            if self._folder is not None:
                self._folder.rmdir()  # unless it holds something else


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write {str(folder)!r} ({error.strerror}); free or allow the place and run "
        "`holdfast report` on the run"
    )
