"""What a folder of blobs promises: the same bytes back, or a named error."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from headway.blobs import FolderBlobs, digest_of
from headway.errors import NotFound, StoreCorrupt, StoreError, StoreFull


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    """Return an empty folder of blobs."""
    return FolderBlobs(tmp_path / "blobs")


def leftovers(blobs: FolderBlobs) -> list[Path]:
    """Return what lies in the scratch folder."""
    return list((blobs.root / "tmp").iterdir())


@given(pieces=st.lists(st.binary(max_size=200), max_size=8))
def test_bytes_a_file_and_pieces_get_the_same_name_and_come_back(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """How the bytes arrive makes no difference."""
    folder = tmp_path_factory.mktemp("any")
    blobs, data = FolderBlobs(folder / "blobs"), b"".join(pieces)
    (folder / "file").write_bytes(data)
    names = {blobs.put(iter(pieces)), blobs.put(data), blobs.put(memoryview(data)), blobs.put(folder / "file")}
    assert names == {blake3(data).hexdigest()}
    assert blobs.read(names.pop()) == data
    assert (folder / "file").exists()
    assert leftovers(blobs) == []


def test_the_layout_is_two_digits_then_the_rest_and_read_only(blobs: FolderBlobs) -> None:
    """Another program can find a blob by its digest alone, and cannot change it by a slip."""
    digest = blobs.put(b"x")
    path = blobs.path(digest)
    assert path == blobs.root / digest[:2] / digest[2:]
    assert path.stat().st_mode & 0o222 == 0
    with blobs.open(digest) as file:
        assert file.read() == b"x"


def test_an_adopted_file_is_moved_in(blobs: FolderBlobs, tmp_path: Path) -> None:
    """Adopting leaves one copy, also when the blob was there already."""
    for _ in range(2):
        source = tmp_path / "segment.parquet"
        source.write_bytes(b"rows" * 1000)
        digest = blobs.adopt(source)
        assert not source.exists()
        assert blobs.read(digest) == b"rows" * 1000


def test_a_file_of_another_file_system_is_adopted_by_a_copy(
    blobs: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename across file systems is refused by the system; the bytes arrive all the same."""
    source = tmp_path / "far"
    source.write_bytes(b"far away")
    rename = Path.replace

    def refuse_from_afar(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse_from_afar)
    assert blobs.read(blobs.adopt(source)) == b"far away"
    assert not source.exists()
    assert leftovers(blobs) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "../" + "a" * 61])
def test_what_is_no_digest_names_no_file(blobs: FolderBlobs, name: str) -> None:
    """No path can be smuggled in."""
    assert not blobs.has(name)
    for ask in (blobs.read, blobs.path, blobs.open, blobs.delete):
        with pytest.raises(NotFound, match="names no blob"):
            ask(name)


def test_a_missing_blob_is_not_found_and_a_deleted_one_is_missing(blobs: FolderBlobs) -> None:
    """Absence is an answer with the digest in it."""
    digest = blobs.put(b"soon gone")
    assert blobs.delete(digest)
    assert not blobs.delete(digest)
    with pytest.raises(NotFound, match=digest):
        blobs.read(digest)


def test_changed_bytes_are_found_and_named(blobs: FolderBlobs) -> None:
    """One flipped bit is found by a read and by a look at all."""
    good, bad = blobs.put(b"good"), blobs.put(b"bad?")
    path = blobs.path(bad)
    path.chmod(0o644)
    path.write_bytes(b"bad!")
    with pytest.raises(StoreCorrupt) as caught:
        blobs.read(bad)
    assert caught.value.where == str(path)
    blobs.check(good)
    with pytest.raises(StoreCorrupt, match="4 bytes that are not"):
        blobs.check(bad)
    (blobs.root / "zz").mkdir()
    (blobs.root / "zz" / "stray").write_bytes(b"")
    seen: list[tuple[int, int]] = []
    checked = blobs.verify(lambda done, total: seen.append((done, total)))
    assert checked.bad == tuple(sorted([str(path), str(blobs.root / "zz" / "stray")]))
    assert (checked.count, checked.size_bytes) == (3, 8)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert blobs.read(good) == b"good"


def test_putting_again_mends_a_truncated_blob(blobs: FolderBlobs) -> None:
    """A blob of the wrong size is not taken for one that is there."""
    digest = blobs.put(b"whole")
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(b"who")
    assert blobs.put(b"whole") == digest
    assert blobs.read(digest) == b"whole"


def test_pieces_that_fail_leave_nothing(blobs: FolderBlobs) -> None:
    """The error of the caller's own source comes through unchanged, and no temporary file stays."""

    def broken():
        yield b"first"
        raise FileNotFoundError("the source went away")

    with pytest.raises(FileNotFoundError, match="went away"):
        blobs.put(broken())
    assert leftovers(blobs) == []


@pytest.mark.skipif(os.name == "nt", reason="limits of file sizes are a POSIX facility")
def test_a_full_disk_is_said_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """Under a limit on file sizes a large blob is refused, a small one still kept; later the large one fits."""
    script = """
        import resource, sys
        from pathlib import Path
        from headway.blobs import FolderBlobs
        from headway.errors import StoreFull
        blobs = FolderBlobs(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            blobs.put(b"x" * 5000)
        except StoreFull as error:
            print(error)
        assert list((blobs.root / "tmp").iterdir()) == [], "left behind"
        assert list(blobs.root.glob("??/*")) == [], "half written"
        blobs.put(b"small")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert blobs.read(blobs.put(b"x" * 5000)) == b"x" * 5000
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "blobs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert "no room for another blob" in done.stdout


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreError)]
)
def test_the_systems_refusals_are_told_apart(
    blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch, number: int, error: type[StoreError]
) -> None:
    """No space and no quota are 'full'; a fault of the device is not."""

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(error) as caught:
            blobs.put(b"anything")
    assert type(caught.value) is error
    assert leftovers(blobs) == []
    assert blobs.verify().count == 0


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_a_killed_writer_leaves_every_acknowledged_blob_and_no_bad_one(tmp_path: Path) -> None:
    """Kill -9 in mid-write: what was acknowledged is whole, and nothing else has a blob's name."""
    script = """
        import sys
        from headway.blobs import FolderBlobs
        blobs = FolderBlobs(sys.argv[1])
        for number in range(10**6):
            print(blobs.put(bytes(number % 251 for _ in range(50_000)) + str(number).encode()), flush=True)
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip()]
    time.sleep(0.15)
    writer.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.stdout.close()
    writer.wait()
    blobs = FolderBlobs(tmp_path)
    assert all(blobs.read(digest) for digest in acknowledged)
    assert blobs.verify().bad == ()


def test_sweeping_removes_only_what_is_a_day_old(blobs: FolderBlobs) -> None:
    """Leftovers of killed writers go; the work of living ones stays."""
    with blobs.scratch() as living:
        (living / "part").write_bytes(b"...")
        dead, dead_folder = blobs.root / "tmp" / "dead", blobs.root / "tmp" / "dead-folder"
        dead.write_bytes(b"half")
        dead_folder.mkdir()
        (dead_folder / "part").write_bytes(b"half")
        for path in (dead, dead_folder):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 90_000))
        assert blobs.sweep() == 2
        assert leftovers(blobs) == [living]
        digest = blobs.adopt(living / "part")
    assert leftovers(blobs) == []
    assert digest == digest_of(b"...")
