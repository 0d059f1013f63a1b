"""``headway features``: what there is with its cost, and what could be added."""

from __future__ import annotations

import json
import tomllib

from click.testing import CliRunner

from headway.cli import cli


def _said(folder, *words, code=0):
    said = CliRunner().invoke(cli, ["--project", str(folder), "--as-of", "2024-04-20", *words])
    assert said.exit_code == code, said.output
    return said.stdout


def test_features_are_listed_with_lineage_and_cost(shop) -> None:
    """Whatever is looked up holds steps and bytes; whatever is not, costs nothing to hold."""
    listed = json.loads(_said(shop, "--json", "features", "list"))
    assert [row["name"] for row in listed] == list(tomllib.loads((shop / "headway.toml").read_text())["features"])
    for row in listed:
        assert row["from"], row
        assert bool(row["look_ups"]) == bool(row["bytes"]), row
    screen = _said(shop, "features")
    assert all(row["name"] in screen for row in listed)


def test_suggestions_are_written_with_the_comments_kept(shop) -> None:
    """What surely adds something is written; every line that was there still is."""
    before = (shop / "headway.toml").read_text()
    found = json.loads(_said(shop, "--json", "features", "suggest"))
    assert (shop / "headway.toml").read_text() == before
    assert [row["gain"] for row in found] == sorted((row["gain"] for row in found), reverse=True)
    _said(shop, "features", "suggest", "--write", "2")
    after = (shop / "headway.toml").read_text()
    surely = [row["toml"] for row in found if row["low"] > 0][:2]
    assert [line for line in after.splitlines() if line not in before.splitlines()] == surely
    assert [line for line in after.splitlines() if line not in surely] == before.splitlines()
