"""The graph at work: named columns in, one score out, or one for each class.

The same bytes in real time, in batch and on the edge.

The file hides onnxruntime: how a session is set up so that one row and ten thousand give the same bits, how
missing values are handed over (NaN for a number, ``""`` for a category), and what the runtime's errors mean.

One row and a batch agree because the session runs on one thread, in the order of the graph, and because
packaged graphs are made of operators that treat each row apart (``build/package.py`` says which, and why);
packaging proves it on real rows before a graph is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError, StoreCorrupt, did_you_mean
from headway.graph.shares import in_shares
from headway.nouns.examples import FeatureColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["GraphScorer"]

_KINDS = {"tensor(float)": "number", "tensor(string)": "category"}


class GraphScorer:
    """A packaged graph, loaded once and asked many times.

    Parameters
    ----------
    graph
        The bytes of an ONNX model whose inputs are float or string tensors of shape ``[n, 1]``.
    output
        The output that holds the score, of shape ``[n, 1]``, or ``[n, classes]``.

    Attributes
    ----------
    classes
        How many columns an answer has; 0 where it is one number.

    Raises
    ------
    StoreCorrupt
        When the bytes are not a graph that this runtime can run, or its inputs are of another kind.
    """

    def __init__(self, graph: bytes, *, output: str = "score") -> None:
        self._session = _session(graph)
        inputs = self._session.get_inputs()
        alien = [f"{i.name}: {i.type}" for i in inputs if i.type not in _KINDS]
        outputs = {o.name: o.shape for o in self._session.get_outputs()}
        if alien or output not in outputs:
            found = ", ".join(alien) or ", ".join(outputs)
            raise StoreCorrupt(
                f"The graph is no packaged model: wanted float and string inputs and {output!r}, found {found}.",
                hint="Package the model again.",
            )
        self.columns = tuple(FeatureColumn(name=i.name, kind=_KINDS[i.type]) for i in inputs)  # type: ignore[arg-type]
        self._outputs = [output]
        width = outputs[output][-1] if outputs[output] else 1
        self.classes = width if isinstance(width, int) and width > 1 else 0
        self._numbers = [(i, c.name) for i, c in enumerate(self.columns) if c.kind == "number"]
        self._categories = [(i, c.name) for i, c in enumerate(self.columns) if c.kind == "category"]

    def score(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the score of each row, ``(n,)`` or ``(n, classes)``; columns are found by name, others left alone.

        Raises
        ------
        DataError
            When a column is missing or is neither what the graph takes nor all null.
        """
        return in_shares(self._score, features)

    def _score(self, features: pa.Table) -> NDArray[np.float64]:
        arrays = {c.name: _array(features, c) for c in self.columns}
        return self._run(arrays) if features.num_rows else self._nothing

    def score_row(self, values: Sequence[float | str | None]) -> float | NDArray[np.float64]:
        """Return the score of one row, or one for each class; values in the order of ``columns``, None for missing."""
        # One float array for all numbers, cut into views: half the time of one array each.
        numbers = np.array([values[i] for i, _ in self._numbers], dtype=np.float32).reshape(-1, 1, 1)
        feed: dict[str, Any] = {name: numbers[at] for at, (_, name) in enumerate(self._numbers)}
        for i, name in self._categories:
            feed[name] = np.array([[values[i] or ""]], dtype=object)
        answer: NDArray[np.float32] = self._session.run(self._outputs, feed)[0][0]
        return answer.astype(np.float64) if self.classes else float(answer[0])

    def score_rows(self, rows: Sequence[Sequence[float | str | None]]) -> NDArray[np.float64]:
        """Return the score of each of a few rows, given as in ``score_row``."""
        if not rows:
            return self._nothing
        feed: dict[str, Any] = {}
        for i, name in self._numbers:
            feed[name] = np.array([row[i] for row in rows], dtype=np.float32).reshape(-1, 1)
        for i, name in self._categories:
            feed[name] = np.array([row[i] or "" for row in rows], dtype=object).reshape(-1, 1)
        return self._run(feed)

    @property
    def _nothing(self) -> NDArray[np.float64]:
        return np.empty((0, self.classes) if self.classes else 0, dtype=np.float64)

    def _run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        score: NDArray[np.float32] = self._session.run(self._outputs, feed)[0]
        return (score if self.classes else score.reshape(-1)).astype(np.float64)


def _session(graph: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    # Without these, idle threads spin on a processor that the server needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions share no narrower root
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise StoreCorrupt(
            f"These {len(graph):,} bytes are not a graph that this runtime can run: {first}",
            hint="Package the model again, or install the version of onnxruntime that it names.",
        ) from error


def _array(features: pa.Table, column: FeatureColumn) -> NDArray[Any]:
    """Return one column as the ``[n, 1]`` array that the runtime takes."""
    if column.name not in features.column_names:
        raise DataError(
            f"There is no column {column.name!r}, which the model takes.",
            hint=did_you_mean(column.name, features.column_names),
        )
    values = features.column(column.name)
    if pa.types.is_null(values.type):
        values = values.cast(pa.float32() if column.kind == "number" else pa.string())
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    number = pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)
    if not (text if column.kind == "category" else number):
        wanted = "a number" if column.kind == "number" else "a text"
        raise DataError(f"Column {column.name!r} is {values.type}; the model takes {wanted}.", where=column.name)
    if text:
        # Through a dictionary: each distinct text becomes one Python object, not each row.
        coded = pc.fill_null(values, "").dictionary_encode().combine_chunks()
        words = np.array([*coded.dictionary.to_pylist(), ""], dtype=object)
        texts: NDArray[Any] = words[coded.indices.to_numpy(zero_copy_only=False)].reshape(-1, 1)
        return texts
    # float64 first: a null integer has no other way to become NaN; one rounding to float32, as in training.
    plain = values.to_numpy() if values.null_count == 0 else pc.fill_null(values.cast(pa.float64()), np.nan).to_numpy()
    return np.ascontiguousarray(plain.reshape(-1, 1), dtype=np.float32)
