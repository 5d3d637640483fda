"""``python -m archip``: the command line."""

from archip.cli.main import run

run()
