"""Object stores: each object that a URL or a pattern names, fetched only when its tag says that it is new.

Read through obstore: one library for Amazon's, Google's and Microsoft's stores and whatever speaks as they do, with no
dependency of its own, and the secrets handed over by argument. Others would bring a client for each store and an event
loop (s3fs and its like), or read secrets from wherever they find them (pyarrow's own).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from headway.errors import HeadwayError, MissingExtra, SourceError, did_you_mean
from headway.sources.complaints import explained
from headway.sources.credentials import credentials_of
from headway.sources.formats import format_of, is_hidden
from headway.sources.item import Item
from headway.sources.opened import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["SCHEMES", "matches", "object_items"]

SCHEMES = ("s3", "gs", "az")
_SECRETS = {"s3": ("key", "secret", "token"), "gs": ("secret",), "az": ("key", "secret", "token")}
_WILD = re.compile(r"[*?\[]")
_BLOCK_BYTES = 8 << 20
_LISTED = 200
# What stores say beside the status from which the library tells kinds of errors.
_REFUSED = re.compile("Authorization|Authentication|Invalid Access Key|Account must be")
_NO_BUCKET = re.compile("NoSuchBucket|bucket does not exist|ContainerNotFound")


@contextmanager
def object_items(name: str, source: Source, path: str) -> Iterator[list[Item]]:
    """Yield the objects that a URL names: one, those of a pattern, or those directly under a folder.

    What is fetched is gone afterwards.

    Raises
    ------
    SourceError
        When the store or the bucket cannot be reached, may not be read, or has no such object.
    MissingExtra
        When the library is not installed.
    """
    where = f"sources.{name}.path"
    scheme, _, rest = path.partition("://")
    bucket, _, wanted = rest.partition("/")
    with _explained(f"{scheme}://{bucket}", where), tempfile.TemporaryDirectory(prefix="headway-objects-") as folder:
        place = _Place(scheme=scheme, bucket=bucket, source=source, name=name)
        found = place.find(wanted)
        if not found:
            raise SourceError(f"There is no object {path!r}.", where=where, hint=place.near(wanted))
        yield [place.item(meta, Path(folder) / str(number)) for number, meta in enumerate(found)]


def matches(key: str, pattern: str) -> bool:
    """Whether the key of an object fits a pattern: ``*`` stays within a folder, ``**`` goes through all.

    Examples
    --------
    >>> matches("a/b.csv", "a/*.csv"), matches("a/b/c.csv", "a/*.csv"), matches("a/b/c.csv", "a/**/*.csv")
    (True, False, True)
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    meaning = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(meaning.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
    return re.fullmatch(text, key) is not None


class _Place:
    """One bucket, and who may read it."""

    def __init__(self, *, scheme: str, bucket: str, source: Source, name: str) -> None:
        self.source, self.name = source, name
        self.url = f"{scheme}://{bucket}"
        self.library = _library()
        self.store = self._opened(scheme, bucket, credentials_of(source, name, allowed=_SECRETS[scheme]))

    def _opened(self, scheme: str, bucket: str, secrets: Mapping[str, str]) -> Any:
        config: dict[str, Any] = {} if secrets else {"skip_signature": True}
        if self.source.endpoint:
            config["base_url" if scheme == "gs" else "endpoint"] = self.source.endpoint
        options = {"timeout": "60s", "connect_timeout": "10s", "allow_http": self.source.endpoint.startswith("http://")}
        common = {"client_options": options, "retry_config": {"max_retries": 2}}
        stores = self.library.store
        if scheme == "s3":
            named = {"key": "access_key_id", "secret": "secret_access_key", "token": "session_token"}
            config |= {"region": self.source.region or "us-east-1"}
            config |= {named[part]: value for part, value in secrets.items()}
            return stores.S3Store(bucket, config=config, **common)
        if scheme == "gs":
            named = {"secret": "service_account_key"}
            config |= {named[part]: value for part, value in secrets.items()}
            return stores.GCSStore(bucket, config=config, **common)
        named = {"key": "account_name", "secret": "account_key", "token": "sas_key"}
        config |= {named[part]: value for part, value in secrets.items()}
        return stores.AzureStore(bucket, config=config, **common)

    def find(self, wanted: str) -> list[Mapping[str, Any]]:
        """Return what is known of each object that is meant, by name."""
        wild = _WILD.search(wanted)
        fixed = wanted[: wild.start()] if wild else wanted
        folder = fixed.rpartition("/")[0] if wild else fixed.rstrip("/")
        listed = [meta for batch in self.library.list(self.store, prefix=folder or None) for meta in batch]
        if wild:
            meant = is_hidden(PurePosixPath(wanted).name)
            seen = [meta for meta in listed if meant or not is_hidden(PurePosixPath(meta["path"]).name)]
            return _sorted([meta for meta in seen if matches(meta["path"], wanted)])
        alone = [] if wanted.endswith("/") else self._one(wanted)
        return alone or _sorted(
            [
                meta
                for meta in listed
                if meta["path"].rpartition("/")[0] == folder
                and not is_hidden(PurePosixPath(meta["path"]).name)
                and format_of(Path(meta["path"]), self.source.format)
            ]
        )

    def _one(self, wanted: str) -> list[Mapping[str, Any]]:
        try:
            return [self.library.head(self.store, wanted)] if wanted else []
        except (FileNotFoundError, self.library.exceptions.NotFoundError):
            return []

    def near(self, wanted: str) -> str:
        """Return a hint: what there is beside what was wanted."""
        folder = wanted.rpartition("/")[0] if not _WILD.search(wanted) else ""
        names: list[str] = []
        for batch in self.library.list(self.store, prefix=folder or None):
            names += [meta["path"] for meta in batch]
            if len(names) > _LISTED:
                break
        return did_you_mean(wanted, names) if names else f"There is nothing under {self.url}/{folder}."

    def item(self, meta: Mapping[str, Any], folder: Path) -> Item:
        """Return one object as an item; its tag stands for its bytes."""
        shown = f"{self.url}/{meta['path']}"
        tag = [shown, str(meta.get("e_tag") or meta["last_modified"]), str(meta["size"]), meta.get("version") or ""]
        digest = hashlib.sha256("\0".join(tag).encode()).hexdigest()
        return Item(
            name=shown,
            where=shown,
            size_bytes=meta["size"],
            digest=lambda: digest,
            opened=partial(self._fetched, meta, shown, folder),
        )

    @contextmanager
    def _fetched(self, meta: Mapping[str, Any], shown: str, folder: Path, database: Database) -> Iterator[Opened]:
        path = folder / PurePosixPath(meta["path"]).name
        try:
            with explained(path, path.name):
                if not path.exists():
                    self._fetch(meta, shown, path)
                from headway.sources.opening import opened

                with opened(path, self.source, self.name, database=database) as file:
                    yield file
        except HeadwayError as error:
            # Where it lies on this machine, for the moment, says nothing to anybody.
            error.where = error.where.replace(str(path), shown)
            raise

    def _fetch(self, meta: Mapping[str, Any], shown: str, path: Path) -> None:
        if meta["size"] == 0:
            raise SourceError(f"{path.name} is empty.", where=shown, hint="A header and at least one row are wanted.")
        path.parent.mkdir(parents=True, exist_ok=True)
        unready = path.with_name(f".{path.name}.part")
        try:
            with _explained(self.url, shown), unready.open("wb") as file:
                tag = meta.get("e_tag")
                got = self.library.get(self.store, meta["path"], options={"if_match": tag} if tag else {})
                for block in got.stream(min_chunk_size=_BLOCK_BYTES):
                    file.write(block)
        except self.library.exceptions.PreconditionError:
            raise SourceError(f"{shown} changed while it was read.", where=shown, hint="Try again.") from None
        unready.rename(path)


def _sorted(found: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted((meta for meta in found if not meta["path"].endswith("/")), key=lambda meta: str(meta["path"]))


def _library() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise MissingExtra.of("obstore", extra="objects") from None
    return obstore


@contextmanager
def _explained(place: str, where: str) -> Iterator[None]:
    """Say in our words what the store complains of."""
    library = _library()
    kinds = library.exceptions
    try:
        yield
    except kinds.PreconditionError:
        raise
    except (kinds.BaseError, FileNotFoundError, PermissionError) as error:
        if isinstance(error, HeadwayError):
            raise
        text = " ".join(str(error).split())
        refused = isinstance(error, kinds.PermissionDeniedError | kinds.UnauthenticatedError | PermissionError)
        if refused or _REFUSED.search(text):
            said, hint = "may not be read", "See the environment variables that sources.….credentials names."
        elif _NO_BUCKET.search(text):
            said, hint = "does not exist", "See the name of the bucket (or container), its region, and the endpoint."
        elif isinstance(error, kinds.NotFoundError | FileNotFoundError):
            said, hint = "has no such object any more", "Try again."
        else:
            said, hint = "cannot be reached", "Is the store up, and are endpoint and region right?"
        code = re.search(r"<Code>(.*?)</Code>", text)
        reason = code[1] if code else re.sub(r"\s*(Debug source|source):.*$", "", text)[:200]
        raise SourceError(f"{place} {said}: {one_line(reason)}", where=where, hint=hint) from None
