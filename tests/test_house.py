"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
# Alembic loads its migrations by file and calls what it finds by name: they offer nothing to anybody else.
IMPORTED = [module for module in MODULES if "migrations" not in module.parts]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

# Spelt in pieces, so that this file does not say what it forbids.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("repo", "maven", "apache", "org"),
        ("conda", "anaconda", "org"),
        ("repo", "anaconda", "com"),
        ("deb", "debian", "org"),
        ("rubygems", "org"),
        ("docker", "io"),
    ]
]
PLACES_OF_ONE_MACHINE = ["/".join(("", *parts, "")) for parts in [("work", "main"), ("work", "shared"), ("tmp", "exp")]]


def _tracked() -> list[Path]:
    """Return the files that git holds, or the reason to skip where there is no clone (an unpacked archive)."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _name(module: Path) -> str:
    parts = module.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _defined(tree: ast.Module) -> set[str]:
    """Return the public classes and functions that a module defines at its top."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def _mentions(words: list[str]) -> list[str]:
    pattern = re.compile("|".join(re.escape(word) for word in words).encode())
    found = []
    for path in _tracked():
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0].decode()}")
    return found


def _pinned(lock: Path) -> dict[str, list[Requirement]]:
    """Return what a lock pins, by name; a name stands more than once where the version depends on the Python."""
    pins: dict[str, list[Requirement]] = {}
    for line in lock.read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            pin = Requirement(line.removesuffix("\\").strip())
            pins.setdefault(pin.name, []).append(pin)
    return pins


def _wanted(kind: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in the environment that a lock describes."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    extras = project["optional-dependencies"]
    lines = {
        "bootstrap": groups["bootstrap"],
        "demo": project["dependencies"] + extras["demo"],
        "dev": project["dependencies"] + [line for e in set(extras) - {"ray"} for line in extras[e]] + groups["dev"],
    }[kind]
    return [Requirement(line) for line in lines]


def _libraries(module: Path) -> set[str]:
    """Return which packages a module of ours imports, at its top or when called, that are not Python's own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        absolute = isinstance(node, ast.ImportFrom) and not node.level
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if absolute else []
        found |= {(name or "").partition(".")[0] for name in names}
    return found - sys.stdlib_module_names - {"headway"}


def test_no_tracked_file_names_a_package_registry() -> None:
    """Where packages come from is the business of whoever installs: a mirror must work without an edit."""
    assert _mentions(REGISTRY_HOSTS) == []


def test_no_tracked_file_names_a_place_on_one_machine() -> None:
    """A path of one developer's machine helps nobody else."""
    assert _mentions([place.rstrip("/") for place in PLACES_OF_ONE_MACHINE]) == []


def test_a_forbidden_word_would_be_found() -> None:
    """The two tests above can fail: the same search finds a word that does stand in the repository."""
    assert any(found.startswith("pyproject.toml:") for found in _mentions(["[build-system]"]))


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_every_module_says_what_it_hides(module: Path) -> None:
    """A module without a docstring leaves its reader to guess."""
    docstring = ast.get_docstring(ast.parse(module.read_text()))
    assert docstring, f"{module.relative_to(ROOT)} has no docstring."


@pytest.mark.parametrize("module", IMPORTED, ids=_name)
def test_every_module_lists_what_it_offers(module: Path) -> None:
    """``__all__`` is complete and true: all public classes and functions, and nothing that is not there."""
    tree = ast.parse(module.read_text())
    defined = _defined(tree)
    loaded = importlib.import_module(_name(module))
    offered = getattr(loaded, "__all__", None)
    if offered is None:
        assert not defined, f"{module.relative_to(ROOT)} offers {sorted(defined)}, but has no __all__."
        return
    names = list(offered)
    assert len(names) == len(set(names)), f"{module.relative_to(ROOT)} lists a name twice in __all__."
    assert [name for name in names if not hasattr(loaded, name)] == []
    assert sorted(defined - set(names)) == [], f"{module.relative_to(ROOT)}: missing in __all__, or to be underscored."


def test_the_version_is_the_one_that_is_installed() -> None:
    """``headway.__version__`` and the metadata of the installed package agree."""
    headway = importlib.import_module("headway")
    assert importlib.metadata.version("headway") == headway.__version__


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_lock_satisfies_what_the_project_asks_for(lock: Path) -> None:
    """A bound changed without ``make lock`` would be found by a user, not by us."""
    pins = _pinned(lock)
    pythons, systems = ("3.11", "3.12", "3.13"), ("linux", "darwin", "win32")
    environments = [
        {**default_environment(), "python_version": p, "python_full_version": f"{p}.0", "sys_platform": s}
        for p in pythons
        for s in systems
    ]
    for want in _wanted(lock.stem):
        for environment in environments:
            if want.marker and not want.marker.evaluate(environment):
                continue
            held = [p for p in pins.get(want.name, []) if p.marker is None or p.marker.evaluate(environment)]
            versions = [str(pin.specifier).removeprefix("==") for pin in held]
            assert len(versions) == 1, f"{lock.name} pins {want.name} {len(versions)} times in {environment}."
            assert want.specifier.contains(versions[0]), f"{lock.name} has {want.name} {versions[0]}, wanted {want}."


def test_every_library_that_is_imported_is_asked_for() -> None:
    """What comes along with something else today may stay away tomorrow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    asked_for = {Requirement(line).name for line in lines}
    homes = importlib.metadata.packages_distributions()
    strangers = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        for name in _libraries(module)
        if not asked_for & {home.lower() for home in homes.get(name, [name])}
    }
    assert sorted(strangers) == []


def test_every_library_that_is_asked_for_is_imported() -> None:
    """What nobody uses is installed for nothing, and its faults are ours."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    homes = importlib.metadata.packages_distributions()
    used = {home.lower() for module in MODULES for name in _libraries(module) for home in homes.get(name, [name])}
    # uvicorn takes the one by its name, and zoneinfo the other where the system has none.
    unnamed = {"httptools", "tzdata"}
    assert sorted({Requirement(line).name for line in lines} - used - unnamed) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_has_a_hash(lock: Path) -> None:
    """What is installed is what was tried, byte for byte."""
    for entry in re.split(r"\n(?=[a-z0-9])", lock.read_text().strip()):
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


def test_the_locks_agree_on_every_version() -> None:
    """``make demo`` and ``make test`` run the same libraries, in one environment."""
    locks = {lock.stem: _pinned(lock) for lock in LOCKS}
    dev = {name: {str(p) for p in pins} for name, pins in locks["dev"].items()}
    demo = {name: {str(p) for p in pins} for name, pins in locks["demo"].items()}
    assert {name: pins for name, pins in demo.items() if dev.get(name) != pins} == {}


def test_importing_headway_loads_nothing_heavy() -> None:
    """Whoever imports the package pays for what they use."""
    heavy = ["numpy", "pyarrow", "duckdb", "sklearn", "lightgbm", "onnx", "onnxruntime", "optuna", "sqlalchemy", "rich"]
    code = f"import sys, headway; print(*[name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == []


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading that stands in it."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there."
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+\s+(.+)$", path.read_text(), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.relative_to(ROOT)} links to {target}, but there is no such heading."


def test_the_index_of_the_docs_names_every_page() -> None:
    """A page that nobody is led to is not read."""
    docs = ROOT / "docs"
    named = set(re.findall(r"\]\(([^)#\s]+\.md)\)", (docs / "README.md").read_text()))
    assert {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"README.md"} == named
