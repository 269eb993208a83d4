#!/usr/bin/env python3
"""scenes.py SCENE PICTURE.ppm [NS]: is PICTURE what that demo of tests/guests/vga_*.c means?

What a demo means is computed here dot by dot from what it draws, never from registers, and knows nothing of how Tandem draws.
No dot may differ. NS: virtual time of the picture in ns, for what blinks. A picture has the dots of the screen: 320 x 200 dots of
mode 13h are 640 x 400. Status 0: it is; 1: it is not, and a line says where; 2: no such scene or picture."""
import sys


def six(v):
    """Six bits of a colour as eight: the upper bits fill the lower ones, so that 63 is 255."""
    return v << 2 | v >> 4


def five(v):
    return v << 3 | v >> 2


PALETTE = [bytes((six(n >> 2), six(n * 3 & 63), six(63 - (n >> 2)))) for n in range(256)]
SIXTEEN = [PALETTE[n * 17 & 63] for n in range(16)]


def picture(width, height, dot, palette=PALETTE, wide=1, high=1):
    """Of dot(x, y), numbers of colours, each `wide` dots of the screen wide and `high` lines high."""
    lines = []
    for y in range(height):
        lines += [b"".join(palette[dot(x, y)] * wide for x in range(width))] * high
    return width * wide, height * high, b"".join(lines)


# --- vga_graphics ---

