"""Make the PNG files of a browser smaller: 256 colours are enough for text and bars."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

BEGIN = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]


def shrink(picture: bytes) -> bytes:
    """Return an RGB or RGBA picture of 8 bits as one with a palette; what is transparent becomes opaque."""
    width, height, channels, data = _read(picture)
    rows = _unfilter(zlib.decompress(data), width * channels, height, channels)
    lines = [[(row[x], row[x + 1], row[x + 2]) for x in range(0, len(row), channels)] for row in rows]
    counts = Counter(colour for line in lines for colour in line)
    palette = [colour for colour, _ in counts.most_common(256)]
    index = {colour: number for number, colour in enumerate(palette)}
    index |= {colour: _nearest(colour, palette) for colour in counts.keys() - index.keys()}
    content = b"".join(b"\0" + bytes(index[colour] for colour in line) for line in lines)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for colour in palette for part in colour)),
        (b"IDAT", zlib.compress(content, 9)),
        (b"IEND", b""),
    )
    return BEGIN + b"".join(_chunk(kind, body) for kind, body in chunks)


def _read(picture: bytes) -> tuple[int, int, int, bytes]:
    """Return width, height, channels, and the compressed data."""
    place, data, header = len(BEGIN), b"", b""
    while place < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, place)
        body = picture[place + 8 : place + 8 + length]
        header, data = (body, data) if kind == b"IHDR" else (header, data + body if kind == b"IDAT" else data)
        place += length + 12
    width, height, depth, kind_of_colour = struct.unpack_from(">IIBB", header)
    assert depth == 8 and kind_of_colour in (2, 6), "not a picture of a browser"
    return width, height, 3 if kind_of_colour == 2 else 4, data


def _unfilter(data: bytes, length: int, height: int, step: int) -> list[bytearray]:
    """Undo the filters of the lines, as the PNG specification (12.2) says."""
    rows: list[bytearray] = []
    before = bytearray(length)
    for y in range(height):
        start = y * (length + 1)
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for x in range(length):
            left = row[x - step] if x >= step else 0
            above, corner = before[x], before[x - step] if x >= step else 0
            if kind == 1:
                row[x] = (row[x] + left) & 255
            elif kind == 2:
                row[x] = (row[x] + above) & 255
            elif kind == 3:
                row[x] = (row[x] + (left + above) // 2) & 255
            elif kind == 4:
                row[x] = (row[x] + _paeth(left, above, corner)) & 255
        rows.append(row)
        before = row
    return rows


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))  # the first of equals


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    return min(range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(colour, palette[at], strict=True)))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
