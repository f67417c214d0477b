"""Still pictures from outside: read with suspicion, and fitted to the size of a film.

A picture may be anything: a phone's that lies on its side, print colours, a bomb of a few bytes
that unpacks to gigabytes. Its header is looked at before anything is unpacked, and whatever is
changed to make plain RGB of it is told in words.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageFile

from lipsync_core.errors import InputError, OutOfMemory

LONGEST_SIDE, SHORTEST_SIDE, MOST_PIXELS = 30_000, 64, 100_000_000
LARGEST_FILE = 1 << 30
GREATEST_OUTPUT, LEAST_OUTPUT = 4096, 64

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
_WANTED = "give a PNG, JPEG or WebP picture"
_MID_GREY = (128, 128, 128)
_SAME_SHAPE = 0.005
_TOLD_ENLARGEMENT = 1.05
# LCMS rounds, so that even a profile of sRGB itself moves colours by a level or two.
_ROUNDING = 2

# How a picture is set upright, by the EXIF orientation (CIPA DC-008, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip

# What people give instead of a picture, by the first bytes of it.
_OTHERS = (
    (b"\x1aE\xdf\xa3", "a film"), (b"FLV", "a film"), (b"\x00\x00\x01\xba", "a film"),
    (b"ID3", "a sound"), (b"OggS", "a sound"), (b"fLaC", "a sound"), (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
)  # fmt: skip
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


@dataclass(frozen=True)
class Picture:
    """A still picture, upright and in sRGB: ``rgb`` is (height, width, 3) uint8.

    ``notes`` says in words what was changed to make it so.
    """

    rgb: NDArray[np.uint8]
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """In pixels."""
        return self.rgb.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.rgb.shape[0]


def read_picture(path: Path) -> Picture:
    """Read a still picture, whatever it is: PNG, JPEG, WebP, BMP, TIFF, GIF or AVIF.

    Raises:
        InputError: the file is missing, empty or damaged, is no picture, or one with a side under
            64 or over 30,000 pixels or with more than 100 million of them.
        OutOfMemory: it cannot be held.
    """
    try:
        _refuse_no_file(path)
        with path.open("rb") as file, _calm(), _recognised(file, path) as image:
            _refuse_size(image, path)
            return _decoded(image)
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"may not read {path}: check its permissions") from error
    except MemoryError as error:
        raise OutOfMemory(f"not enough memory for the picture {path}: make it smaller") from error
    except Exception as error:  # what a decoder says of hostile bytes is of any kind
        raise InputError(
            f"picture is damaged, cut off or of a rare kind: {path}; copy it again or export it "
            "as PNG"
        ) from error


_one_at_a_time = threading.Lock()


@contextmanager
def _calm() -> Iterator[None]:
    """Pillow's warnings and complaints go nowhere: what matters becomes an error or a note.

    The filters of warnings belong to the whole process, so one picture is read at a time.
    """
    complaints = logging.getLogger("PIL.TiffImagePlugin")
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, complaints.disabled = complaints.disabled, True
        try:
            yield
        finally:
            complaints.disabled = before


def _refuse_no_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if not path.is_file():
        raise InputError(f"not a file: {path}")
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"empty file: {path}; {_WANTED}")
    if size > LARGEST_FILE:
        raise InputError(f"too large for a picture: {path} has {size:,} bytes; {_WANTED}")


def _recognised(file: IO[bytes], path: Path) -> ImageFile.ImageFile:
    """The picture with only its header read.

    Pillow's own ``open`` refuses or warns of large pictures by a limit of the whole process, and
    does not tell their sides.
    """
    Image.init()
    head = file.read(4096)
    for name in _FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        # some answer with a text: they know the format but were built without its decoder
        if factory is not None and accepts is not None and accepts(head[:16]) is True:
            file.seek(0)
            return factory(file, str(path))
    raise InputError(f"not a picture but {_described(head)}: {path}; {_WANTED}")


def _described(head: bytes) -> str:
    for start, kind in _OTHERS:
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp":
        return "HEIC, which cannot be read here" if head[8:12] in _HEIC else "a film or sound"
    if head[:4] == b"RIFF":
        return "a sound" if head[8:12] == b"WAVE" else "a film"
    with suppress(UnicodeDecodeError):
        # the last character may have been cut in two
        if "\0" not in head[: max(1, len(head) - 3)].decode():
            return "text"
    return "something else"


def _refuse_size(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise InputError(
            f"picture of {width}x{height} pixels: {path}; make it smaller, at most "
            f"{LONGEST_SIDE:,} a side and {MOST_PIXELS // 1_000_000} million in all"
        )
    if min(width, height) < SHORTEST_SIDE:
        raise InputError(
            f"picture of only {width}x{height} pixels: {path}; give one of at least "
            f"{SHORTEST_SIDE} a side"
        )


def _decoded(image: ImageFile.ImageFile) -> Picture:
    notes: list[str] = []
    if image.format != "MPO" and getattr(image, "is_animated", False):
        notes.append("several pictures in one file: the first one is taken")
    # Pillow sets a TIFF upright as it loads it, and in a PNG the tag may follow the pixels
    orientation = _orientation(image) if image.format == "TIFF" else 0
    # what libtiff has to say of a damaged file it writes to descriptor 2, past Python
    with _silenced_stderr() if image.format == "TIFF" else nullcontext():
        image.load()
    rgb = _in_srgb(image, notes)
    if image.format != "TIFF":
        orientation = _orientation(image)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
    if orientation in _UPRIGHT:
        notes.append(f"set upright: its EXIF orientation is {orientation}")
    return Picture(np.array(rgb, np.uint8), tuple(notes))


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # damaged EXIF says nothing
        return int(image.getexif().get(ExifTags.Base.Orientation, 0))
    return 0


def _in_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """The loaded picture in mode RGB, by its own profile, its transparent parts over grey."""
    alpha = _alpha(image)
    colours = _flat(image, notes)
    rgb = _by_profile(colours, image.info.get("icc_profile"), notes)
    if alpha is not None:
        notes.append("transparent parts laid over grey")
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, _MID_GREY), alpha)
    return rgb


def _alpha(image: Image.Image) -> Image.Image | None:
    """How opaque each pixel is, where some are not."""
    if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
        return None
    with suppress(ValueError, TypeError, OverflowError, SystemError):  # a colour it cannot have
        alpha = image.convert("RGBA").getchannel("A")
        return None if alpha.getextrema() == (255, 255) else alpha
    return None


def _flat(image: Image.Image, notes: list[str]) -> Image.Image:
    """The picture without palette, opacity or more than 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image, notes)
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if image.mode == "La" else "L").convert("L")
    if image.mode in ("CMYK", "YCbCr", "LAB"):
        return image
    return image.convert("RGBA" if image.mode == "RGBa" else "RGB").convert("RGB")


