"""The projections are a fold over the events: replayed, they come out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.errors import NotFound, StoreCorrupt
from headway.ledger import Ledger
from headway.ledger.tables import ROLES
from headway.nouns import event as happened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from headway.nouns.event import Event

    Dump = Callable[[Ledger], dict[str, list[dict[str, Any]]]]

NAMES = st.sampled_from(["a", "b", "c"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
MOMENTS = st.integers(0, 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    str: TEXTS,
    int: MOMENTS,
    float: FLOATS,
    dict[str, Any]: st.dictionaries(TEXTS, JSON, max_size=3),
    dict[str, str]: st.dictionaries(TEXTS, TEXTS, max_size=3),
    dict[str, int]: st.dictionaries(TEXTS, MOMENTS, max_size=3),
    tuple[str, ...]: st.lists(TEXTS, max_size=3).map(tuple),
    dict[str, float]: st.dictionaries(TEXTS, FLOATS, max_size=3),
}
# Fields that name one of few things, so that events meet each other.
NAMED = {"run", "release", "back_to", "finding", "study", "brief", "key", "window", "replaces", "source"}
REFERS = {
    happened.RunFinished: ("run", happened.RunStarted),
    happened.RunFailed: ("run", happened.RunStarted),
    happened.ReleaseActivated: ("release", happened.ReleaseMade),
    happened.ReleaseRolledBack: ("release", happened.ReleaseMade),
    happened.ReleaseWithdrawn: ("release", happened.ReleaseMade),
    happened.FindingCleared: ("finding", happened.FindingRaised),
    happened.Alerted: ("finding", happened.FindingRaised),
}


def _field(kind: type[Event], field: msgspec.structs.FieldInfo, known: list[str]) -> st.SearchStrategy[Any]:
    if kind in REFERS and field.name in {REFERS[kind][0], "back_to", "replaces"}:
        return st.sampled_from(known + ([""] if field.name == "replaces" else []))
    if field.name in NAMED:
        return NAMES
    if field.name == "role":
        return st.sampled_from(ROLES)
    return st.integers(0, 3) if field.name == "number" else OF_TYPE[field.type]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Event, int]]:
    """Draw events with the moments of their effect; whatever they speak of has happened before."""
    known: dict[type[Event], list[str]] = {}
    story: list[tuple[Event, int]] = []
    kinds = [kind for kind in happened.KINDS.values() if kind is not happened.OutcomesReceived]
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=14)):
        name, made_by = REFERS.get(kind, ("", kind))
        if name and made_by not in known:
            kind = made_by  # noqa: PLW2901  what it would speak of has to happen first
        fields = msgspec.structs.fields(kind)
        values = {field.name: draw(_field(kind, field, known.get(made_by, []))) for field in fields}
        event = kind(**values)
        for named, maker in {(named, maker) for named, maker in REFERS.values() if maker is kind}:
            known.setdefault(maker, []).append(getattr(event, named))
        story.append((event, draw(MOMENTS)))
    return story


BATCHES = st.lists(st.tuples(NAMES, st.none() | st.sampled_from([0.0, 1.0]), st.integers(0, 4)), max_size=8).map(
    lambda rows: pa.table(
        {
            "prediction": pa.array([row[0] for row in rows], pa.string()),
            "label": pa.array([row[1] for row in rows], pa.float64()),
            "known_us": pa.array([row[2] for row in rows], pa.int64()),
        }
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=histories(), batches=st.lists(BATCHES, max_size=3), pieces=st.integers(1, 4))
def test_a_rebuild_gives_the_very_same_tables(
    story: list[tuple[Event, int]],
    batches: list[pa.Table],
    pieces: int,
    *,
    dump: Dump,
    fresh: Callable[[Path], Ledger],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any history, told in pieces with outcomes between them, is replayed to equal tables and an intact chain."""
    folder = tmp_path_factory.mktemp("story")
    blobs = FolderBlobs(folder / "blobs")
    with fresh(folder / "ledger.sqlite") as ledger:
        for at, (event, effective_us) in enumerate(story):
            ledger.append(event, now_us=at, effective_us=effective_us)
            if at % pieces == 0 and batches:
                ledger.receive_outcomes(batches.pop(), put=blobs.put, now_us=at)
        for batch in batches:
            ledger.receive_outcomes(batch, put=blobs.put, now_us=99)
        before, head = dump(ledger), ledger.verify()
        assert ledger.rebuild(blobs.read) == head.seq
        assert dump(ledger) == before
        assert ledger.verify(head) == head
        told = [entry.event for entry in ledger.events() if not isinstance(entry.event, happened.OutcomesReceived)]
        assert told == [event for event, _ in story]


