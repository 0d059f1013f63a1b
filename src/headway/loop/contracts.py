"""The contracts of a project's sources: inferred from the version in force, kept as files to edit, held to deliveries.

The file hides where a contract lies: ``contracts/SOURCE.json`` beside the brief, and beside it what was inferred last,
so that whoever infers anew knows which fields a person has edited.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headway.data.collect import collect
from headway.data.contract import check_part
from headway.data.profiles import build_reference, kinds_in, profile
from headway.errors import NotFound, did_you_mean
from headway.loop.breaches import record_broken
from headway.loop.manifests import snapshot_of
from headway.nouns.contract import Contract, Result, contract_of, infer, merged, text_of
from headway.nouns.event import ContractBroken
from headway.nouns.profile import DAY_US
from headway.query.compile import quote, quote_text
from headway.query.database import Database
from headway.query.parts import parts_of, parts_sql, placed_sql

if TYPE_CHECKING:
    from headway.loop.store import Store
    from headway.nouns.brief import Brief, Source
    from headway.nouns.profile import Profile, Reference
    from headway.nouns.snapshot import Snapshot

__all__ = [
    "Held",
    "agreed_contract",
    "check_contract",
    "infer_contract",
    "keeps_contract",
    "read_contract",
]

_FOLDER = "contracts"
_FEWEST = 3  # deliveries from which on their usual length is known


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What came of holding a delivery against a contract."""

    source: str
    delivered: str
    contract: str
    rows: int
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """The clauses that do not hold, and the changes that were found."""
        return tuple(result for result in self.results if result.state == "failed")


def infer_contract(store: Store, brief: Brief, name: str) -> Contract:
    """Infer the contract of a source from its version in force, write it, and return it; what was edited stays.

    Raises
    ------
    NotFound
        When there is no such source, or it was never read.
    DataError
        When the contract that lies there is none.
    """
    source = _source(brief, name)
    with Database() as database:
        fresh = infer(name, _reference(store, database, source, _in_force(store, name)))
    path, last = _paths(store, name)
    contract = fresh
    if path.is_file() and last.is_file():
        contract = merged(_read(path), _read(last), fresh)
    _write(path, text_of(contract))
    _write(last, text_of(fresh))
    return contract


def read_contract(store: Store, brief: Brief, name: str) -> Contract:
    """Return the contract of a source as it lies there.

    Raises
    ------
    NotFound
        When there is none.
    """
    _source(brief, name)
    path, _ = _paths(store, name)
    if not path.is_file():
        raise NotFound(
            f"Source {name!r} has no contract.",
            where=str(path),
            hint=f"Infer one: headway data contract infer {name}.",
        )
    return _read(path)


def check_contract(store: Store, brief: Brief, name: str, file: str | os.PathLike[str]) -> Held:
    """Hold a file, not taken yet, against the contract of a source and against its version in force.

    Raises
    ------
    NotFound
        When the source has no contract, or no version to compare with.
    SourceError
        When the file cannot be read.
    """
    source, contract = _source(brief, name), read_contract(store, brief, name)
    # Read as it is, so that a column of another name or type is told and not refused.
    bare = msgspec.structs.replace(source, path=str(Path(file).resolve()), also=(), types={})
    delivered = collect(name, bare, folder=store.folder, store=store.blobs)
    with Database() as database:
        before = _in_force(store, name)
        relation = f"({parts_sql(parts_of(delivered, store.blobs))})"
        time = _time(source, before)
        part = profile(database, relation, kinds_in(database, relation), key=source.key, time=time)
        reference = _reference(store, database, source, before, part=part)
        placed, row, named = _placed(delivered, store)
        results = check_part(
            database, placed, part, contract=contract, reference=reference, now_us=store.now_us(), row=row, file=named
        )
    return Held(source=name, delivered=str(file), contract=contract.digest, rows=part.rows, results=tuple(results))


def agreed_contract(store: Store, brief: Brief, name: str, snapshot: Snapshot) -> Contract | msgspec.UnsetType:
    """Return what is agreed of a source today, for a release to take along; nothing where the brief asks for nothing.

    It is the contract's file, or what the version in force suggests where there is no file.

    Raises
    ------
    DataError
        When the contract that lies there is none.
    """
    source = _source(brief, name)
    if not source.contract:
        return msgspec.UNSET
    path, _ = _paths(store, name)
    if path.is_file():
        return _read(path)
    with Database() as database:
        return infer(name, _reference(store, database, source, snapshot))


