"""Reasons, kept beside the graph."""

import numpy as np
import pytest

from headway.build.candidates import CANDIDATES
from headway.build.package import package
from headway.build.reasons import read_reasons, write_reasons
from headway.errors import StoreCorrupt
from headway.graph.scorer import GraphScorer

ALL = sorted(CANDIDATES)


@pytest.mark.parametrize("name", ALL)
def test_reasons_read_back_explain_the_packaged_score(name, fitted, later):
    """From bytes alone, without the fitted model: base and reasons add up to what the graph says."""
    model = fitted[name]
    reasons = read_reasons(write_reasons(model.learner.reasons()))
    found = reasons.contributions(later.features)
    total = found.base + found.values.sum(axis=1)
    score = 1 / (1 + np.exp(-total)) if found.scale == "log odds" else total
    np.testing.assert_allclose(
        score, GraphScorer(package(model, signature=model.signature)).score(later.features), atol=1e-6
    )
    assert reasons.signature == model.signature


@pytest.mark.parametrize("name", ALL)
def test_reasons_have_the_same_bytes_every_time(name, fitted):
    """So that they can be named by their hash."""
    assert write_reasons(fitted[name].learner.reasons()) == write_reasons(fitted[name].learner.reasons())


@pytest.mark.parametrize("name", ALL)
def test_no_rows_have_no_reasons(name, fitted, later):
    """An empty table is no error."""
    found = fitted[name].contributions(later.features.slice(0, 0))
    assert found.values.shape == (0, later.features.num_columns)
    assert np.isfinite(found.base)


@pytest.mark.parametrize("name", ALL)
def test_the_average_row_needs_few_reasons(name, fitted, train):
    """Reasons are relative to training: their mean over it is small beside their spread."""
    values = fitted[name].contributions(train.features).values
    assert np.abs(values.mean(axis=0)).max() < 0.2 * values.std(axis=0).max()


def test_the_carrier_that_is_late_most_has_the_largest_reason(fitted, train):
    """Each kind finds what was put into the data."""
    for model in fitted.values():
        at = model.signature.names.index("carrier")
        values = model.contributions(train.features).values[:, at]
        carrier = np.array(train.features["carrier"].to_pylist())
        assert values[carrier == "B6"].mean() > 0
        assert values[carrier == "B6"].mean() > values[carrier == "AA"].mean()


@pytest.mark.parametrize("data", [b"", b"\x80", b"no reasons"])
def test_other_bytes_are_refused(data):
    """Nothing is guessed."""
    with pytest.raises(StoreCorrupt, match="not a model's reasons"):
        read_reasons(data)
