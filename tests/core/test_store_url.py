import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.store_url import split_url, without_password

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://me:{SECRET}@db.example:5432/archip", "postgresql://me@db.example:5432/archip"),
        (f"postgresql://me:{SECRET}@x/y:z@db/archip?schema=s", "postgresql://me@db/archip?schema=s"),
        (f"postgresql://:{SECRET}@db/archip", "postgresql://@db/archip"),
        (f"postgresql://me@db/a?password={SECRET}", "postgresql://me@db/a"),
        (f"postgresql://me@db/a?password={SECRET}&schema=s", "postgresql://me@db/a?schema=s"),
        (f"postgresql://db/a?schema=s&sslpassword={SECRET}&x=1", "postgresql://db/a?schema=s&x=1"),
        (f"mysql://me:{SECRET}@db/archip", "mysql://me@db/archip"),
        ("postgresql://me@db/archip", "postgresql://me@db/archip"),
        ("runs/records.sqlite", "runs/records.sqlite"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("a/b.sqlite", ("sqlite", "a/b.sqlite")),
        ("sqlite:///b.sqlite", ("sqlite", "b.sqlite")),
        ("sqlite:////tmp/b.sqlite", ("sqlite", "/tmp/b.sqlite")),
        ("postgres://db/a", ("postgresql", "postgresql+psycopg://db/a")),
        ("postgresql://db/a", ("postgresql", "postgresql+psycopg://db/a")),
    ],
)
def test_a_url_says_which_store_is_meant(url, parts):
    assert split_url(url) == parts


@pytest.mark.parametrize("url", [f"mysql://me:{SECRET}@db/archip", "sqlite://", "postgresql://", ""])
def test_other_urls_are_refused_without_saying_the_password(url):
    with pytest.raises(UserError, match="is no store") as error:
        split_url(url)
    assert SECRET not in str(error.value)


def test_a_problem_neither_writes_nor_shows_the_password(toy_problem):
    url = f"postgresql://me:{SECRET}@db/archip"
    problem = Problem.from_dict({**toy_problem, "store": url})
    assert problem.store == url
    assert problem.to_json()["store"] == "postgresql://me@db/archip"
    assert SECRET not in problem.to_yaml() + repr(problem)
    assert problem.id == Problem.from_dict(toy_problem).id


def test_a_store_that_is_none_is_an_error_at_its_key(toy_problem):
    with pytest.raises(UserError, match=r"store: 'mysql://db' is no store"):
        Problem.from_dict({**toy_problem, "store": "mysql://db"})
