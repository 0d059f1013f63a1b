"""From columns to the trees' matrix."""

import numpy as np
import pyarrow as pa
import pytest

from headway.build.encode import fit_encoding
from headway.errors import DataError


def test_categories_are_ordered_by_their_rate(train):
    """The carrier that is late most often has the highest code; a missing one has a code too."""
    codes = fit_encoding(train).codes["carrier"]
    assert max(codes.known, key=codes.known.get) == "B6"
    assert sorted(codes.known.values()) == list(range(len(codes.known)))
    assert "" in codes.known


def test_an_unseen_category_has_a_code_of_its_own_in_the_middle(train, later):
    """It is nobody's code, and stands where the overall rate does."""
    encoding = fit_encoding(train)
    codes = encoding.codes["carrier"]
    assert codes.unknown not in codes.known.values()
    assert -0.5 <= codes.unknown <= len(codes.known) - 0.5
    column = encoding.matrix(later.features)[:, encoding.signature.names.index("carrier")]
    unseen = np.array(later.features["carrier"].to_pylist()) == "ZZ"
    assert (column[unseen] == codes.unknown).all()
    assert not (column[~unseen] == codes.unknown).any()


def test_holes_stay_holes_only_where_training_had_some(train, later):
    """A number that was always there is filled with its median."""
    encoding = fit_encoding(train)
    empty = later.features.set_column(0, "hour", pa.nulls(len(later), pa.float32()))
    matrix = encoding.matrix(empty)
    names = encoding.signature.names
    assert (matrix[:, names.index("hour")] == np.median(train.features["hour"].to_numpy())).all()
    wind = later.features["wind"].is_null().to_numpy()
    assert (np.isnan(matrix[:, names.index("wind")]) == wind).all()


def test_a_missing_column_is_named(train):
    """With the column that it could have been."""
    encoding = fit_encoding(train)
    with pytest.raises(DataError, match="Did you mean 'windy'"):
        encoding.matrix(train.features.rename_columns({"wind": "windy"}))


def test_null_and_nan_and_empty_text_all_mean_missing(train):
    """Whichever way a hole is written, it is encoded alike."""
    encoding = fit_encoding(train)
    base = train.features.slice(0, 3)
    nulls = base.set_column(1, "wind", pa.nulls(3, pa.float32())).set_column(6, "carrier", pa.nulls(3, pa.string()))
    plain = base.set_column(1, "wind", pa.array([np.nan] * 3, pa.float32())).set_column(
        6, "carrier", pa.array([""] * 3)
    )
    np.testing.assert_array_equal(encoding.matrix(nulls), encoding.matrix(plain))