def test_a_failed_run_that_is_resumed_is_running_again_and_keeps_its_beginning(ledger: Ledger) -> None:
    """The same run goes on; what its earlier end said is gone."""
    start = happened.RunStarted(run="r1", brief="b", as_of_us=1, seed=7, environment={"cores": 2})
    ledger.append(start, now_us=10)
    ledger.append(happened.RunFailed(run="r1", error="no space"), now_us=20)
    assert (ledger.run("r1").state, ledger.run("r1").error) == ("failed", "no space")
    ledger.append(start, now_us=30)
    run = ledger.run("r1")
    assert (run.state, run.error, run.started_us, run.ended_us) == ("running", None, 10, None)
    done = happened.RunFinished(
        run="r1", dataset="d", model="m", verdict="v", winner_reason="best", seconds=2.5, fit_seconds=2, resumed_steps=4
    )
    ledger.append(done, now_us=40)
    run = ledger.run_of("m")
    assert (run.run, run.state, run.ended_us, run.resumed_steps) == ("r1", "finished", 40, 4)
    with pytest.raises(NotFound, match="Did you mean 'r1'"):
        ledger.run("r11")
    with pytest.raises(NotFound, match="No run made the model 'x'"):
        ledger.run_of("x")


def made(release: str) -> happened.ReleaseMade:
    """Return that ``release`` was made."""
    return happened.ReleaseMade(release=release, model="m", run="r", brief="b", dataset="d", by="ann")


def activated(release: str, role: str, replaces: str = "") -> happened.ReleaseActivated:
    """Return that ``release`` took ``role``."""
    return happened.ReleaseActivated(release=release, role=role, by="ann", why="better", replaces=replaces)


def test_a_whole_table_stands_in_the_order_in_which_it_was_told(ledger: Ledger) -> None:
    """The newest last, whatever the names."""
    for run in ("run-b", "run-c", "run-a"):
        ledger.append(happened.RunStarted(run=run, brief="b", as_of_us=1, seed=7, environment={}), now_us=1)
    ledger.append(happened.RunFailed(run="run-b", error="no space"), now_us=2)
    assert ledger.table("runs")["run"].to_pylist() == ["run-b", "run-c", "run-a"]
    assert [run.run for run in ledger.runs()] == ["run-a", "run-c", "run-b"]


def test_one_champion_at_a_time_and_who_it_was_at_any_moment(ledger: Ledger) -> None:
    """Spans are half-open; a shadow that is promoted leaves the shadow; a rollback restores the one before."""
    ledger.append_many([made("A"), made("B"), made("C")], now_us=1)
    ledger.append(activated("A", "champion"), now_us=1, effective_us=10)
    ledger.append(activated("B", "shadow"), now_us=2, effective_us=15)
    ledger.append(activated("B", "champion", replaces="A"), now_us=3, effective_us=20)
    ledger.append(activated("C", "shadow"), now_us=4, effective_us=22)
    ledger.append(happened.ReleaseRolledBack(release="B", back_to="A", by="bob", why="harm"), now_us=5, effective_us=30)
    ledger.append(happened.ReleaseWithdrawn(release="C", by="bob", why="lost"), now_us=6, effective_us=40)
    assert [ledger.live_at(moment) for moment in (9, 10, 19, 20, 29, 30, 99)] == [None, "A", "A", "B", "B", "A", "A"]
    shadows = [ledger.live_at(moment, role="shadow") for moment in (14, 15, 20, 22, 39, 40)]
    assert shadows == [None, "B", None, "C", "C", None]
    champion = ledger.champion()
    assert champion is not None
    assert champion.release == "A"
    assert [(release.release, release.role) for release in ledger.releases()] == [
        ("C", None), ("B", None), ("A", "champion"),
    ]  # fmt: skip
    assert [(span.release, span.role, span.from_us, span.until_us) for span in ledger.role_history()] == [
        ("A", "champion", 10, 20),
        ("B", "shadow", 15, 20),
        ("B", "champion", 20, 30),
        ("C", "shadow", 22, 40),
        ("A", "champion", 30, None),
    ]
    assert (ledger.role_history()[-1].by, ledger.role_history()[-1].why) == ("bob", "harm")


@pytest.mark.parametrize(
    "event",
    [
        activated("Z", "champion"),
        activated("A", "champion", replaces="Z"),
        happened.ReleaseRolledBack(release="A", back_to="Z", by="ann", why="w"),
        happened.RunFinished(
            run="Z", dataset="d", model="m", verdict="v", winner_reason="w", seconds=1.0, fit_seconds=1.0
        ),
        happened.FindingCleared(finding="Z", at_us=3),
    ],
)
def test_what_speaks_of_nothing_known_is_refused_and_leaves_no_trace(ledger: Ledger, event: Event, dump: Dump) -> None:
    """The whole call is undone, with the events before it."""
    ledger.append_many([made("A"), activated("A", "champion")], now_us=1)
    before, head = dump(ledger), ledger.head()
    with pytest.raises(NotFound, match="'Z'"):
        ledger.append_many([made("B"), event], now_us=2)
    assert dump(ledger) == before
    assert ledger.verify() == head


