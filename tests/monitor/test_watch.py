"""The fold over days: whom it pages, what it finds and when, and that no restart changes it."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from headway.errors import DataError
from headway.monitor.watch import Watch, observe
from headway.nouns.summary import merge, summarise

FIRST = 46


def test_a_healthy_model_pages_no_more_often_than_promised(world, watch_days) -> None:
    """At one page in 60 days: 6 references of 46 days, 250 dependent days each, all signals at work.

    The number of pages plus 2.33 of its standard errors (Poisson) must stay below 1,500 / 60 = 25.
    """
    pages = 0
    for seed in range(6):
        here = world(days=250, seed=seed, persistence=0.2 * (seed % 3))
        _, found = watch_days(here, here.reference(windows=60.0), range(FIRST, FIRST + 250))
        pages += sum(finding.level == "alert" for finding in found)
    assert pages + 2.33 * math.sqrt(max(pages, 1)) <= 1500 / 60


def test_a_rise_of_the_base_rate_is_found_with_its_onset(world, watch_days) -> None:
    """Odds times 2.6 from day 76 on: reported within 30 days in most worlds, never before, and dated within a week."""
    delays, errors = [], []
    for seed in range(5):
        here = world(days=80, seed=seed, change=FIRST + 30, odds=2.6)
        _, found = watch_days(here, here.reference(), range(FIRST, FIRST + 80))
        rises = [finding for finding in found if finding.signal == "base-rate-rise"]
        delays.append(rises[0].found_on - (FIRST + 30) if rises else 99)
        errors += [abs(rises[0].since - (FIRST + 30))] if rises else []
        assert all(finding.level == "report" for finding in rises)
    assert min(delays) > 0
    assert float(np.median(delays)) <= 30
    assert float(np.median(errors)) <= 7


def test_a_release_worse_than_its_predecessor_is_found_and_named(world, watch_days) -> None:
    """A release that has lost its skill and reads too high is called worse than the one before within three weeks."""
    here = world(days=30, seed=4, change=FIRST, skill=0.1, score_odds=2.5)
    _, found = watch_days(here, here.reference(), range(FIRST, FIRST + 30))
    worse = [finding for finding in found if finding.signal.startswith("release-")]
    assert worse
    assert worse[0].level == "alert"
    assert worse[0].found_on <= FIRST + 21
    assert "Roll back" in worse[0].todo


def test_a_disagreement_pages_before_any_outcome(world) -> None:
    """Scores that rank the same rows unlike the previous release's page on the second day, without labels."""
    here = world(days=5, seed=1, change=FIRST, skill=0.0)
    watch, found = Watch(), []
    for day in range(FIRST, FIRST + 3):
        rows = here.rows(day)
        mixed = np.random.default_rng(day).permutation(here.scores[rows])
        shown = here.shown(day, scores=mixed, previous_scores=here.previous[rows])
        watch, new = observe(watch, here.reference(), replace(shown, cohorts=()))
        found += [finding for finding in new if finding.signal == "disagreement"]
    assert [(finding.level, finding.found_on - FIRST) for finding in found] == [("report", 0), ("alert", 1)]


def test_scores_that_shift_while_the_inputs_do_not_are_a_serving_bug(world, watch_days) -> None:
    """Odds of all scores times six, inputs and release as before: an operational alert within 40 days."""
    here = world(days=60, seed=3, change=FIRST + 5, score_odds=6.0)
    _, found = watch_days(here, here.reference(), range(FIRST, FIRST + 60))
    bugs = [finding for finding in found if finding.signal == "serving-bug"]
    assert [finding.kind for finding in bugs] == ["operational"]
    assert bugs[0].found_on <= FIRST + 45


def test_drift_of_an_input_is_reported_and_pages_nobody(world, watch_days) -> None:
    """A feature that is shifted by two deviations, without any effect, is a report by its name."""
    here = world(days=40, seed=8)
    x = here.features.column("x").to_numpy() + np.where(here.day >= FIRST, 2.0, 0.0)
    moved = replace(here, features=here.features.set_column(0, "x", [x.astype(np.float32)]))
    _, found = watch_days(moved, here.reference(), range(FIRST, FIRST + 40))
    assert any(finding.signal == "drift" and finding.subject == "x" for finding in found)
    assert all(finding.level == "report" for finding in found)


