"""One at a time, by name; and nobody has to clean up after the dead."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from headway.errors import StoreBusy
from headway.ledger import Ledger

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

HOLD = """
    import sys, time
    from headway.ledger import Ledger
    with Ledger.open(sys.argv[1]) as ledger, ledger.lease("run", owner="ann"):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_second_holder_is_refused_by_name_and_a_killed_one_lets_go(
    where: Any, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """While a process holds it, the refusal tells its pid, host, owner and time; kill -9 frees it at once."""
    with Ledger.open(where) as ledger:
        holder = spawn(HOLD, where)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy) as caught, ledger.lease("run"):
            pass
        who = f"pid {holder.pid} on {re.escape(socket.gethostname())}"
        told = rf"'run' is being done already, by {who} \(ann\) since \d{{4}}-"
        assert re.match(told, caught.value.what), caught.value.what
        with ledger.lease("tend"):
            pass
        holder.kill()
        holder.wait()
        for _ in range(200):  # the PostgreSQL server takes a moment to notice that a client is gone
            try:
                with ledger.lease("run", owner="bob"):
                    break
            except StoreBusy:
                time.sleep(0.02)
        else:
            pytest.fail("a killed process still holds the lease")
        with ledger.lease("run"):
            pass


def test_one_process_cannot_hold_a_lease_twice(where: Any) -> None:
    """Not even through another opening of the same store."""
    with Ledger.open(where) as ledger, Ledger.open(where) as other, ledger.lease("run"):
        for again in (ledger, other):
            with pytest.raises(StoreBusy, match=f"pid {os.getpid()} "), again.lease("run"):
                pass


def test_who_has_patience_waits_for_the_turn(where: Any) -> None:
    """A holder that leaves in time is waited for; one that does not is named after that time, not before."""
    with Ledger.open(where) as ledger, Ledger.open(where) as other:
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with other.lease("fill", owner="ann"):
                entered.set()
                leave.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        assert entered.wait(30)
        began = time.monotonic()
        with pytest.raises(StoreBusy, match="ann"), ledger.lease("fill", patience_s=0.3):
            pass
        assert time.monotonic() - began >= 0.3
        timer = threading.Timer(0.2, leave.set)
        timer.start()
        with ledger.lease("fill", patience_s=30):
            assert leave.is_set()
        holder.join()


def test_a_lease_is_given_back_when_its_work_fails(where: Any) -> None:
    """Leaving by an error is leaving."""
    with Ledger.open(where) as ledger:
        with pytest.raises(ZeroDivisionError), ledger.lease("run"):
            raise ZeroDivisionError
        with ledger.lease("run"):
            pass


@pytest.mark.parametrize("name", ["", "Run", "../run", "a b"])
def test_a_lease_has_a_plain_name(ledger: Ledger, name: str) -> None:
    """It names a file."""
    with pytest.raises(ValueError, match="lower-case word"), ledger.lease(name):
        pass
