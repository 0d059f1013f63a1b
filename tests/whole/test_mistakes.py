"""Mistakes in the brief and the data, at the command line: exit code 2, what and where and what to do, nothing lost."""

from __future__ import annotations

import json
import re
import resource
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL_AS_OF = "2013-06-25"

# What is changed in the brief; which words of the message say what, where, and what to do.
BRIEFS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a misspelt key": ("good_enough =", "good_enuogh =", ("good_enuogh", "good_enough", "headway.toml:")),
    "an unknown table": ("[monitor]", "[weather_forecast]", ("weather_forecast", "headway.toml:")),
    "text that is no TOML": ("[monitor]", "[monitor", ("headway.toml:",)),
    "a column that does not exist": (
        'carrier   = "carrier"',
        'carrier = "carier"',
        ("carier", "carrier", "headway.toml:"),
    ),
    "a look-up of a column that does not exist": (
        'take = "temp", ',
        'take = "tmep", ',
        ("tmep", "temp", "headway.toml:"),
    ),
    "a look-up in a source that does not exist": (
        'visib     = { from = "weather"',
        'visib     = { from = "wether"',
        ("wether", "weather", "headway.toml:"),
    ),
    "an expression that does not parse": ('distance  = "distance"', 'distance = "distance +"', ("headway.toml:",)),
    "a function that does not exist": (
        "\"weekday(sched_dep, 'America/New_York')\"",
        "\"weekdy(sched_dep, 'America/New_York')\"",
        ("weekdy", "weekday", "headway.toml:"),
    ),
    "a zone that does not exist": (
        'zone            = "America/New_York"',
        'zone            = "America/New_Yrok"',
        ("America/New_Yrok", "America/New_York", "headway.toml:"),
    ),
    "a date that is none": (
        "train_before    = 2013-06-01",
        'train_before    = "first of June"',
        ("train_before", "headway.toml:"),
    ),
    "a date that is not in the calendar": (
        "train_before    = 2013-06-01",
        "train_before    = 2013-06-31",
        ("headway.toml:",),
    ),
    "periods out of order": (
        "validate_before = 2013-06-10",
        "validate_before = 2013-05-10",
        ("validate_before", "headway.toml:"),
    ),
    "a minimum above good enough": (
        "minimum     = 0.05",
        "minimum     = 0.995",
        ("minimum", "good_enough", "headway.toml:"),
    ),
    "a source without a file": (
        '"data/planes.csv"',
        '"data/plains.csv"',
        ("plains.csv", "planes.csv", "headway.toml:"),
    ),
    "an action that cannot be understood": (
        '"top 40 per day"',
        '"the forty worst"',
        ("the forty worst", "top 40 per day"),
    ),
    "no such metric": (
        '"average_precision"',
        '"avg_precision"',
        ("avg_precision", "average_precision", "headway.toml:"),
    ),
    "a metric of another kind of target": (
        '"average_precision"',
        '"accuracy"',
        ("'accuracy' is not one of a target that is a condition", "average_precision", "headway.toml:"),
    ),
}

