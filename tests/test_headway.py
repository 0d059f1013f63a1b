"""What the package offers at its top, and that it costs nothing until it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import headway
from headway import api, errors


def test_the_package_offers_about_ten_sorted_names() -> None:
    """Short enough to be read, sorted so that it stays so, and each of them there."""
    assert headway.__all__ == sorted(headway.__all__)
    assert len(headway.__all__) <= 12
    assert all(getattr(headway, name) for name in headway.__all__)
    assert set(headway.__all__) <= set(dir(headway))


def test_what_is_offered_is_the_very_thing() -> None:
    """An error that is caught by the package's name is the one that is raised inside."""
    assert headway.Project is api.Project
    names = set(headway.__all__) - {"Project", "__version__"}
    assert all(getattr(headway, name) is getattr(errors, name) for name in names)


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="module 'headway' has no attribute 'Projekt'"):
        getattr(headway, "Projekt")  # noqa: B009  (mypy would refuse the plain form)


def test_a_name_is_imported_when_it_is_first_asked_for() -> None:
    """``import headway`` loads none of its own modules; asking for one does."""
    code = """
import sys, headway
before = {name for name in sys.modules if name.startswith("headway.")}
headway.Project
print(len(before), "headway.api" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["0", "True"]
