"""Which sources break their contract now, as the ledger tells it.

Apart from where contracts are held to what comes, because a run that finds nothing new asks this, too, and must not
wait for the libraries that look into tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.nouns.event import ContractBroken

if TYPE_CHECKING:
    from headway.ledger import Entry
    from headway.loop.store import Store

__all__ = ["broken_contracts", "keep_mended", "record_broken"]


def broken_contracts(store: Store) -> list[dict[str, Any]]:
    """Return which sources break their contract now, by name, as plain data.

    Returns
    -------
    list of dict
        ``source``, ``since_us``, ``blocked`` (the version found is refused) and ``failed``, in words.
    """
    return [
        {
            "source": name,
            "since_us": entry.effective_us,
            "blocked": entry.event.blocked,
            "failed": list(entry.event.failed),
        }
        for name, entry in sorted(_standing(store).items())
        if isinstance(entry.event, ContractBroken)
    ]


def keep_mended(store: Store, name: str) -> None:
    """Keep that the version in force came again after one that was refused: nothing else would tell of it."""
    entry = _standing(store).get(name)
    if entry is not None and isinstance(entry.event, ContractBroken) and entry.event.blocked:
        store.remembered(_mended_key(entry), f"contract {name}", lambda: {"mended": True})


def record_broken(store: Store, broken: ContractBroken) -> None:
    """Keep what was found of a version, once as long as it stands: it may come again after a mended one."""
    standing = _standing(store).get(broken.source)
    if standing is None or not _is_about(standing, broken):
        store.record(broken)


def _standing(store: Store) -> dict[str, Entry]:
    """Return by source the breach of its contract by the version that came last."""
    last = {}
    for entry in store.ledger.events(ContractBroken):
        if isinstance(entry.event, ContractBroken):
            last[entry.event.source] = entry
    found = {}
    for name, entry in last.items():
        event = entry.event
        assert isinstance(event, ContractBroken)
        taken = store.ledger.snapshots(source=name)
        in_force = event.previous if event.blocked else event.snapshot
        if taken and taken[-1].snapshot == in_force and store.recalled(_mended_key(entry)) is None:
            found[name] = entry
    return found


def _is_about(entry: Entry, broken: ContractBroken) -> bool:
    """Whether an entry tells of the same breach."""
    event = entry.event
    return isinstance(event, ContractBroken) and all(
        getattr(event, field) == getattr(broken, field) for field in ("snapshot", "previous", "blocked", "failed")
    )


def _mended_key(entry: Entry) -> str:
    return f"contract mended:{entry.seq}"