def _eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Grey of 12, 16 or 32 bits or of floats, by the range its kind has; without one by its own."""
    values = np.nan_to_num(np.asarray(image, np.float32))
    darkest, lightest = float(values.min()), float(values.max())
    if image.mode == "F":
        low, high = 0.0, 1.0
    else:
        bits: Any = getattr(image, "tag_v2", {}).get(258, (16,))
        low, high = 0.0, 4095.0 if bits[0] == 12 else 65535.0
    if darkest < low or lightest > high:
        notes.append(f"grey from {darkest:g} to {lightest:g} scaled to black and white")
        low, high = darkest, lightest
    return Image.fromarray(np.rint((values - low) * (255 / (high - low))).astype(np.uint8), "L")


def _by_profile(image: Image.Image, profile: object, notes: list[str]) -> Image.Image:
    """The picture in sRGB, by its colour profile where it has one that can be used."""
    plain = image.convert("RGB")
    if not isinstance(profile, bytes) or not profile:
        if image.mode == "CMYK":
            notes.append("print colours (CMYK) without a profile: their look is a guess")
        return plain
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = own.profile.xcolor_space.strip()
        as_meant = plain if space == "RGB" and image.mode in ("L", "RGB", "YCbCr") else image
        converted = ImageCms.profileToProfile(
            as_meant, own, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        assert converted is not None
        name = ImageCms.getProfileDescription(own)
    except Exception:  # a profile is as hostile as the rest; the picture is fine without it
        notes.append("its colour profile cannot be used and is ignored")
        return plain
    # each channel's darkest and lightest difference
    extremes = np.array(ImageChops.difference(plain, converted).getextrema())
    if extremes.max() <= _ROUNDING:
        return plain
    told = "".join(char for char in name if char.isprintable())[:60].strip() or "unnamed"
    notes.append(f"colours converted to sRGB from its profile ({told})")
    return converted


@dataclass(frozen=True)
class Fitted:
    """A picture in another size, (rows, columns, 3) uint8, and in words what that took.

    A point of the source, counted from its left upper corner, is found again by taking off
    ``corner``, times ``scale``, and adding ``padding``: all (across, down) in pixels.
    """

    rgb: NDArray[np.uint8]
    words: str
    corner: tuple[int, int]
    scale: tuple[float, float]
    padding: tuple[int, int]

    def placed(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where points of the source, (…, 2) as x and y in pixels, lie in this picture."""
        moved = (points - np.array(self.corner)) * np.array(self.scale) + np.array(self.padding)
        return moved.astype(np.float32)


