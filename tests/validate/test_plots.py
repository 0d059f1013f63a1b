"""The pictures: well-formed, the same bytes each time, and they show what they were given."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from headway.nouns.brief import Quota
from headway.nouns.interval import Interval
from headway.nouns.metric import average_precision, silent_is_lowest
from headway.nouns.money import decide, worth_per_day
from headway.validate.judge import judge
from headway.validate.plots import calibration_svg, money_svg, precision_recall_svg, segments_svg


@pytest.fixture
def pictures(world, success, value):
    """Return the four pictures as functions, and the verdict they are of."""
    score, examples, _ = world(1, carriers=10)
    verdict = judge(
        score, examples, success=success, value=value, act_on=Quota(k=10), rule_name="late_24h", seed=7, draws=100
    )
    days = np.unique(examples.day)
    model, rule = (
        worth_per_day(decide(each, examples.day, Quota(k=10)), examples.label, examples.day, value)
        for each in (score, examples.rule)
    )
    return {
        "precision-recall": lambda: precision_recall_svg(score, examples.rule, examples.label, rule_name="late_24h"),
        "calibration": lambda: calibration_svg(verdict.calibration),
        "money": lambda: money_svg(
            days, model, rule, currency="USD", mean=verdict.money.model, rule_mean=verdict.money.rule
        ),
        "segments": lambda: segments_svg(verdict.segments, verdict.roc_auc),
    }, (verdict, score, examples)


def _parsed(svg):
    return ET.fromstring(svg)  # noqa: S314  our own output, not a stranger's


def _texts(svg):
    return [" ".join(node.itertext()).strip() for node in _parsed(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("kind", ["precision-recall", "calibration", "money", "segments"])
def test_a_picture_is_a_small_svg_with_the_same_bytes_each_time(pictures, kind):
    """No date, no random id, no reference to anything outside."""
    draw = pictures[0][kind]
    svg = draw()
    assert svg == draw()
    assert _parsed(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(svg) < 60_000
    assert "<dc:date>" not in svg
    assert 'href="http' not in svg


def test_the_lines_are_labelled_with_their_own_figures(pictures):
    """Model, rule and chance, each with its average precision."""
    draw, (_, score, examples) = pictures
    texts = _texts(draw["precision-recall"]())
    assert f"model, average {average_precision(score, examples.label):.2f}" in texts
    rule = average_precision(silent_is_lowest(examples.rule), examples.label)
    assert f"rule: late_24h, average {rule:.2f}" in texts
    assert f"picked at random, {examples.label.mean():.2f}" in texts


def test_the_segments_are_all_named_and_the_small_ones_counted(pictures):
    """Nothing that was asked for goes missing from the picture without a word."""
    draw, (verdict, _, _) = pictures
    texts = _texts(draw["segments"]())
    small = sum(bool(segment.too_few) for segment in verdict.segments)
    assert small > 0
    assert f"ROC AUC; {small} segments are too small to say" in texts
    for segment in verdict.segments:
        assert (segment.value in texts) == (not segment.too_few)
    assert {"origin", "carrier"} <= set(texts)


def test_money_is_labelled_with_both_means(pictures):
    """In whole units of the currency, where they are large."""
    draw, (verdict, _, _) = pictures
    texts = _texts(draw["money"]())
    assert f"model  {verdict.money.model.value:,.0f}" in texts
    assert f"rule  {verdict.money.rule.value:,.0f}" in texts


def test_pictures_without_a_rule_or_segments_are_drawn_all_the_same(world):
    """A brief may name neither."""
    score, examples, _ = world(1)
    assert "rule" not in " ".join(_texts(precision_recall_svg(score, None, examples.label)))
    one = Interval(value=0.7, low=0.6, high=0.8)
    assert "Is it as good for everyone?" in _texts(segments_svg((), one))
    assert "model  0.70" in _texts(
        money_svg([1, 2, 3], np.array([1.0, 2, 3]), None, currency="EUR", mean=one, rule_mean=None)
    )


def test_threads_do_not_disturb_each_others_style(pictures):
    """Matplotlib's settings are global; a server draws in several threads."""
    draw, _ = pictures
    expected = {kind: each() for kind, each in draw.items()}
    with ThreadPoolExecutor(4) as threads:
        drawn = [(kind, threads.submit(each)) for _ in range(2) for kind, each in draw.items()]
    assert all(future.result() == expected[kind] for kind, future in drawn)


def test_names_that_look_like_markup_stay_text(world):
    """Segment and rule names come from data."""
    score, examples, _ = world(1)
    svg = precision_recall_svg(score, examples.rule, examples.label, rule_name="<script>$x^2$")
    assert "<script>" not in svg
    assert any("<script>" in text for text in _texts(svg))
