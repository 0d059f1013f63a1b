"""One page that can be mailed: whole, self-contained, and safe whatever the files hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from headway.errors import NotFound, StoreError
from headway.loop.daily import daily
from headway.predictions.reader import Reader
from headway.report import write_report
from headway.report.figures import life_svg
from headway.report.page import inline

if TYPE_CHECKING:
    from pathlib import Path

    import deliveries
    from headway.api import Project

VOID = {"meta", "br", "link", "img", "input", "hr"}


class _Page(HTMLParser):
    """Counts what is in a page, and whether every tag is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "xlink:href", "srcset", "action", "data"} or name.startswith("on"):
                self.references.append(f"{name}={value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="session")
def path(lived: deliveries.Lived) -> Path:
    """Return the page of the business, at its usual place, following an answer about the depot with the name."""
    answers = [each for batch in Reader(lived.project.store.predictions).scan() for each in batch.predictions]
    return write_report(lived.project, traced=next(each.id for each in answers if "<" in each.row["depot"]))


@pytest.fixture(scope="session")
def html(path: Path) -> str:
    """Return its text."""
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(html: str) -> _Page:
    """Return it, parsed."""
    parsed = _Page()
    parsed.feed(html)
    parsed.close()
    return parsed


def _words(page: _Page) -> str:
    return " ".join(" ".join(page.text).split())


def test_the_page_lies_among_the_reports(lived: deliveries.Lived, path: Path) -> None:
    """Whoever knows the store knows where to look, and no draft is left beside it."""
    assert path.parent == lived.project.store.reports
    assert path.name == "report.html"
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_nothing_is_fetched_from_elsewhere(html: str, page: _Page) -> None:
    """No address, no script, no font, no picture from outside: the page is the same on a train."""
    assert re.findall(r"https?:|//[a-z]|@import|url\((?!#)", html) == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(re.fullmatch(r"(xlink:)?href=#[\w.-]+", each) for each in page.references), page.references


def test_tags_are_closed_and_names_are_unique(page: _Page) -> None:
    """Many figures share one page without getting in one another's way, and what refers to a name finds it."""
    assert page.faults == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {each.partition("#")[2] for each in page.references} <= set(page.ids)


def test_what_files_hold_is_shown_and_never_run(html: str, page: _Page) -> None:
    """A depot's name with a script in it stands in tables and figures as the text that it is."""
    assert "<script" not in html
    assert "<b>South</b>" not in html
    assert "<i>late</i>" not in html
    assert '<b>South</b> & "Co" <script>alert(1)</script>' in _words(page)
    assert "Which customers are called before their parcel is <i>late</i>?" in _words(page)
    assert "Bob did not ask <anyone>." in _words(page)


def test_all_figures_are_there(html: str, page: _Page) -> None:
    """Six pictures, each with a caption in plain words, in the page's own colours."""
    for name in ("quality", "calibration", "money", "segments", "life", "findings"):
        assert f'id="{name}-figure_1"' in html
    assert page.tags.count("svg") == page.tags.count("figure") == page.tags.count("figcaption") == 6
    assert re.findall(r"#1f2933|#0b6e99|#b3362b", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)) == []


def test_the_five_figures_that_matter_are_those_of_the_project(lived: deliveries.Lived, page: _Page) -> None:
    """Quality and money beside the rule's, predictions, days with findings, retrainings and rollbacks."""
    words, verdict = _words(page), lived.project.verdict()
    assert f"{verdict.score.value:.3f} average precision, between {verdict.score.low:.3f}" in words
    assert f"{verdict.rule_score.value:.3f} [{verdict.rule_score.low:.3f}" in words
    assert f"{verdict.money.model.value:.2f} EUR a day" in words
    assert f"Predictions served {len(lived.ids)} on 8 days" in words
    assert "Days with findings 1 of 8" in words
    assert "Trained anew 0 times 0 promoted, 0 refused; 1 rollback" in words


