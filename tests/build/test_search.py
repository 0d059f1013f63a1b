"""The search: its order, its ends, and that it can be killed."""

import dataclasses

import msgspec
import numpy as np
import optuna
import pyarrow as pa
import pytest

from headway.build.candidates import CANDIDATES, fit
from headway.build.package import package
from headway.build.search import algorithm_of, proposed, search, seed_of
from headway.errors import BriefError, DataError
from headway.nouns.brief import Search, Success, Value
from headway.nouns.metric import average_precision, day_draws, interval_of_draws, log_loss
from headway.nouns.trial import Scored, Trial

SUCCESS = Success(minimum=0.1, good_enough=0.99)


class Book:
    """Trials as JSON, as a store would keep them."""

    def __init__(self, kept=(), *, dies_after=None):
        self.kept = dict(kept)
        self.dies_after = dies_after

    def get(self, study, number):
        """Return the trial, decoded."""
        found = self.kept.get((study, number))
        return None if found is None else msgspec.json.decode(found, type=Trial)

    def put(self, study, trial):
        """Keep the trial, encoded, once; or die."""
        if self.dies_after is not None and len(self.kept) >= self.dies_after:
            raise KeyboardInterrupt
        assert (study, trial.number) not in self.kept
        self.kept[study, trial.number] = msgspec.json.encode(trial)


def _score(examples, predictions):
    drawn = day_draws("average_precision", predictions, examples.label, examples.day, draws=50, seed=1)
    value = average_precision(predictions, examples.label)
    interval = interval_of_draws(value, drawn, days=len(np.unique(examples.day)))
    return Scored(
        scores={"average_precision": interval, "log_loss": log_loss(predictions, examples.label)},
        replicates=tuple(float(x) for x in drawn),
    )


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """LightGBM trials of a few trees: what is tested is the search."""
    kind = CANDIDATES["lightgbm"]
    monkeypatch.setitem(
        CANDIDATES,
        "lightgbm",
        dataclasses.replace(
            kind,
            defaults=lambda rows: {**kind.defaults(rows), "trees": 20, "num_leaves": 7},
            then=lambda _: (),
            space=lambda rows: {**kind.space(rows), "trees": optuna.distributions.IntDistribution(5, 20)},
        ),
    )


def _run(train, later, *, trials=14, book=None, success=SUCCESS, **changes):
    given = {"score": _score, "study": "s", "value": Value(), "threads": 1}
    brief = Search(trials=trials, **changes.pop("brief", {}))
    return search(train, later, search=brief, success=success, book=book or Book(), **{**given, **changes})


def _what(trials):
    """All of a trial but what a stopwatch gave."""
    return [msgspec.structs.replace(t, fit_seconds=0.0, latency_us=0.0) for t in trials]


