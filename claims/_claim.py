"""What a claim is, how it is run, and how results are kept.

A claim is a file ``claims/<id>.py`` with

* a module docstring, whose first line names the paper and its effect;
* ``EXPECTED``: what has to be seen, with the threshold, written before the first run;
* ``SOURCE``: where the expectation comes from (paper, table, card);
* ``check() -> Observed``: the experiment. It compares with something that could go the other way: a baseline, a
  published value, an exact optimum. It raises `Missing` where the data that it needs are absent.

A claim that fails stays, as failed, with what was seen.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Missing", "Observed", "Result", "data_file", "names", "reference_file", "run", "stored"]

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"


class Missing(Exception):
    """What the claim needs is not on this machine; the message says what."""


@dataclass(frozen=True)
class Observed:
    """What was seen: whether the expectation holds, and the numbers in words."""

    holds: bool
    text: str


@dataclass(frozen=True)
class Result:
    """One run of a claim, as kept in ``results/<name>.json``."""

    name: str
    title: str
    expected: str
    source: str
    observed: str
    holds: bool
    seconds: float
    digest: str

    @property
    def verdict(self) -> str:
        return "holds" if self.holds else "FAILED"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def digest(name: str) -> str:
    """16 hex digits of the claim's text; a result of another text is out of date."""
    return hashlib.sha256((FOLDER / f"{name}.py").read_bytes()).hexdigest()[:16]


def run(name: str) -> Result:
    """Run one claim and keep its result.

    Raises:
        Missing: data that it needs are absent.
    """
    module = importlib.import_module(f"claims.{name}")
    start = time.perf_counter()
    observed = module.check()
    seconds = time.perf_counter() - start
    title = (module.__doc__ or "").partition("\n")[0].rstrip(".")
    texts = [" ".join(text.split()) for text in (module.EXPECTED, module.SOURCE, observed.text)]
    result = Result(name, title, texts[0], texts[1], texts[2], bool(observed.holds), round(seconds, 1), digest(name))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n")
    return result


def stored(name: str) -> Result | None:
    """The last result of a claim; None if it never ran or its text has changed since."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    result = Result(**json.loads(path.read_text()))
    return result if result.digest == digest(name) else None


def data_file(name: str) -> Path:
    """A file of the benchmark data folder that ``ARCHIP_DATA`` names."""
    return _file("ARCHIP_DATA", name)


def reference_file(name: str) -> Path:
    """A file of the folder of reference tables that ``ARCHIP_REFERENCE`` names."""
    return _file("ARCHIP_REFERENCE", name)


def _file(variable: str, name: str) -> Path:
    folder = os.environ.get(variable)
    if folder is None or not (path := Path(folder) / name).exists():
        raise Missing(f"{name} is not in the folder that {variable} names ({folder or 'not set'})")
    return path
