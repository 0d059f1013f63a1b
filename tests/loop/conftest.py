"""The deliveries, lived once for all tests of a process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if "deliveries" not in sys.modules:  # tests are no package; whoever comes first loads it for all
    _spec = importlib.util.spec_from_file_location("deliveries", Path(__file__).parent.parent / "deliveries.py")
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["deliveries"] = _module
    _spec.loader.exec_module(_module)

import deliveries

if TYPE_CHECKING:
    from headway.api import Project


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> deliveries.Lived:
    """Return the business after its first days in service."""
    return deliveries.lived_once(tmp_path_factory.mktemp("deliveries"))


@pytest.fixture
def begun(tmp_path: Path) -> Project:
    """Return a project of which nothing but the brief is there."""
    return deliveries.begun(tmp_path)