@pytest.fixture(scope="module")
def whole(train, later):
    """One search, never interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        kind = CANDIDATES["lightgbm"]
        patch.setitem(
            CANDIDATES,
            "lightgbm",
            dataclasses.replace(
                kind,
                defaults=lambda rows: {**kind.defaults(rows), "trees": 20, "num_leaves": 7},
                then=lambda _: (),
                space=lambda rows: {**kind.space(rows), "trees": optuna.distributions.IntDistribution(5, 20)},
            ),
        )
        return _run(train, later)


def test_the_first_round_tries_the_defaults_simplest_first(whole, train):
    """Then each kind goes on with its share, and settings move."""
    assert [t.algorithm for t in whole.trials[:7]] == [
        "logistic", "tree", "lightgbm", "logistic", "tree", "lightgbm", "lightgbm",
    ]  # fmt: skip
    assert whole.trials[0].settings == CANDIDATES["logistic"].defaults(len(train))
    assert len({str(t.settings) for t in whole.trials}) == len(whole.trials)
    assert [t.number for t in whole.trials] == list(range(14))
    assert whole.stopped_because == "budget of trials"


@pytest.mark.parametrize("died_after", [0, 1, 2, 5, 9, 13])
def test_a_resumed_search_equals_an_uninterrupted_one(died_after, whole, train, later):
    """Killed after any trial, it goes on to the same settings, seeds, scores and winner."""
    book = Book(dies_after=died_after)
    with pytest.raises(KeyboardInterrupt):
        _run(train, later, book=book)
    assert len(book.kept) == died_after
    resumed = _run(train, later, book=Book(book.kept))
    assert _what(resumed.trials) == _what(whole.trials)
    assert resumed.winner.number == whole.winner.number
    assert resumed.stopped_because == whole.stopped_because


def test_a_finished_search_is_read_from_the_book_without_fitting(whole, train, later, monkeypatch):
    """The second time costs nothing."""
    book = Book({("s", t.number): msgspec.json.encode(t) for t in whole.trials})
    monkeypatch.setattr("headway.build.search.fit", None)
    again = _run(train, later, book=book)
    assert again.trials == whole.trials
    assert again.reason == whole.reason
    assert again.fitted is None


def test_the_outcome_is_the_same_with_one_trial_at_a_time_and_with_two(whole, train, later):
    """Who finishes first depends on the machine; what is proposed, and who wins, does not."""
    one_by_one = _run(train, later, workers=1)
    assert _what(one_by_one.trials) == _what(whole.trials)
    assert one_by_one.winner.number == whole.winner.number


def test_trials_begun_ahead_leave_no_trace(train, later):
    """The dearest default begins beside the simplest; where that one suffices, the book holds it alone."""
    book = Book()
    _run(train, later, book=book, success=Success(minimum=0.1, good_enough=0.2), workers=2)
    assert list(book.kept) == [("s", 0)]


def test_optuna_is_not_loaded_where_the_defaults_suffice(train, later, monkeypatch):
    """Nothing is proposed before the first round is over."""
    monkeypatch.setattr("headway.build.search.proposed", None)
    assert len(_run(train, later, trials=3).trials) == 3


def test_another_seed_tries_other_settings(whole, train, later):
    """But starts from the same defaults."""
    other = _run(train, later, trials=4, brief={"seed": 8})
    assert other.trials[0].settings == whole.trials[0].settings
    assert other.trials[3].settings != whole.trials[3].settings


def test_the_search_stops_when_it_is_good_enough(train, later):
    """The first default suffices here: nothing dearer is fitted."""
    result = _run(train, later, success=Success(minimum=0.1, good_enough=0.2))
    assert len(result.trials) == 1
    assert result.winner.algorithm == "logistic"
    assert result.stopped_because == "good enough"


def test_of_a_loss_good_enough_is_below(train, later):
    """Log loss stops the search when it is low enough, not when it is high."""
    never = Success(metric="log_loss", minimum=0.7, good_enough=0.001)
    at_once = Success(metric="log_loss", minimum=0.7, good_enough=0.69)
    assert len(_run(train, later, trials=2, success=never).trials) == 2
    assert len(_run(train, later, trials=2, success=at_once).trials) == 1


def test_a_time_cap_cuts_the_search_and_is_recorded(train, later):
    """At least one trial is made; the clock is the caller's."""
    ticks = iter(range(1000))
    result = _run(train, later, now=lambda: float(next(ticks)), workers=1, brief={"seconds": 5.0})
    assert 1 <= len(result.trials) < 14
    assert result.stopped_because == "time cap"
    assert result.trials[0].fit_seconds == 1.0


def test_a_time_cap_counts_what_was_spent_before_the_interruption(whole, train, later):
    """A killed search gets no second helping."""
    spent = msgspec.structs.replace(whole.trials[0], fit_seconds=100.0)
    book = Book({("s", 0): msgspec.json.encode(spent)})
    assert len(_run(train, later, book=book, brief={"seconds": 50.0}).trials) == 1


def test_the_winner_s_model_is_handed_over_and_can_be_made_again(whole, train):
    """Algorithm, settings and seed of the trial give the same graph."""
    assert whole.fitted is not None
    winner = whole.winner
    again = fit(winner.algorithm, winner.settings, train, seed=winner.seed, threads=1)
    signature = again.signature
    assert package(again, signature=signature) == package(whole.fitted, signature=signature)


