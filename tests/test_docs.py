"""The documentation: the reference names everything, snippets are right, links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

from archip.core import registry
from archip.core.problem_file import Budget, Finish, ProblemFile, TaskSpec
from archip.core.record import METRICS
from archip.core.targets import problems_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [p.relative_to(ROOT).as_posix() for p in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]]

# Snippets that take more than a second or two, or need a benchmark table: page → why.
SLOW_PAGES = {
    "docs/bench.md": "a surrogate search",
    "docs/codesign.md": "prices a chip space",
    "docs/joint.md": "a joint front, of a table in ARCHIP_DATA",
    "docs/workers.md": "trains networks",
}
# YAML that is no problem file: page and first key → why it is only read.
OTHER_YAML = {
    ("docs/bench.md", "title"): "declaration of a table",
    ("docs/dashboard.md", "scrape_configs"): "Prometheus",
    ("docs/joint.md", "networks"): "part of the declaration of a table",
}
COMPILED_ONLY = {"README.md"}  # Python of readers' own problems
PROBLEM = {"name": "snippet", "tasks": {"digits": {"data": "digits", "net": "resnet9"}}}
LAYERS = "layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups\nfirst,conv,1,8,3,8,8,3,3,1,1,1\n"


@dataclass(frozen=True)
class Snippet:
    """A fenced block; the words of a comment ``<!-- run slow -->`` before it say what is done with it."""

    page: str
    line: int
    language: str
    title: str
    words: frozenset[str]
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    def value(self, key: str, default: str = "") -> str:
        return next((w.partition("=")[2] for w in self.words if w.startswith(f"{key}=")), default)


@cache
def snippets(page: str) -> list[Snippet]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for m in re.finditer(
        r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)(?: title=\"([^\"\n]*)\")?\n(.*?)^```$", text, re.M | re.S
    ):
        line = text.count("\n", 0, m.start(2)) + 1
        found.append(Snippet(page, line, m[2], m[3] or "", frozenset((m[1] or "").split()), m[4]))
    assert len(found) == len(re.findall(r"^```\w", text, re.M)), page
    return found


@cache
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_reference", DOCS / "_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def generated() -> dict[str, str]:
    return reference().pages()


def sections(text: str) -> dict[str, str]:
    """Heading of the second level → what stands below it."""
    parts = re.split(r"^## (.+?)(?: \{: #.* \})?$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """First cell of every row of the tables of a text → its other cells."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


# The reference


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_method_and_option_is_documented(kind: str):
    page = sections(generated()[f"reference/methods/{kind.rsplit('/', 1)[-1]}.md"])
    files = {p.stem for p in (ROOT / "archip" / kind).glob("*.py") if not p.stem.startswith("_")}
    assert files <= page.keys()
    for name in files:
        options = {f.name: f for f in dataclasses.fields(registry.find(kind, name)) if f.init}
        told = rows(page[name])
        assert options.keys() == told.keys(), name
        for option, field in options.items():
            is_required = field.default is field.default_factory is dataclasses.MISSING
            assert (told[option][1] == "`required`") == is_required, f"{name}.{option}"
        about = page[name].partition("|")[0].partition("No options.")[0]
        assert len(about.split()) >= 5, f"{kind}/{name}: its docstring says nothing"


def test_every_metric_is_documented():
    assert {name: METRICS[name].about for name in METRICS} == {
        name: cells[2].replace("\\", "")
        for name, cells in rows(generated()["reference/metrics.md"]).items()
        if name in METRICS
    }


def test_every_command_and_option_is_documented():
    page = sections(generated()["reference/commands.md"])
    commands = dict(leaves("archip", typer.main.get_command(_app())))
    assert len(commands) >= 20
    assert commands.keys() <= page.keys()
    for name, command in commands.items():
        told = rows(page[name])
        for parameter in command.params:
            names = [n for n in told if parameter.name.upper() == n or parameter.opts[0] in n.split(", ")]
            assert names, f"{name}: {parameter.name}"
            assert told[names[0]][2], f"{name} {names[0]}: no help"


def test_every_key_of_a_problem_file_is_documented():
    told = rows(generated()["reference/problem-file.md"])
    keys = [
        *ProblemFile.model_fields,
        *(f"tasks.NAME.{key}" for key in TaskSpec.model_fields),
        *(f"budget.{key}" for key in Budget.model_fields),
        *(f"finish.{key}" for key in Finish.model_fields),
        *(f"target.{key}" for key in ("chip", "accelerator", "device", "mcu")),
    ]
    assert [key for key in keys if not told.get(key, [""])[-1]] == []


def test_the_meaning_of_an_option_is_its_comment_or_its_attribute():
    meanings = reference().option_meanings
    assert meanings(registry.find("strategies", "nsga2"))["crossover"].startswith("p_c in the paper")
    assert meanings(registry.find("spaces", "conv1d"))["depths"] == "choices for the number of blocks."
    mcu = meanings(registry.find("hardware/devices", "mcu"))
    assert mcu
    assert all(mcu.values())


@pytest.mark.parametrize("kind", [k for k in registry.KINDS if k not in ("hardware/models", "hardware/schedule")])
def test_every_option_of_a_problem_file_says_what_it_means(kind: str):
    for name in registry.names(kind):
        cls = registry.find(kind, name)
        meanings = reference().option_meanings(cls)
        assert [option for option, *_ in registry.option_table(cls) if not meanings.get(option)] == [], name


def test_text_of_docstrings_is_shown_as_it_is():
    assert reference().plain("a_b * c [N] <x> `d_e` ``f*g``") == "a\\_b \\* c \\[N\\] &lt;x> `d_e` ``f*g``"