# These come to light among the rows, where the examples are made.
EXAMPLES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a feature that is the label": (
        'carrier   = "carrier"',
        'carrier = "arr_delay > 30"',
        ("arr_delay", "headway.toml:"),
    ),
    "a feature from the future": ('carrier   = "carrier"', 'carrier = "dep_delay"', ("dep_delay", "headway.toml:")),
    "a feature from the future, in an expression": (
        'distance  = "distance"',
        'distance = "distance + coalesce(air_time, 0)"',
        ("air_time", "headway.toml:"),
    ),
    "a label with one class": (
        '"arr_delay > 30"\nlabel_known_at',
        '"arr_delay > 9000"\nlabel_known_at',
        ("label", "headway.toml:"),
    ),
    "a train period without rows": (
        "train_before    = 2013-06-01",
        "train_before    = 2013-03-01",
        ("train", "headway.toml:"),
    ),
}


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return what runs a command in this process as the console script does: exit code, and its words."""

    def run(*words: str, folder: Path) -> tuple[int, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["--project", str(folder), "--as-of", SMALL_AS_OF, *words], prog_name="headway")
        return int(ended.value.code or 0), capfd.readouterr().err

    return run


def _head(folder: Path) -> tuple[object, ...]:
    with Project.open(folder) as project:
        head = project.store.ledger.verify()
        assert project.store.blobs.verify().bad == ()
        return head.seq, head.hash


def _change(folder: Path, old: str, new: str) -> None:
    brief = folder / "headway.toml"
    text = brief.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the brief"
    brief.write_text(text.replace(old, new))


def _refused(said: Callable[..., tuple[int, str]], folder: Path, words: tuple[str, ...], *commands: str) -> None:
    before = _head(folder)
    for command in commands:
        code, text = said(command, folder=folder)
        assert code == 2, text
        assert "Traceback" not in text
        for word in words:
            assert word in text, text
        assert _head(folder) == before, f"{command} changed the ledger"


@pytest.mark.parametrize("mistake", BRIEFS)
def test_a_mistake_in_the_brief_is_told_with_its_line(mistake, small_ran, said):
    """By ``check`` and by ``run``; the project that was there stays as it was."""
    old, new, words = BRIEFS[mistake]
    _change(small_ran, old, new)
    _refused(said, small_ran, words, "check", "run")


@pytest.mark.parametrize("mistake", EXAMPLES)
def test_a_brief_whose_examples_cannot_be_made_is_told_with_its_line(mistake, small_ran, said):
    """A run that has begun is kept as failed, with its reason; dataset, model and release stay what they were."""
    old, new, words = EXAMPLES[mistake]
    _change(small_ran, old, new)
    _failed(said, small_ran, words)


def test_a_source_of_no_rows_is_told(small_ran, said):
    """A header and nothing below it is a file like any other; that nothing can be learned from it is said."""
    path = small_ran / "data" / "flights" / "spring.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    code, _ = said("check", folder=small_ran)
    assert code == 3, "the gate of the data is closed"
    code, text = said("run", folder=small_ran)
    assert code == 3, text
    assert "The gate data-build is closed: there is no example." in text
    assert said("override", "data", "--by", "Ada", "--why", "to see", folder=small_ran)[0] == 0
    _failed(said, small_ran, ("no labelled example", "headway.toml:"))


def _failed(said: Callable[..., tuple[int, str]], folder: Path, words: tuple[str, ...]) -> None:
    with Project.open(folder) as project:
        runs = project.runs().to_pylist()
    code, text = said("run", folder=folder)
    assert code == 2, text
    assert "Traceback" not in text
    for word in words:
        assert word in text, text
    _head(folder)
    with Project.open(folder) as project:
        after = project.runs().to_pylist()
    assert [run for run in after if run in runs] == runs
    assert all(run["state"] == "failed" and run["error"] for run in after if run not in runs)


def _ragged(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[700] = lines[700].rstrip("\n") + ",surplus\n"
    path.write_text("".join(lines))


def _cut(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:900]) + lines[900].split(",")[0])


def _no_text(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000] + b"\xff\xfe\x00" * 40)


FILES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "an empty file": (lambda path: path.write_text(""), ("empty",)),
    "a line with a field too many": (_ragged, ("701",)),
    "a last line that was cut off": (_cut, ("901",)),
    "bytes that are no text": (_no_text, ()),
    "another header": (lambda path: path.write_text(path.read_text().replace("carrier", "carier", 1)), ("carrier",)),
    "a column that has become text": (
        lambda path: path.write_text(path.read_text().replace(",1416,", ",far,", 1)),
        ("distance", "far"),
    ),
}


@pytest.mark.parametrize("damage", FILES)
def test_a_damaged_file_is_named_and_nothing_of_it_is_taken(damage, small_ran, said):
    """The file that was read before is replaced by one that cannot be."""
    path = small_ran / "data" / "flights" / "spring.csv"
    change, words = FILES[damage]
    before = path.read_bytes()
    change(path)
    assert path.read_bytes() != before
    _refused(said, small_ran, ("spring.csv", *words), "check", "run")


def test_a_truncated_parquet_file_is_named(small_ran, said):
    """Half a file, as a broken copy leaves it."""
    whole = small_ran / "planes.parquet"
    pq.write_table(pa.table({"tailnum": ["N1", "N2"] * 500, "year": [2001, 2004] * 500}), whole)
    half = small_ran / "data" / "planes.parquet"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    _change(small_ran, '"data/planes.csv"', '"data/planes.parquet"')
    _refused(said, small_ran, ("planes.parquet",), "check", "run")


def test_a_moment_that_does_not_parse_is_told(small_ran, capfd):
    """``--as-of`` is read before anything else is done."""
    before = _head(small_ran)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--project", str(small_ran), "--as-of", "the day before", "run"], prog_name="headway")
    assert ended.value.code == 2
    assert "the day before" in capfd.readouterr().err
    assert _head(small_ran) == before


def test_outcomes_of_unknown_predictions_are_refused_by_name(small_ran, said):
    """Before and after there is anything to know; the ledger takes none of the file."""
    path = small_ran / "outcomes.csv"
    path.write_text("prediction,label\n000001-0000020-deadbeef,true\n")
    before = _head(small_ran)
    code, text = said("outcomes", str(path), folder=small_ran)
    assert code == 2, text
    assert "000001-0000020-deadbeef" in text
    assert _head(small_ran) == before


@pytest.mark.parametrize("room", [100_000, 250_000, 500_000])
def test_a_disk_that_fills_up_during_a_run_loses_nothing(room, small, small_ran_once, in_process, sound):
    """No file may grow beyond so many bytes, which is how a quota looks from inside; with room, the run goes on."""
    stopped = in_process(
        "run", folder=small, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    )
    assert stopped.returncode == 2, stopped.stdout + stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert re.search(r"make room|no space|cannot grow", stopped.stderr, re.IGNORECASE), stopped.stderr
    if (small / ".headway" / "ledger.db").exists():
        sound(small)
    done = in_process("--json", "run", folder=small)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == small_ran_once.report.model


def test_a_bad_day_among_good_ones_can_be_mended(small_ran, small_ran_once, said):
    """After the file is put right, the same command finds that nothing has changed."""
    path = small_ran / "data" / "flights" / "spring.csv"
    _ragged(path)
    assert said("run", folder=small_ran)[0] == 2
    shutil.copyfile(small_ran_once.folder / "data" / "flights" / "spring.csv", path)
    assert said("run", folder=small_ran)[0] == 0
    with Project.open(small_ran) as project:
        assert [run["model"] for run in project.runs().to_pylist()] == [small_ran_once.report.model]
