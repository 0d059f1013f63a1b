"""Which features would add something: proposed, computed as training would, ranked on the validation period.

The file hides how a feature's worth is measured: a seeded LightGBM learns the training period with the brief's features
alone, and again with one more; what counts is the difference on the validation period, on the same resampled days. The
test period is never read: the world ends, for all that is computed here, at its first midnight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.define.suggest import extended, line_of, proposals
from headway.errors import DataError
from headway.nouns.metric import average_precision, paired_day_bootstrap
from headway.query.compile import quote, quote_text
from headway.query.database import Database
from headway.query.example_texts import KNOWN_AT, LABEL, moment_sql
from headway.query.local_time import clock_sql
from headway.query.point_in_time import PointInTime
from headway.query.relation import PREDICT_AT
from headway.query.resolver import resolve
from headway.query.split import boundaries_us, midnight_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headway.query.definitions import Definitions
    from headway.query.parts import Part

    Floats = NDArray[np.float64]

__all__ = ["Suggestion", "suggest"]

_MOST_ROWS = 60_000
_ROUNDS, _DRAWS = 60, 300
_SETTINGS = {
    "objective": "binary",
    "num_leaves": 31,
    "min_data_in_leaf": 40,
    "learning_rate": 0.1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One feature that could be added.

    Attributes
    ----------
    toml
        The line for the brief.
    gain, low, high
        Average precision on the validation period more than without it, with its interval over days.
    look_ups
        How many look-ups a prediction would make for it that the brief does not make yet.
    steps
        How many steps these would hold, by the end of the validation period.
    """

    name: str
    toml: str
    gain: float
    low: float
    high: float
    look_ups: int
    steps: int


def suggest(definitions: Definitions, files: Mapping[str, Sequence[Part]], *, as_of_us: int) -> list[Suggestion]:
    """Return what could be added to a brief's features, what adds most first.

    Raises
    ------
    DataError
        When the label is no condition, or a period has too few examples of both classes.
    """
    brief = definitions.brief
    if definitions.label.kind != "bool":
        raise DataError(
            f"What is predicted is a {definitions.label.kind}; features are ranked for conditions.",
            where="target.label",
            hint="Look at 'headway features list', and try features one at a time.",
        )
    found = proposals(definitions)
    raw = {name: dict(relation.raw) for name, relation in definitions.relations.items()}
    wider = resolve(extended(brief, found), raw)
    if brief.split.by != "time":
        raise DataError(
            f"Features are ranked by what they add on later days; the split is by {brief.split.by}.",
            where="split.by",
            hint="Split by time, or try features one at a time.",
        )
    train_us, end_us, _ = boundaries_us(brief.split).values()
    now_us = min(as_of_us, end_us)
    since = brief.split.train_from
    with Database() as database:
        point_in_time = PointInTime(database, wider.known_by(now_us), files)
        table = point_in_time.examples(
            as_of_us=now_us,
            since_us=None if since is None else midnight_us(since, brief.split.zone),
            until_us=end_us,
        )
        train, validate = (_period(database, table, wider, train_us=train_us, first=first) for first in (True, False))
        sizes = {
            timeline: database.rows(f"SELECT count(*) FROM {point_in_time.steps(blind)}")[0][0]
            for timeline, blind in zip(wider.timelines, wider.known_by(now_us).timelines, strict=True)
        }
    own = list(brief.features)
    base = _scores(train, validate, own, seed=brief.search.seed)
    made = {timeline for feature in wider.features if feature.name in brief.features for timeline in feature.timelines}
    suggestions = []
    for name, spec in found.items():
        score = _scores(train, validate, [*own, name], seed=brief.search.seed)
        gain = paired_day_bootstrap(
            "average_precision",
            score,
            base,
            _floats(validate["@y"]),
            validate["@day"].to_numpy(),
            draws=_DRAWS,
            seed=brief.search.seed,
        )
        new = {t for f in wider.features if f.name == name for t in f.timelines} - made
        suggestions.append(
            Suggestion(
                name=name,
                toml=line_of(name, spec),
                gain=gain.value,
                low=gain.low,
                high=gain.high,
                look_ups=len(new),
                steps=sum(sizes[timeline] for timeline in new),
            )
        )
    return sorted(suggestions, key=lambda each: (-each.gain, each.steps, each.name))


def _period(database: Database, table: str, definitions: Definitions, *, train_us: int, first: bool) -> pa.Table:
    """Return features, label and local day of the training period, or of validation: at most 60,000, evenly drawn."""
    bound = moment_sql(train_us)
    when = (
        f"{quote(PREDICT_AT)} < {bound} AND {quote(KNOWN_AT)} < {bound}" if first else f"{quote(PREDICT_AT)} >= {bound}"
    )
    chosen = f"{when} AND {quote(LABEL)} IS NOT NULL"
    ((rows, cases),) = database.rows(f"SELECT count(*), count(*) FILTER ({quote(LABEL)}) FROM {table} WHERE {chosen}")
    if min(cases, rows - cases) < 10:
        raise DataError(
            f"The {'training' if first else 'validation'} period has {cases} of {rows} examples for which the label "
            "holds; a feature's worth cannot be told from so few.",
            where="split",
        )
    step = -(-rows // _MOST_ROWS)
    names = ", ".join(f"{quote(f'feature:{f.name}')} AS {quote(f.name)}" for f in definitions.features)
    order = ", ".join([quote(PREDICT_AT), *map(quote, definitions.examples.source.key)])
    local = clock_sql(quote(PREDICT_AT), quote_text(definitions.brief.split.zone))
    return database.table(
        f"""SELECT {names}, CAST({quote(LABEL)} AS DOUBLE) AS "@y",
                   date_diff('day', DATE '1970-01-01', CAST({local} AS DATE)) AS "@day"
            FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS "@n" FROM {table} WHERE {chosen})
            WHERE ("@n" - 1) % {step} = 0 ORDER BY "@n" """
    )


def _floats(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _scores(train: pa.Table, validate: pa.Table, names: Sequence[str], *, seed: int) -> Floats:
    import lightgbm

    learned, asked, categories = [], [], []
    for place, name in enumerate(names):
        if pa.types.is_string(train[name].type):
            seen = pc.unique(train[name].combine_chunks().drop_null()).sort()
            learned.append(_floats(pc.index_in(train[name], seen)))
            asked.append(_floats(pc.index_in(validate[name], seen)))
            categories.append(place)
        else:
            learned.append(_floats(train[name]))
            asked.append(_floats(validate[name]))
    data = lightgbm.Dataset(
        np.column_stack(learned), _floats(train["@y"]), categorical_feature=categories, params={"verbosity": -1}
    )
    model = lightgbm.train({**_SETTINGS, "seed": seed}, data, num_boost_round=_ROUNDS)
    scores: Floats = np.asarray(model.predict(np.column_stack(asked), num_threads=1), dtype=np.float64)
    assert np.isfinite(average_precision(scores, _floats(validate["@y"])))
    return scores
