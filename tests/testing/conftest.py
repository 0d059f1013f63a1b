"""The suites that are tried here speak as plainly as tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("headway.testing.clusters")
