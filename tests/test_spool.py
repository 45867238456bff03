from __future__ import annotations

import gc
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope import spool
from rankscope.errors import StorageError
from rankscope.spool import Spool, equal_items

ITEMS = [("text", 3, b"\0\xff"), "\ud800", "", {"a": [1.5, None]}, "long " * 300_000, 7]


@pytest.fixture(params=[0, 10, 64 << 20], ids=["on the disk", "from memory to the disk", "in memory"])
def _where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(spool, "IN_MEMORY", request.param)
    yield
    gc.collect()  # a file that nobody closed would be a warning here


@pytest.mark.usefixtures("_where")
def test_items_come_back_as_they_were_in_any_order() -> None:
    spooled = Spool(ITEMS)
    assert list(spooled) == ITEMS
    assert [spooled[place] for place in (3, 0, -1, 4)] == [ITEMS[place] for place in (3, 0, -1, 4)]
    assert spooled[1:5:2] == ITEMS[1:5:2]
    spooled.add("after a read")
    assert [*spooled] == [*ITEMS, "after a read"]
    with pytest.raises(IndexError):
        spooled[7]


@pytest.mark.usefixtures("_where")
def test_a_pickled_spool_takes_its_content_along() -> None:
    spooled = Spool(ITEMS)
    content = pickle.dumps(spooled)
    del spooled
    again = pickle.loads(content)
    again.add(8)
    assert list(again) == [*ITEMS, 8]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=50)), st.integers(1, 200))
def test_reading_in_pieces_of_any_size_gives_every_item_once(items: list[bytes], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_READ_AT_ONCE", at_once)
        assert list(Spool(items)) == items


def test_two_readers_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    spooled = Spool(range(5000))
    assert list(zip(spooled, spooled, strict=True)) == [(n, n) for n in range(5000)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda start: [spooled[place] for place in range(start, 5000, 4)], range(4))
        assert [list(range(start, 5000, 4)) for start in range(4)] == list(found)


def test_the_file_has_no_name_that_anybody_must_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spooled = Spool(ITEMS)
    assert list(tmp_path.iterdir()) == []
    assert list(spooled) == ITEMS


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spooled = Spool()
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(spooled, "_file", full)
        with pytest.raises(StorageError, match=r"could not store texts in .*: No space left on device\. .*set TMPDIR"):
            spooled.add("text")
    assert len(spooled) == 0


def test_sequences_are_equal_by_their_items() -> None:
    assert equal_items(Spool("ab"), ("a", "b"))
    assert not equal_items(Spool("ab"), ("a", "c"))
    assert not equal_items(Spool("ab"), ("a",))
    assert not equal_items(Spool("ab"), 3)
