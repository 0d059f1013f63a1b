"""Labelled examples out of the engine, evenly over time and in the order in which they are predicted.

The file hides how labels become numbers, and that of a ranking whole groups are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.define.sample import Sample
from headway.query.compile import quote
from headway.query.example_texts import KNOWN_AT, LABEL
from headway.query.relation import PREDICT_AT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.query.database import Database
    from headway.query.definitions import Definitions

    Floats = NDArray[np.float64]

__all__ = ["sampled"]


def sampled(
    database: Database, chosen: str, definitions: Definitions, *, most: int | None = None, features: bool = True
) -> tuple[Sample | None, int]:
    """Return labelled examples, and one in how many they are; None where there are none.

    Parameters
    ----------
    chosen
        The view, with the columns of ``marked_sql``, and which of its examples, as the engine's text.
    most
        About how many at most; all of them by default.
    features
        Whether what the model sees is wanted, too.
    """
    grouped = definitions.group_columns
    there = "".join(f" AND {column} IS NOT NULL" for column in grouped)
    view = f"(SELECT * FROM {chosen}{there})"
    ((count,),) = database.rows(f"SELECT count(*) FROM {view}")
    if not count:
        return None, 1
    step = 1 if most is None else -(-int(count) // most)
    table = database.table(_sample_sql(view, definitions, grouped, step=step, features=features))
    label, classes = _numbers(table["@label"].combine_chunks(), definitions)
    says = table["@rule"].to_numpy(zero_copy_only=False).astype(np.float64)
    day, at, known = (table[name].to_numpy().astype(np.int64) for name in ("@day", "@at", "@known"))
    return Sample(
        features=table.select([feature.name for feature in definitions.features if features]),
        label=label,
        day=day,
        at=at,
        known=known,
        task=definitions.aim.task,
        rule=says if definitions.rule is not None and np.isfinite(says).any() else None,
        later=np.asarray(pc.equal(table["@split"], "validate")),
        group=table["@group"].to_numpy().astype(np.int64) if grouped else None,
        classes=classes,
        of_rows=int(count),
    ), step


def _sample_sql(view: str, definitions: Definitions, grouped: tuple[str, ...], *, step: int, features: bool) -> str:
    named = "".join(f"{quote(f'feature:{f.name}')} AS {quote(f.name)}, " for f in definitions.features)
    order = ", ".join([quote(PREDICT_AT), *map(quote, definitions.examples.source.key)])
    group = f', dense_rank() OVER (ORDER BY {", ".join(grouped)}) - 1 AS "@group"' if grouped else ""
    # The rule is an expression over features by their bare names; a key of such a name has to step aside.
    inner = (
        f'SELECT {named}{quote(LABEL)} AS "@label", "@day", "@split", epoch_us({quote(PREDICT_AT)}) AS "@at", '
        f'epoch_us({quote(KNOWN_AT)}) AS "@known", row_number() OVER (ORDER BY {order}) AS "@n"{group} FROM {view}'
    )
    rule = f"CAST({definitions.rule.sql} AS DOUBLE)" if definitions.rule is not None else "CAST(NULL AS DOUBLE)"
    turn = '"@group"' if grouped else '"@n" - 1'
    names = [*(f.name for f in definitions.features if features), "@label", "@day", "@split", "@at", "@known"]
    names += ["@group"] if grouped else []
    return (
        f'SELECT {", ".join(map(quote, names))}, {rule} AS "@rule" FROM ({inner}) WHERE ({turn}) % {step} = 0 '
        'ORDER BY "@n"'
    )


def _numbers(label: pa.Array, definitions: Definitions) -> tuple[Floats, tuple[str, ...]]:
    """Return labels as numbers; of a category positions among the names of its classes."""
    if definitions.aim.task != "category":
        return label.cast("double").to_numpy(zero_copy_only=False).astype(np.float64), ()
    classes = sorted(pc.unique(label).to_pylist())
    place = pc.index_in(label, value_set=pa.array(classes, label.type))
    return place.to_numpy(zero_copy_only=False).astype(np.float64), tuple(classes)
