"""The table the field compares systems by: confidence and distance of every clip of a folder.

With SyncNet these are LSE-C and LSE-D (lip-sync error: confidence, the higher the better, and
distance, the lower the better; Prajwal et al. 2020). A clip's numbers are those of its speaking
faces together, the mean is over clips, and a clip in which there was nothing to measure is dropped
and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from lipsync_core.sync.tracks import FilmScore
from lipsync_core.whole import write_whole

_WHOLE, _MEAN = "all", "mean"
_NUMBERS = {"syncnet": ("lse_c", "lse_d")}
_COLUMNS = [
    "clip", "track", "first_frame", "last_frame", "speaks", "offset_frames", "offset_ms",
    "confidence", "distance", "in_sync", "evidence",
]  # fmt: skip


class LseTable(BaseModel, frozen=True):
    """The scores of a folder's clips by their names; ``dropped`` says why a clip has none.

    The means are over the clips that have numbers, ``None`` where no clip has.
    """

    scorer: str
    clips: dict[str, FilmScore]
    dropped: dict[str, str]
    mean_confidence: float | None
    mean_distance: float | None

    @classmethod
    def of(cls, scorer: str, scores: Mapping[str, FilmScore | str]) -> LseTable:
        """From the score of every clip, or the reason why there is none."""
        dropped = {}
        clips = {}
        for name, score in scores.items():
            if isinstance(score, str):
                dropped[name] = score
            elif not score.measured:
                dropped[name] = score.evidence
            else:
                clips[name] = score
        numbers = pd.DataFrame(
            [(score.confidence, score.distance) for score in clips.values()], dtype=float
        )
        confidence, distance = numbers.mean().round(4).tolist() if clips else (None, None)
        return cls(
            scorer=scorer, clips=clips, dropped=dropped, mean_confidence=confidence,
            mean_distance=distance,
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, str]:
        """What the two numbers are called."""
        return _NUMBERS.get(self.scorer, ("confidence", "distance"))

    def rows(self) -> pd.DataFrame:
        """A row for every track, for every clip (track "all"), and the mean over the clips; what
        was dropped stands with its reason and without numbers."""
        rows: list[dict[str, object]] = []
        for name, score in self.clips.items():
            tracks = [(str(number), track) for number, track in enumerate(score.tracks, 1)]
            for label, one in [*tracks, (_WHOLE, score)]:
                numbers = {} if one.measured else {"confidence": None, "distance": None}
                rows.append({"clip": name, "track": label, **one.model_dump(), **numbers})
        rows += [
            {"clip": name, "track": _WHOLE, "evidence": f"dropped: {why}"}
            for name, why in self.dropped.items()
        ]
        count = f"{len(self.clips)} clips, {len(self.dropped)} dropped"
        rows.append({
            "clip": _MEAN, "track": _WHOLE, "confidence": self.mean_confidence,
            "distance": self.mean_distance, "evidence": count,
        })  # fmt: skip
        table = pd.DataFrame(rows, columns=_COLUMNS)
        table = table.astype({"first_frame": "Int64", "last_frame": "Int64"})
        return table.rename(columns=dict(zip(("confidence", "distance"), self.names, strict=True)))

    def write(self, path: Path) -> None:
        """Write the rows as CSV.

        Raises:
            StorageError: it cannot be written.
        """
        write_whole(path, self.rows().to_csv(index=False, lineterminator="\n"))
