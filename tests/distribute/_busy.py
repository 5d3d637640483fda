"""Functions for workers; those that never end leave a file with the name of their process."""

import os
import re
import time
from pathlib import Path


def own_process(_):
    time.sleep(0.02)
    return os.getpid()


def threads(_):
    return os.environ["OMP_NUM_THREADS"]


def sleeps(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def computes(folder):
    (Path(folder) / str(os.getpid())).touch()
    while True:
        pass


def holds_the_interpreter(folder):
    """One call into C that lets no other thread run."""
    (Path(folder) / str(os.getpid())).touch()
    re.match(r"(a|aa)*b", "a" * 200)


def marks(item):
    """Adds a point to a file of the item each time that it is called."""
    folder, number = item
    with open(Path(folder) / str(number), "a") as file:
        file.write(".")
    time.sleep(0.3)
    return number


def own_resources(_):
    import ray

    return ray.get_runtime_context().get_assigned_resources()
