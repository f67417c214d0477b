"""``python -m flows.bulk`` in a process that kills itself at a named point of an order's life.

python -m tests.flows.dying POINT ARGUMENTS…
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "lipsync_core" / "jobs"))

import orders

from lipsync_core import verify

if __name__ == "__main__":
    point = sys.argv.pop(1)
    if point == "while it is verified":
        verify.track_faces = orders.die
    else:
        orders.POINTS[point]()
    runpy.run_module("flows.bulk", run_name="__main__", alter_sys=True)
