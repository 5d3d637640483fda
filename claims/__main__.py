"""Run claims and write the ledger."""

from __future__ import annotations

import argparse
import sys

from claims._claim import FOLDER, Missing, Result, names, run, stored

_HEAD = """# Ledger of claims

One row a published method: what its paper leads to expect at this size, and what was seen. Written by
`python -m claims`; do not edit. `python -m claims NAME` runs one again.

"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m claims", description=__doc__)
    parser.add_argument("name", nargs="*", help="claims to run; without any, those that are new or have changed")
    parser.add_argument("--all", action="store_true", help="run every claim again")
    parser.add_argument("--ledger", action="store_true", help="run nothing, write LEDGER.md from the stored results")
    arguments = parser.parse_args()
    known = names()
    if unknown := set(arguments.name) - set(known):
        sys.exit(f"claims: unknown {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not arguments.ledger:
        for name in arguments.name or [n for n in known if arguments.all or stored(n) is None]:
            _show(name)
    _write_ledger([result for name in known if (result := stored(name)) is not None])


def _show(name: str) -> None:
    try:
        result = run(name)
    except Missing as missing:
        print(f"{name}: skipped: {missing}")
        return
    print(f"{result.title}\n  expected  {result.expected}\n  observed  {result.observed}")
    print(f"  source    {result.source}\n  verdict   {result.verdict} ({result.seconds} s)\n", flush=True)


def _write_ledger(results: list[Result]) -> None:
    held = sum(result.holds for result in results)
    lines = [f"{len(results)} claims ran; {held} hold, {len(results) - held} failed.\n"]
    lines += ["| claim | expected | observed | verdict | s |", "| --- | --- | --- | --- | --- |"]
    for r in results:
        cells = (f"[{r.name}]({r.name}.py): {r.title}", f"{r.expected} ({r.source})", r.observed, r.verdict, r.seconds)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    (FOLDER / "LEDGER.md").write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
