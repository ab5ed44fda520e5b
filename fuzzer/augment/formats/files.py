"""Files that get their name when they are complete."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

from fuzzer.scenario import Frozen


class File(Frozen):
    """A complete file of an export."""

    path: str  # below the export's directory, with forward slashes
    sha256: str
    bytes: int
    rows: int | None = None  # of training data; None: the file holds none


class Part(io.RawIOBase):
    """A file being written: it gets its name when it is kept, and is gone if it is not."""

    def __init__(self, root: Path, path: str) -> None:
        super().__init__()
        self._path, self._target = path, root / path
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self._target.with_name(f"{self._target.name}.partial")
        self._file = self._partial.open("wb")
        self._hash, self._size, self.rows = hashlib.sha256(), 0, 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:  # bytes, or what a library hands over in their place
        """Append."""
        self._hash.update(data)
        self._size += (size := self._file.write(data))
        return size

    def tell(self) -> int:
        """Bytes so far."""
        return self._size

    def keep(self, *, rows: bool = True) -> File:
        """Close it and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.drop(unlink=False)
        self._partial.replace(self._target)
        return File(
            path=self._path,
            sha256=self._hash.hexdigest(),
            bytes=self._size,
            rows=self.rows if rows else None,
        )

    def drop(self, *, unlink: bool = True) -> None:
        """Close it; nothing of it stays."""
        self._file.close()
        self.close()
        if unlink:
            self._partial.unlink(missing_ok=True)


def write_file(root: Path, path: str, text: str | bytes) -> File:
    """A whole small file at once."""
    part = Part(root, path)
    part.write(text.encode() if isinstance(text, str) else text)
    return part.keep(rows=False)
