#!/usr/bin/env python3
"""compare.py PICTURE REFERENCE [SHARE]: are two PNG pictures of one size the same, but for SHARE of their pixels (default 0)?

Status 0: they are. 1: they are not, and a line says how many pixels differ, and where the first one is. 2: no such picture.
It reads what Tandem writes: 8 bits a sample, red, green and blue or a palette, not interlaced."""
import struct
import sys
import zlib


def chunks(data):
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + length]
        at += 12 + length


def predictor(kind, left, up, corner):
    """PNG specification, 9.2: what a filter adds to each byte."""
    if kind == 4:
        p = left + up - corner
        return min((left, up, corner), key=lambda x: abs(p - x))
    return (0, left, up, (left + up) // 2)[kind]


def unfiltered(kind, line, before, step):
    line = bytearray(line)
    if kind:
        for i in range(len(line)):
            left, corner = (line[i - step], before[i - step]) if i >= step else (0, 0)
            line[i] = (line[i] + predictor(kind, left, before[i], corner)) & 255
    return line


def read(path):
    """Width, height, and the rows as lists of colours."""
    with open(path, "rb") as file:
        data = file.read()
    parts, pixels, palette = {}, b"", b""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("it is no PNG file")
    for kind, body in chunks(data):
        parts.setdefault(kind, body)
        pixels += body if kind == b"IDAT" else b""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    if depth != 8 or colour not in (2, 3) or interlace:
        raise ValueError("such PNG files are not read here")
    step = 3 if colour == 2 else 1
    palette, raw = parts.get(b"PLTE", b""), zlib.decompress(pixels)
    rows, before, stride = [], bytes(width * step), width * step + 1
    for y in range(height):
        before = unfiltered(raw[y * stride], raw[y * stride + 1:(y + 1) * stride], before, step)
        cells = [bytes(before[x * step:x * step + step]) for x in range(width)]
        rows.append(cells if step == 3 else [palette[3 * c[0]:3 * c[0] + 3] for c in cells])
    return width, height, rows


def main(picture, reference, share="0"):
    try:
        (w, h, a), (rw, rh, b) = read(picture), read(reference)
    except (OSError, ValueError, KeyError, struct.error, zlib.error, IndexError) as error:
        print(f"compare.py: {picture}, {reference}: {error}")
        return 2
    if (w, h) != (rw, rh):
        print(f"{picture} is {w} x {h}, the reference {rw} x {rh}")
        return 1
    wrong = [(x, y) for y in range(h) for x in range(w) if a[y][x] != b[y][x]]
    if len(wrong) <= float(share) * w * h:
        return 0
    print(f"{len(wrong)} of {w * h} pixels differ, the first at {wrong[0]}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if 3 <= len(sys.argv) <= 4 else 2)
