"""Redacted blobs: whoever has the old name reads what is left, and learns that something was taken out."""

from __future__ import annotations

import pytest

from headway.blobs import FolderBlobs
from headway.errors import NotFound, StoreCorrupt


@pytest.fixture
def blobs(tmp_path):
    """Return an empty folder of blobs."""
    return FolderBlobs(tmp_path)


def test_the_old_name_reads_what_is_left(blobs, tmp_path) -> None:
    """The bytes are gone from the folder; twice redacted is followed twice."""
    old, new, newest = blobs.put(b"Ada, Bob, Eve"), blobs.put(b"Ada, Eve"), blobs.put(b"Eve")
    blobs.redact(old, now=new, erasure="e1")
    assert blobs.read(old) == b"Ada, Eve"
    assert blobs.has(old)
    assert not any(b"Bob" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    blobs.redact(new, now=newest, erasure="e2")
    assert blobs.read(old) == b"Eve"
    assert (blobs.redaction(old).now, blobs.redaction(old).erasure) == (new, "e1")
    assert blobs.redaction(newest) is None
    assert [blob.digest for blob in blobs.listed()] == [newest]
    checked = blobs.verify()
    assert (checked.count, checked.redacted, checked.bad) == (1, 2, ())


def test_of_what_was_erased_whole_nothing_is_left_to_read(blobs) -> None:
    """The error says that it was erased, and not that the store is broken."""
    old = blobs.put(b"Bob")
    blobs.redact(old, now="", erasure="e1")
    assert not blobs.has(old)
    with pytest.raises(NotFound, match="erased \\(e1\\)"):
        blobs.read(old)


def test_a_redaction_that_was_cut_off_is_finished_by_the_next(blobs, tmp_path) -> None:
    """A crash between the note and the removal leaves both."""
    old, new = blobs.put(b"Ada, Bob"), blobs.put(b"Ada")
    blobs.redact(old, now=new, erasure="e1")
    assert blobs.put(b"Ada, Bob") == old
    blobs.redact(old, now=new, erasure="e1")
    assert blobs.read(old) == b"Ada"
    assert len(blobs.listed()) == 1


def test_a_damaged_note_is_named(blobs, tmp_path) -> None:
    """Verify finds it as it finds a damaged blob."""
    old = blobs.put(b"Bob")
    blobs.redact(old, now="", erasure="e1")
    (note,) = tmp_path.rglob("*.redacted")
    note.write_bytes(b"{")
    assert blobs.verify().bad == (str(note),)
    with pytest.raises(StoreCorrupt, match="damaged"):
        blobs.path(old)
