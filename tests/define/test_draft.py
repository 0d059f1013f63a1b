"""The brief that is drafted: it parses, it resolves, it is honest about what it does not know."""

from __future__ import annotations

import random
import sqlite3
import tomllib
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.define import toml
from headway.define.draft import Answers, draft, open_questions
from headway.define.look import look
from headway.errors import BriefError
from headway.nouns import brief as nouns
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve


def test_the_orders_need_no_edit_but_about_decision_and_money(shop):
    """What init leaves marked in the shop's brief is about the decision, the money, and whose the data are."""
    marked = {line.split("=")[0].strip("# ") for line in shop.text.splitlines() if "# edit me" in line}
    assert marked == {
        "improves", "action", "reaches", "owner", "licence", "access", "personal", "retention", "act_on", "rule",
        "true_positive", "false_positive", "build", "monthly", "retraining_per_month",
    }  # fmt: skip
    assert open_questions(shop.looks) == ()
    facts = shop.facts()
    assert facts.labelled == 8_000
    assert min(split.positives for split in facts.splits if split.name != "after") > 100


def test_the_orders_brief_says_when_each_column_is_known(shop):
    """What is filled in later is known later, and so never a feature of its own row."""
    source = shop.brief.sources["orders"]
    assert source.known == {
        "*": "ordered_at", "shipped_at": "shipped_at", "return_until": "return_until", "returned": "return_until",
    }  # fmt: skip
    assert shop.brief.target.label_known_at == "return_until"
    assert not {"returned", "shipped_at", "return_until", "order_id"} & set(shop.brief.features)
    window = shop.brief.features["returned_rate_by_customer_id"]
    assert (window.match, window.value) == (("customer_id",), "avg(returned)")


def test_several_sources_become_one_brief_that_resolves(airport, begin):
    """Files in a folder, weather as of the moment, planes and places: all found, all resolved, and examples counted."""
    begun = begin(airport, airport / "trips", airport / "weather.csv", airport / "planes.csv", airport / "airports.csv")
    brief = begun.brief
    assert (brief.target.examples, brief.target.label.split(" >")[0]) == ("trips", "arr_delay")
    assert set(brief.sources["trips"].known) == {"*", "dep_delay", "arr_delay"}
    assert brief.features["weather_wind"].max_age == "6 hours"  # six times the hour between two rows of one place
    assert brief.features["planes_seats"].from_ == "planes"
    assert brief.features["km_origin_dest"].distance == ("origin", "dest")
    facts = begun.facts()
    assert facts.examples == 2 * 24 * 30 * 4
    assert 0.1 < facts.base_rate < 0.2
    seats = next(feature for feature in facts.features if feature.name == "planes_seats")
    assert 0.02 < seats.missing < 0.09  # two of forty planes are in no file


def test_every_field_stands_in_the_draft_with_its_sentence(shop):
    """The sentences in the file are those of the fields, so that file, errors and reference agree."""
    tables = {
        "decision": nouns.Decision, "target": nouns.Target, "split": nouns.Split, "search": nouns.Search,
        "success": nouns.Success, "baseline": nouns.Baseline, "value": nouns.Value, "serve": nouns.Serve,
        "monitor": nouns.Monitor, "retrain": nouns.Retrain,
    }  # fmt: skip
    plain = " ".join(shop.text.replace("#", " ").split())
    for name, struct in tables.items():
        section = shop.text.split(f"[{name}]")[1].split("\n\n[")[0]
        for field in msgspec.structs.fields(struct):
            assert f"{field.encode_name} = " in section, f"{name}.{field.encode_name}"
            sentence = next(part.description for part in field.type.__metadata__ if part.description)
            assert sentence in plain


def test_without_a_moment_the_draft_says_what_to_write(tmp_path):
    """No column of moments: the brief does not parse, at the very line, and its head says what would help."""
    (tmp_path / "t.csv").write_text(
        "id,size,churned\n" + "".join(f"{n},{n % 7},{int(n % 5 == 0)}\n" for n in range(100))
    )
    looks = look([tmp_path / "t.csv"], folder=tmp_path)
    text = draft(looks)
    assert "derive = { happens_at" in " ".join(text.replace("#", " ").split())
    assert [question.split(":")[0] for question in open_questions(looks)] == ["target.predict_at"]
    with pytest.raises(BriefError) as raised:
        parse_brief(text)
    line = (
        text.splitlines().index("predict_at = \"\"  # edit me: a column of moments, or one less 'interval 2 hours'") + 1
    )
    assert raised.value.where.startswith(f"headway.toml:{line}")


def test_the_parts_of_a_date_are_put_together(tmp_path, begin):
    """Year, month and day in columns of their own make the moment that is missing."""
    lines = [f"{n},2024,{1 + n // 100},{1 + n % 28},{n % 7},{int(n % 5 == 0)}" for n in range(600)]
    (tmp_path / "t.csv").write_text("id,year,month,day,size,churned\n" + "\n".join(lines) + "\n")
    with pytest.raises(BriefError, match="split"):
        begin(tmp_path, tmp_path / "t.csv")
    dates = "train_before = 2024-04-01\nvalidate_before = 2024-05-01\ntest_before = 2024-10-01\n"
    begun = begin(
        tmp_path, tmp_path / "t.csv", change=lambda text: text.replace('by = "time"\n', f'by = "time"\n{dates}')
    )
    assert begun.brief.target.predict_at == "happens_at"
    assert begun.facts().labelled == 600


