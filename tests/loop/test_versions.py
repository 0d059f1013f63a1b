"""Versions of the sources: seen, compared, written out, checked, merged, and let go when nobody needs them."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from headway.errors import DataError, NotFound, SourceError, StoreError
from headway.loop.needs import Needs
from headway.nouns.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

    from headway.api import Project


def _edit(project: Project, *, tier: str = "silver", drop: int = 0, add: int = 0) -> None:
    """Change the customers' file: the tier of the second, the last ones gone, new ones added."""
    path = project.folder / "data" / "customers.csv"
    header, *rows = list(csv.reader(path.read_text().splitlines()))
    rows[1][1] = tier
    rows = rows[: len(rows) - drop] + [[f"New {number}", "gold"] for number in range(add)]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def test_a_version_is_listed_with_what_it_costs_and_who_needs_it(shop: Project) -> None:
    """The run, the release and the answers name theirs; what is shared is counted once."""
    before = {each.version for each in shop.data.versions()}
    _edit(shop)
    shop.material()
    found = {each.version: each for each in shop.data.versions("customers")}
    (new,) = set(found) - before
    assert [each.state for each in found.values()] == ["living", "living"]
    assert found[new].needed_by == ("newest of customers",)
    first = next(each for each in found.values() if each.version != new)
    assert {"release r1", "predictions"} <= set(first.needed_by)
    assert any(who.startswith("run ") for who in first.needed_by)
    assert 0 < found[new].own_bytes <= found[new].size_bytes
    with pytest.raises(NotFound, match="customer"):
        shop.data.versions("customer")


def test_a_difference_is_told_by_key_with_columns_and_examples(shop: Project) -> None:
    """One tier changed, three customers gone, two new ones."""
    _edit(shop, drop=3, add=2)
    shop.material()
    found = shop.data.diff("customers~1", "customers")
    assert (found.added, found.removed, found.changed) == (2, 3, 1)
    assert found.by_key == ("customer",)
    assert {row["customer"] for row in found.examples_added} == {"New 0", "New 1"}
    (changed,) = found.examples_changed
    assert (changed.key, changed.before, changed.after) == (
        {"customer": "Customer 001"},
        {"tier": "gold"},
        {"tier": "silver"},
    )
    shifts = {each.column: each for each in found.columns}
    assert shifts["tier"].changed == 1
    assert shifts["tier"].shift == pytest.approx(1 / 60, abs=0.02)
    nothing = shop.data.diff("customers", "customers")
    assert (nothing.added, nothing.removed, nothing.changed) == (0, 0, 0)
    with pytest.raises(SourceError, match="depots"):
        shop.data.diff("customers", "depots")


