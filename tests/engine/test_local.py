"""Steps are done once; what breaks or kills a plan costs only the step in hand."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

from headway.blobs import FolderBlobs
from headway.engine import LocalEngine, Plan, Step, Work
from headway.ledger import Ledger, LedgerBook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a new ledger."""
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def book(ledger: Ledger) -> LedgerBook:
    """Return the book kept in the ledger."""
    return LedgerBook(ledger, now_us=lambda: 1)


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def start(self, step: str, *, total: int | None = None) -> None:
        """Remember a start."""
        self.said.append(("start", step, total))

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Remember an advance."""
        self.said.append(("advance", step, amount, note))

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Remember a finish."""
        self.said.append(("finish", step, reused, seconds > 0))


def read(work: Work) -> Mapping[str, Any]:
    """Return rows."""
    return {"rows": tuple(range(work.inputs["count"]))}


def add(work: Work) -> Mapping[str, Any]:
    """Return the sum of the rows, and spoil what it was handed."""
    work.expect(2)
    work.advance(2, note="halves")
    total = sum(work.outputs["read"]["rows"])
    work.outputs["read"]["rows"].clear()
    return {"sum": total}


def plan(count: int = 3, offset: int = 0) -> Plan:
    """Return a plan of three steps in a row."""
    return Plan(
        Step(name="read", function=read, inputs={"count": count}),
        Step(name="add", function=add, needs=("read",)),
        Step(
            name="tell",
            function=lambda work: {"told": work.outputs["add"]["sum"]},
            needs=("add",),
            inputs={"o": offset},
        ),
    )


def test_a_second_run_does_nothing_and_gives_the_same(book: LedgerBook) -> None:
    """Outputs are equal to the last type: what was a tuple is a list both times."""
    engine, first_told, told = LocalEngine(book), Told(), Told()
    first = engine.run(plan(), first_told)
    again = engine.run(plan(), told)
    assert first.outputs == again.outputs == {"read": {"rows": [0, 1, 2]}, "add": {"sum": 3}, "tell": {"told": 3}}
    assert first.keys == again.keys
    assert (first.reused, again.reused) == ((), ("read", "add", "tell"))
    assert min(first.seconds.values()) > 0 == max(again.seconds.values())
    assert ("advance", "add", 2, "halves") in first_told.said
    assert ("start", "add", 2) in first_told.said
    assert [said for said in told.said if said[0] == "finish"] == [
        ("finish", name, True, False) for name in ("read", "add", "tell")
    ]


def test_only_what_depends_on_a_change_is_done_again(book: LedgerBook) -> None:
    """A changed setting redoes its step; a change that comes to the same result redoes nothing after it."""
    engine = LocalEngine(book)
    engine.run(plan())
    assert engine.run(plan(offset=1)).reused == ("read", "add")
    assert engine.run(plan(count=4)).reused == ()
    same_rows = Plan(Step(name="read", function=read, inputs={"count": 3, "note": ""}), *plan().steps[1:])
    assert engine.run(same_rows).reused == ("add", "tell")


def test_an_output_whose_blobs_are_gone_is_made_again(book: LedgerBook, tmp_path: Path) -> None:
    """The book alone is not trusted where the engine can look."""
    blobs = FolderBlobs(tmp_path / "blobs")
    write = Plan(Step(name="write", function=lambda _: {"blob": blobs.put(b"data")}))
    engine = LocalEngine(book, alive=lambda output: blobs.has(output["blob"]))
    digest = engine.run(write).outputs["write"]["blob"]
    assert engine.run(write).reused == ("write",)
    blobs.delete(digest)
    assert engine.run(write).reused == ()
    assert blobs.read(digest) == b"data"
    assert engine.run(write).reused == ("write",)


@pytest.mark.parametrize("error", [RuntimeError("broke"), KeyboardInterrupt()])
def test_a_step_that_breaks_leaves_those_before_it_done(book: LedgerBook, error: BaseException) -> None:
    """The error comes through with the step's name; the next run takes up where it broke."""
    faults = [error]

    def fragile(_: Work) -> Mapping[str, Any]:
        if faults:
            raise faults.pop()
        return {"fine": True}

    steps = Plan(*plan().steps, Step(name="fragile", function=fragile))
    engine = LocalEngine(book)
    with pytest.raises(type(error)) as caught:
        engine.run(steps)
    if isinstance(error, Exception):
        assert caught.value.__notes__ == ["in step 'fragile'"]
    result = engine.run(steps)
    assert result.reused == ("read", "add", "tell")
    assert result.outputs["fragile"] == {"fine": True}


