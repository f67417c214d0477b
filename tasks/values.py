"""The small values tasks hand each other: references to bytes and numbers, never bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lipsync_core.jobs.ledger import FILE, Ledger
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.clip import Box, Clip
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.scan import Scan
from lipsync_core.stores import MediaRef
from lipsync_core.stores.local import LocalStore
from lipsync_core.timeline import Cut, Segment, SpanKind, Timeline

LEDGER_VARIABLE = "LIPSYNC_LEDGER_URL"


def has_ledger(root: str) -> bool:
    """Whether there is a ledger that :func:`ledger_of` would open and not make."""
    return LEDGER_VARIABLE in os.environ or (Path(root) / FILE).is_file()


@contextmanager
def ledger_of(root: str) -> Iterator[Ledger]:
    """The ledger of a run: the one in ``LIPSYNC_LEDGER_URL``, else one in its store."""
    url = os.environ.get(LEDGER_VARIABLE)
    ledger = Ledger(url) if url else Ledger.in_folder(Path(root))
    try:
        yield ledger
    finally:
        ledger.close()


def store_at(root: str) -> LocalStore:
    """The store a task was told to use."""
    return LocalStore(Path(root))


@lru_cache(maxsize=16)
def _info(path: Path, sha256: str) -> FilmInfo:
    """What a film is; a thousand segments of it need not ask a thousand times."""
    return probe(path)


class TrackValue(BaseModel, frozen=True):
    """A laid sound track; see :class:`lipsync_core.media.audio.Track`."""

    file: MediaRef
    sample_rate: int
    channels: int
    samples: int
    given_s: float

    @classmethod
    def of(cls, track: Track, file: MediaRef) -> TrackValue:
        """The value of a track whose file now lies in the store."""
        return cls(
            file=file, sample_rate=track.sample_rate, channels=track.channels,
            samples=track.samples, given_s=track.given_s,
        )  # fmt: skip

    def track(self, store: LocalStore) -> Track:
        """The track itself."""
        return Track(
            store.path(self.file), self.sample_rate, self.channels, self.samples, self.given_s
        )


class Speech(BaseModel, frozen=True):
    """The new speech under a film: ``master`` for delivery, ``analysis`` mono at 16 kHz."""

    master: TrackValue
    analysis: TrackValue
    note: str


class Still(BaseModel, frozen=True):
    """The one picture of a film that shows nothing else.

    ``image`` is a PNG of the film's size; ``made_of`` stands for what a person gave and chose,
    whichever machine made the PNG of it.
    """

    image: MediaRef
    made_of: str


class ScannedFilm(BaseModel, frozen=True):
    """A film and what one look at it found. ``cuts`` are first frames of shots, without 0;
    ``still`` is set where it was made of one picture."""

    video: MediaRef
    frames: int
    frame_rate: str
    cuts: tuple[int, ...]
    faces: MediaRef
    thumbnails: MediaRef
    sound: TrackValue | None
    notes: tuple[str, ...]
    still: Still | None = None

    @property
    def rate(self) -> Fraction:
        """Frames per second, exactly."""
        return Fraction(self.frame_rate)

    def at(self, video: MediaRef) -> ScannedFilm:
        """The same film where its file lies now."""
        return self.model_copy(update={"video": video})

    def material(self, store: LocalStore, cuts: tuple[int, ...] | None = None) -> Material:
        """The film as engines and scorers see it; ``cuts`` replace the ones that were found."""
        scan = Scan(
            tuple(Cut(frame) for frame in (self.cuts if cuts is None else cuts)),
            store.path(self.faces),
            store.path(self.thumbnails),
        )
        sound = None if self.sound is None else self.sound.track(store)
        info = _info(store.path(self.video), self.video.sha256)
        return Material(info, scan, sound, is_still=self.still is not None)


class PlannedSegment(BaseModel, frozen=True):
    """One segment of the plan."""

    index: int
    first_frame: int
    last_frame: int
    kind: SpanKind
    reason: str

    @property
    def frames(self) -> int:
        """How many frames long it is."""
        return self.last_frame - self.first_frame

    def segment(self) -> Segment:
        """The segment itself."""
        return Segment(self.index, self.first_frame, self.last_frame, self.kind, self.reason)


class Plan(BaseModel, frozen=True):
    """A film as segments. ``shots`` are the first frames of shots, without 0; ``notes`` are
    sentences about it for a person."""

    frames: int
    frame_rate: str
    shots: tuple[int, ...]
    segments: tuple[PlannedSegment, ...]
    voice_method: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, timeline: Timeline, shots: tuple[int, ...], voice_method: str) -> Plan:
        """The plan of a timeline."""
        segments = tuple(
            PlannedSegment(
                index=s.index, first_frame=s.first_frame, last_frame=s.last_frame,
                kind=s.kind, reason=s.reason,
            )
            for s in timeline.segments
        )  # fmt: skip
        return cls(
            frames=timeline.frames, frame_rate=str(timeline.frame_rate), shots=shots,
            segments=segments, voice_method=voice_method,
        )  # fmt: skip

    def timeline(self) -> Timeline:
        """The timeline itself."""
        segments = tuple(s.segment() for s in self.segments)
        return Timeline(Fraction(self.frame_rate), self.frames, segments)

    @property
    def to_render(self) -> list[PlannedSegment]:
        """The segments that get a new mouth."""
        return [s for s in self.segments if s.kind is SpanKind.LIPSYNC]


class SegmentJob(BaseModel, frozen=True):
    """What one rendering depends on: it is the cache key of the segment.

    ``heard`` stands for the part of the speech an engine may listen to, so that an edited word
    makes new only the segments round it. The frames are those of the planned segment and
    ``seam_frames`` more at either end where a neighbour begins, over which one passes into the
    other.
    """

    film: ScannedFilm
    shot: tuple[int, int]
    first_frame: int
    last_frame: int
    seam_frames: int = 0
    speech: TrackValue
    heard: str
    generator: str
    generator_version: int
    options: dict[str, Any] = {}
    shift_ms: float = 0.0
    attempt: int = 1

    def content(self) -> dict[str, Any]:
        """Everything but the whole speech, of which ``heard`` is the part that counts; of a still
        film what its picture was made of, since it is only longer or shorter otherwise."""
        left_out = {"speech"} if self.film.still is None else {"speech", "film", "shot"}
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        content = {name: value for name, value in fields.items() if name not in left_out}
        return content | ({"still": self.film.still.made_of} if self.film.still else {})

    def segment(self) -> Segment:
        """The frames to render."""
        return Segment(0, self.first_frame, self.last_frame)

    def material(self, store: LocalStore) -> Material:
        """The film, cut at the edges of the segment's shot."""
        return self.film.material(store, cuts=self.shot)


