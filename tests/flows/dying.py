"""A flow as a command, in a process that kills itself at a named point of an order's life.

python -m tests.flows.dying FLOW POINT ARGUMENTS…
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "lipsync_core" / "jobs"))

import orders

from lipsync_core import verify
from lipsync_core.media import encode

# Points that are no order's: what is being written or looked at when the process dies.
ELSEWHERE = {
    "while it is verified": (verify, "track_faces"),
    "while a film is written": (encode, "FrameWriter"),
}

if __name__ == "__main__":
    flow, point = sys.argv.pop(1), sys.argv.pop(1)
    if point in ELSEWHERE:
        setattr(*ELSEWHERE[point], orders.die)
    else:
        (orders.RUNPOD_POINTS if "portrait" in flow else orders.POINTS)[point]()
    runpy.run_module(flow, run_name="__main__", alter_sys=True)