def test_an_output_without_json_is_refused_and_not_recorded(book: LedgerBook, ledger: Ledger) -> None:
    """Large things belong into blobs."""
    with pytest.raises(ValueError, match="cannot be written as JSON") as caught:
        LocalEngine(book).run(Plan(Step(name="big", function=lambda _: {"object": object()})))
    assert caught.value.__notes__ == ["in step 'big'"]
    assert ledger.head().seq == 0


RUN = """
    import sys
    from pathlib import Path
    from headway.blobs import FolderBlobs
    from headway.engine import LocalEngine, NoProgress
    from headway.ledger import Ledger, LedgerBook

    folder = Path(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    import steps_under_test
    blobs = FolderBlobs(folder / "blobs")
    with Ledger.open(folder / "ledger.sqlite") as ledger, ledger.lease("run"):
        engine = LocalEngine(LedgerBook(ledger, now_us=lambda: 1), alive=lambda output: blobs.has(output["blob"]))
        print("ready", flush=True)

        class Watch(NoProgress):
            def finish(self, step, *, reused, seconds):
                if not reused:
                    print("did", step, flush=True)

        result = engine.run(steps_under_test.plan(blobs), Watch())
        for name, output in result.outputs.items():
            print("end", name, output["blob"], name in result.reused)
"""

STEPS = """
    from functools import partial
    from headway.engine import Plan, Step

    def write(blobs, work):
        before = b"".join(blobs.read(output["blob"]) for output in work.outputs.values())
        return {"blob": blobs.put((before[-50_000:] + str(work.inputs["number"]).encode()) * 4)}

    def plan(blobs):
        steps = [Step(name="s0", function=partial(write, blobs), inputs={"number": 0})]
        for number in range(1, 60):
            needs = (steps[-1].name,)
            name = f"s{number}"
            steps.append(Step(name=name, function=partial(write, blobs), inputs={"number": number}, needs=needs))
        return Plan(*steps)
"""


def start(folder: Path, code: Path) -> subprocess.Popen[str]:
    """Start the plan in a process of its own, and wait until it begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), folder, code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()[1]
    return process


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_a_plan_killed_at_random_moments_resumes_to_the_same_outputs(tmp_path: Path) -> None:
    """Kill -9 again and again, then let it end: the blobs are those of a plan that was never disturbed."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "steps_under_test.py").write_text(textwrap.dedent(STEPS))
    (tmp_path / "calm").mkdir()
    calm, _ = start(tmp_path / "calm", code).communicate()
    (tmp_path / "rough").mkdir()
    chance, done = random.Random(7), [0]
    for _ in range(5):
        process = start(tmp_path / "rough", code)
        assert process.stdout is not None
        for _ in range(chance.randint(2, 8)):
            assert process.stdout.readline().startswith("did ")
        time.sleep(chance.uniform(0.0, 0.004))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Ledger.open(tmp_path / "rough" / "ledger.sqlite", create=False) as ledger:
            done.append(ledger.verify().seq)
    assert done == sorted(done)
    assert 0 < max(done) < 60, f"the kills must fall within the plan: {done}"
    rough, errors = start(tmp_path / "rough", code).communicate()
    assert errors == ""
    told, undisturbed = (
        [line.split()[1:] for line in out.splitlines() if line.startswith("end ")] for out in (rough, calm)
    )
    assert len(told) == 60
    assert [line[:2] for line in told] == [line[:2] for line in undisturbed]
    assert sum(line[2] == "True" for line in told) == done[-1]
    assert FolderBlobs(tmp_path / "rough" / "blobs").verify().bad == ()
    with Ledger.open(tmp_path / "rough" / "ledger.sqlite") as ledger:
        assert ledger.verify().seq == 60


def test_steps_that_do_not_need_each_other_run_side_by_side(book: LedgerBook) -> None:
    """Two steps that wait for each other can only end if both have begun."""
    import threading

    barrier = threading.Barrier(2, timeout=20)

    def meet(work: Work) -> dict[str, object]:
        barrier.wait()
        return {"met": work.step}

    def after(work: Work) -> dict[str, object]:
        return {"both": sorted(work.outputs)}

    plan = Plan(
        Step(name="one", function=meet),
        Step(name="other", function=meet),
        Step(name="after", function=after, needs=("one", "other")),
    )
    result = LocalEngine(book, workers=2).run(plan)
    assert result.outputs["after"] == {"both": ["one", "other"]}
    assert list(result.outputs) == ["one", "other", "after"]