def keeps_contract(store: Store, brief: Brief, name: str, *, previous: Snapshot, found: Snapshot) -> bool:
    """Return whether a new version may come into force; what was found is kept in the ledger and said once.

    Of a source with time the new segments are looked at, of another one the whole. A source without a contract's file
    is held against the contract that the version in force suggests.
    """
    source = brief.sources[name]
    path, _ = _paths(store, name)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    written = hashlib.sha256(text.encode()).hexdigest()[:16]
    blocks = source.contract == "block"

    def held() -> dict[str, Any]:
        with Database() as database:
            time = _time(source, previous)
            known = {segment.blob for segment in previous.segments}
            new = tuple(segment for segment in found.segments if segment.blob not in known)
            looked = msgspec.structs.replace(found, segments=new) if time and new else found
            relation = f"({parts_sql(parts_of(looked, store.blobs))})"
            part = profile(database, relation, kinds_in(database, relation), key=source.key, time=time)
            reference = _reference(store, database, source, previous, part=part)
            contract = contract_of(text, where=str(path)) if text else infer(name, reference)
            placed, row, named = _placed(looked, store)
            now_us = store.now_us()
            results = check_part(
                database, placed, part, contract=contract, reference=reference, now_us=now_us, row=row, file=named
            )
        failed = [result.words for result in results if result.state == "failed"]
        return {"failed": failed, "contract": contract.digest}

    # 2: what was said of a day that was held against weeks is not remembered.
    key = f"contract:2:{source.contract}:{written}:{previous.digest}:{found.digest}"
    answer = store.remembered(key, f"contract {name}", held)
    failed = answer["failed"]
    if not failed:
        return True
    broken = ContractBroken(
        source=name,
        snapshot=found.digest,
        previous=previous.digest,
        contract=answer.get("contract", ""),  # answers of earlier versions do not have it
        blocked=blocks,
        failed=tuple(failed),
    )
    record_broken(store, broken)
    then = "the version before stays in force" if blocks else "taken all the same"
    store.progress.advance("read sources", 0, note=f"{name} breaks its contract ({failed[0]}); {then}")
    return not blocks


def _source(brief: Brief, name: str) -> Source:
    if name not in brief.sources:
        raise NotFound(f"There is no source {name!r}.", hint=did_you_mean(name, brief.sources))
    return brief.sources[name]


def _in_force(store: Store, name: str) -> Snapshot:
    taken = store.ledger.snapshots(source=name)
    if not taken:
        raise NotFound(f"Source {name!r} was never read.", hint="Read it: headway check.")
    return snapshot_of(store, taken[-1].snapshot)


def _time(source: Source, snapshot: Snapshot) -> str:
    """Return the source's column of time, where the version holds moments in it."""
    kinds = {column.name: column.kind for column in snapshot.columns}
    return source.time if kinds.get(source.time) == "time" else ""


def _reference(
    store: Store, database: Database, source: Source, snapshot: Snapshot, *, part: Profile | None = None
) -> Reference:
    """Return the reference of a version, in stretches no longer than its deliveries are."""
    relation = f"({parts_sql(parts_of(snapshot, store.blobs))})"
    kinds = {column.name: column.kind for column in snapshot.columns}
    time = _time(source, snapshot)
    days = _delivered_days(store, database, snapshot, time, part) if time else None
    now_us = store.now_us()
    return build_reference(database, relation, kinds, key=source.key, time=time, delivered_days=days, now_us=now_us)


def _delivered_days(
    store: Store, database: Database, snapshot: Snapshot, time: str, part: Profile | None
) -> float | None:
    """Return how many days a delivery usually covers: the median of those that were taken.

    Of too few nobody can tell; then the part itself says how often the source is read.
    """
    relation, _, _ = _placed(snapshot, store)
    span = f"epoch_us(max({quote(time)})) - epoch_us(min({quote(time)}))"
    found = database.rows(f'SELECT {span} FROM {relation} GROUP BY "@part", "@origin"')
    spans = [row[0] / DAY_US for row in found if row[0] is not None]
    if len(spans) >= _FEWEST:
        return float(statistics.median(spans))
    if part is None or part.first_us is None or part.last_us is None:
        return None
    return (part.last_us - part.first_us) / DAY_US


def _placed(snapshot: Snapshot, store: Store) -> tuple[str, str, str]:
    """Return the relation of a version's rows, and what tells the number of each in its file and that file's name."""
    parts = parts_of(snapshot, store.blobs)
    names = [
        f"{quote_text(f'{part.name} {place}')}: {quote_text(segment.origin(place).file)}"
        for part, segment in zip(parts, snapshot.segments, strict=True)
        for place in range(len(segment.origins) or 1)
    ]
    relation = f"({placed_sql(parts, part='@part', origin='@origin', row='@place')})"
    return relation, '"@place"', f'MAP {{{", ".join(names)}}}[concat("@part", \' \', "@origin")]'


def _paths(store: Store, name: str) -> tuple[Path, Path]:
    folder = store.folder / _FOLDER
    return folder / f"{name}.json", folder / f"{name}.inferred.json"


def _read(path: Path) -> Contract:
    return contract_of(path.read_text(encoding="utf-8", errors="replace"), where=str(path))


def _write(path: Path, text: str) -> None:
    """Put a text in place of a file, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".contract-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