def test_a_restart_after_every_day_changes_nothing(world) -> None:
    """State that went through JSON gives the very same states and findings."""
    here = world(days=40, seed=2, change=FIRST + 5, odds=4.0)
    reference = here.reference()
    kept, restarted = Watch(), Watch()
    for day in range(FIRST, FIRST + 40):
        kept, one = observe(kept, reference, here.shown(day))
        stored = msgspec.json.decode(msgspec.json.encode(restarted), type=Watch)
        again = msgspec.json.decode(msgspec.json.encode(reference), type=type(reference))
        restarted, other = observe(stored, again, here.shown(day))
        assert one == other
    assert kept == restarted
    assert kept.open


def test_a_day_delivered_twice_counts_once(world) -> None:
    """The second delivery of a day, or of a cohort, changes neither state nor findings."""
    here = world(days=5, seed=2)
    watch, _ = observe(Watch(), here.reference(), here.shown(FIRST))
    watch, _ = observe(watch, here.reference(), here.shown(FIRST + 1))
    assert observe(watch, here.reference(), here.shown(FIRST + 1)) == (watch, ())
    after, _ = observe(watch, here.reference(), here.shown(FIRST + 2))
    doubled = replace(here.shown(FIRST + 2), cohorts=(here.cohort(FIRST), here.cohort(FIRST + 1)))
    assert observe(watch, here.reference(), doubled)[0] == after


def test_hours_merged_give_the_verdicts_of_the_day(world) -> None:
    """A summary that was counted in two parts and merged leads to the same state."""
    here = world(days=3, seed=2)
    reference, shown = here.reference(), here.shown(FIRST)
    table, scores = shown.traffic.features, shown.traffic.scores
    parts = [summarise(reference.bins, table.slice(a, b - a), scores[a:b]) for a, b in ((0, 40), (40, len(scores)))]
    merged = merge(parts[1], parts[0])
    assert observe(Watch(), reference, shown, summary=merged) == observe(Watch(), reference, shown)


def test_a_new_release_starts_the_model_anew_but_not_the_world(world) -> None:
    """After a change of release the base rate goes on; what concerned the old model is gone."""
    here = world(days=20, seed=6)
    watch = Watch()
    for day in range(FIRST, FIRST + 10):
        watch, _ = observe(watch, here.reference(), here.shown(day))
    shown = replace(here.shown(FIRST + 10), release="r2")
    after, _ = observe(watch, here.reference("r2"), shown)
    assert "ranking" in watch.streams
    assert "ranking" not in after.streams
    assert len(after.streams["base-rate-rise"].log_m) == len(watch.streams["base-rate-rise"].log_m)
    assert after.streams["base-rate-rise"] != watch.streams["base-rate-rise"]
    assert after.base_rate == watch.base_rate


def test_a_found_base_rate_is_forgotten_only_when_a_release_judged_on_newer_days_answers_it(world) -> None:
    """A rollback offers the same days and keeps the finding open; a release judged on other days closes it."""
    here = world(days=60, seed=1, change=FIRST, odds=5.0)
    reference = here.reference()
    watch = Watch()
    for day in range(FIRST, FIRST + 40):
        watch, _ = observe(watch, reference, here.shown(day))
    assert "base-rate-rise:label" in watch.open
    shown = here.shown(FIRST + 40)
    back, _ = observe(watch, here.reference("r0"), replace(shown, release="r0"))
    assert "base-rate-rise:label" in back.open
    newer = replace(here, day=here.day - FIRST, scores=here.scores)
    keep = newer.day >= 0
    newer = replace(
        newer,
        day=newer.day[keep],
        features=here.features.slice(FIRST * 150),
        scores=here.scores[keep],
        labels=here.labels[keep],
        rule=here.rule[keep],
    )
    answered, _ = observe(watch, newer.reference("r2"), replace(shown, release="r2"))
    assert "base-rate-rise:label" not in answered.open


