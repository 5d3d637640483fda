"""Attacks on a dashboard that really listens: each is tried, and refused."""

from __future__ import annotations

import http.client
import os
import re

import pytest
from _runs import HOSTILE, problem
from _served import TOKEN, serving

from archip.core.errors import UserError
from archip.dashboard.guard import MOST_BODY
from archip.dashboard.settings import Settings

PAGES = ["/runs", *(f"/runs/first/{part}" for part in ("overview", "candidates", "comparison", "calibration", "log"))]


def get_as(served, host: str, path: str = "/runs") -> bytes:
    return served.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())


@pytest.fixture(scope="module")
def starting(runs):
    """One from which runs may be started."""
    with serving(runs, allow_runs=True) as found:
        yield found


def form_of(client) -> str:
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/new").text)[1]


# Other names: DNS rebinding


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "[::2]"]
)
def test_a_foreign_host_is_refused(served, host):
    answer = get_as(served, host)
    assert answer.startswith(b"HTTP/1.1 421")
    assert b"first" not in answer


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8080", "[::1]:8080"])
def test_own_names_are_answered_at_any_port(served, host):
    assert get_as(served, host).startswith(b"HTTP/1.1 200")


def test_two_hosts_or_none_are_refused(served):
    two = served.raw(b"GET /runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    none = served.raw(b"GET /runs HTTP/1.0\r\n\r\n")
    assert two.split()[1] in (b"400", b"421")
    assert none.split()[1] in (b"400", b"421")


# The token


def test_without_the_token_nothing_is_shown(guarded):
    with guarded.client() as client:
        for path in [*PAGES, "/runs.json", "/metrics", "/assets/style.css", "/runs/first/files/report.html", "/events"]:
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert "first" not in answer.text
        assert client.get("/runs", params={"token": TOKEN[:-1] + "x"}).status_code == 401
        assert client.get("/runs", headers={"authorization": "Bearer " + TOKEN[:-1]}).status_code == 401
        client.cookies.set(f"archip_{guarded.port}", "forged.0000")
        assert client.get("/runs").status_code == 401


def test_the_token_gives_a_session_and_leaves_the_address(guarded):
    with guarded.client() as client:
        answer = client.get("/runs/first/overview", params={"token": TOKEN, "x": "energy_j"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/runs/first/overview?x=energy_j"
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert client.get("/runs").status_code == 200  # by the cookie alone


def test_a_token_cannot_send_the_browser_elsewhere(guarded):
    answer = get_as(guarded, "localhost", f"//evil.example/runs?token={TOKEN}")
    assert answer.startswith(b"HTTP/1.1 303")
    assert b"\r\nlocation: /evil.example/runs\r\n" in answer


def test_programs_may_send_the_token_as_bearer(guarded):
    with guarded.client() as client:
        assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_session_of_another_process_is_worth_nothing(runs, guarded):
    with serving(runs, token=TOKEN) as other, other.client() as client:
        client.get("/runs", params={"token": TOKEN})
        (session,) = [c.value for c in client.cookies.jar]
    with guarded.client(cookies={f"archip_{guarded.port}": session}) as client:
        assert client.get("/runs").status_code == 401


def test_other_machines_need_a_token_that_cannot_be_guessed(runs):
    with pytest.raises(UserError, match="can be reached by others"):
        Settings(str(runs), host="0.0.0.0")
    with pytest.raises(UserError, match="too short"):
        Settings(str(runs), token="secret")


# Requests that another site makes the browser send


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_posts_from_other_origins_are_refused(starting, headers):
    with starting.client() as client:
        token = form_of(client)
        answer = client.post("/new", data={"csrf": token, "problem": problem().to_yaml()}, headers=headers)
        assert answer.status_code == 403
        assert "another site" in answer.text
    assert not (starting.root / "toy").exists()


@pytest.mark.parametrize("token", ["", "0" * 64, None])
@pytest.mark.parametrize("path", ["/new", "/runs/first/resume", "/runs/second/stop"])
def test_posts_without_the_token_of_the_form_are_refused(starting, path, token):
    with starting.client() as client:
        form_of(client)  # gives a session
        data = {"problem": problem().to_yaml()} | ({} if token is None else {"csrf": token})
        assert client.post(path, data=data).status_code == 403


def test_the_form_of_another_session_is_refused(starting):
    with starting.client() as mine, starting.client() as theirs:
        form_of(mine)
        answer = mine.post("/new", data={"csrf": form_of(theirs), "problem": problem().to_yaml()})
    assert answer.status_code == 403


def test_nothing_can_be_started_where_it_is_not_allowed(served):
    with served.client() as client:
        assert client.get("/new").status_code == 404
        assert client.post("/new", data={"problem": ""}).status_code == 404
        assert client.post("/runs/first/resume").status_code == 404
        assert "csrf" not in client.get("/runs/second/overview").text


def test_other_sites_cannot_include_our_answers(served):
    with served.client() as client:
        for mode in ("no-cors", "cors", "websocket"):
            headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
            assert client.get("/runs.json", headers=headers).status_code == 403
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert client.get("/runs", headers=link).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(served, method):
    with served.client() as client:
        assert client.request(method, "/runs").status_code == 405


# Bodies


def test_a_body_that_says_it_is_too_large_is_refused(starting):
    with starting.client() as client:
        assert client.post("/new", content=b"x" * (MOST_BODY + 1)).status_code == 413


def test_a_body_without_a_length_is_cut_off(starting):
    connection = http.client.HTTPConnection("127.0.0.1", starting.port, timeout=60)
    connection.putrequest("POST", "/new")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    sent = 0
    try:
        while sent < 50 * MOST_BODY:
            connection.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            sent += 4096
    except OSError:
        pass  # the other side has had enough
    assert sent < 50 * MOST_BODY or connection.getresponse().status == 413
    connection.close()


def test_bytes_that_are_no_request_do_no_harm(served):
    for junk in (b"\x00\xff" * 2000, b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Le"):
        answer = served.raw(junk, is_cut=True)
        assert not answer or answer.split()[1] in (b"400", b"414", b"421", b"431")
    with served.client() as client:
        assert client.get("/runs").status_code == 200


# Files


TRAVERSALS = [
    "../secret.txt",
    "../../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "artifacts/../../secret.txt",
    "artifacts/%2e%2e/%2e%2e/secret.txt",
    "artifacts/..%5c..%5csecret.txt",
    "artifacts//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "artifacts/%00",
    "artifacts/shapes",
    "artifacts",
    "records.sqlite",
    "finish",
    "",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_paths_out_of_the_run_lead_nowhere(served, path):
    answer = get_as(served, "localhost", f"/runs/first/files/{path}")
    assert answer.split()[1] == b"404", answer[:200]
    assert b"not for visitors" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("run", ["..", "%2e%2e", "notes", "..%2ffirst", "%2fetc", "first%2f..%2fsecond", "a" * 5000])
def test_only_runs_that_were_found_have_an_address(served, run):
    assert get_as(served, "localhost", f"/runs/{run}/overview").split()[1] in (b"404", b"303")
    assert b"Candidates on the front" not in get_as(served, "localhost", f"/runs/{run}/overview")


def test_links_out_of_the_run_are_not_followed(served):
    artifacts = served.root / "first" / "artifacts"
    (artifacts / "link.txt").symlink_to(served.root / "secret.txt")
    (artifacts / "folder").symlink_to(served.root)
    os.mkfifo(artifacts / "pipe")
    try:
        for name in ("link.txt", "folder/secret.txt", "pipe"):
            assert get_as(served, "localhost", f"/runs/first/files/artifacts/{name}").split()[1] == b"404"
        with served.client() as client:
            assert "link.txt" not in client.get("/runs/first/files").text
    finally:
        for name in ("link.txt", "folder", "pipe"):
            (artifacts / name).unlink()


def test_files_are_downloads_and_the_report_is_in_a_sandbox(served):
    with served.client() as client:
        file = client.get("/runs/first/files/artifacts/shapes/shapes.onnx")
        assert file.content == b"not really a model"
        assert file.headers["content-disposition"].startswith("attachment")
        policy = client.get("/runs/first/files/report.html").headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'")
        assert "allow-same-origin" not in policy


# What runs say


def test_every_page_forbids_inline_scripts_and_frames(served):
    with served.client() as client:
        for path in [*PAGES, "/runs.json", "/no/such/page", "/assets/main.js"]:
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"


def test_hostile_texts_are_shown_as_text(served):
    with served.client() as client:
        for path in ["/runs/first/candidates?status=failed", "/runs/first/log"]:
            page = client.get(path).text
            assert "&lt;script&gt;alert(1)" in page
            assert "<script>alert" not in page
            assert "onerror=alert(2)>" not in page.replace("&gt;", "")
        for field in ("search", "status", "metric", "low", "sort", "page"):
            page = client.get("/runs/first/candidates", params={field: HOSTILE, "metric": "quality"} | {field: HOSTILE})
            assert "<script>alert" not in page.text
            assert page.status_code == 200
        assert "<script>alert" not in client.get(f"/runs/{HOSTILE}/overview").text


def test_hostile_texts_in_plots_are_escaped(served):
    with served.client() as client:
        text = client.get("/runs/first/figures/front.json").text
    assert "<script" not in text
    assert "<img" not in text


def test_a_problem_is_read_as_data(starting, tmp_path):
    marker = tmp_path / "made"
    hostile = f"!!python/object/apply:os.system ['touch {marker}']"
    with starting.client() as client:
        answer = client.post("/new", data={"csrf": form_of(client), "problem": hostile})
    assert answer.status_code == 422
    assert "not valid YAML" in answer.text
    assert not marker.exists()


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/b", ".hidden", "first"])
def test_a_new_run_stays_in_the_folder_of_runs(starting, name):
    text = problem().to_yaml().replace("name: toy", f"name: {name}", 1)
    with starting.client() as client:
        answer = client.post("/new", data={"csrf": form_of(client), "problem": text})
    assert answer.status_code == 422
    assert not (starting.root.parent / "out").exists()