def test_a_version_is_written_out_as_it_was(shop: Project, tmp_path: Path) -> None:
    """Row for row in the order of the file, under any of its names; a file that is there is left alone."""
    then = (shop.folder / "data" / "customers.csv").read_text()
    _edit(shop)
    shop.material()
    done = shop.data.checkout("customers~1", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == then
    assert done.rows == 61
    shop.data.checkout(done.version[:8], tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 61
    with pytest.raises(StoreError, match="already"):
        shop.data.checkout("customers", tmp_path / "out.csv")
    with pytest.raises(StoreError, match="neither"):
        shop.data.checkout("customers", tmp_path / "out.xls")
    for wrong in ("customers~9", "customer", "ffff", "nothing~x"):
        with pytest.raises(NotFound):
            shop.data.checkout(wrong, tmp_path / "no.csv")


def test_a_flipped_bit_is_found_and_what_rests_on_it_is_named(shop: Project) -> None:
    """Also a segment that is gone."""
    checked = shop.data.verify()
    assert checked.damaged == ()
    assert checked.rows > 3_000
    needs = Needs(shop.store)
    snapshot = needs.living[needs.newest["deliveries"]]
    path = shop.store.blobs.path(snapshot.segments[0].blob)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    shop.store.blobs.path(snapshot.segments[1].blob).unlink()
    flipped, gone = sorted(shop.data.verify().damaged, key=lambda each: each.what, reverse=True)
    assert flipped.file == str(path)
    assert "bytes" in flipped.what
    assert "gone" in gone.what
    for found in (flipped, gone):
        assert "release r1" in found.needed_by
        assert any(who.startswith("version") for who in found.needed_by)


def test_merging_changes_no_version_and_collecting_takes_what_is_left_over(shop: Project, monkeypatch) -> None:
    """Digests, rows and traces stay; only what nobody needs is gone."""
    monkeypatch.setattr("headway.data.segments._SMALL_BYTES", 0)
    for tier in ("a", "b", "c"):
        _edit(shop, tier=tier)
        shop.material()
    before = {each.version: each for each in shop.data.versions("customers")}
    assert [each.segments for each in before.values()][-1] > 1
    (done,) = shop.data.compact("customers")
    assert done.segments_after == 1
    after = {each.version: each for each in shop.data.versions("customers")}
    assert list(after) == list(before)
    assert shop.data.compact() == []

    kept = [version for version, each in before.items() if each.needed_by]
    told = shop.data.collect(dry_run=True, grace_s=0)
    assert set(told.versions) == set(before) - set(kept)
    assert shop.data.collect(grace_s=0).versions == told.versions
    assert shop.data.collect(grace_s=0).blobs == 0
    states = {each.version: each.state for each in shop.data.versions("customers")}
    assert states == {version: "living" if version in kept else "collected" for version in before}
    assert shop.data.verify().damaged == ()
    with pytest.raises(NotFound, match="collected"):
        shop.data.diff("customers~1", "customers")
    one = shop.store.ledger.table("outcomes")["prediction"][0].as_py()
    assert shop.trace(one).replayed_equal
    assert shop.run().model
    assert shop.predict(
        [{"delivery": 1, "leaves": "2024-03-25T12:00:00Z", "depot": "North", "distance": 3.0, "customer": "x"}]
    )


def test_young_blobs_stay(shop: Project) -> None:
    """Somebody may be about to record what they are for."""
    blob = shop.store.blobs.put(b"not recorded yet")
    assert shop.data.collect().blobs == 0
    assert shop.store.blobs.has(blob)
    assert shop.data.collect(grace_s=0).blobs >= 1
    assert not shop.store.blobs.has(blob)


def test_a_hold_keeps_a_version_until_it_is_over(shop: Project) -> None:
    """Who and why are asked for, and kept."""
    for tier in ("a", "b"):
        _edit(shop, tier=tier)
        shop.material()
    held = shop.data.versions("customers")[1].version
    with pytest.raises(DataError, match="name and a reason"):
        shop.data.hold(held, by="", why="case 7")
    placed = shop.data.hold("customers~1", by="Counsel", why="case 7")
    assert (placed.subject, placed.by, placed.why) == (held, "Counsel", "case 7")
    assert held not in shop.data.collect(grace_s=0).versions
    assert f"hold {placed.hold}" in shop.data.versions("customers")[1].needed_by
    shop.data.release_hold(placed.hold, by="Counsel", why="settled")
    assert shop.data.holds() == []
    assert held in shop.data.collect(grace_s=0).versions
    with pytest.raises(NotFound):
        shop.data.release_hold(placed.hold, by="Counsel", why="settled")


_COLLECT = """
import sys
from headway.api import Project
with Project.open(sys.argv[1]) as project:
    print("ready", flush=True)
    project.data.collect(grace_s=0)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.06])
def test_a_collection_that_is_killed_leaves_a_store_that_opens(shop: Project, delay_s: float) -> None:
    """Whatever was gone by then, what is needed is whole, and the next collection goes on."""
    for number in range(200):
        shop.store.blobs.put(b"waste %d" % number)
    _edit(shop)
    shop.material()
    shop.close()
    process = subprocess.Popen([sys.executable, "-c", _COLLECT, str(shop.folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert shop.data.verify().damaged == ()
    shop.data.collect(grace_s=0)
    assert shop.data.collect(grace_s=0).blobs == 0
    assert shop.run().model
    assert list((shop.folder / ".headway" / "blobs").iterdir())


def test_a_manifest_or_a_dataset_that_is_damaged_or_gone_is_named(shop: Project) -> None:
    """What says of what a version consists is as precious as its rows, and so is what a run made."""
    needs = Needs(shop.store)
    customers, deliveries = needs.newest["customers"], needs.newest["deliveries"]
    (run,) = shop.store.ledger.runs()
    table = shop.store.get(run.dataset, Dataset).table
    path = shop.store.blobs.path(needs.manifests[customers])
    path.chmod(0o644)
    path.write_bytes(b"}" + path.read_bytes()[1:])
    for name in (needs.manifests[deliveries], table, run.model):
        shop.store.blobs.path(name).unlink()
    found = {each.file: each for each in shop.data.verify().damaged}
    names = [needs.manifests[customers], needs.manifests[deliveries], table, run.model]
    flipped, gone, *built = [found.pop(str(shop.store.blobs.root / name[:2] / name[2:])) for name in names]
    assert not found
    assert flipped.what == "its bytes are not what its name says"
    assert {each.what for each in (gone, *built)} == {"it is gone"}
    assert flipped.needed_by[0] == f"version {customers[:12]} of customers"
    assert gone.needed_by[:2] == (f"version {deliveries[:12]} of deliveries", "newest of deliveries")
    assert all(f"run {run.run}" in each.needed_by for each in built)
    path.unlink()
    assert {each.version: each.state for each in shop.data.versions()}[customers] == "lost"