def test_a_finding_closes_when_its_cause_is_gone(world) -> None:
    """A fact closes on the next good day; evidence closes when it has drained away."""
    here = world(days=90, seed=1)
    spoilt = here.labels.copy()
    bad = (here.day >= FIRST) & (here.day < FIRST + 30) & (here.labels == 0)
    spoilt[bad] = (np.random.default_rng(0).random(int(bad.sum())) < 0.3).astype(np.float64)
    here = replace(here, labels=spoilt)
    watch, seen = Watch(), []
    for day in range(FIRST, FIRST + 90):
        watch, _ = observe(watch, here.reference(), here.shown(day, errors=50 if day == FIRST + 3 else 0))
        seen.append(set(watch.open))
    assert "errors:answers" in seen[3]
    assert "errors:answers" not in seen[4]
    assert any("base-rate-rise:label" in keys for keys in seen)
    assert "base-rate-rise:label" not in seen[-1]


def test_outcomes_that_are_overdue_give_no_verdict(world) -> None:
    """A cohort of which half is unknown is reported as overdue, and moves no stream."""
    here = world(days=3, seed=1)
    cohort = here.cohort(FIRST)
    labels = cohort.labels.copy()
    labels[:80] = np.nan
    shown = replace(here.shown(FIRST + 1), cohorts=(replace(cohort, labels=labels),))
    watch, found = observe(Watch(), here.reference(), shown)
    assert [finding.signal for finding in found] == ["outcomes-overdue"]
    assert set(watch.streams) == {"serving-bug"}


def test_a_reference_of_another_release_is_refused(world) -> None:
    """Comparing a day with the wrong release says which two met."""
    here = world(days=2, seed=1)
    with pytest.raises(DataError, match=r"'r1'.*'r2'"):
        observe(Watch(), here.reference("r2"), here.shown(FIRST))


def test_a_day_without_traffic_is_a_day(world) -> None:
    """No rows at all: the fall of volume pages, nothing breaks."""
    here = world(days=2, seed=1)
    shown = here.shown(FIRST)
    none = replace(shown.traffic, features=shown.traffic.features.slice(0, 0), scores=np.array([]))
    _, found = observe(Watch(), here.reference(), replace(shown, traffic=none))
    assert [(finding.signal, finding.level) for finding in found] == [("volume", "alert")]


def test_scores_that_follow_their_inputs_are_no_serving_bug(world, watch_days) -> None:
    """Inputs and scores shift together for sixty days: drift is reported, the server is not accused."""
    here = world(days=60, seed=3, change=FIRST + 5, score_odds=6.0)
    x = here.features.column("x").to_numpy() + np.where(here.day >= FIRST + 5, 2.0, 0.0)
    moved = replace(here, features=here.features.set_column(0, "x", [x.astype(np.float32)]))
    _, found = watch_days(moved, here.reference(), range(FIRST, FIRST + 60))
    assert {"x", "(score)"} <= {finding.subject for finding in found if finding.signal == "drift"}
    assert all(finding.signal != "serving-bug" for finding in found)


def test_another_predecessor_starts_the_comparison_anew(world) -> None:
    """Evidence against the release before last says nothing about the comparison with another one."""
    here = world(days=12, seed=4, change=FIRST, skill=0.1, score_odds=2.5)
    watch = Watch()
    for day in range(FIRST, FIRST + 4):
        watch, _ = observe(watch, here.reference(), here.shown(day))
    shown = here.shown(FIRST + 4)
    other = replace(shown, cohorts=(replace(shown.cohorts[0], previous="r-1"),))
    same, _ = observe(watch, here.reference(), shown)
    anew, _ = observe(watch, here.reference(), other)
    assert anew.streams["ranking"] == same.streams["ranking"]
    assert max(anew.streams["release-loss"].log_m) < max(same.streams["release-loss"].log_m)
