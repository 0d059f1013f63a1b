"""What a result depends on beside its inputs: our own source, the libraries, the time-zone data.

Source is hashed as text on the disk, whole modules at a time: coarse, so that a change is at worst noticed in
vain. What a function calls in other modules cannot be told from outside; a step names those modules itself.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import platform
import sys
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["code_digest", "library_versions", "module_of", "time_zone_version"]


def module_of(function: Callable[..., Any]) -> str:
    """Return the name of the module that ``function`` was written in; a partial's is that of what it wraps.

    Examples
    --------
    >>> module_of(functools.partial(library_versions, ["msgspec"]))
    'headway.engine.code'
    """
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__module__") else type(function)
    return str(named.__module__)


@functools.lru_cache(maxsize=256)
def code_digest(modules: tuple[str, ...]) -> str:
    """Return the digest of the source of ``modules``, of a package with all below it. Line ends do not count.

    Raises
    ------
    ValueError
        When one has no source that could be read.
    """
    hasher = blake3()
    for name in modules:
        for label, path in _files(name):
            text = path.read_bytes().replace(b"\r\n", b"\n")
            hasher.update(f"{name}/{label}:{len(text)}\n".encode())
            hasher.update(text)
    return hasher.hexdigest()


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution; ``"python"`` stands for Python itself.

    Raises
    ------
    ValueError
        When one is not installed: a result cannot depend on it, so the name is wrong.
    """
    return {name: _version(name) for name in sorted(set(names))}


@functools.cache
def _version(name: str) -> str:
    """Return one version; every step of a plan asks for much the same, and each look reads a file."""
    try:
        return platform.python_version() if name == "python" else importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(f"There is no distribution {name!r} installed.") from None


@functools.lru_cache(maxsize=1)
def time_zone_version() -> str:
    """Return the version of the time-zone data that Python's ``zoneinfo`` reads, e.g. ``"2024a"``.

    Where the system's data do not tell their version, it is the digest of the data.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "tzdata.zi").is_file():
            with (folder / "tzdata.zi").open(encoding="ascii") as file:
                return file.readline().removeprefix("# version").strip()
        if (folder / "+VERSION").is_file():
            return (folder / "+VERSION").read_text(encoding="ascii").strip()
        if folder.is_dir():
            zones = sorted(path for path in folder.rglob("[A-Z]*") if path.is_file())
            return blake3(b"".join(path.read_bytes() for path in zones)).hexdigest()
    return library_versions(["tzdata"])["tzdata"]


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield each source file of a module or package, with a label that does not depend on where it is installed."""
    module = sys.modules.get(name)
    try:
        spec = importlib.util.find_spec(name) if getattr(module, "__spec__", None) or module is None else None
    except ModuleNotFoundError:
        spec = None
    if spec is not None and spec.submodule_search_locations:
        for folder in map(Path, spec.submodule_search_locations):
            for path in sorted(folder.rglob("*.py")):
                yield path.relative_to(folder).as_posix(), path
        return
    origin = spec.origin if spec is not None else getattr(module, "__file__", None)
    if origin is None or not Path(origin).is_file():
        raise ValueError(
            f"The source of {name!r} cannot be read, so it cannot be told when a step of it has changed; "
            f"move the function into a file."
        )
    yield "", Path(origin)
