"""A real object store: its objects are read as files are, and fetched only when they are new."""

from __future__ import annotations

import gzip
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.errors import BriefError, SourceError
from headway.nouns.brief import Source
from headway.sources import objects

if TYPE_CHECKING:
    from collections.abc import Iterator

WHO = {"key": "STORE_KEY", "secret": "STORE_SECRET"}


class Lake:
    """A project whose one source lies in a bucket."""

    def __init__(self, folder, bucket) -> None:
        self.folder, self.bucket = folder, bucket
        self.blobs = FolderBlobs(folder / "blobs")
        self.read: list[str] = []

    def collect(self, path: str, previous=None, **fields: Any):
        """Collect what ``path`` names in the bucket."""
        path = path if "://" in path else f"s3://{self.bucket.name}/{path}"
        source = Source(**{"path": path, "endpoint": self.bucket.endpoint, "credentials": WHO, **fields})
        return collect(
            "s", source, folder=self.folder, store=self.blobs, previous=previous, progress=self.read.append, threads=1
        )

    def rows(self, snapshot) -> list[tuple[Any, ...]]:
        """Return all rows, in order."""
        return [
            tuple(row.values())
            for segment in snapshot.segments
            for row in pq.read_table(self.blobs.path(segment.blob)).to_pylist()
        ]


@pytest.fixture
def lake(tmp_path, bucket):
    """Return a project with three objects of two days and one that belongs to something else."""
    bucket.put("sales/2013/07/01.csv", "id,price\n1,1.5\n2,2.5\n")
    bucket.put("sales/2013/07/02.csv.gz", gzip.compress(b"id,price\n3,3.5\n"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [4], "price": [4.5]}), sink)
    bucket.put("sales/2013/08/01.parquet", sink.getvalue().to_pybytes())
    bucket.put("sales/readme.md", "nothing to read")
    bucket.put("sales/2013/07/.03.csv", "id,price\n9,9.5\n")
    return Lake(tmp_path, bucket)


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("sales/2013/07/01.csv", [1, 2]),
        ("sales/2013/07", [1, 2, 3]),
        ("sales/2013/07/", [1, 2, 3]),
        ("sales/2013/*/01.*", [1, 2, 4]),
        ("sales/**/0[12].*", [1, 2, 3, 4]),
        ("sales/2013/0?/02.csv.gz", [3]),
        ("sales/2013/07/.03.csv", [9]),
        ("sales/2013/07/.*", [9]),
    ],
)
def test_an_object_a_pattern_and_a_folder_are_read(lake, path, ids) -> None:
    """In the order of their names, whatever their formats; each row knows which object it came from."""
    snapshot = lake.collect(path)
    assert [row[0] for row in lake.rows(snapshot)] == ids
    assert all(segment.file.startswith(f"s3://{lake.bucket.name}/sales/2013/0") for segment in snapshot.segments)


def test_an_object_that_several_paths_name_counts_once(lake) -> None:
    """As a file does."""
    also = tuple(f"s3://{lake.bucket.name}/sales/2013/07{more}" for more in ("", "/", "/*.csv", "/01.csv"))
    assert [row[0] for row in lake.rows(lake.collect("sales/2013/07/02.csv.gz", also=also))] == [3, 1, 2]


def test_only_new_objects_are_fetched(lake, monkeypatch) -> None:
    """By their tags: nothing of an unchanged object goes over the wire."""
    fetched: list[str] = []
    fetch = objects._Place._fetch
    monkeypatch.setattr(
        objects._Place, "_fetch", lambda self, meta, *rest: (fetched.append(meta["path"]), fetch(self, meta, *rest))
    )
    first = lake.collect("sales/2013/07/*")
    assert fetched == ["sales/2013/07/01.csv", "sales/2013/07/02.csv.gz"]
    assert lake.collect("sales/2013/07/*", previous=first).digest == first.digest
    lake.bucket.put("sales/2013/07/03.csv", "id,price\n5,5.5\n")
    second = lake.collect("sales/2013/07/*", previous=first)
    assert fetched[2:] == ["sales/2013/07/03.csv"]
    lake.bucket.put("sales/2013/07/03.csv", "id,price\n6,5.5\n")
    third = lake.collect("sales/2013/07/*", previous=second)
    assert fetched[3:] == ["sales/2013/07/03.csv"]
    assert [row[0] for row in lake.rows(third)] == [1, 2, 3, 6]


