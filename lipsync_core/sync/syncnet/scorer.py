"""The scorer ``syncnet``: the field's own measure of lips against sound.

A face track is seen and heard in one stream of batches, so the memory it takes does not depend on
its length. Distances for every shift are added up, and sums of different spans simply add.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.sync.mfcc import HOP, WINDOW, mfcc
from lipsync_core.sync.score import IN_SYNC_FRAMES, Span, SyncScore
from lipsync_core.sync.syncnet.crops import RATE, face_pictures, face_squares, grid
from lipsync_core.sync.syncnet.distance import MAX_SHIFT, SHIFTS, Slide, agreement
from lipsync_core.sync.syncnet.folded import FoldedSyncNet
from lipsync_core.sync.syncnet.network import FRAMES, ROWS, SyncNet, networks_tensors
from lipsync_core.weights.fingerprint import Finding, Standing, finding
from lipsync_core.weights.registry import checkpoint, located
from lipsync_core.weights.tensors import read_tensors

BATCH = 20  # vectors made at once
PUBLISHED_FRAMES = 100  # of a track that the published pipeline judges: longer ones only
ANSWER_S = 1.5
LEAST_CONFIDENCE = 3.0  # in practice: under 1.5 not this voice or no talking face, over 3 usable
_NEAR = 1  # shifts: the offset of one window scatters by that much
_USUAL_CONFIDENCE = 6.0  # of people who speak, as the field reports it
_SILENCE = 1e-3
_ROWS_PER_FRAME = 100 // RATE
_SAMPLES_PER_FRAME = ANALYSIS_RATE // RATE


def load_network(path: Path) -> SyncNet:
    """The network with the weights of a checkpoint, ready to be asked.

    Raises:
        InputError: the file is no checkpoint of this network.
    """
    network = SyncNet().eval()
    tensors = read_tensors(path, networks_tensors(), "SyncNet")
    network.load_state_dict(tensors, strict=False)  # it may lack counters, which mean nothing here
    return network


@lru_cache(maxsize=1)
def _loaded(path: Path, changed_ns: int, device: torch.device) -> tuple[FoldedSyncNet, Finding]:
    """The network of a file that was last changed then, and what is known of the file."""
    return FoldedSyncNet(load_network(path), device), finding(checkpoint("syncnet"), path)


class SyncNetScorer:
    """The published measure; its checkpoint must be on this machine.

    Raises:
        MissingWeights: it is not.
        InputError: the file there is another one.
    """

    name = "syncnet"
    version = 1
    every = 1  # of so many looks one is taken

    def __init__(self, network: SyncNet | None = None, device: str | None = None) -> None:
        self.remark = ""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if network is not None:
            self._network = FoldedSyncNet(network, self.device)
            return
        path = located("syncnet")
        self._network, found = _loaded(path, path.stat().st_mtime_ns, self.device)
        if found.standing is not Standing.PUBLISHED:
            self.remark = f"by the weights in {path}, which are not the published ones"
            self.version = int(found.sha256[:12], 16)  # other numbers, so nothing cached may serve

    def measure(self, span: Span, windows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        """Sums of the distances in every window, from one pass over the span."""
        faces = span.faces(span.first, span.last)
        present = faces.present
        if present.sum() < max(2, len(present) / 2):
            return [_without(span, window, "no face in most frames") for window in windows]
        if _is_silent(span):
            return [_without(span, window, "no speech") for window in windows]
        moments, frames = grid(span.first, span.last, span.info.frame_rate).T
        if len(moments) <= FRAMES:
            return [_without(span, window, "only a moment long") for window in windows]
        squares = face_squares(faces)[frames - span.first]
        # one vector fewer than there could be: so the published program counts
        vectors = len(moments) - FRAMES
        slide = Slide(padded=len(moments) > PUBLISHED_FRAMES)
        sums = [_Sums(span, window) for window in windows]
        done = 0
        with torch.inference_mode():
            for lips, sounds in self._vectors(span, frames, squares, int(moments[0]), vectors):
                done += _added(sums, slide.add(lips, sounds), moments[done:])
            _added(sums, slide.finish(), moments[done:])
        return [one.measurement() for one in sums]

    def _vectors(
        self, span: Span, frames: NDArray[np.int64], squares: NDArray[np.float64],
        first_moment: int, count: int,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
        """Vectors of lips and of sound, a batch at a time."""
        pictures = face_pictures(span.info, frames, squares)
        held = deque(islice(pictures, FRAMES - 1), maxlen=FRAMES)
        for first in range(0, count, BATCH):
            seen = []
            for picture in islice(pictures, min(BATCH, count - first)):
                held.append(picture)
                seen.append(np.concatenate(held, axis=2))
            sounds = self._network.hear(
                torch.from_numpy(_heard(span, first_moment, first, len(seen)))
            )
            lips = torch.full_like(sounds, torch.nan)  # a look not taken counts for nothing
            taken = slice(-first % self.every, None, self.every)
            if looks := seen[taken]:
                lips[taken] = self._network.see(torch.from_numpy(np.stack(looks)))
            yield lips, sounds

    def score(self, measurements: Sequence[dict[str, Any]]) -> SyncScore:
        """The agreement of all the spans together."""
        usable = [measured for measured in measurements if measured["evidence"] == "ok"]
        if not usable:
            reasons = {measured["evidence"] for measured in measurements} or {"nothing measured"}
            return SyncScore(None, 0.0, 0.0, False, "; ".join(sorted(reasons)), False)
        sums = np.sum([measured["sums"] for measured in usable], axis=0)
        counts = np.sum([measured["counts"] for measured in usable], axis=0)
        seconds = sum(measured["seconds"] for measured in usable)
        if not counts.all():
            return SyncScore(None, 0.0, 0.0, False, f"only {seconds:.1f} s long", False)
        found = agreement(sums / counts)
        evidence = "ok"
        if seconds < ANSWER_S:
            evidence = f"only {seconds:.1f} s long"
        elif found.at_edge:
            evidence = "offset beyond ±0.6 s or no match"
        elif found.confidence < LEAST_CONFIDENCE:
            evidence = "agreement no better than chance"
        if evidence != "ok":
            return SyncScore(None, found.confidence, found.distance, False, evidence)
        offset = found.fine_offset_frames
        in_sync = abs(offset) <= IN_SYNC_FRAMES
        return SyncScore(offset, found.confidence, found.distance, in_sync, "ok")

    def agreement(self, measurements: Sequence[dict[str, Any]], offset_frames: float) -> float:
        """The confidence that the shifts round that offset give, against a usual speaker's."""
        usable = [measured for measured in measurements if measured["evidence"] == "ok"]
        if not usable:
            return 0.0
        counts = np.sum([measured["counts"] for measured in usable], axis=0)
        if not counts.all():
            return 0.0
        means = np.sum([measured["sums"] for measured in usable], axis=0) / counts
        shift = MAX_SHIFT - round(offset_frames)
        near = means[max(0, shift - _NEAR) : shift + _NEAR + 1].min(initial=np.inf)
        return float(np.median(means) - near) / _USUAL_CONFIDENCE


