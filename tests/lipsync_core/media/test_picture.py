"""Pictures from outside are read whatever they are, or refused in one line."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_factory import bursts, make_film, write_sound
from numpy.typing import NDArray
from PIL import Image, ImageCms

from lipsync_core.errors import InputError
from lipsync_core.media.picture import (
    fitted,
    natural_size,
    read_picture,
    size_for,
)

WIDTH, HEIGHT = 96, 80


def quarters(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Red, green, blue and white quarters, in reading order."""
    rgb = np.full((height, width, 3), 255, np.uint8)
    rgb[: height // 2, : width // 2] = (200, 0, 0)
    rgb[: height // 2, width // 2 :] = (0, 200, 0)
    rgb[height // 2 :, : width // 2] = (0, 0, 200)
    return rgb


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_picture(path)
    told = str(caught.value)
    assert "\n" not in told
    assert str(path) in told
    return told


@pytest.fixture(autouse=True)
def _nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> object:
    yield
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("png", {}),
        ("webp", {"lossless": True}),
        ("bmp", {}),
        ("tiff", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("jpg", {"quality": 100, "subsampling": 0}),
        ("avif", {"quality": 100}),
    ],
)
def test_every_usual_format_is_read(
    tmp_path: Path, suffix: str, options: dict[str, object]
) -> None:
    picture = read_picture(saved(tmp_path / f"p.{suffix}", Image.fromarray(quarters()), **options))
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.rgb.flags.c_contiguous
    assert picture.rgb.flags.writeable
    off = np.abs(picture.rgb.astype(int) - quarters())
    assert np.median(off) <= 3
    assert picture.notes == ()


def test_what_a_file_is_counts_and_not_its_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", Image.fromarray(quarters()), format="JPEG")
    assert read_picture(path).width == WIDTH


# What a viewer has to do with the stored pixels to show them upright, by EXIF's number.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
def test_a_picture_on_its_side_is_set_upright(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](quarters())))
    more = {"lossless": True} if suffix == "webp" else {}
    picture = read_picture(saved(tmp_path / f"p.{suffix}", image, exif=exif, **more))
    assert picture.notes == (f"set upright: its EXIF orientation is {orientation}",)
    assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
    for row, column in ((10, 10), (10, 85), (70, 10), (70, 85)):
        assert np.abs(picture.rgb[row, column].astype(int) - quarters()[row, column]).max() < 20