def test_a_finding_lasts_until_it_is_cleared_and_may_come_back(ledger: Ledger) -> None:
    """Raised again, it is the same finding with newer words; cleared, it is no longer open."""

    def raised(at_us: int, message: str) -> happened.FindingRaised:
        return happened.FindingRaised(
            finding="f", kind="drift", signal="psi", subject="wind", level="warn", since_us=5, at_us=at_us,
            message=message, todo="look", evidence={"psi": 0.3},
        )  # fmt: skip

    ledger.append_many([raised(6, "some"), happened.Alerted(finding="f", to="log"), raised(7, "more")], now_us=1)
    (finding,) = ledger.findings(open_only=True)
    assert (finding.first_us, finding.at_us, finding.message, finding.alerted) == (6, 7, "more", "log")
    assert finding.evidence == {"psi": 0.3}
    ledger.append(happened.FindingCleared(finding="f", at_us=9), now_us=2)
    assert ledger.findings(open_only=True) == []
    assert ledger.findings()[0].cleared_us == 9
    ledger.append(raised(11, "again"), now_us=3)
    assert ledger.findings(open_only=True)[0].first_us == 6


def test_trials_windows_snapshots_and_fillings_are_answered_as_they_were_told(ledger: Ledger) -> None:
    """What is asked for by key comes by key; a later telling replaces an earlier."""

    def trial(number: int, score: float) -> happened.TrialFinished:
        return happened.TrialFinished(
            study="s", number=number, algorithm="tree", settings={"depth": number}, scores={"ap": score}, seconds=0.1
        )

    ledger.append_many([trial(1, 0.2), trial(0, 0.1), trial(1, 0.3)], now_us=1)
    assert [(found.number, found.scores["ap"], found.settings) for found in ledger.trials("s")] == [
        (0, 0.1, {"depth": 0}), (1, 0.3, {"depth": 1}),
    ]  # fmt: skip
    assert ledger.trials("other") == []
    for count in (3, 4):
        ledger.append(happened.WindowClosed(window="2013-10-01", release="A", summary={"count": count}), now_us=count)
    assert [(window.summary, window.closed_us) for window in ledger.windows(release="A")] == [({"count": 4}, 4)]
    ledger.append(happened.SnapshotTaken(source="w", snapshot="s1", rows=3, files=1, added_rows=3), now_us=5)
    ledger.append(happened.SnapshotTaken(source="w", snapshot="s2", rows=5, files=2, added_rows=2), now_us=6)
    assert [snapshot.snapshot for snapshot in ledger.snapshots(source="w")] == ["s1", "s2"]
    assert ledger.snapshots(source="v") == []
    assert ledger.materialisation() is None
    ledger.append(happened.StoreMaterialised(store="x", as_of_us=7, rows=9), now_us=8)
    filling = ledger.materialisation()
    assert filling is not None
    assert (filling.store, filling.as_of_us, filling.made_us) == ("x", 7, 8)
    untold = ledger.filling_of("x")
    assert untold is not None
    assert ledger.filled_from(untold, ["w", "v"]) == {"w": "s2"}, "the newest that had been read"
    ledger.append(happened.StoreMaterialised(store="y", as_of_us=7, rows=9, snapshots={"w": "s1"}), now_us=9)
    told = ledger.filling_of("y")
    assert told is not None
    assert ledger.filled_from(told, ["w", "v"]) == {"w": "s1"}, "what it says, though newer had been read"
    ledger.append(happened.BriefSeen(brief="b", text="t"), now_us=9)
    assert ledger.brief_text("b") == "t"
    assert ledger.table("trials")["settings"].to_pylist() == ['{"depth":0}', '{"depth":1}']
    with pytest.raises(NotFound, match="Did you mean 'trials'"):
        ledger.table("trails")


def test_a_rebuild_whose_batch_says_something_else_is_refused(
    ledger: Ledger, blobs: FolderBlobs, dump: Dump, tmp_path: Path
) -> None:
    """Batches are part of the truth: a wrong one is found, and the tables stay as they were."""
    batch = pa.table({"prediction": ["p"], "label": [1.0], "known_us": [5]})
    ledger.receive_outcomes(batch, put=blobs.put, now_us=1)
    other = FolderBlobs(tmp_path / "other")
    wrong: list[bytes] = []
    with Ledger.open(tmp_path / "else.sqlite") as elsewhere:
        elsewhere.receive_outcomes(batch.slice(0, 0), put=lambda data: wrong.append(data) or other.put(data), now_us=1)
    before = dump(ledger)
    with pytest.raises(StoreCorrupt, match="settled again"):
        ledger.rebuild(lambda _: wrong[0])
    with pytest.raises(NotFound, match="no blob"):
        ledger.rebuild(other.read)
    assert dump(ledger) == before
