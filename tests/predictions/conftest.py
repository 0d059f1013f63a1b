"""A prediction to log, and a Python process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headway.nouns.prediction import Prediction

# Logs for ever, and tells each id only after it has it.
_LOG_FOR_EVER = """
import sys, pathlib
from headway.nouns.prediction import Prediction
from headway.predictions.writer import Writer
folder, name, batch, count, size = sys.argv[1:]
writer = Writer(pathlib.Path(folder), segment_bytes=int(size))
n = 0
while n < int(count):
    answers = [
        Prediction(served_us=n, predict_at_us=n, release=name, model="m", score=0.5, act=False, key={"n": n},
                   row={"n": n, "pad": "x" * (n % 997)}, features=(float(n), None, "c"))
        for n in range(n, n + int(batch))
    ]
    n += int(batch)
    for prediction_id in writer.append_many(answers):
        print(prediction_id, flush=True)
writer.close()
"""


def make_prediction(n=0, **changes):
    """Return the n-th of an endless row of different predictions."""
    fields = {
        "served_us": 1_380_585_600_000_000 + n,
        "predict_at_us": 1_380_585_000_000_000 + n,
        "release": "r1",
        "model": "9f0c",
        "score": (n % 100) / 100,
        "act": n % 7 == 0,
        "key": {"carrier": "UA", "flight": n},
        "row": {"carrier": "UA", "flight": n, "origin": "EWR", "note": "ä" * (n % 50)},
        "features": ("UA", float(n), None),
        "latency_us": n,
    }
    return Prediction(**{**fields, **changes})


@pytest.fixture(scope="session")
def prediction():
    """Return the maker of predictions."""
    return make_prediction


@pytest.fixture
def start_logging():
    """Return what starts a process that logs and then prints each id; whatever still runs is killed at the end."""
    started = []

    def start(folder, *, count, segment_bytes, release="a", batch=1):
        arguments = [str(each) for each in (folder, release, batch, count, segment_bytes)]
        process = subprocess.Popen([sys.executable, "-c", _LOG_FOR_EVER, *arguments], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