def test_an_upright_or_damaged_exif_changes_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    image = Image.fromarray(quarters())
    assert read_picture(saved(tmp_path / "a.png", image, exif=exif)).notes == ()
    broken = saved(tmp_path / "b.png", image, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert read_picture(broken).notes == ()


def test_transparent_parts_lie_over_mid_grey(tmp_path: Path) -> None:
    rgba = np.dstack([quarters(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    assert read_picture(saved(tmp_path / "a.png", Image.fromarray(rgba))).notes == ()
    rgba[:40, :48, 3] = 0
    rgba[:40, 48:, 3] = 128
    for name, more in (("b.png", {}), ("c.webp", {"lossless": True, "exact": True})):
        picture = read_picture(saved(tmp_path / name, Image.fromarray(rgba), **more))
        assert picture.notes == ("transparent parts laid over grey",)
        assert picture.rgb[10, 10].tolist() == [128, 128, 128]
        assert np.abs(picture.rgb[10, 85].astype(int) - [64, 164, 64]).max() <= 1
        assert picture.rgb[70, 10].tolist() == [0, 0, 200]


def test_a_palette_may_have_a_transparent_colour(tmp_path: Path) -> None:
    indexed = Image.fromarray(quarters()).quantize(4)
    red = indexed.getpixel((5, 5))
    picture = read_picture(saved(tmp_path / "a.png", indexed, transparency=red))
    assert picture.notes == ("transparent parts laid over grey",)
    assert picture.rgb[10, 10].tolist() == [128, 128, 128]
    assert picture.rgb[70, 85].tolist() == [255, 255, 255]
    some = bytes(255 if index != red else 0 for index in range(4))
    assert read_picture(saved(tmp_path / "b.png", indexed, transparency=some)).rgb[10, 10, 0] == 128
    assert read_picture(saved(tmp_path / "c.png", indexed)).notes == ()


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P"])
def test_grey_and_palettes_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.repeat(np.repeat([[0, 255]], 48, axis=1), HEIGHT, axis=0).astype(np.uint8)
    picture = read_picture(saved(tmp_path / "p.png", Image.fromarray(grey).convert(mode)))
    assert picture.rgb[10, 10].tolist() == [0, 0, 0]
    assert picture.rgb[10, 90].tolist() == [255, 255, 255]
    assert picture.notes == ()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_of_grey_are_scaled_and_not_cut(tmp_path: Path, suffix: str) -> None:
    deep = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    picture = read_picture(saved(tmp_path / f"p.{suffix}", Image.fromarray(deep)))
    assert np.abs(picture.rgb[:, :, 0] - deep / 257).max() <= 0.51
    assert picture.notes == ()


def test_sixteen_bits_of_colour_and_their_transparent_colour(tmp_path: Path) -> None:
    deep = np.repeat(quarters().astype(">u2") * 257, 1, axis=0)
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0))
    red = chunk(b"tRNS", struct.pack(">HHH", 200 * 257, 0, 0))
    for name, clear in (("a.png", b""), ("b.png", red)):
        (tmp_path / name).write_bytes(
            b"\x89PNG\r\n\x1a\n" + header + clear + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b"")
        )  # fmt: skip
    assert (read_picture(tmp_path / "a.png").rgb == quarters()).all()
    picture = read_picture(tmp_path / "b.png")
    assert picture.notes == ("transparent parts laid over grey",)
    assert picture.rgb[10, 10].tolist() == [128, 128, 128]
    assert picture.rgb[10, 85].tolist() == [0, 200, 0]


def test_grey_of_floats_and_of_32_bits_has_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    picture = read_picture(saved(tmp_path / "a.tiff", Image.fromarray(ramp)))
    assert np.abs(picture.rgb[:, :, 1] - ramp * 255).max() <= 0.51
    assert picture.notes == ()
    wide = (ramp * 2e6 - 1e6).astype(np.int32)
    picture = read_picture(saved(tmp_path / "b.tiff", Image.fromarray(wide)))
    assert np.abs(picture.rgb[:, :, 1] - ramp * 255).max() <= 1
    assert picture.notes == ("grey from -1e+06 to 1e+06 scaled to black and white",)


def test_print_colours_become_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(quarters()).convert("CMYK")
    for name in ("p.jpg", "p.tiff"):
        picture = read_picture(saved(tmp_path / name, image))
        assert np.abs(picture.rgb[10, 10].astype(int) - [200, 0, 0]).max() < 12
        assert picture.notes == ("print colours (CMYK) without a profile: their look is a guess",)


def swapped_profile() -> bytes:
    """An sRGB profile in which red and green have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for first in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        name = bytes(profile[first : first + 4])
        swap = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}
        profile[first : first + 4] = swap.get(name, name)
    return bytes(profile)


def test_an_embedded_profile_is_followed(tmp_path: Path) -> None:
    image = Image.fromarray(quarters())
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read_picture(saved(tmp_path / "a.png", image, icc_profile=plain))
    assert same.notes == ()
    assert (same.rgb == quarters()).all()
    other = read_picture(saved(tmp_path / "b.png", image, icc_profile=swapped_profile()))
    assert other.notes == ("colours converted to sRGB from its profile (sRGB built-in)",)
    assert np.abs(other.rgb[10, 10].astype(int) - [0, 200, 0]).max() < 4


def test_a_profile_holds_under_transparency_and_for_palettes(tmp_path: Path) -> None:
    rgba = np.dstack([quarters(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    rgba[40:, :, 3] = 0
    image = Image.fromarray(rgba)
    for name, made in (("a.png", image), ("b.png", Image.fromarray(quarters()).quantize(4))):
        picture = read_picture(saved(tmp_path / name, made, icc_profile=swapped_profile()))
        assert np.abs(picture.rgb[10, 10].astype(int) - [0, 200, 0]).max() < 4
        assert any("sRGB" in note for note in picture.notes)
    assert read_picture(tmp_path / "a.png").rgb[70, 10].tolist() == [128, 128, 128]


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
@pytest.mark.parametrize("profile", [b"no profile", swapped_profile()[:300], b"\0" * 4000])
def test_a_bad_profile_is_ignored_and_told(tmp_path: Path, mode: str, profile: bytes) -> None:
    image = Image.fromarray(quarters()).convert(mode)
    picture = read_picture(saved(tmp_path / "p.jpg", image, icc_profile=profile))
    assert picture.notes == ("its colour profile cannot be used and is ignored",)


def test_a_profile_of_other_colours_than_the_picture_has_is_ignored(tmp_path: Path) -> None:
    image = Image.fromarray(quarters()).convert("CMYK")
    picture = read_picture(saved(tmp_path / "p.jpg", image, icc_profile=swapped_profile()))
    assert picture.notes == ("its colour profile cannot be used and is ignored",)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_of_several_pictures_the_first_is_taken(tmp_path: Path, suffix: str) -> None:
    first, second = Image.fromarray(quarters()), Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9))
    more = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"p.{suffix}", first, save_all=True, append_images=[second], **more)
    picture = read_picture(path)
    assert picture.notes == ("several pictures in one file: the first one is taken",)
    assert np.abs(picture.rgb.astype(int) - quarters()).max() <= 8


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, and that unpacks to zeros as long as one likes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize(
    ("width", "height"), [(20_000, 20_000), (30_001, 100), (100, 30_001), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_never_unpacked(
    tmp_path: Path, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked(image: Image.Image) -> None:
        raise AssertionError(f"{image.size} was unpacked")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", unpacked)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(width, height))
    assert f"picture of {width}x{height} pixels" in refused(path)
    assert "at most 30,000 a side and 100 million in all" in refused(path)


def test_a_panorama_is_fine(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", Image.new("RGB", (20_000, 300), (1, 2, 3)))
    assert read_picture(path).rgb.shape == (300, 20_000, 3)


@pytest.mark.parametrize("limit", [5000, 1000])
def test_the_limit_of_the_whole_process_is_neither_used_nor_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    path = saved(tmp_path / "p.png", Image.fromarray(quarters()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # Pillow's own open warns or refuses
    assert read_picture(path).width == WIDTH
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (1, 1)])
def test_a_picture_too_small_to_show_a_face_is_refused(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    told = refused(saved(tmp_path / "p.png", Image.new("RGB", size)))
    assert f"only {size[0]}x{size[1]} pixels" in told
    assert read_picture(saved(tmp_path / "q.png", Image.new("RGB", (64, 64)))).width == 64


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "gif", "avif"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_file_cut_off_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    path = saved(tmp_path / f"p.{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: round(kept * len(content))])
    told = refused(path)
    assert "picture is damaged, cut off" in told


def test_damaged_bytes_are_read_or_refused_but_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix, more in (
        ("png", {}), ("jpg", {"exif": exif}), ("webp", {}), ("bmp", {}), ("gif", {}),
        ("tiff", {"compression": "jpeg"}), ("tif", {"compression": "tiff_lzw"}), ("avif", {}),
        ("tiff", {"compression": "tiff_adobe_deflate"}),
    ):  # fmt: skip
        kept = BytesIO()
        form = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
        Image.fromarray(quarters()).save(kept, form, **more)
        for _ in range(40):
            content = bytearray(kept.getvalue())
            for place in random.integers(0, min(len(content), 600), 4):
                content[place] = random.integers(256)
            path = tmp_path / f"p.{suffix}"
            path.write_bytes(content)
            with suppress(InputError):
                assert read_picture(path).rgb.shape[2] == 3


def test_what_is_no_picture_is_called_what_it_is(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("Dear reader, this is no picture. " * 400)
    assert refused(text) == (f"not a picture but text: {text}; give a PNG, JPEG or WebP picture")
    film = make_film(tmp_path / "film.mp4", frames=3).rename(tmp_path / "b.png")
    assert "not a picture but a film" in refused(film)
    film = make_film(tmp_path / "film.mkv", frames=3).rename(tmp_path / "c.png")
    assert "not a picture but a film" in refused(film)
    sound = write_sound(tmp_path / "d.wav", bursts(0.1, 16_000), 16_000)
    assert "not a picture but a sound" in refused(sound)
    empty = tmp_path / "e.png"
    empty.touch()
    assert f"empty file: {empty}" in refused(empty)
    heic = tmp_path / "f.heic"
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    assert "HEIC, which cannot be read here" in refused(heic)
    other = tmp_path / "g.png"
    other.write_bytes(bytes(range(128, 256)) * 9)
    assert "something else" in refused(other)
    document = tmp_path / "h.png"
    document.write_bytes(b"%PDF-1.7 ")
    assert "a PDF document" in refused(document)


def test_where_no_file_is_it_says_so(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "gone.png")
    assert "not a file" in refused(tmp_path)


class TestFitting:
    def test_a_picture_of_the_same_shape_is_only_scaled(self) -> None:
        made = fitted(quarters(128, 96), 64, 64 * 96 // 128 + 16, "crop")
        assert made.words != ""  # 64x64 is another shape
        made = fitted(quarters(256, 192), 128, 96)
        assert made.words == ""
        assert (made.rgb == quarters(128, 96)).all()
        same = fitted(quarters(), WIDTH, HEIGHT)
        assert same.words == ""
        assert (same.rgb == quarters()).all()

    @pytest.mark.parametrize("fit", ["crop", "letterbox"])
    def test_a_shape_off_by_a_rounding_is_neither_cropped_nor_padded(self, fit: str) -> None:
        made = fitted(np.full((767, 1023, 3), 200, np.uint8), 512, 384, fit)
        assert made.words == ""
        assert made.rgb.min() == 200

    def test_reducing_averages(self) -> None:
        stripes = np.zeros((256, 256, 3), np.uint8)
        stripes[:, ::2] = 200
        assert set(fitted(stripes, 128, 128).rgb.ravel().tolist()) == {100}

    def test_a_crop_keeps_the_face_in_its_middle(self) -> None:
        rgb = np.zeros((200, 600, 3), np.uint8)
        rgb[90:110, 390:410] = 255
        made = fitted(rgb, 200, 200, "crop", (400, 100))
        assert made.words == "cropped from 600x200 to 200x200"
        rows, columns = np.nonzero(made.rgb[:, :, 0])
        assert (rows.mean(), columns.mean()) == (99.5, 99.5)

    @pytest.mark.parametrize(("x", "first"), [(10, 0), (599, 400), (-50, 0), (9999, 400)])
    def test_a_crop_ends_at_the_border(self, x: float, first: int) -> None:
        rgb = np.broadcast_to((np.arange(600) // 4).astype(np.uint8)[None, :, None], (200, 600, 3))
        made = fitted(np.ascontiguousarray(rgb), 200, 200, "crop", (x, 100))
        assert made.rgb[0, 0, 0] == first // 4

    def test_a_letterbox_keeps_everything_between_black(self) -> None:
        made = fitted(np.full((300, 400, 3), 200, np.uint8), 200, 200, "letterbox")
        assert made.words == "400x300 padded with black above and below to 200x200"
        assert (made.rgb[:25] == 0).all()
        assert (made.rgb[175:] == 0).all()
        assert (made.rgb[25:175] == 200).all()
        made = fitted(np.full((300, 200, 3), 200, np.uint8), 150, 150, "letterbox")
        assert "left and right" in made.words

    def test_enlarging_is_told(self) -> None:
        assert fitted(quarters(), 192, 160).words == "enlarged 2.0 times: the picture is small"
        assert fitted(quarters(100, 80), 240, 240).words == (
            "cropped from 100x80 to 80x80, enlarged 3.0 times: the picture is small"
        )

    @given(
        st.integers(64, 300), st.integers(64, 300), st.integers(32, 150), st.integers(32, 150),
        st.sampled_from(["crop", "letterbox"]), st.floats(-50, 400), st.floats(-50, 400),
    )  # fmt: skip
    def test_any_picture_fits_any_size_and_points_follow_it(
        self, columns: int, rows: int, across: int, down: int, fit: str, x: float, y: float
    ) -> None:
        width, height = 2 * across, 2 * down
        ramp = np.zeros((rows, columns, 3), np.uint8)
        ramp[:, :, 0] = np.arange(columns) * 250 / columns
        ramp[:, :, 1] = (np.arange(rows) * 250 / rows)[:, None]
        made = fitted(ramp, width, height, fit, (x, y))
        assert made.rgb.shape == (height, width, 3)
        points = np.stack(np.meshgrid([columns * 0.4, columns * 0.5], [rows * 0.5]), -1)
        for (source_x, source_y), (placed_x, placed_y) in zip(
            points.reshape(-1, 2), made.placed(points).reshape(-1, 2), strict=True
        ):
            if 2 <= placed_x < width - 2 and 2 <= placed_y < height - 2:
                shown = made.rgb[int(placed_y), int(placed_x)].astype(float)
                assert abs(shown[0] - source_x * 250 / columns) < 9
                assert abs(shown[1] - source_y * 250 / rows) < 9

    @pytest.mark.parametrize("size", [(201, 200), (200, 99), (62, 200), (200, 4098), (0, 0)])
    def test_a_size_no_film_has_is_refused(self, size: tuple[int, int]) -> None:
        with pytest.raises(InputError, match=f"output of {size[0]}x{size[1]}"):
            fitted(quarters(), *size)

    def test_another_fit_is_refused(self) -> None:
        with pytest.raises(InputError, match="write crop or letterbox"):
            fitted(quarters(), 64, 64, "stretch")


class TestSizes:
    def test_a_picture_keeps_its_size_but_for_the_grid(self) -> None:
        assert natural_size(768, 512) == (768, 512)
        assert natural_size(1023, 767) == (1022, 766)
        assert natural_size(1000, 500, 16) == (992, 496)

    def test_a_large_picture_is_made_smaller(self) -> None:
        assert natural_size(4000, 3000) == (1280, 960)
        assert natural_size(3000, 4000) == (960, 1280)
        assert natural_size(4000, 3000, 16, 1030) == (1024, 768)
        assert natural_size(20_000, 300) == (1280, 64)

    @given(
        st.integers(64, 30_000), st.integers(64, 30_000), st.sampled_from([2, 4, 8, 16, 32]),
        st.integers(64, 4096),
    )  # fmt: skip
    def test_a_natural_size_is_one_a_film_may_have(
        self, width: int, height: int, grid: int, longest: int
    ) -> None:
        size = natural_size(width, height, grid, longest)
        assert all(side % grid == 0 and side >= 64 for side in size)
        assert max(size) <= max(longest, 64)
        assert max(size) <= max(width, height)
        assert (size[0] - size[1]) * (width - height) >= 0

    def test_one_side_gives_the_other(self) -> None:
        assert size_for(1000, 500, 640, None) == (640, 320)
        assert size_for(1000, 500, None, 640) == (1280, 640)
        assert size_for(1000, 500, 640, 480) == (640, 480)
        assert size_for(1000, 500, None, None) == (1000, 500)
        assert size_for(1023, 767, 512, None, 16) == (512, 384)

    def test_a_side_off_the_grid_or_beyond_the_limits_is_refused(self) -> None:
        with pytest.raises(InputError, match="width 501 is no multiple of 2: say 500 or 502"):
            size_for(1000, 500, 501, None)
        with pytest.raises(InputError, match="height 100 is no multiple of 16: say 96 or 112"):
            size_for(1000, 500, None, 100, 16)
        with pytest.raises(InputError, match="output of 20480x1024: at most 4096"):
            size_for(20_000, 1000, None, 1024)
        with pytest.raises(InputError, match="at least 64"):
            size_for(1000, 500, 32, None)
