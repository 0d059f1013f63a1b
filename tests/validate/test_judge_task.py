"""The verdict on numbers, categories and rankings, on worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headway.errors import BriefError
from headway.nouns.act_on import parse_act_on
from headway.nouns.brief import Success, Value
from headway.nouns.calls import calls_of
from headway.nouns.examples import Examples
from headway.validate.judge_task import judge_task

RNG = np.random.default_rng(11)
N = 3000
DAY = np.repeat(np.arange(30), 100)
TRUTH = RNG.gamma(2, 10, N)
LABEL = TRUTH + RNG.normal(0, 5, N)
WHERE = RNG.choice(["north", "south", "west"], N)


def _examples(label=LABEL, rule=None, group=None):
    return Examples(
        features=pa.table({"x": np.zeros(len(label), dtype=np.float32)}),
        label=label,
        day=DAY,
        rule=np.full(len(label), np.nan) if rule is None else rule,
        segments=pa.table({"where": WHERE}),
        predict_at=DAY * 86_400_000_000,
        key=pa.table({"id": np.arange(len(label))}),
        group=group,
    )


def _judge(said, examples, *, task="number", act_on="prediction > 30", value=None, classes=(), rule="", **success):
    wanted = {"metric": "mae", "minimum": 6.0, "good_enough": 3.0} | success
    calls = calls_of(task=task, act_on=parse_act_on(act_on), value=value or Value(true_positive=9), classes=classes)
    return judge_task(said, examples, calls=calls, success=Success(**wanted), rule_name=rule, seed=3, draws=200)


def _gate(verdict, name):
    return next(gate for gate in verdict.gates if gate.name == name)


def test_a_good_number_passes_and_its_figures_are_the_truth():
    """The error is that of the noise, there is no bias, and no segment is behind."""
    found = _judge(TRUTH, _examples(rule=TRUTH + RNG.normal(0, 9, N)), rule="last")
    assert found.passed, found.reasons
    assert found.score.low < 5 * np.sqrt(2 / np.pi) < found.score.high
    assert found.difference.high < 0
    assert found.residuals.bias.low < 0 < found.residuals.bias.high
    assert len(found.residuals.bins) == 10
    assert (found.roc_auc, found.calibration, found.task) == (None, None, "number")
    assert not found.segments_below_bar


def test_a_worse_number_than_todays_is_refused():
    """Lower is better: a whole interval above 0 is worse."""
    found = _judge(TRUTH + RNG.normal(0, 9, N), _examples(rule=TRUTH), rule="last", minimum=20.0)
    assert not _gate(found, "better than today").passed
    assert _gate(found, "quality").passed


def test_a_bias_and_a_segment_that_is_served_worse_are_named():
    """The prediction is 12 too low, and in the south it knows nothing."""
    said = np.where(WHERE == "south", RNG.permutation(TRUTH), TRUTH) - 12
    found = _judge(said, _examples(), minimum=50.0)
    assert not _gate(found, "bias").passed
    assert found.residuals.bias.value == pytest.approx(12, abs=1)
    assert [segment.name for segment in found.segments_below_bar] == ["where = south"]


def test_a_quantile_is_held_to_its_share_and_not_to_the_mean():
    """Three labels in four lie below, as is meant; where the mean is given instead, half of them do, and it is said."""
    three_in_four = TRUTH + 5 * 0.6745
    found = _judge(three_in_four, _examples(), metric="pinball_75")
    assert _gate(found, "coverage").passed
    assert "bias" not in [gate.name for gate in found.gates]
    mean = _judge(TRUTH, _examples(), metric="pinball_75")
    assert not _gate(mean, "coverage").passed
    assert not _gate(mean, "coverage").blocking
    assert 0.45 < float(_gate(mean, "coverage").found.split()[0]) < 0.55


def test_a_number_used_as_it_is_is_held_against_the_best_constant():
    """Nobody can do nothing: there is no such gate."""
    found = _judge(TRUTH, _examples(), act_on="every prediction", value=Value(over=-0.5, under=-2.0))
    assert _gate(found, "earns more than one number for all").passed
    assert "earns more than doing nothing" not in [gate.name for gate in found.gates]
    assert found.passed, found.reasons


def test_a_category_is_judged_by_its_probabilities():
    """Three classes, told with skill: better than the mix of classes."""
    label = RNG.integers(0, 3, N).astype(float)
    said = RNG.dirichlet([1, 1, 1], N) * 0.5 + 0.5 * (label[:, None] == np.arange(3))
    found = _judge(
        said, _examples(label), task="category", act_on="the most likely class", classes=("a", "b", "c"),
        metric="log_loss", minimum=1.0, good_enough=0.1,
    )  # fmt: skip
    assert found.passed, found.reasons


def test_a_ranking_is_judged_within_its_groups():
    """Against no order at all."""
    label = RNG.choice([0.0, 0, 0, 1, 2], N)
    said = label + RNG.normal(0, 1, N)
    found = _judge(
        said, _examples(label, group=np.arange(N) // 10), task="ranking", act_on="top 2 per group",
        metric="ndcg_5", minimum=0.4, good_enough=0.99,
    )  # fmt: skip
    assert found.passed, found.reasons
    assert found.positives == (label > 0).sum()


def test_a_metric_of_another_task_is_refused():
    """Naming those that suit."""
    with pytest.raises(BriefError, match="metric = 'mae'"):
        _judge(TRUTH, _examples(), metric="average_precision", minimum=0.1, good_enough=0.5)


def test_each_class_has_its_line_and_the_unseen_are_named():
    """Honest probabilities come as often as they say; those of one class doubled do not, and the gate says which."""
    rng = np.random.default_rng(3)
    said = rng.dirichlet([2.0, 1.0, 1.0], N)
    label = (rng.random(N)[:, None] > said.cumsum(axis=1)[:, :2]).sum(axis=1).astype(np.float64)
    asked = {"task": "category", "act_on": "the most likely class", "classes": ("a", "b", "c"), "metric": "accuracy"}
    asked |= {"minimum": 0.3, "good_enough": 0.9}
    honest = _judge(said, _examples(label), **asked)
    assert [each.examples for each in honest.classes] == np.bincount(label.astype(int)).tolist()
    assert all(each.ratio.low < 1 < each.ratio.high for each in honest.classes)
    assert [each.hits / each.said for each in honest.classes] == [each.precision for each in honest.classes]
    assert _gate(honest, "classes as often as predicted").passed
    assert _gate(honest, "every class was there to learn").passed
    warped = said * [1.0, 2.0, 1.0]
    off = _judge(warped / warped.sum(axis=1, keepdims=True), _examples(label), **asked)
    gate = _gate(off, "classes as often as predicted")
    assert not gate.passed
    assert "b came" in gate.found
    calls = calls_of(
        task="category",
        act_on=parse_act_on("the most likely class"),
        value=Value(true_positive=9),
        classes=("a", "b", "c"),
    )
    success = Success(metric="accuracy", minimum=0.3, good_enough=0.9)
    wanted = {"calls": calls, "success": success, "rule_name": "", "seed": 3, "draws": 50}
    unseen = judge_task(said, _examples(label), unseen={"d": 12}, **wanted)
    assert "12 of 'd'" in _gate(unseen, "every class was there to learn").found
