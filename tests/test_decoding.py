"""One image file -> codes: as deep, as many and as upright as the file itself says, or refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, load, picture, png, write_zip
from PIL import Image

from fpmc_bench.errors import InputError
from fpmc_bench.images import in_threads, into_array
from fpmc_bench.images.decoding import codes, kind_of, opened
from fpmc_bench.images.files import image_files
from fpmc_bench.images.prepare import prepare_zip

ORIENTATION = 0x0112
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture is stored by the orientation with which viewers show it upright."""


def read(content: bytes) -> np.ndarray:
    """[C,H,W], as a dataset of this one image has it."""
    image = opened(content, "a.png")
    return codes(image, "a.png", kind_of(image))


def deep_png(colour_type: int, channels: int) -> bytes:
    """Of 16 bits a value; a channel of alpha is nearly opaque, whose high byte is 255."""
    values = np.random.default_rng(0).integers(0, 2**16, (8, 8, channels))
    if channels in (2, 4):
        values[..., -1] = 65300
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(bits: int, channels: int = 3, numbers: int = 1, extra: tuple[int, ...] = ()) -> bytes:
    """8 x 8 pixels, not compressed; `extra` are the channels beside the colours."""
    count = channels + len(extra)
    pixels = np.random.default_rng(0).bytes(64 * count * bits // 8)
    shorts: dict[int, tuple[int, ...]] = {
        256: (8,),  # width, height
        257: (8,),
        258: (bits,) * count,
        259: (1,),  # not compressed
        262: (2 if channels == 3 else 1,),
        277: (count,),
        278: (8,),  # rows a strip
        279: (len(pixels),),
        339: (numbers,) * count,  # 1: counts, 2: signed, 3: floats
    }
    shorts |= {338: extra} if extra else {}
    entries, far = b"", b""
    at = 8 + 2 + 12 * (len(shorts) + 1) + 4
    for tag in sorted([*shorts, 273]):
        if tag == 273:
            entries += struct.pack("<HHII", tag, 4, 1, at + 64)
            continue
        packed = struct.pack(f"<{len(shorts[tag])}H", *shorts[tag])
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack("<I", at + len(far))
            far += packed
        entries += struct.pack("<HHI", tag, 3, len(shorts[tag])) + place
    directory = struct.pack("<H", len(shorts) + 1) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + far.ljust(64, b"\0") + pixels


def netpbm(magic: str, largest: int) -> bytes:
    """8 x 8 values from 0 to the largest; P5 and P6 are binary, P2 and P3 text."""
    channels = 3 if magic in ("P3", "P6") else 1
    values = np.random.default_rng(0).integers(0, largest + 1, 64 * channels)
    head = f"{magic}\n# by hand\n8 8\n{largest}\n".encode()
    if magic in ("P2", "P3"):
        return head + " ".join(map(str, values)).encode() + b"\n"
    return head + values.astype(">u2" if largest > 255 else "u1").tobytes()


DEEP = {
    "png grey": deep_png(0, 1),
    "png colour": deep_png(2, 3),
    "png grey and alpha": deep_png(4, 2),
    "png colour and alpha": deep_png(6, 4),
    "tiff colour": tiff(16),
    "tiff grey": tiff(16, channels=1),
    "tiff signed": tiff(8, channels=1, numbers=2),
    "tiff floats": encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"),
    **{
        f"{magic} up to {largest}": netpbm(magic, largest)
        for magic in ("P2", "P3", "P5", "P6")
        for largest in (256, 1023, 65535)
    },
}


@pytest.mark.parametrize("case", DEEP)
def test_more_than_8_bits_are_refused_whatever_pillow_makes_of_them(case: str) -> None:
    with pytest.raises(InputError, match=r"a.png has more than 8 bits a value.*convert it"):
        opened(DEEP[case], "a.png")


def test_8_bits_of_the_same_writers_are_read() -> None:
    pixels = np.random.default_rng(0).bytes(64 * 3)
    expected = np.frombuffer(pixels, np.uint8).reshape(8, 8, 3).transpose(2, 0, 1)
    assert np.array_equal(read(tiff(8)), expected)


@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize("largest", [1, 15, 100, 255])
def test_less_than_8_bits_are_spread_over_all_codes(magic: str, largest: int) -> None:
    channels = 3 if magic in ("P3", "P6") else 1
    values = np.random.default_rng(0).integers(0, largest + 1, 64 * channels)
    expected = np.round(values / largest * 255).reshape(8, 8, channels).transpose(2, 0, 1)
    assert np.array_equal(read(netpbm(magic, largest)), expected)


def frames(kind: str, **options: object) -> bytes:
    return encoded(picture(0, 8), kind, save_all=True, append_images=[picture(1, 8)], **options)


ODD = {
    "apng": (frames("PNG"), "holds 2 frames or pages; expected one"),
    "webp": (frames("WEBP", lossless=True), "holds 2 frames or pages; expected one"),
    "gif": (frames("GIF"), "holds 2 frames or pages; expected one"),
    "tiff": (frames("TIFF"), "holds 2 frames or pages; expected one"),
    "ppm": (2 * netpbm("P6", 255), "holds 2 frames or pages; expected one"),
    "pgm": (2 * netpbm("P5", 100), "holds 2 frames or pages; expected one"),
    "pbm": (2 * encoded(picture(0, 9, "1"), "PPM"), "holds 2 frames or pages; expected one"),
    "cmyk": (encoded(picture(0, 8, "CMYK"), "JPEG"), "has colours as CMYK; convert it to RGB"),
    "lab": (encoded(Image.new("LAB", (8, 8)), "TIFF"), "has colours as LAB; convert it to RGB"),
    "ycc": (encoded(picture(0, 8, "YCbCr"), "TIFF"), "has colours as YCbCr; convert it to RGB"),
    "a fourth channel": (tiff(8, extra=(0,)), "has channels that it does not explain; convert"),
    "postscript": (encoded(picture(0, 8), "EPS"), "is no image that can be read; remove or"),
    "see-through": (
        encoded(Image.merge("LA", (picture(0, 8, "L"), Image.new("L", (8, 8), 254))), "PNG"),
        "has transparent pixels; put it on a background first",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_would_need_a_choice_is_refused_by_name(case: str) -> None:
    content, complaint = ODD[case]
    with pytest.raises(InputError, match=f"a.png {complaint}"):
        read(content)


def test_opaque_grey_is_grey() -> None:
    grey = picture(0, 8, "L")
    both = Image.merge("LA", (grey, Image.new("L", (8, 8), 255)))
    for image in (grey, both):
        assert np.array_equal(read(png(image)), np.asarray(grey)[None])
    assert np.array_equal(read(encoded(both, "TIFF")), np.asarray(grey)[None])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_one_frame_without_loss(kind: str) -> None:
    image = picture(0, 8)
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind == "GIF":
        image = image.quantize(64).convert("RGB")
    assert np.array_equal(
        read(encoded(image, kind, **options)), np.asarray(image).transpose(2, 0, 1)
    )


# which way is up


def turned(image: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    """Stored turned, with the tag by which viewers show it upright."""
    method = STORED_AS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    return encoded(image if method is None else image.transpose(method), kind, exif=exif, **options)


def tall() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((16, 24), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_photographs_are_turned_upright(kind: str, orientation: int) -> None:
    found = read(turned(tall(), orientation, kind)).astype(int)
    expected = np.asarray(tall()).transpose(2, 0, 1)
    assert np.abs(found - expected).max() <= (8 if kind == "JPEG" else 0)


def test_a_folder_of_turned_photographs_is_one_size_and_one_picture(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for orientation in STORED_AS:
        (folder / f"{orientation}.png").write_bytes(turned(tall(), orientation))
    images = load("image-folder", folder).train.images
    assert images.shape == (8, 3, 24, 16)
    assert (images == images[0]).all()
    prepare_zip(folder, tmp_path / "small.zip", 8)
    small = load("image-zip", tmp_path / "small.zip").train.images
    assert (small == small[0]).all()


# how much is decoded


def blank(side_px: int) -> bytes:
    return png(Image.new("RGB", (side_px, side_px)))


def test_what_grows_too_much_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = blank(1024)
    path = write_zip(tmp_path / "blank.zip", {f"{i}.png": content for i in range(4)})
    monkeypatch.setattr(into_array, "codes", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(into_array, "SMALL_BYTES", 2**20)
    complaint = r"blank.zip: 4 images would take 12 MiB when decoded, more than 200 times"
    with pytest.raises(InputError, match=complaint):
        load("image-zip", path)


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "some.zip", {f"{i}.png": png(picture(i)) for i in range(3)})
    monkeypatch.setattr(into_array, "codes", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(into_array, "SPARE_BYTES", 2**60)
    complaint = r"some.zip: 3 images would take 0 MiB .*are free.*FPMC_BENCH_CACHE"
    with pytest.raises(InputError, match=complaint):
        load("image-zip", path)


@pytest.mark.parametrize(("side_px", "together"), [(8, 64), (256, 9), (1024, 1)])
def test_few_large_images_are_decoded_together(
    side_px: int, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_threads, "BYTES_AT_ONCE", 9_000_000)
    content = blank(side_px)
    path = write_zip(tmp_path / "a.zip", {f"{i:03d}.png": content for i in range(70)})
    sizes = [len(batch) for batch in in_threads._batches(image_files(path))]
    assert sizes[0] == max(sizes) == together
    assert sum(sizes) == 70
