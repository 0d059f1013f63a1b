"""What holds for every test: how many examples a property gets, how many threads, and no network but loopback."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from headway.api import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

# Small models on few cores: a second thread costs more in waiting than it gives, most of all where tests run side
# by side. Set before numpy or LightGBM is imported; processes that a test starts inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Figures go to files; without this, matplotlib would look for a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

# No deadline, and no complaint of slowness: how long an example takes says more about the machine than the code.
settings.register_profile("house", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
# The same examples at every run, so that a change is never stopped by a fault that another one made.
settings.register_profile("ci", settings.get_profile("house"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "house")


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Let this process connect to loopback alone: what Headway needs at run time is on the machine."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not _is_loopback(str(address[0])):
        message = f"A test connects to {address[0]}; tests may use loopback alone."
        raise PermissionError(message)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


sys.addaudithook(_refuse_the_network)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Say after a failure how the same order comes again; quiet output leaves it out."""
    seed = config.getoption("randomly_seed", default=None)
    if exitstatus and seed is not None:
        terminalreporter.write_line(f"The same order again: --randomly-seed={seed}")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the person at the keyboard has set for Headway; ``HEADWAY_TEST_...`` speaks to the tests."""
    for name in list(os.environ):
        if name.startswith("HEADWAY_") and not name.startswith("HEADWAY_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _opened() -> Iterator[list[Project]]:
    """Remember each project that is opened, and close at the end those that tests share.

    Python 3.13 complains of a database that nobody closed, at whatever moment it is collected.
    """
    opened: list[Project] = []
    begin = Project.__init__

    def remembered(self: Project, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        opened.append(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Project, "__init__", remembered)
        yield opened
    for project in opened:
        project.close()


@pytest.fixture(autouse=True)
def _nothing_left_open(_opened: list[Project]) -> Iterator[None]:
    """Close the projects that a test has opened itself; those of a module or a session are gone on with."""
    shared = len(_opened)
    yield
    for project in _opened[shared:]:
        project.close()
    del _opened[shared:]
