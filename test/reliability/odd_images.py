"""
Makes odd-images/ and odd-images.json: odd files, each with Pillow's pixels or with the words of its rejection.

    pip install pillow==13.0.0 numpy
    python test/reliability/odd_images.py

A further case is a further file in odd-images: what isn't in REJECTED is expected to decode to Pillow's convert("RGB").
"""

import base64
import hashlib
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

HERE = pathlib.Path(__file__).parent
OUT = HERE / "odd-images"
REJECTED = {}

y, x = np.mgrid[0:17, 0:21]
RGB = np.stack([x * 12, y * 15, (x * y) % 256], -1).astype(np.uint8)
ALPHA = ((x + y) * 7).astype(np.uint8)
IMAGE = Image.fromarray(RGB)
RGBA = Image.fromarray(np.dstack([RGB, ALPHA]))
SIGNATURE = b"\x89PNG\r\n\x1a\n"
UNKNOWN = "not an image that is read here: images are read by their content, not by their name; expected JPEG, PNG or WebP, got "
UNREADABLE = "image not decodable: "
DAMAGED = UNREADABLE + "the image data is damaged or cut short"


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def put(name, data, code=None, words=None):
    (OUT / name).write_bytes(data)
    if code is not None:
        REJECTED[name] = {"code": code, "reason": words}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, before=b"", interlace=0):
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    body = chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + chunk(b"IHDR", head) + before + body + chunk(b"IEND", b"")


def rows_of(array, dtype=np.uint8):
    return b"".join(b"\0" + row.astype(dtype).tobytes() for row in array)