# Snippets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a page's snippets run: what a checkout has, and the files that readers are said to have."""
    for name in ("examples", "tests", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "layers.csv").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_snippets_of_a_page(page: str, folder: Path):
    play(page, folder, slow=False)


def _has_slow(page: str) -> bool:
    return page in SLOW_PAGES or any("slow" in s.words for s in snippets(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if _has_slow(page)])
def test_slow_snippets_of_a_page(page: str, folder: Path, request: pytest.FixtureRequest):
    if page == "docs/joint.md":
        request.getfixturevalue("shared_data")
    play(page, folder, slow=True)


def play(page: str, folder: Path, slow: bool) -> None:
    """Checks or runs the snippets of a page from top to bottom, as a reader would."""
    module = sys.modules["docs_page"] = ModuleType("docs_page")
    for snippet in snippets(page):
        is_wanted = slow or not ("slow" in snippet.words or page in SLOW_PAGES)
        if snippet.title:
            (folder / snippet.title).write_text(snippet.text)
        if snippet.language == "yaml":
            check_yaml(snippet, folder)
        elif snippet.language == "python":
            code = compile(snippet.text, snippet.where, "exec", dont_inherit=True)
            if is_wanted and not snippet.title and page not in COMPILED_ONLY:
                exec(code, module.__dict__)
        elif snippet.language in ("bash", "console"):
            for words in lines(snippet.text):
                check_command(words, snippet)
                if is_wanted and "run" in snippet.words:
                    run_command(words, int(snippet.value("exits", "0")), snippet)


def check_yaml(snippet: Snippet, folder: Path) -> None:
    """A problem file, whole or in part, is one that archip takes."""
    value = yaml.safe_load(snippet.text)
    if (snippet.page, next(iter(value))) in OTHER_YAML:
        return
    if "tabular" in snippet.text and not os.environ.get("ARCHIP_DATA"):
        return  # metrics of a table are known from its file
    like = snippet.value("like")
    base = yaml.safe_load((folder / like).read_text()) if like else PROBLEM
    whole = base | value
    if like:
        (folder / snippet.title).write_text(yaml.safe_dump(whole))
    if snippet.title and not like:
        assert whole == value, f"{snippet.where}: a file that has a title is whole"
    problems_of(whole)


def lines(text: str) -> list[list[str]]:
    """The words of each command; comments and redirections left out."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            found.append(words[: words.index(">")] if ">" in words else words)
    return found


def _app() -> typer.Typer:
    from archip.cli.main import app

    return app


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child, inner in children.items():
        yield from leaves(f"{name} {child}", inner)


def check_command(words: list[str], snippet: Snippet) -> None:
    """The command exists and takes these arguments and options."""
    program, *rest = words
    if program == "archip":
        assert refusal(rest) == "", snippet.where
    elif program == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.M), snippet.where
    elif program == "python":
        place = ROOT.joinpath(*rest[1].split("."))
        assert place.is_dir() or place.with_suffix(".py").is_file(), snippet.where
    elif program == "pip":
        extras = re.findall(r"\[(.*)\]", " ".join(rest))[0].split(",")
        assert [e for e in extras if f"\n{e} = [" not in (ROOT / "pyproject.toml").read_text()] == [], snippet.where
    else:
        assert program in ("curl", "pytest", "ray"), f"{snippet.where}: {program}"


def refusal(arguments: list[str]) -> str:
    """Why ``archip`` would not take these arguments; nothing is run."""
    command: Any = typer.main.get_command(_app())
    name, context = "archip", None
    try:
        while True:
            context = command.make_context(name, list(arguments), parent=context)
            if not getattr(command, "commands", None):
                return ""
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            name, command, arguments = command.resolve_command(context, rest)
    except typer.Exit:  # --version
        return ""
    except Exception as error:
        if (message := getattr(error, "format_message", None)) is not None:
            return message()
        raise


def run_command(words: list[str], exit_code: int, snippet: Snippet) -> None:
    if words[0] == "pytest":
        done = subprocess.run([sys.executable, "-m", *words, "-q", "-p", "no:cacheprovider"], capture_output=True)
        assert done.returncode == exit_code, done.stdout.decode()[-2000:]
        return
    from archip.cli.main import run

    with pytest.raises(SystemExit) as ended:
        run(words[1:])
    assert (ended.value.code or 0) == exit_code, f"{snippet.where}: {' '.join(words)}"


@pytest.mark.parametrize("arguments", ["run x.yaml --sed 1", "rum x.yaml", "check", "device calibrate --budget 0 -o x"])
def test_a_wrong_command_is_seen(arguments: str):
    assert refusal(arguments.split())


def test_a_wrong_problem_is_seen(tmp_path: Path):
    with pytest.raises(Exception, match="unknown key 'limit'"):
        check_yaml(Snippet("x.md", 1, "yaml", "", frozenset(), "limit: {latency: 5 ms}"), tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_exist(page: str):
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    named = set(re.findall(r"`archip ([a-z]\w*)", text))
    assert named <= set(typer.main.get_command(_app()).commands), page  # pyright: ignore[reportAttributeAccessIssue]


# Links


def test_links_between_pages_lead_somewhere():
    texts = {p.relative_to(DOCS).as_posix(): p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md")} | generated()
    broken = []
    for page, text in texts.items():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"`[^`]*`", "", text)):
            path = (DOCS / page).parent.joinpath(target).resolve()
            known = path.is_relative_to(DOCS) and path.relative_to(DOCS).as_posix() in texts
            if "://" not in target and not known and not path.is_file():
                broken.append(f"{page}: {target}")
    assert broken == []


def test_every_page_is_in_the_navigation():
    nav = set(re.findall(r"^ +- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    written = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert nav == written | generated().keys()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/reference/methods/strategies.html").stat().st_size > 20_000
