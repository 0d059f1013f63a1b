"""What a project can do with its data: one object, ``Project.data``, whose methods are the commands of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from headway.data.cleaning import Cleaned
    from headway.data.difference import Difference
    from headway.loop.contracts import Held
    from headway.loop.erasure import Erased, Erasure
    from headway.loop.exports import Exported
    from headway.loop.holds import Hold
    from headway.loop.store import Store
    from headway.loop.versions import CheckedOut, Collected, Compacted, DataChecked, Version
    from headway.nouns.brief import Brief
    from headway.nouns.contract import Contract

__all__ = ["ProjectData"]


class ProjectData:
    """The versions of a project's sources, and what is done with them.

    A version is named by its digest, the beginning of it, a source (its newest), or ``SOURCE~1`` (the one before).
    """

    def __init__(self, store: Store, brief: Callable[[], Brief]) -> None:
        self._store = store
        self._brief = brief

    def versions(self, source: str = "") -> list[Version]:
        """Return the versions of a source, or of all, oldest first, with what each costs and who needs it."""
        from headway.loop.versions import versions

        return versions(self._store, source)

    def diff(self, before: str, after: str, *, examples: int = 5) -> Difference:
        """Return what changed between two versions of a source: rows by key, columns, distributions."""
        from headway.loop.versions import compare

        return compare(self._store, self._brief(), before, after, examples=examples)

    def checkout(self, version: str, path: str | os.PathLike[str]) -> CheckedOut:
        """Write the rows of a version to a new file, Parquet or CSV."""
        from headway.loop.versions import check_out

        return check_out(self._store, version, path)

    def export(self, version: str, folder: str | os.PathLike[str], *, form: str = "parquet") -> Exported:
        """Write the rows of a version to a new folder, for others to read: ``parquet``, ``delta`` or ``iceberg``."""
        from headway.loop.exports import export

        return export(self._store, version, folder, form=form)

    def verify(self) -> DataChecked:
        """Read every byte and every row, and name what is damaged and what depends on it."""
        from headway.loop.versions import check_data

        return check_data(self._store)

    def compact(self, source: str = "") -> list[Compacted]:
        """Merge the segments of the newest versions; their digests stay."""
        from headway.loop.versions import compact

        return compact(self._store, source)

    def collect(self, *, dry_run: bool = False, grace_s: float | None = None) -> Collected:
        """Let go of versions and blobs that nothing needs."""
        from headway.loop.versions import GRACE_S, collect_garbage

        return collect_garbage(self._store, dry_run=dry_run, grace_s=GRACE_S if grace_s is None else grace_s)

    def hold(self, subject: str, *, by: str, why: str) -> Hold:
        """Forbid to delete or erase anything of a source, of a version, or of ``all``."""
        from headway.loop.holds import place_hold

        return place_hold(self._store, subject, by=by, why=why)

    def release_hold(self, hold: str, *, by: str, why: str) -> None:
        """End a hold."""
        from headway.loop.holds import release_hold

        release_hold(self._store, hold, by=by, why=why)

    def clean(self) -> list[Cleaned]:
        """Return what the declared cleaning changes in the sources as they are, and what it has learned."""
        from headway.data.cleaning import cleaning_report
        from headway.loop.sources import take_snapshots
        from headway.query.database import Database

        material = take_snapshots(self._store, self._brief())
        with Database() as database:
            return list(cleaning_report(material.definitions, material.files, database=database))

    def holds(self) -> list[Hold]:
        """Return the holds that stand."""
        from headway.loop.holds import open_holds

        return open_holds(self._store)

    def erase(self, entity: str, *, by: str = "", why: str = "", dry_run: bool = False) -> Erased:
        """Remove an entity (``"customers customer_id=42"``) from all that the store holds."""
        from headway.loop.erasure import erase

        return erase(self._store, self._brief(), entity, by=by, why=why, dry_run=dry_run)

    def erasures(self) -> list[Erasure]:
        """Return the erasures that were asked for, and which of them are finished."""
        from headway.loop.erasure import erasures

        return erasures(self._store)

    def infer_contract(self, source: str) -> Contract:
        """Infer the contract of a source from its version in force, and write it; what was edited stays."""
        from headway.loop.contracts import infer_contract

        return infer_contract(self._store, self._brief(), source)

    def contract(self, source: str) -> Contract:
        """Return the contract of a source."""
        from headway.loop.contracts import read_contract

        return read_contract(self._store, self._brief(), source)

    def check_contract(self, source: str, file: str | os.PathLike[str]) -> Held:
        """Hold a file, before it is taken, against the contract of a source: what fails, and what changed."""
        from headway.loop.contracts import check_contract

        return check_contract(self._store, self._brief(), source, file)