def test_without_an_outcome_the_draft_says_what_to_write(tmp_path):
    """Nothing looks like an outcome: no target is made up."""
    (tmp_path / "t.csv").write_text(
        "id,at,size\n" + "".join(f"{n},2024-01-{1 + n % 28:02d},{n % 7}\n" for n in range(100))
    )
    looks = look([tmp_path / "t.csv"], folder=tmp_path)
    assert [question.split(":")[0] for question in open_questions(looks)] == ["target.label"]
    with pytest.raises(BriefError, match=r"."):
        parse_brief(draft(looks))


def test_a_column_that_no_expression_can_name_is_renamed(tmp_path, begin):
    """Spaces in a name, or a word of the language: the brief says what it is called, and it may be key and feature."""
    lines = [f"{n},2024-0{1 + n // 100}-{1 + n % 28:02d},{n % 7},{n % 5},{int(n % 6 == 0)}" for n in range(600)]
    (tmp_path / "t.csv").write_text('"order no",created_at,"unit price","in",churned\n' + "\n".join(lines) + "\n")
    begun = begin(tmp_path, tmp_path / "t.csv")
    source = begun.brief.sources["t"]
    assert source.key == ("order_no",)
    assert source.rename == {"order no": "order_no", "unit price": "unit_price", "in": "in_"}
    assert {"unit_price", "in_"} <= set(begun.brief.features)
    assert begun.facts().labelled == 600