def interlaced():
    """Adam7, which Pillow reads but doesn't write."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [RGB[top::down, left::across] for left, top, across, down in passes]
    return b"".join(rows_of(part) for part in parts if part.size > 0)


def profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def pngs():
    sixteen = RGB.astype(np.uint16) * 251 + 17
    put("rgb.png", encoded(IMAGE, "PNG"))
    put("grey.png", encoded(IMAGE.convert("L"), "PNG"))
    put("grey_alpha.png", encoded(RGBA.convert("LA"), "PNG"))
    put("rgba.png", encoded(RGBA, "PNG"))
    put("palette.png", encoded(IMAGE.quantize(9), "PNG"))
    put("palette_transparent.png", encoded(IMAGE.quantize(9), "PNG", transparency=2))
    put("grey_transparent.png", encoded(IMAGE.convert("L"), "PNG", transparency=13))
    put("rgb_transparent.png", encoded(IMAGE, "PNG", transparency=(12, 15, 1)))
    put("one_bit.png", encoded(IMAGE.convert("1"), "PNG"))
    put("two_bits.png", png(8, 2, 2, 0, b"\0\x1b\xe4\0\xe4\x1b"))
    put("four_bits.png", png(4, 2, 4, 0, b"\0\x01\x9f\0\xf8\x30"))
    put("rgb_16.png", png(21, 17, 16, 2, rows_of(sixteen, ">u2")))
    put("rgba_16.png", png(21, 17, 16, 6, rows_of(np.dstack([sixteen, ALPHA.astype(np.uint16) * 257]), ">u2")))
    put("grey_alpha_16.png", png(21, 17, 16, 4, rows_of(np.dstack([sixteen[..., 0], sixteen[..., 1]]), ">u2")))
    put("grey_16.png", png(21, 17, 16, 0, rows_of(sixteen[..., 0], ">u2")))
    put("interlaced.png", png(21, 17, 8, 2, interlaced(), interlace=1))
    put("icc.png", encoded(IMAGE, "PNG", icc_profile=profile("sRGB")))
    put("gamma.png", png(21, 17, 8, 2, rows_of(RGB), before=chunk(b"gAMA", struct.pack(">I", 100000))))
    put("one_pixel.png", encoded(IMAGE.crop((3, 3, 4, 4)), "PNG"))
    put("one_by_16384.png", encoded(IMAGE.resize((1, 16384)), "PNG"))
    put("rows_of_rubbish_after_the_end.png", encoded(IMAGE, "PNG") + b"rubbish" * 9)


def jpegs():
    put("rgb.jpg", encoded(IMAGE, "JPEG", quality=95))
    put("grey.jpg", encoded(IMAGE.convert("L"), "JPEG", quality=95))
    put("cmyk.jpg", encoded(IMAGE.convert("CMYK"), "JPEG", quality=95))
    put("subsampled.jpg", encoded(IMAGE, "JPEG", quality=90, subsampling=2))
    put("progressive.jpg", encoded(IMAGE, "JPEG", quality=90, progressive=True))
    put("icc.jpg", encoded(IMAGE, "JPEG", quality=95, icc_profile=profile("sRGB")))
    put("comment.jpg", encoded(IMAGE, "JPEG", quality=95, comment=b"\xff\xd8\xff" * 20))
    put("restarts.jpg", encoded(IMAGE, "JPEG", quality=95, restart_marker_blocks=1))
    put("rubbish_after_the_end.jpg", encoded(IMAGE, "JPEG", quality=95) + b"rubbish" * 9)
    put("one_pixel.jpg", encoded(IMAGE.crop((3, 3, 4, 4)), "JPEG", quality=95))
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        put(f"exif{turn}.jpg", encoded(IMAGE, "JPEG", quality=95, exif=exif))


def webps():
    put("lossy.webp", encoded(IMAGE, "WEBP", quality=90))
    put("lossless.webp", encoded(IMAGE, "WEBP", lossless=True))
    put("alpha.webp", encoded(RGBA, "WEBP", lossless=True, exact=True))


def wrong_names():
    put("png_inside.jpg", encoded(IMAGE, "PNG"))
    put("jpeg_inside.png", encoded(IMAGE, "JPEG", quality=95))
    put("webp_inside.txt", encoded(IMAGE, "WEBP", lossless=True))


def other_formats():
    put("animated.gif", encoded(IMAGE, "GIF", save_all=True, append_images=[RGBA.convert("RGB")]), "R121", UNKNOWN + "GIF")
    put("tiff.tif", encoded(IMAGE, "TIFF"), "R121", UNKNOWN + "TIFF")
    put("tiff_inside.jpg", encoded(IMAGE.convert("CMYK"), "TIFF"), "R121", UNKNOWN + "TIFF")
    put("bitmap.bmp", encoded(IMAGE, "BMP"), "R121", UNKNOWN + "BMP")
    put("icon.ico", encoded(IMAGE.resize((16, 16)), "ICO"), "R121", UNKNOWN + "something else")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    put("drawing.svg", svg, "R121", UNKNOWN + "SVG")
    put("drawing_inside.png", b'<?xml version="1.0"?>\n' + svg, "R121", UNKNOWN + "SVG")
    put("heif.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "R121", UNKNOWN + "HEIF")
    put("heif_inside.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "R121", UNKNOWN + "HEIF")
    put("avif.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(64), "R121", UNKNOWN + "AVIF")
    page = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"
    put("page.jpg", page, "R121", UNKNOWN + "an HTML page")
    put("page_after_a_mark.jpg", b"\xef\xbb\xbf \n" + page, "R121", UNKNOWN + "an HTML page")
    put("words.jpg", b"no picture here", "R121", UNKNOWN + "something else")
    put("empty.jpg", b"", "R121", UNKNOWN + "an empty file")
    put("one_byte.png", b"\x89", "R121", UNKNOWN + "something else")


def damaged():
    for name, data in {"cut.jpg": encoded(IMAGE, "JPEG", quality=95), "cut.png": encoded(IMAGE, "PNG")}.items():
        stem, suffix = name.split(".")
        for tenth in (6, 7, 8, 9):
            put(f"{stem}_at_{tenth}0_percent.{suffix}", data[: len(data) * tenth // 10], "R121", DAMAGED)
    put("cut_near_its_end.jpg", encoded(IMAGE, "JPEG", quality=95)[:-30], "R121", DAMAGED)
    put("cut_in_its_header.jpg", encoded(IMAGE, "JPEG", quality=95)[:40], "R121", UNREADABLE + "JPEG ends inside its header")
    put("cut_in_its_header.png", encoded(IMAGE, "PNG")[:28], "R121", UNREADABLE + "PNG ends inside its header")
    put("cut_in_its_header.webp", encoded(IMAGE, "WEBP")[:25], "R121", UNREADABLE + "WebP ends inside its header")
    put("cut.webp", encoded(IMAGE, "WEBP", quality=90)[:-40], "R121", DAMAGED)
    flipped = bytearray(encoded(IMAGE, "PNG"))
    flipped[len(flipped) // 2] ^= 0x55
    put("flipped_bits.png", bytes(flipped), "R121", DAMAGED)
    put("no_width.png", png(0, 17, 8, 2, rows_of(RGB)), "R121", UNREADABLE + "png says it is 0 x 17 pixels")
    put("no_height.jpg", zero_height(), "R121", UNREADABLE + "jpeg says it is 21 x 0 pixels")
    put("fewer_rows_than_it_says.png", png(21, 170, 8, 2, rows_of(RGB)), "R121", DAMAGED)
    put("no_data.png", SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""), "R121", DAMAGED)
    put("unknown_colours.png", png(21, 17, 8, 5, rows_of(RGB)), "R121", DAMAGED)


def zero_height():
    data = bytearray(encoded(IMAGE, "JPEG", quality=95))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 7] = b"\0\0"
    return bytes(data)


def too_much():
    limited = lambda name, most, got: f"over a limit: {name} is limited; expected at most {most}, got {got}"
    put("one_by_65535.png", png(1, 65535, 8, 0, b"\0\0" * 65535), "R116", limited("image_side", 16384, 65535))
    frames = [IMAGE, IMAGE.rotate(180), IMAGE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    animation = dict(save_all=True, append_images=frames[1:], duration=40)
    put("animated.png", encoded(IMAGE, "PNG", **animation), "R116", limited("image_frames", 1, 3))
    put("animated.webp", encoded(IMAGE, "WEBP", **animation), "R116", limited("image_frames", 1, 3))


def expected(path):
    if path.name in REJECTED:
        return REJECTED[path.name]
    image = Image.open(path)
    # Pillow's convert cuts 16 bits of grey off at 255, which leaves nothing to see; here they keep their upper 8.
    image_8 = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode == "I;16" else image
    pixels = np.asarray(image_8.convert("RGB"))
    height, width = pixels.shape[:2]
    size = {"width": width, "height": height}
    lossy = image.format == "JPEG" or path.name == "lossy.webp"
    if lossy:
        return size | {"pixels": base64.b64encode(pixels.tobytes()).decode()}
    return size | {"sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for make in (pngs, jpegs, webps, wrong_names, other_formats, damaged, too_much):
        make()
    cases = {path.name: expected(path) for path in sorted(OUT.iterdir())}
    (HERE / "odd-images.json").write_text(json.dumps(cases, indent=1) + "\n")