class CutOut(BaseModel, frozen=True):
    """A segment as files of its own: its picture, and the speech for it."""

    video: MediaRef
    speech: MediaRef


class Kept(BaseModel, frozen=True):
    """Where an engine elsewhere finds the files of a segment."""

    video: str
    speech: str


class Returned(BaseModel, frozen=True):
    """A segment as an engine elsewhere gave it back.

    ``cost_usd`` is what the engine told, or else the quote; ``placed_now`` whether this run
    ordered it.
    """

    file: MediaRef
    job_id: str
    cost_usd: float
    seconds: float
    placed_now: bool


class Rendered(BaseModel, frozen=True):
    """A rendered segment; ``seconds`` is how long the rendering took, ``remarks`` what the engine
    had to say."""

    file: MediaRef
    first_frame: int
    last_frame: int
    box: tuple[int, int, int, int]
    seconds: float
    remarks: tuple[str, ...] = ()
    seam_frames: int = 0

    def clip(self, store: LocalStore) -> Clip:
        """The clip itself."""
        return Clip(
            store.path(self.file), self.first_frame, self.last_frame, Box(*self.box),
            seam_frames=self.seam_frames,
        )  # fmt: skip


class Looked(BaseModel, frozen=True):
    """What verification measured of one segment; see :class:`lipsync_core.verify.Look`."""

    rendered: dict[str, object]
    source: dict[str, object] | None
    motion_share: float
    change_share: float
    opening: tuple[float | None, ...]