def fitted(
    rgb: NDArray[np.uint8],
    width: int,
    height: int,
    fit: str = "crop",
    centre: Sequence[float] | NDArray[np.floating] | None = None,
) -> Fitted:
    """A picture, (rows, columns, 3) uint8, in another size.

    ``crop`` keeps the largest part of the right shape, with ``centre`` (x, y in pixels: the face)
    in its middle or as near to it as the border allows; ``letterbox`` keeps everything and pads
    with black. Where the shapes agree but for rounding, nothing is cropped or padded. The words
    are empty where the picture was only made smaller.

    Raises:
        InputError: the size is odd, under 64 or over 4096 a side, or ``fit`` is neither.
    """
    refuse_output(width, height)
    if fit not in ("crop", "letterbox"):
        raise InputError(f"fit {fit!r}: write crop or letterbox")
    rows, columns = rgb.shape[:2]
    words: list[str] = []
    across, down = width / columns, height / rows
    part, inner = (columns, rows), (width, height)  # what is kept, and how large it becomes
    corner = padding = (0, 0)
    if abs(across / down - 1) < _SAME_SHAPE:
        scale = max(across, down)
    elif fit == "crop":
        scale = max(across, down)
        part = _rounded(width / scale, columns), _rounded(height / scale, rows)
        x, y = (columns / 2, rows / 2) if centre is None else centre
        corner = _start(x, part[0], columns), _start(y, part[1], rows)
        words.append(f"cropped from {columns}x{rows} to {part[0]}x{part[1]}")
    else:
        scale = min(across, down)
        inner = _rounded(columns * scale, width), _rounded(rows * scale, height)
        padding = (width - inner[0]) // 2, (height - inner[1]) // 2
        sides = "left and right" if across > down else "above and below"
        words.append(f"{columns}x{rows} padded with black {sides} to {width}x{height}")
    if scale >= _TOLD_ENLARGEMENT:
        words.append(f"enlarged {scale:.1f} times: the picture is small")
    kept = rgb[corner[1] : corner[1] + part[1], corner[0] : corner[0] + part[0]]
    result = _scaled(kept, *inner)
    if inner != (width, height):
        (left, top), scaled = padding, result
        result = np.zeros((height, width, 3), np.uint8)
        result[top : top + inner[1], left : left + inner[0]] = scaled
    return Fitted(
        result, ", ".join(words), corner, (inner[0] / part[0], inner[1] / part[1]), padding
    )


def refuse_output(width: int, height: int) -> None:
    """Refuse a size that no film of ours has.

    Raises:
        InputError: it is odd, or under 64 or over 4096 a side.
    """
    if width % 2 or height % 2 or min(width, height) < LEAST_OUTPUT:
        raise InputError(
            f"output of {width}x{height}: both sides must be even and at least {LEAST_OUTPUT}"
        )
    if max(width, height) > GREATEST_OUTPUT:
        raise InputError(f"output of {width}x{height}: at most {GREATEST_OUTPUT} a side")


def natural_size(width: int, height: int, grid: int = 2, longest: int = 1280) -> tuple[int, int]:
    """The width and height of the film where nobody names any: the picture's own, made smaller
    where the longer side is over ``longest``; both multiples of ``grid``."""
    longer, shorter = max(width, height), min(width, height)
    long = _on_grid(min(longer, longest) // grid * grid, grid)
    short = min(long, _on_grid(shorter * long / longer, grid))
    return (long, short) if width >= height else (short, long)


def size_for(
    picture_width: int, picture_height: int, width: int | None, height: int | None, grid: int = 2
) -> tuple[int, int]:
    """The width and height of the film where a person names both, one or none of them: one gives
    the other by the shape of the picture.

    Raises:
        InputError: a side is no multiple of ``grid``, or one that results is over 4096.
    """
    for name, side in (("width", width), ("height", height)):
        if side is not None and side % grid:
            below = max(grid, side // grid * grid)
            raise InputError(
                f"{name} {side} is no multiple of {grid}: say {below} or {below + grid}"
            )
    if width is None and height is None:
        return natural_size(picture_width, picture_height, grid)
    if height is None and width is not None:
        height = _on_grid(width * picture_height / picture_width, grid)
    elif width is None and height is not None:
        width = _on_grid(height * picture_width / picture_height, grid)
    assert width is not None
    assert height is not None
    refuse_output(width, height)
    return width, height


def _on_grid(side: float, grid: int) -> int:
    """The nearest multiple of the grid that is no less than the least output."""
    return max(round(side / grid), -(-LEAST_OUTPUT // grid)) * grid


def _rounded(side: float, most: int) -> int:
    return min(most, max(1, round(side)))


def _start(middle: float, kept: int, whole: int) -> int:
    """Where ``kept`` pixels begin that have ``middle`` in their middle, as far as they can."""
    return min(max(0, round(float(middle) - kept / 2)), whole - kept)


def _scaled(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    grows = width > rgb.shape[1] or height > rgb.shape[0]
    way = cv2.INTER_LANCZOS4 if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=way), np.uint8)
