"""Databases of every earlier version are brought up to date with all that they hold."""

import itertools

import pytest
import sqlalchemy as sa

from archip.core.errors import UserError
from archip.core.record import Outcome, Status
from archip.store import _schema
from archip.store._url import open_store
from archip.testing.store import GOALS, toy_records

# What version 1 wrote, as it was then; never to be changed.
VERSION_1 = """
CREATE TABLE outcomes (
    "key" VARCHAR(64) NOT NULL,
    stage VARCHAR(200) NOT NULL,
    parts JSON NOT NULL,
    metrics JSON NOT NULL,
    status VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    seconds FLOAT NOT NULL,
    details JSON NOT NULL,
    created_s FLOAT NOT NULL,
    PRIMARY KEY ("key")
);
CREATE INDEX ix_outcomes_stage ON outcomes (stage);
CREATE TABLE notes (name VARCHAR(200) NOT NULL, value JSON NOT NULL, PRIMARY KEY (name));
CREATE TABLE archip_version (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO archip_version VALUES (1);
INSERT INTO notes VALUES ('version', '"0.1.0"');
INSERT INTO outcomes VALUES ('k1', 'cost', '{"hw": {"pes": 64}}', '{"macs": 7.5}', 'ok', '', 0.25, '{}', 1.7e9);
INSERT INTO outcomes VALUES ('k2', 'train', '{}', '{}', 'failed', 'out of memory', 1.5, '{"epochs": [1, 2]}', 1.7e9)
"""
EARLIER = {1: VERSION_1}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def where(request, tmp_path):
    """Gives places of empty databases."""
    number = itertools.count()
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"{next(number)}.sqlite")
    return request.getfixturevalue("postgres_url")


def write(place: str, statements: str) -> None:
    """Run statements in a database in which archip has never been."""
    if "://" not in place:
        engine = sa.create_engine(f"sqlite:///{place}")
    else:
        url = sa.make_url(place.replace("postgresql:", "postgresql+psycopg:"))
        schema = str(url.query["schema"])
        statements = f"CREATE SCHEMA {schema}; SET search_path TO {schema};" + statements
        engine = sa.create_engine(url.difference_update_query(["schema"]))
    with engine.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(sa.text(statement.replace(":", r"\:")))
    engine.dispose()


def test_every_earlier_version_is_known():
    assert set(EARLIER) == set(range(1, len(_schema.MIGRATIONS)))


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_version_keeps_what_it_holds_and_takes_what_is_new(where, version):
    place = where()
    write(place, EARLIER[version])
    for _ in range(2):  # the second opening migrates nothing
        store = open_store(place)
        assert store.get(["k1", "k2", "k3"]) == {
            "k1": Outcome({"macs": 7.5}, seconds=0.25),
            "k2": Outcome({}, Status.FAILED, "out of memory", 1.5, {"epochs": [1, 2]}),
        }
        assert store.notes() == {"version": "0.1.0"}
        store.put([("k1", "cost", {}, Outcome({"macs": 1.0})), (f"k{9 + _}", "cost", {}, Outcome({"macs": 9.0}))])
        store.begin("a", {"strategy": "nsga2"}, GOALS, "key")
        store.append("a", "nsga2", toy_records(10))
        assert store.searches("a")[0].n_records == 10
        assert store.claim(["x"], "me", 60) == ["x"]
        store.close()


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_version_ends_with_the_same_tables_as_a_new_one(where, version):
    old, new = where(), where()
    write(old, EARLIER[version])
    assert described(old) == described(new)


def described(place: str) -> dict:
    """Columns and keys of every table."""
    store = open_store(place)
    inspector = sa.inspect(store.engine)
    schema = None if "://" not in place else store.engine.dialect.default_schema_name
    tables = {}
    for name in inspector.get_table_names(schema):
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(name, schema)}
        indexes = sorted((tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(name, schema))
        tables[name] = (columns, inspector.get_pk_constraint(name, schema)["constrained_columns"], indexes)
    store.close()
    assert {"outcomes", "runs", "records", "front", "leases"} <= set(tables)
    return tables


def test_a_newer_version_is_refused_unchanged(where):
    place = where()
    write(place, VERSION_1.replace("VALUES (1)", "VALUES (99)"))
    with pytest.raises(UserError, match=r"newer archip \(version 99"):
        open_store(place)


def test_tables_of_another_program_are_refused(where):
    place = where()
    write(place, "CREATE TABLE photos (name TEXT)")
    with pytest.raises(UserError, match="not one of archip's"):
        open_store(place)
