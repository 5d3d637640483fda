"""The dashboard in a real browser: Debian's Chromium, driven by Playwright. Screenshots stay in tests/artifacts/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _runs import made_records, made_run, problem
from _served import TOKEN, serving

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
WAIT = 60_000  # ms; a busy machine is no fault of the page
sync_api.expect.set_options(timeout=WAIT)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
PARTS = ("overview", "candidates", "comparison", "calibration", "files", "log")

CHECKS = Path(__file__).with_name("_accessible.js").read_text()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def faults():
    """What the browser's console says; the test fails if it says anything bad."""
    said: list[str] = []
    yield said
    assert said == []


@pytest.fixture
def opened(browser, served, faults):
    """A page in a window of its own, by width and theme."""
    contexts = []

    def open_page(path: str, width: int = 1280, theme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, base_url=served.url)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        listen(page, faults)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def listen(page, faults: list[str]) -> None:
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))


def drawn(page) -> None:
    sync_api.expect(page.locator(".plot.waiting")).to_have_count(0)


def keep(page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def candidate_path(client) -> str:
    return client.get("/runs/first/overview.json").json()["front"]["rows"][0]["candidate"]["url"]


@pytest.fixture(scope="module")
def best(served) -> str:
    with served.client() as client:
        return candidate_path(client)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_drawn_without_errors_and_accessible(opened, best, theme):
    page = opened("/runs", theme=theme)
    for path in ["/runs", *(f"/runs/first/{part}" for part in PARTS), best]:
        page.goto(path)
        drawn(page)
        assert page.evaluate(CHECKS) == [], path
        keep(page, f"{path.strip('/').replace('/', '_').replace(best[-16:], 'one')}_{theme}")


@pytest.mark.parametrize("path", ["/runs", "/runs/first/overview", "/runs/first/candidates", "/runs/first/comparison"])
def test_pages_fit_a_telephone(opened, path):
    page = opened(path, width=360)
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    keep(page, f"{path.strip('/').replace('/', '_')}_360")


def test_the_plot_has_front_limit_hover_and_opens_a_candidate(opened):
    page = opened("/runs/first/overview")
    drawn(page)
    assert page.locator(".plot .shapelayer path").count() == 1
    assert "limit 1 ms" in page.locator(".plot .annotation-text").text_content()
    point = page.locator(".plot .trace").last.locator(".point").first
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = page.locator(".hoverlayer .hovertext").first
    hover.wait_for()
    assert "quality" in hover.text_content()
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**/candidates/*")


def test_a_change_of_axes_redraws(opened):
    page = opened("/runs/first/overview")
    page.get_by_label("across").select_option(label="energy")
    page.wait_for_url("**x=energy_j**")
    drawn(page)
    assert page.locator(".plot .xtitle").text_content() == "energy [µJ]"


def test_the_numbers_of_a_plot_can_be_read(opened):
    page = opened("/runs/first/comparison")
    drawn(page)
    page.get_by_text("Numbers of this plot").first.click()
    table = page.get_by_role("table", name="Best so far")
    assert "nsga2" in table.inner_text()


def test_candidates_are_filtered_sorted_and_paged(opened):
    page = opened("/runs/first/candidates")
    page.get_by_role("link", name="next").click()
    page.wait_for_url("**page=2**")
    page.get_by_label("status").select_option("ok")
    page.get_by_label("metric").select_option("latency_s")
    page.get_by_label("to", exact=True).fill("200 us")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**status=ok**")
    page.get_by_role("link", name="latency").first.click()
    page.wait_for_url("**sort=latency_s**")
    heading = page.locator("th[aria-sort=ascending]")
    assert "latency" in heading.inner_text()
    column = 1 + page.locator("thead th").all_inner_texts().index(heading.inner_text())
    values = [float(t) for t in page.locator(f"tbody tr > :nth-child({column})").all_inner_texts()]
    assert values == sorted(values)
    assert max(values) <= 200
    page.get_by_label("to", exact=True).fill("fast")
    page.get_by_role("button", name="Filter").click()
    assert "is not a quantity" in page.get_by_role("alert").inner_text()


def test_files_are_downloaded_and_the_report_runs_in_its_sandbox(opened, served, faults):
    page = opened("/runs/first/files")
    with page.expect_download() as download:
        page.get_by_role("link", name="shapes.onnx").click()
    assert Path(download.value.path()).read_text() == "not really a model"
    page.get_by_role("link", name="report.html").click()
    sync_api.expect(page).to_have_title("ran")
    reached = page.evaluate(
        "async (url) => { try { return (await fetch(url + '/runs.json')).status } catch { return 'refused' } }",
        served.url,
    )
    assert reached == "refused"
    assert page.evaluate("(() => { try { return document.cookie } catch { return 'refused' } })()") == "refused"
    faults.clear()  # the browser tells of the refusal


def test_the_keyboard_reaches_everything(opened):
    page = opened("/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # it is seen while it has the focus
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    seen = []
    for _ in range(12):
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
        if seen[-1] == "first":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/first/overview")


def test_the_theme_follows_the_system_until_one_is_chosen(opened):
    page = opened("/runs/first/overview", theme="dark")
    drawn(page)
    background = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    tick = lambda: page.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill")  # noqa: E731
    dark, dark_tick = background(), tick()
    page.get_by_label("Theme").select_option("light")
    sync_api.expect(page.locator(".xtick text").first).not_to_have_css("fill", dark_tick)
    assert background() == "rgb(255, 255, 255)" != dark
    page.reload()
    assert background() == "rgb(255, 255, 255)"
    page.get_by_label("Theme").select_option("auto")
    assert background() == dark


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from _runs import made_records, problem
from archip.search.recorder import Recorder
asked = problem("live")
Recorder(asked, Path(sys.argv[1]), None).told("nsga2", made_records(asked, 40, first=8))
"""


def test_what_another_process_writes_appears_by_itself(browser, tmp_path, faults):
    made_run(tmp_path / "live", n=8, is_done=False)
    with serving(tmp_path) as served:
        context = browser.new_context(base_url=served.url)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        listen(page, faults)
        page.goto("/runs/live/overview")
        drawn(page)
        before = page.locator(".plot .point").count()
        link = page.locator("#front tbody a").first
        link.focus()
        had = link.get_attribute("href")
        command = [sys.executable, "-c", WRITER, str(tmp_path / "live"), str(Path(__file__).parent)]
        subprocess.run(command, check=True, timeout=120)
        sync_api.expect(page.locator("#heading")).to_contain_text("48 of 400")
        sync_api.expect(page.locator(".plot .point").nth(before)).to_be_attached()
        sync_api.expect(page.locator("#announced")).to_contain_text("48 candidates")
        asked = problem("live")
        still = {r.candidate.id for r in made_records(asked, 8)} & {
            a.get_attribute("href")[-16:] for a in page.locator("#front tbody a").all()
        }
        if had[-16:] in still:
            assert page.evaluate("document.activeElement.getAttribute('href')") == had
        keep(page, "live")
        context.close()


def test_a_token_is_asked_for_and_remembered(browser, guarded, faults):
    context = browser.new_context(base_url=guarded.url)
    assert context.new_page().goto("/runs").status == 401
    page = context.new_page()
    listen(page, faults)
    page.goto(f"/runs?token={TOKEN}")
    assert page.url == f"{guarded.url}/runs"
    page.get_by_role("link", name="first").click()
    drawn(page)
    assert page.evaluate("document.cookie") == ""  # scripts cannot read it
    context.close()


def test_a_hostile_run_runs_nothing(opened, faults):
    page = opened("/runs/first/candidates?status=failed")
    assert "<script>alert(1)</script>" in page.locator("tbody").inner_text()
    page.goto("/runs/first/log")
    assert "<script>alert(1)</script>" in page.locator("tbody").inner_text()
    assert page.locator("main script, main img").count() == 0
