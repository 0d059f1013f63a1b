"""The smallest cluster keeps the contract, over any number of parts."""

from __future__ import annotations

import pytest

from headway.testing.clusters import ClusterContract
from headway.testing.in_process import InProcess


class TestInProcess(ClusterContract):
    """The suite over four parts, but for what needs workers that can be lost."""

    @pytest.fixture
    def cluster(self):
        """Return the cluster."""
        return InProcess(4)

    test_a_part_whose_worker_is_killed_is_computed_again = None
    test_a_worker_that_is_killed_changes_no_byte = None
