import socket

import pytest

from archip.core.errors import StoreError, UserError
from archip.store._url import open_store
from archip.store.postgresql import PostgreSQL
from archip.testing.store import GOALS, toy_records

pytestmark = pytest.mark.postgres
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _needs_psycopg():
    pytest.importorskip("psycopg")


def test_a_server_that_is_not_there_is_named_without_the_password():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"postgresql://me@127.0.0.1:{port}/archip.*see that the server runs") as e:
            open_store(f"postgresql://me:{SECRET}@127.0.0.1:{port}/archip")
    assert SECRET not in str(e.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/postgres", "/nowhere"), "does not exist"),
        (("archip@", "nobody@"), "does not exist"),
        (("schema=", "schema=No-"), "no plain name"),
    ],
)
def test_what_the_server_refuses_is_said_in_one_line(postgres_server, postgres_url, change, words):
    if postgres_server.control is None:
        pytest.skip("the users of the server of ARCHIP_POSTGRES are not known")
    with pytest.raises(UserError, match=words) as error:
        open_store(postgres_url().replace(*change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", [f"postgresql://me:{SECRET}@db:port/archip", f"postgresql://me:{SECRET}@[::1/archip"])
def test_a_url_that_is_none_is_refused_without_the_password(url):
    with pytest.raises(UserError) as error:
        open_store(url)
    assert SECRET not in str(error.value)


def test_two_runs_share_a_server_and_schemas_keep_apart(postgres_url):
    here, there = postgres_url(), postgres_url()
    one, two, other = open_store(here), open_store(here), open_store(there)
    one.begin("a", {"strategy": "nsga2"}, GOALS, "key a")
    two.begin("b", {"strategy": "nsga2"}, GOALS, "key b")
    one.append("a", "nsga2", toy_records(20))
    two.append("b", "nsga2", toy_records(30, seed=1))
    assert [len(two.records(name, "nsga2")) for name in "ab"] == [20, 30]
    assert other.runs() == []
    for store in (one, two, other):
        store.close()


def test_a_connection_that_the_server_ends_is_made_again(postgres_url):
    url = postgres_url()
    store, killer = open_store(url), open_store(url)
    store.begin("a", {"strategy": "nsga2"}, GOALS, "key")
    assert isinstance(killer, PostgreSQL)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
    with killer.engine.connect() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        assert connection.exec_driver_sql(ended, (name,)).scalar()
    assert store.append("a", "nsga2", toy_records(20)) == 20
    assert len(store.records("a", "nsga2")) == 20
    store.close()
    killer.close()


def test_two_processes_may_make_the_tables_at_once(postgres_url):
    import threading

    url, failed = postgres_url(), []

    def make() -> None:
        try:
            open_store(url).close()
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
