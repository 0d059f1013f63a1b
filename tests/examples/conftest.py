"""The examples' own comparison, and the dataset that its run has frozen."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.nouns.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture(scope="session")
def compare() -> Any:
    """Return ``examples/compare.py``; examples are no package."""
    path = Path(__file__).parents[2] / "examples" / "compare.py"
    spec = importlib.util.spec_from_file_location("examples_compare", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["examples_compare"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """Return what skips a test where the package that carries the data is not installed."""

    def installed(package: str) -> None:
        try:
            metadata.distribution(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"the package {package} is not installed")

    return installed


@pytest.fixture(scope="session")
def frozen_of() -> Callable[[Path, Any], tuple[Dataset, pa.Table]]:
    """Return what reads the dataset that a comparison's run has frozen, and its table."""

    def read(folder: Path, compared: Any) -> tuple[Dataset, pa.Table]:
        with Project.open(folder) as project:
            dataset = project.store.get(compared.report.dataset, Dataset)
            return dataset, pq.read_table(project.store.blobs.path(dataset.table))

    return read
