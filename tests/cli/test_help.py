"""What is said before anything is done: help, versions, and words that do not exist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from headway import __version__
from headway.cli import cli
from headway.screens.failure import EXITS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
HEAVY = [
    *("numpy", "scipy", "pyarrow", "duckdb", "sqlalchemy", "alembic", "msgspec", "rich", "sklearn", "lightgbm"),
    *("onnx", "onnxruntime", "optuna", "matplotlib", "uvicorn", "httptools", "lark", "jinja2"),
]
COMMANDS = sorted(cli.commands)


def _help_of(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=80, max_content_width=80)
    return command.get_help(context)


def _all_of(group: click.Group, before: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command, those of a group after it."""
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        if isinstance(command, click.Group):
            yield from _all_of(command, f"{before} {name}")


def _documented() -> str:
    parts = [f"```text\n{_help_of(cli, 'headway')}\n```"]
    for name, command in _all_of(cli, "headway"):
        parts.append(f"### {name}\n\n```text\n{_help_of(command, name)}\n```")
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_for(name: str) -> None:
    """``headway COMMAND --help`` names the command, says what it does in words, and ends well."""
    said = CliRunner().invoke(cli, [name, "--help"])
    assert said.exit_code == 0, said.output
    assert f"headway {name}" in said.output
    assert len(cli.commands[name].get_short_help_str(63)) > 15


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_about_a_command_is_cut(name: str) -> None:
    """On 80 columns, the list of commands shows each sentence whole."""
    assert not cli.commands[name].get_short_help_str(63).endswith("...")


def test_the_page_about_commands_is_true() -> None:
    """``docs/commands.md`` carries every help text as it is; HEADWAY_TEST_WRITE=1 writes them anew."""
    begin, end = "<!-- the help texts begin -->\n\n", "\n<!-- the help texts end -->"
    text = PAGE.read_text()
    head, rest = text.split(begin)
    shown, tail = rest.split(end)
    if os.environ.get("HEADWAY_TEST_WRITE"):
        PAGE.write_text(head + begin + _documented() + end + tail)
    else:
        assert shown == _documented(), "HEADWAY_TEST_WRITE=1 pytest tests/cli/test_help.py writes the page anew."


def test_the_page_about_commands_has_every_exit_code() -> None:
    """The table of exit codes in the docs is the one in the code."""
    text = PAGE.read_text()
    for code, meaning in EXITS.values():
        assert f"| {code} | {meaning} |" in text


def test_help_loads_nothing_heavy() -> None:
    """Whoever asks for help does not wait for libraries that learn."""
    code = f"""
import sys
from headway.cli import cli
try:
    cli.main(["--help"])
except SystemExit as end:
    assert not end.code
print("LOADED", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["deplyo"], "Did you mean 'deploy'?"),
        (["zzz"], "Known: "),
        (["deploy", "--overide", "x"], "--override"),
        (["--projet", "x", "run"], "--project"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_one_that_was_meant(words: list[str], meant: str) -> None:
    """Exit code 2, on standard error, with what was perhaps meant and where help is."""
    said = CliRunner().invoke(cli, words)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert meant in said.stderr
    assert "--help" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_missing_word_is_named() -> None:
    """A command without what it needs says what that is."""
    said = CliRunner().invoke(cli, ["trace"])
    assert said.exit_code == 2
    assert "PREDICTION" in said.stderr


def test_a_misspelt_word_is_json_where_json_is_asked_for() -> None:
    """A programme that reads standard output finds one object there, whatever went wrong."""
    said = CliRunner().invoke(cli, ["--json", "deplyo"])
    assert said.exit_code == 2
    found: dict[str, Any] = json.loads(said.stdout)
    assert found["code"] == "command-line"
    assert "deploy" in found["error"]
    assert found["exit"] == 2


@pytest.mark.parametrize("words", [["version", "--json"], ["--json", "version"]])
def test_global_options_stand_before_or_after_the_command(words: list[str]) -> None:
    """Nobody has to remember where."""
    said = CliRunner().invoke(cli, words)
    assert json.loads(said.stdout) == {"version": __version__}


def test_no_command_at_all_shows_the_help() -> None:
    """Whoever types the bare name learns what there is."""
    said = CliRunner().invoke(cli, [])
    assert said.exit_code == 0
    assert "headway init --data FILE" in said.output