def test_no_secret_is_written_down(lake) -> None:
    """Not in the store, and not in what is said when the store cannot be reached."""
    snapshot = lake.collect("sales/2013/07")
    with pytest.raises(SourceError) as caught:
        lake.collect("sales/2013/07", endpoint="http://127.0.0.1:1")
    secret = os.environ["STORE_SECRET"]
    assert secret not in f"{caught.value}{snapshot}{lake.read}"
    kept = [path.read_bytes() for path in lake.folder.rglob("*") if path.is_file()]
    assert kept
    assert all(secret.encode() not in data and b"AKIAEXAMPLE" not in data for data in kept)


WRONG: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "object": ("sales/2013/07/1.csv", {}, "There is no object", "sources.s.path", "mean 'sales/2013/07/01.csv'?"),
    "pattern": ("sales/*.xlsx", {}, "There is no object", "sources.s.path", "Known: sales/2013"),
    "bucket": ("s3://nobodys/a.csv", {}, "s3://nobodys does not exist", "sources.s.path", "name of the bucket"),
    "down": ("a.csv", {"endpoint": "http://127.0.0.1:1"}, "cannot be reached", "sources.s.path", "Is the store up"),
    "unset": ("a.csv", {"credentials": {"key": "NOT_SET"}}, "'NOT_SET'", "sources.s.credentials.key", "export"),
    "query": ("a.csv", {"query": "SELECT 1"}, "query means nothing to", "sources.s.query", "for databases"),
    "scheme": ("s4://a/b.csv", {}, "There is no way to read s4://", "sources.s.path", "Known: az, gs, postgres"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_said_with_what_to_do(lake, name) -> None:
    """Misspelt, missing, or not to be reached; nothing is taken."""
    path, fields, what, where, hint = WRONG[name]
    with pytest.raises((SourceError, BriefError)) as caught:
        lake.collect(path, **fields)
    assert what in caught.value.what
    assert caught.value.where == where
    assert hint in caught.value.hint
    assert not list((lake.folder / "blobs").rglob("*.parquet"))


BROKEN = {
    "cut.csv.gz": (gzip.compress(b"id\n1\n" * 9999)[:-20], "not a whole gzip file", ""),
    "cut.parquet": (b"PAR1 and no more", "cut.parquet cannot be read", ""),
    "ragged.csv": (b"id,price\n1,2\n3\n", "ragged: this line has 1 fields", ":3"),
    "empty.csv": (b"", "empty.csv is empty", ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_object_is_named_by_its_url(lake, name) -> None:
    """And by the line, where there is one; not by where it lay on this machine for a moment."""
    data, what, line = BROKEN[name]
    lake.bucket.put(name, data)
    with pytest.raises(SourceError) as caught:
        lake.collect(name)
    assert what in caught.value.what
    assert caught.value.where == f"s3://{lake.bucket.name}/{name}{line}"


def test_an_object_that_changes_while_it_is_read_is_refused(lake, monkeypatch) -> None:
    """Between the list and the reading: what would be kept under one tag is another's."""
    fetch = objects._Place._fetch

    def late(self, meta, *rest) -> None:
        lake.bucket.put(meta["path"], "id,price\n9,9\n")
        fetch(self, meta, *rest)

    monkeypatch.setattr(objects._Place, "_fetch", late)
    with pytest.raises(SourceError, match="changed while it was read"):
        lake.collect("sales/2013/07/01.csv")


class _Stand(BaseHTTPRequestHandler):
    """Stands in for a store of objects; each of their tags is its length."""

    objects: dict[str, bytes]

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", f'"{len(body)}"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _OfGoogle(_Stand):
    """Two requests of Google's XML interface: which objects there are, and one of them."""

    def do_GET(self) -> None:
        """Answer."""
        path, _, asked = self.path.partition("?")
        if "list-type=2" in asked:
            listed = "".join(
                f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
                f'<ETag>"{len(data)}"</ETag><Size>{len(data)}</Size></Contents>'
                for key, data in self.objects.items()
            )
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode()
        else:
            body = self.objects[path.removeprefix("/b1/").replace("%2F", "/").replace("%2E", ".")]
        self._say(200, body)


class _OfAzure(_Stand):
    """The same two of Azure's blob service, for whoever signs as the account that is known."""

    def do_GET(self) -> None:
        """Answer."""
        path, _, asked = self.path.partition("?")
        if not self.headers["Authorization"].startswith("SharedKey sales:"):
            return self._say(403, b"<Error><Code>AuthenticationFailed</Code></Error>")
        if path.split("/")[1] != "lake":
            return self._say(404, b"<Error><Code>ContainerNotFound</Code></Error>")
        if "comp=list" not in asked:
            return self._say(200, self.objects[path.removeprefix("/lake/")])
        listed = "".join(
            f"<Blob><Name>{key}</Name><Properties><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified>"
            f'<Etag>"{len(data)}"</Etag><Content-Length>{len(data)}</Content-Length><Content-Type>text/csv</Content-Type></Properties></Blob>'
            for key, data in self.objects.items()
        )
        return self._say(200, f"<EnumerationResults><Blobs>{listed}</Blobs><NextMarker/></EnumerationResults>".encode())


@contextmanager
def _store(kind: type[_Stand], objects: dict[str, bytes]) -> Iterator[str]:
    handler = type("Handler", (kind,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_store_of_google_is_read_at_the_endpoint_that_the_brief_names(tmp_path) -> None:
    """And an object only when its tag is new."""
    objects = {"logs/1.csv": b"a,b\n1,x\n2,y\n", "logs/2.csv": b"a,b\n3,z\n"}
    blobs, read = FolderBlobs(tmp_path / "blobs"), []
    with _store(_OfGoogle, objects) as endpoint:
        source = Source(path="gs://b1/logs/*.csv", endpoint=endpoint)
        first = collect("s", source, folder=tmp_path, store=blobs, progress=read.append)
        objects["logs/3.csv"] = b"a,b\n4,w\n"
        second = collect("s", source, folder=tmp_path, store=blobs, previous=first, progress=read.append)
    assert read == ["gs://b1/logs/1.csv", "gs://b1/logs/2.csv", "gs://b1/logs/3.csv"]
    assert (first.rows, second.rows) == (3, 4)


def test_a_store_of_azure_is_read_by_whoever_may(tmp_path, monkeypatch) -> None:
    """Account and key come from the environment; who has others is refused in words."""
    objects = {"logs/1.csv": b"a,b\n1,x\n2,y\n", "logs/2.csv": b"a,b\n3,z\n"}
    secrets = {"key": "LAKE_ACCOUNT", "secret": "LAKE_KEY"}
    monkeypatch.setenv("LAKE_ACCOUNT", "sales")
    monkeypatch.setenv("LAKE_KEY", "c2VjcmV0")
    blobs, read = FolderBlobs(tmp_path / "blobs"), []
    with _store(_OfAzure, objects) as endpoint:
        source = Source(path="az://lake/logs/*.csv", endpoint=endpoint, credentials=secrets)
        first = collect("s", source, folder=tmp_path, store=blobs, progress=read.append)
        objects["logs/3.csv"] = b"a,b\n4,w\n"
        second = collect("s", source, folder=tmp_path, store=blobs, previous=first, progress=read.append)
        assert read == ["az://lake/logs/1.csv", "az://lake/logs/2.csv", "az://lake/logs/3.csv"]
        assert (first.rows, second.rows) == (3, 4)
        with pytest.raises(SourceError, match=r"az://lakes does not exist: ContainerNotFound\."):
            collect("s", replace(source, path="az://lakes/*.csv"), folder=tmp_path, store=blobs)
        for name, value, why in (
            ("LAKE_ACCOUNT", "nobody", "AuthenticationFailed"),
            ("LAKE_KEY", "no key", "Generic MicrosoftAzure error: Invalid Access Key"),
        ):
            monkeypatch.setenv(name, value)
            with pytest.raises(SourceError, match=f"may not be read: {why}") as caught:
                collect("s", source, folder=tmp_path, store=blobs)
            assert value not in str(caught.value)