def test_trials_hold_what_selection_and_the_ledger_need(whole):
    """Measured, not made up."""
    for trial in whole.trials:
        assert 0 < trial.latency_us < 50_000
        assert trial.size_bytes > 500
        assert trial.complexity > 1
        assert trial.fit_seconds > 0
        assert len(trial.replicates) == 50
        assert trial.seed == 7


def test_progress_is_told_of_every_trial(train, later):
    """Once each, in order, with the total."""
    seen = []
    _run(train, later, trials=3, progress=lambda trial, *, total: seen.append((trial.number, total)))
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_only_the_algorithms_of_the_brief_are_tried(train, later):
    """In the house's order, simplest first, whatever the brief's."""
    result = _run(train, later, trials=3, brief={"algorithms": ("tree", "logistic")})
    assert [t.algorithm for t in result.trials] == ["logistic", "tree", "logistic"]


def test_the_sampler_learns_from_earlier_trials(train):
    """Proposals differ when history does, and only then; other algorithms' trials do not count."""
    space = CANDIDATES["lightgbm"].space(len(train))

    def history(best_low):
        rng = np.random.default_rng(5)
        out = []
        for number in range(30):
            rate = float(np.exp(rng.uniform(np.log(0.02), np.log(0.15))))
            given = {**CANDIDATES["lightgbm"].defaults(len(train)), "learning_rate": rate}
            out.append(_made(number, given, -rate if best_low else rate))
        return out

    def rates(trials):
        made = [proposed("lightgbm", trials, metric="average_precision", rows=len(train), seed=s) for s in range(12)]
        assert all(m.keys() == space.keys() for m in made)
        return np.mean([m["learning_rate"] for m in made])

    assert rates(history(best_low=True)) < rates(history(best_low=False))
    odd = [*history(best_low=True), msgspec.structs.replace(_made(31, {}, 1.0), algorithm="tree")]
    assert rates(odd) == rates(history(best_low=True))


def _made(number, settings, quality):
    return Trial(
        number=number, algorithm="lightgbm", settings=settings, seed=0, scores={"average_precision": quality},
        fit_seconds=1.0, latency_us=1.0, complexity=1, size_bytes=1, interpretability="opaque",
    )  # fmt: skip


def test_nothing_is_printed(train, later, capfd):
    """Optuna and LightGBM are silent."""
    _run(train, later, trials=6)
    assert capfd.readouterr() == ("", "")


def test_seeds_of_trials_differ_and_are_fixed():
    """A trial's seed follows from its number alone."""
    seeds = [seed_of(7, number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert seeds[:2] == [seed_of(7, 0), seed_of(7, 1)]
    assert all(0 <= s < 2**31 for s in seeds)
    assert algorithm_of(3, ("tree",)) == "tree"


def test_bad_input_is_named(train, later, make):
    """No validation rows, a one-class label, an unknown algorithm, a score without the metric."""
    with pytest.raises(DataError, match="validation part holds no examples"):
        _run(train, make(0))
    with pytest.raises(DataError, match="All 100 training labels are 0"):
        _run(make(100, label=0.0), later)
    with pytest.raises(BriefError, match="Did you mean 'tree'"):
        _run(train, later, brief={"algorithms": ("tre",)})
    with pytest.raises(DataError, match="scores lack 'average_precision'"):
        _run(train, later, score=lambda *_: Scored(scores={}))


def test_a_validation_part_of_few_rows_can_be_timed(train, later):
    """Fewer rows than are timed: some are timed twice."""
    few = dataclasses.replace(
        later, features=later.features.slice(0, 5), label=np.array([0.0, 1, 0, 1, 0]), day=np.arange(5)
    )
    assert _run(train, few, trials=1).trials[0].latency_us > 0
    assert pa.types.is_string(few.features["carrier"].type)
