"""Parcels: what is packed is unpacked the same, wherever it went, and no page loses what it had."""

import base64
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import StoreError
from reports.parcels import FOLDER, KIND, Parcels, Placed, seal

ELEMENT = re.compile(
    rf'<script type="{re.escape(KIND)}" id="parcel-([0-9a-f]{{16}})">([A-Za-z0-9+/=]*)</script>\n'
)
FILE = re.compile(rb'holdfastParcel\("([0-9a-f]{16})","([A-Za-z0-9+/=]*)"\)\n')


def opened(text: str | bytes) -> bytes:
    return zlib.decompress(base64.b64decode(text), wbits=31)


def inside(elements: str) -> dict[str, bytes]:
    """The parcels in a page, by name."""
    assert ELEMENT.sub("", elements) == ""
    return {name: opened(text) for name, text in ELEMENT.findall(elements)}


def beside(directory: Path) -> dict[str, bytes]:
    """The parcels beside a page, by name."""
    found = {}
    for path in (directory / FOLDER).glob("*.js"):
        whole = FILE.fullmatch(path.read_bytes())
        assert whole is not None
        name = whole[1].decode()
        assert path.name == f"{name}.js"
        found[name] = opened(whole[2])
    return found


def put(directory: Path | None, blobs: list[bytes], limit: int, page: int = 0) -> Placed:
    with Parcels(directory, limit) as parcels:
        for blob in blobs:
            parcels.add(blob)
        went = parcels.place(page, b"the first")
        parcels.tidy()
    return went


blobs = st.lists(st.binary(max_size=400) | st.just(b"x" * 5_000), max_size=12)


@given(blobs, st.integers(0, 3_000), st.integers(0, 500))
@settings(deadline=None, max_examples=60)
def test_every_blob_comes_out_as_it_went_in(tmp_path_factory, blobs, limit, page):
    directory = tmp_path_factory.mktemp("page")
    with Parcels(directory, limit) as parcels:
        for blob in blobs:
            parcels.add(blob)
        names = parcels.names()
        went = parcels.place(page, b"the first")
    here, there = inside(went.elements), beside(directory)
    assert not here.keys() & there.keys()
    both = here | there
    assert [both[name] for name in names] == blobs
    assert both[went.first] == b"the first"
    assert len(went.elements) <= max(0, limit - page)
    assert went.folder == (FOLDER if there else "")
    assert went.left_out == ()
    placed = [name in here for name in dict.fromkeys((went.first, *names))]
    assert placed == sorted(placed, reverse=True), "no later one before an earlier"


def test_a_page_without_a_place_leaves_out_what_does_not_fit_and_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small, large = b"small", bytes(range(256)) * 40
    went = put(None, [small, large], 700)
    assert set(inside(went.elements).values()) == {b"the first", small}
    assert went.left_out == (seal(large).name,)
    assert went.folder == ""
    assert list(tmp_path.iterdir()) == []


def test_the_same_blob_is_always_the_same_parcel_and_is_written_once(tmp_path):
    assert seal(b"abc") == seal(b"abc")
    assert seal(b"abc").name != seal(b"abd").name
    went = put(tmp_path, [b"a", b"a", b"b"], 10_000)
    assert len(inside(went.elements)) == 3
    put(tmp_path, [b"y" * 99], 0)
    (path,) = [p for p in (tmp_path / FOLDER).iterdir() if p.stem == seal(b"y" * 99).name]
    before = path.stat().st_mtime_ns
    put(tmp_path, [b"y" * 99], 0)
    assert path.stat().st_mtime_ns == before


def test_files_of_an_earlier_larger_page_go_and_strangers_stay(tmp_path):
    put(tmp_path, [b"one", b"two"], 0)
    folder = tmp_path / FOLDER
    (folder / f"{'0' * 16}.js.123.part").write_bytes(b"of a run that was killed")
    (folder / "notes.txt").write_text("mine")
    put(tmp_path, [b"two"], 0)
    assert set(beside(tmp_path).values()) == {b"the first", b"two"}
    assert (folder / "notes.txt").read_text() == "mine"
    put(tmp_path, [b"two"], 10_000)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    put(tmp_path, [b"two"], 10_000)
    assert not folder.exists()


def test_what_cannot_be_removed_is_left_and_the_new_page_keeps_what_it_needs(tmp_path):
    put(tmp_path, [b"one"], 0)
    stuck = tmp_path / FOLDER / f"{'0' * 16}.js"
    stuck.mkdir()
    put(tmp_path, [b"two"], 0)
    assert stuck.is_dir()
    stuck.rmdir()
    assert set(beside(tmp_path).values()) == {b"the first", b"two"}


def test_an_interrupt_once_the_page_is_in_place_takes_nothing_back(tmp_path):
    def interrupted() -> None:
        with Parcels(tmp_path, 0) as parcels:
            parcels.add(b"one")
            parcels.place(0, b"the first")
            parcels.tidy()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(beside(tmp_path).values()) == {b"the first", b"one"}


def test_an_error_in_the_middle_takes_back_what_was_written_and_nothing_else(tmp_path):
    put(tmp_path, [b"one", b"two"], 0)
    before = beside(tmp_path)

    def fail() -> None:
        with Parcels(tmp_path, 0) as parcels:
            for number in range(20):
                parcels.add(b"new %d" % number)
            parcels.add(b"two")  # there already: it stays
            parcels.place(0, b"another first")
            assert len(beside(tmp_path)) > len(before)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert beside(tmp_path) == before
    assert all(path.suffix == ".js" for path in (tmp_path / FOLDER).iterdir())


def test_a_place_that_cannot_be_written_is_one_clear_sentence(tmp_path):
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(StoreError, match=rf"cannot write '.*{FOLDER}' \(.*\); free or allow"):
        put(tmp_path, [b"one"], 0)
    assert (tmp_path / FOLDER).read_text() == "a file"