def test_a_file_from_an_office_needs_no_edit_but_about_decision_and_money(tmp_path, begin):
    """Names with spaces, days in two forms, commas before decimals, ja and nein, a cell left empty here and there."""
    rng = random.Random(8)
    lines = []
    for n in range(900):
        day = date(2024, 1, 1) + timedelta(days=n // 3)
        said = f"{day:%d.%m.%Y} 09:{n % 60:02d}" if n % 4 else f"{day} 09:{n % 60:02d}"
        price = f"{rng.uniform(900, 2_000):,.2f}".translate(str.maketrans(",.", ".,"))
        closed, late = day + timedelta(days=5), "ja" if rng.random() < 0.3 else "nein"
        lines.append(f"{n};{said};{'' if n % 9 == 0 else price};{closed:%d.%m.%Y};{late}")
    head = "Fall Nr;Eröffnet am;Betrag (EUR);Geschlossen am;Zu spät"
    (tmp_path / "Fälle 2024.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    begun = begin(tmp_path, tmp_path / "Fälle 2024.csv")
    ((name, source),) = begun.brief.sources.items()
    assert source.rename == {"Fall Nr": "fall_nr", "Geschlossen am": "geschlossen_am", "Zu spät": "zu_spaet"}
    assert {column: (clean.of, clean.parse) for column, clean in source.clean.items()} == {
        "eroeffnet_am": ("Eröffnet am", "moment"),
        "betrag_eur": ("Betrag (EUR)", "number"),
    }
    assert begun.brief.target.label == "zu_spaet = 'ja'"
    assert begun.brief.target.label_known_at == "geschlossen_am"
    facts = begun.facts()
    assert (facts.examples, facts.labelled, facts.availability.maturity.never) == (900, 900, 0.0)
    missing = {feature.name: feature.missing for feature in facts.features}
    assert missing["betrag_eur"] == pytest.approx(1 / 9)
    assert name == "Faelle_2024"


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d/%m/%y", "%y-%m-%d 10:00:00"])
def test_days_that_could_be_other_days_are_declared_as_text_until_the_brief_says_how_they_are_written(
    tmp_path, begin, form
):
    """In one of two files alone, too; the comment names the column."""
    (tmp_path / "t").mkdir()
    for part, last in enumerate((28, 9)):
        days = [date(2024, 1 + n // 100, 1 + n % last) for n in range(600)]
        lines = [f"{part}{n},{d}T08:00:00Z,{d:{form}},{n % 7},{int(n % 6 == 0)}" for n, d in enumerate(days)]
        (tmp_path / f"t/{part}.csv").write_text("id,created_at,Paid on,size,churned\n" + "\n".join(lines) + "\n")
    begun = begin(tmp_path, tmp_path / "t")
    assert begun.brief.sources["t"].types == {"paid_on": "text"}
    assert begun.snapshots["t"].rows == 1_200
    assert "Days that could be two days stay text: paid_on." in " ".join(begun.text.replace("#", "").split())


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d/%m/%y"])
def test_days_declared_as_text_are_read_as_clean_says(tmp_path, begin, form):
    """What the comment of the drafted brief tells a person to add is all that is missing."""
    days = [date(2024, 1 + n // 100, 1 + n % 9) for n in range(600)]
    lines = [f"{n},{day}T08:00:00Z,{day:{form}},{int(n % 6 == 0)}" for n, day in enumerate(days)]
    (tmp_path / "t.csv").write_text("id,created_at,paid,churned\n" + "\n".join(lines) + "\n")
    table = f'[sources.t.clean]\npaid_at = {{ of = "paid", parse = "moment", format = "{form}", zone = "UTC" }}\n'
    begun = begin(tmp_path, tmp_path / "t.csv", change=lambda text: f"{text}\n{table}")
    assert begun.brief.sources["t"].types == {"paid": "text"}
    assert begun.facts().labelled == 600


def test_a_time_of_day_is_declared_as_text(tmp_path, begin):
    """A column of clock readings has no place in a table of plain values; the brief reads it as text."""
    lines = [f"{n},2024-0{1 + n // 100}-{1 + n % 28:02d},1{n % 3}:30:00,{int(n % 6 == 0)}" for n in range(600)]
    (tmp_path / "t.csv").write_text("id,created_at,slot,churned\n" + "\n".join(lines) + "\n")
    begun = begin(tmp_path, tmp_path / "t.csv")
    assert begun.brief.sources["t"].types == {"slot": "text"}
    assert begun.brief.features["slot"] == "slot"


def test_semicolons_are_read_like_commas(tmp_path, begin, write_orders):
    """A file as spreadsheets of half the world write it needs nothing said."""
    write_orders(tmp_path / "orders.csv", rows=3_000, separator=";")
    assert begin(tmp_path, tmp_path / "orders.csv").facts().labelled == 3_000


def test_a_brief_over_sqlite_names_tables_and_moments(tmp_path):
    """Each table is a source; dates, which SQLite keeps as text, are declared as moments; and all of it resolves."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE customers (customer_id INTEGER, country TEXT, segment INTEGER)")
        connection.execute(
            "CREATE TABLE orders (order_id INTEGER, customer_id INTEGER, ordered_at TEXT, churned INTEGER)"
        )
        people = [(n, "DE" if n % 2 else "FR", n % 4) for n in range(90)]
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", people)
        rows = [(n, n % 90, f"2024-0{1 + n // 100}-{1 + n % 28:02d} 10:00:00", int(n % 5 == 0)) for n in range(600)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    connection.close()
    looks = look([tmp_path / "shop.db"], folder=tmp_path)
    brief = parse_brief(draft(looks))
    assert {name: source.table for name, source in brief.sources.items()} == {
        "customers": "customers",
        "orders": "orders",
    }
    assert brief.sources["orders"].types == {"ordered_at": "time"}
    kinds = {seen.name: {column.name: column.kind for column in seen.columns} for seen in looks.sources}
    definitions = resolve(brief, kinds)
    assert {"customers_country", "customers_segment"} <= {feature.name for feature in definitions.features}


def test_the_target_that_a_human_names_is_taken(airport):
    """A column, one of the conditions offered, or a condition of one's own; a misspelt one is refused with a hint."""
    looks = look([airport / "trips"], folder=airport)
    assert parse_brief(draft(looks, Answers(target="dep_delay"))).target.label.startswith("dep_delay > ")
    own = parse_brief(draft(looks, Answers(target="arr_delay > 45 and distance > 500")))
    assert own.target.label == "arr_delay > 45 and distance > 500"
    with pytest.raises(BriefError) as raised:
        draft(looks, Answers(target="arr_dely > 45"))
    assert raised.value.hint == "Did you mean 'arr_delay'?"
    with pytest.raises(BriefError, match="is no condition"):
        draft(looks, Answers(target="distance"))


def test_what_was_answered_stands_in_the_file_and_is_not_marked(shop):
    """Answers go where they belong, quotes and all."""
    answers = Answers(
        improves='Which "orders" get a call?', action="We call", reaches="A list", owner="Ada", true_positive=12.5
    )
    brief = parse_brief(draft(shop.looks, answers))
    assert (brief.decision.improves, brief.decision.owner) == ('Which "orders" get a call?', "Ada")
    assert (brief.value.true_positive, brief.value.false_positive) == (12.5, 0.0)
    assert 'owner = "Ada"\n' in draft(shop.looks, answers)


def test_where_labels_take_long_every_period_is_left_some(tmp_path, begin, write_orders):
    """Of two months and a half whose labels take one month each, train, validate and test have labelled examples."""
    whole = tmp_path / "whole.csv"
    write_orders(whole)
    header, *lines = whole.read_text().splitlines()
    late = [line for line in lines if line.split(",")[2] >= "2024-10-15"]
    (tmp_path / "orders.csv").write_text("\n".join([header, *late]) + "\n")
    facts = begin(tmp_path, tmp_path / "orders.csv").facts()
    assert all(facts.split(name).examples for name in ("train", "validate", "test"))


def test_the_same_files_give_the_same_draft(shop):
    """Nothing in a draft depends on chance or on the day."""
    again = look([shop.folder / "orders.csv"], folder=shop.folder)
    assert again == shop.looks
    assert draft(again) == shop.text


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_and_any_key_can_be_written(value, key):
    """What is written as TOML is read back the same."""
    assert tomllib.loads(f"{toml.key(key)} = {toml.text(value)}") == {key: value}
