"""Parked frames come back bit for bit, in any order, and leave nothing behind."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_factory import numbered_frame

from lipsync_core.errors import InputError, StorageError
from lipsync_core.generators.rewrite.spool import FrameSpool
from lipsync_core.media.frames import planes_of


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_frames_come_back_in_any_order(tmp_path: Path, pixel_format: str) -> None:
    frames = [numbered_frame(number, 98, 54, pixel_format) for number in range(20)]
    with FrameSpool(tmp_path / "window.raw") as spool:
        for frame in frames:
            spool.append(frame)
        assert spool.frames == 20
        for index in (7, 19, 0, 7, 3):
            for back, plane in zip(spool.read(index), planes_of(frames[index]), strict=True):
                assert back.dtype == plane.dtype
                assert np.array_equal(back, plane)


def test_what_is_read_may_be_changed(tmp_path: Path) -> None:
    with FrameSpool(tmp_path / "window.raw") as spool:
        spool.append(numbered_frame(5))
        for plane in spool.read(0):
            plane[:] = 0
        for back, plane in zip(spool.read(0), planes_of(numbered_frame(5)), strict=True):
            assert np.array_equal(back, plane)


def test_reading_between_writing_does_no_harm(tmp_path: Path) -> None:
    with FrameSpool(tmp_path / "window.raw") as spool:
        for number in range(4):
            spool.append(numbered_frame(number))
            spool.read(0)
        for number in range(4):
            assert np.array_equal(spool.read(number)[0], planes_of(numbered_frame(number))[0])


def test_the_file_is_gone_afterwards(tmp_path: Path) -> None:
    with FrameSpool(tmp_path / "window.raw") as spool:
        spool.append(numbered_frame(0))
        assert (tmp_path / "window.raw").stat().st_size == 192 * 108 * 3 // 2
    assert not list(tmp_path.iterdir())


def test_the_file_is_gone_though_the_work_failed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged"), FrameSpool(tmp_path / "window.raw"):
        raise InputError("damaged film")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond two frames and a half."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (192 * 108 * 3 // 2 * 5 // 2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_told_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    with FrameSpool(tmp_path / "window.raw") as spool:
        spool.append(numbered_frame(0))
        spool.append(numbered_frame(1))
        with pytest.raises(StorageError, match=r"disk full while writing .*window\.raw"):
            spool.append(numbered_frame(2))
        assert spool.frames == 2
    assert not list(tmp_path.iterdir())