def test_the_page_tells_the_whole_life(page: _Page) -> None:
    """From the decision to how it is made again."""
    words = _words(page)
    places = [
        words.index(part)
        for part in (
            "Head of <delivery>, who looks at it weekly",
            "Its life so far",
            "See whether outcomes are still delivered",
            "r2 rolled back, r1 live again",
            "Is it good?",
            "How it was chosen",
            "What it learned from",
            "One prediction, all the way",
            "every feature is the same to the last bit",
            "What happened",
            "How to make it again",
            "headway run --as-of 2024-03-17T",
        )
    ]
    assert places == sorted(places)


def test_the_prediction_that_is_asked_for_is_followed(lived: deliveries.Lived, tmp_path: Path) -> None:
    """Any prediction can be the one that is told."""
    some = list(lived.ids.values())[42]
    written = write_report(lived.project, tmp_path / "one.html", traced=some)
    assert f"Prediction <code>{some}</code>" in written.read_text()


def test_by_default_an_answer_is_followed_that_was_acted_on_and_right(lived: deliveries.Lived, tmp_path: Path) -> None:
    """The page shows a case that a reader can make sense of."""
    words = write_report(lived.project, tmp_path / "default.html").read_text()
    assert "so it was acted on" in words
    assert "It came true, as was known at" in " ".join(words.split())


def test_an_unknown_prediction_leaves_the_page_as_it_was(lived: deliveries.Lived, path: Path) -> None:
    """A mistyped id is said, and the page of before still stands."""
    before = path.read_bytes()
    with pytest.raises(NotFound):
        write_report(lived.project, traced="000001-0000040-00000000")
    assert path.read_bytes() == before


def test_the_same_project_gives_the_same_page(lived: deliveries.Lived, path: Path, tmp_path: Path) -> None:
    """No moment of the wall clock and no random name is in it."""
    traced = re.findall(r"Prediction <code>([\w-]+)</code>", path.read_text())
    assert write_report(lived.project, tmp_path / "again.html", traced=traced[0]).read_bytes() == path.read_bytes()


def test_a_project_that_has_just_begun_has_a_page_too(begun: Project) -> None:
    """What is not there yet is said in words."""
    html = write_report(begun).read_text()
    assert "No run has finished yet." in html
    assert "nothing has been asked yet" in html
    assert "<figure" not in html
    parsed = _Page()
    parsed.feed(html)
    assert parsed.faults == []


def test_a_place_that_cannot_be_written_is_an_error_in_words(lived: deliveries.Lived, tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="The report cannot be written"):
        write_report(lived.project, tmp_path / "file" / "report.html")


def test_figures_keep_their_proportions_and_take_the_pages_colours() -> None:
    """Width comes from the figure, so that type is of one size; the rest is the page's."""
    svg = '<?xml version="1.0"?>\n<svg width="100pt" height="50pt" viewBox="0 0 100 50" xmlns="http://x/svg"><g id="a">'
    svg += '<use xlink:href="#m1" style="fill: #b3362b; clip-path: url(#p)"/></g></svg>'
    found = str(inline(svg, name="f"))
    assert found.startswith('<svg viewBox="0 0 100 50" style="width: 134px; max-width: 100%"><g id="f-a">')
    assert 'xlink:href="#f-m1"' in found
    assert "var(--alarm); clip-path: url(#f-p)" in found


def test_the_life_of_numbers_is_told_in_their_unit_and_not_in_percent(lived: deliveries.Lived) -> None:
    """Minutes of delay do not happen so and so often; that of a condition does."""
    life = daily(lived.project.store, lived.project.brief)
    numbers = life_svg(life, (), currency="EUR", shares=False)
    shares = life_svg(life, (), currency="EUR")
    assert "What came, and what was predicted" in numbers
    assert "%<" not in numbers
    assert "How often it happened" in shares
    assert "%<" in shares