class FastSyncNetScorer(SyncNetScorer):
    """The same from every second look, in little more than half the time.

    Neighbouring looks share four of their five frames, so little is lost: see docs/syncnet.md.
    """

    name = "syncnet-fast"
    every = 2

    def __init__(self, network: SyncNet | None = None, device: str | None = None) -> None:
        super().__init__(network, device)
        half = "by every second look, an estimate of the published figure"
        self.remark = "; ".join(filter(None, (half, self.remark)))


class _Sums:
    """What a window of a span adds up to while its distances come."""

    def __init__(self, span: Span, window: tuple[int, int]) -> None:
        rate = span.info.frame_rate
        moments = grid(*window, rate)[:, 0]
        self._seconds = float((window[1] - window[0]) / rate)
        self._first = int(moments[0]) if len(moments) else 0
        self._last = self._first + len(moments) - FRAMES + 1
        self._sums, self._counts = np.zeros(SHIFTS), np.zeros(SHIFTS, int)

    def add(self, moments: NDArray[np.int64], distances: NDArray[np.float32]) -> None:
        mine = distances[(moments >= self._first) & (moments < self._last)]
        self._sums += np.nansum(mine, axis=0, dtype=np.float64)
        self._counts += np.isfinite(mine).sum(0)

    def measurement(self) -> dict[str, Any]:
        return {
            "seconds": self._seconds, "evidence": "ok",
            "sums": self._sums.round(4).tolist(), "counts": self._counts.tolist(),
        }  # fmt: skip


def _added(
    sums: Sequence[_Sums], distances: NDArray[np.float32], moments: NDArray[np.int64]
) -> int:
    for one in sums:
        one.add(moments[: len(distances)], distances)
    return len(distances)


def _without(span: Span, window: tuple[int, int], why: str) -> dict[str, Any]:
    return {"seconds": float((window[1] - window[0]) / span.info.frame_rate), "evidence": why}


def _is_silent(span: Span) -> bool:
    block = 30 * int(span.info.frame_rate)
    loudest = (
        float(np.abs(span.sound_of(first, min(span.last, first + block))).max(initial=0.0))
        for first in range(span.first, span.last, block)
    )
    return all(level < _SILENCE for level in loudest)


def _heard(span: Span, first_moment: int, first: int, count: int) -> NDArray[np.float32]:
    """What the network hears of so many vectors: (count, 1, 13, 20)."""
    rows = _ROWS_PER_FRAME * (count - 1) + ROWS
    start = (first_moment + first) * _SAMPLES_PER_FRAME
    before = int(bool(first))
    sound = span.sound(start - before, start + (rows - 1) * HOP + WINDOW)
    whole = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
    cepstra = mfcc(whole[before:], int(whole[0]) if before else None).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(cepstra, ROWS, axis=0)
    return np.ascontiguousarray(windows[::_ROWS_PER_FRAME, None])