def mode_13h():
    """A gradient; diamonds before it."""
    def dot(x, y):
        for i in range(7, -1, -1):
            dx, dy = x - (20 + 36 * i), y - (10 + 22 * i)
            if 0 <= dx < 16 and 0 <= dy < 16 and abs(dx - 7.5) + abs(dy - 7.5) <= 8:
                return 255 - 16 * i
        return (x // 2 + y) % 256
    return picture(320, 200, dot, wide=2, high=2)


def planar():
    """Bars, and what each way of writing does to them."""
    screen = [[x // 40 for x in range(640)] for _ in range(480)]
    for i in range(200):
        screen[50 + i][100 + i] = i % 16
    for y in range(60):
        screen[100 + y][400:480] = screen[y][0:80]
    for y in range(200, 232):
        for x in range(80, 112):
            if (x - y) % 8 < 4:  # the first four of eight, turned by the row
                screen[y][x] = 14
    combine = [lambda new, old: new, lambda new, old: new & old, lambda new, old: new | old, lambda new, old: new ^ old]
    for f in range(4):
        for y in range(260 + 20 * f, 275 + 20 * f):
            for x in range(160, 240):
                if x % 8 not in (0, 7):
                    screen[y][x] = combine[f](7 if x % 4 < 2 else 4, screen[y][x])
    for y in range(260, 280):
        for x in range(320, 400):
            screen[y][x] |= 5
        for x in range(400, 480):
            screen[y][x] &= 15 - 5
    for y, tells in ((440, lambda c: c & 2), (450, lambda c: c % 8 == 3), (460, lambda c: c == 3)):
        for line in range(8):
            screen[y + line] = [15 if tells(screen[0][x]) else 0 for x in range(640)]
    return picture(640, 480, lambda x, y: screen[y][x], SIXTEEN)


def mode_x():
    """Page 1, with the middle of page 0."""
    return picture(320, 240, lambda x, y: (x ^ y if 60 <= y < 180 else x + y) & 255, wide=2, high=2)


def split(panel_shift):
    def world(x, y):
        colour = (x // 8 + y // 8) % 16
        return 15 - colour if x % 8 == 0 else colour
    return picture(640, 480, lambda x, y: world(x + 24 + 5, y + 110) if y < 400 else world(x + panel_shift, y - 400),
                   SIXTEEN)


def split_256():
    return picture(320, 200, lambda x, y: (x + 26 + 3 * (y + 57) if y < 160 else x + 3 * (y - 160)) & 255, wide=2, high=2)


def mode_4(first, step):
    return picture(320, 200, lambda x, y: (first + (x // 4 + y) % 4 * step) & 63, wide=2, high=2)


def both_pairs():
    return picture(320, 200, lambda x, y: (x // 4 + y) % 4 + (x // 16 + y // 8) % 4 * 4, SIXTEEN, wide=2, high=2)


def mode_6():
    return picture(640, 200, lambda x, y: 38 if (x // 8 * 7 + y * 13) >> (7 - x % 8) & 1 else 7, high=2)


# --- vga_text: nine (eight) dots a character; 28.322 MHz, 900 dots a line, 449 lines a frame ---

FRAME_NS = 900 * 449 / 28.322e6 * 1e9


def shape(c, line, second):
    return (c * 11 + line * 29 if second else c * 37 + line * 73) & 255


def is_set(c, attribute, line, column, ninth):
    """Is a dot of a character set?"""
    if line == 12 and attribute & 0x77 == 1:
        return True
    if column == 8:
        return ninth and 0xC0 <= c <= 0xDF and is_set(c, attribute, line, 7, ninth)
    return shape(c, line, attribute & 8) >> (7 - column) & 1


def cell_of(place):
    """Character and attribute."""
    return place % 256, (place % 80 + 7 * (place // 80)) % 256


def text_plain(now_ns):
    frame = int(now_ns / FRAME_NS)

    def dot(x, y):
        place, line = y // 16 * 80 + x // 9, y % 16
        c, attribute = cell_of(place)
        lit = is_set(c, attribute, line, x % 9, True) and not (attribute & 0x80 and frame % 32 >= 16)
        if place == 410 and 3 <= line <= 9 and frame % 16 < 8:
            lit = True
        return attribute % 16 if lit else attribute // 16 % 8
    return picture(720, 400, dot, SIXTEEN)


def text_panned(now_ns):
    frame = int(now_ns / FRAME_NS)

    def dot(x, y):
        if y < 320:
            x, y, start = x + 9 + 4, y + 5, 82
        else:
            y, start = y - 320, 0
        place, line = start + y // 16 * 80 + x // 9, y % 16
        c, attribute = cell_of(place)
        lit = is_set(c, attribute, line, x % 9, False) or (place == 410 and 3 <= line <= 9 and frame % 16 < 8)
        return attribute % 16 if lit else attribute // 16
    return picture(720, 400, dot, SIXTEEN)


def text_40(now_ns):
    frame = int(now_ns / (FRAME_NS / 9 * 16))

    def dot(x, y):
        c, attribute = cell_of(y // 16 * 40 + x // 8)
        lit = is_set(c, attribute, y % 16, x % 8, False) and not (attribute & 0x80 and frame % 32 >= 16)
        return attribute % 16 if lit else attribute // 16 % 8
    return picture(320, 400, dot, SIXTEEN, wide=2)


# --- vga_vbe: the window from (8, 20) on ---

def vbe(bits, dac8=False):
    palette = [bytes((n, 255 - n, n * 5 & 255)) for n in range(256)] if dac8 else PALETTE

    def colour(x, y):
        x, y = x + 8, y + 20
        r, g, b = x & 255, y * 2 & 255, (x + y) & 255
        if bits == 4:
            return SIXTEEN[(x // 8 + y // 8) % 16]
        if bits == 8:
            return palette[b]
        if bits == 15:
            return bytes((five(r >> 3), five(g >> 3), five(b >> 3)))
        if bits == 16:
            return bytes((five(r >> 3), g & 0xFC | g >> 6, five(b >> 3)))
        return bytes((r, g, b))
    return 400, 300, b"".join(colour(x, y) for y in range(300) for x in range(400))


def vbe_great():
    def line(y):
        return b"".join(bytes((x & 255, y & 255, x >> 8 << 4 | y >> 8)) for x in range(1280))
    return 1280, 1024, b"".join(line(y) for y in range(1024))


SCENES = {
    "13h": mode_13h, "planar": planar, "x": mode_x, "split": lambda: split(5), "split-stands": lambda: split(0),
    "split-256": split_256, "4": lambda: mode_4(1, 3), "5": lambda: mode_4(2, 5), "both-pairs": both_pairs, "6": mode_6,
    "text-plain": text_plain, "text-panned": text_panned, "text-40": text_40, "vbe-great": vbe_great,
    "vbe-dac8": lambda: vbe(8, True), **{f"vbe-{bits}": (lambda b: lambda: vbe(b))(bits) for bits in (4, 8, 15, 16, 24, 32)},
}


def read_ppm(path):
    with open(path, "rb") as file:
        magic, size, depth = (file.readline() for _ in range(3))
        width, height = map(int, size.split())
        data = file.read()
    if magic != b"P6\n" or depth != b"255\n" or len(data) != 3 * width * height:
        raise ValueError("it is no whole PPM file")
    return width, height, data


def firmware_letters(path, other):
    """The first seven characters of a text screen are the same in two pictures, and are something."""
    (width, _, a), (_, _, b) = read_ppm(path), read_ppm(other)
    parts = [[data[3 * width * y:3 * (width * y + 7 * 9)] for y in range(13)] for data in (a, b)]  # a cursor is below
    same = parts[0] == parts[1] and any(any(line) for line in parts[0])
    if not same:
        print("firmware-letters: the letters differ, or there are none")
    return 0 if same else 1


def compare(name, path, scene):
    """Is the picture at `path` what scene() computes? The status."""
    try:
        width, height, data = read_ppm(path)
        want_width, want_height, want = scene()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{name}, {path}: {error!r}")
        return 2
    if (width, height) != (want_width, want_height):
        print(f"{name}: the picture is {width} x {height}, not {want_width} x {want_height}")
        return 1
    wrong = [i for i in range(width * height) if data[3 * i:3 * i + 3] != want[3 * i:3 * i + 3]] if data != want else []
    if wrong:
        x, y = wrong[0] % width, wrong[0] // width
        at = 3 * wrong[0]
        print(f"{name}: {len(wrong)} dots differ, the first at ({x}, {y}): {data[at:at + 3].hex()}, not {want[at:at + 3].hex()}")
    return 1 if wrong else 0


def main(scene, path, *times):
    if scene == "firmware-letters":
        return firmware_letters(path, *times)
    return compare(scene, path, lambda: SCENES[scene](*map(int, times)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) in (3, 4) else 2)
