#!/usr/bin/env python3
"""bios_scenes.py NUMBER PICTURE.ppm OUTPUT: is PICTURE what tests/realmode/pictures.c means by that number (hexadecimal)?

OUTPUT is what that program sent to COM1: the letters of the BIOS's fonts. The rest is computed here from what is drawn. No dot may
differ. Status as of scenes.py."""
import sys

import scenes

LETTERS = "INT 10h"


def fonts(path):
    """By lines of a character: its lines as bytes, by letter."""
    found = {}
    with open(path, encoding="latin-1") as file:
        for words in (line.split() for line in file):
            if words[:1] == ["font"]:
                lines, data = int(words[1]), bytes.fromhex(words[2])
                found[lines] = {c: data[lines * i:lines * (i + 1)] for i, c in enumerate(LETTERS)}
    return found


def usual(n):
    """The BIOS's colours of text: brown is no dark yellow."""
    level = [0x2A * (n >> bit & 1) + 0x15 * (n >> 3) for bit in (2, 1, 0)]
    if n == 6:
        level[1] = 0x15
    return bytes(map(scenes.six, level))


def text_mode(font):
    cells = {(2, 3 + i): (c, 0x07) for i, c in enumerate(LETTERS)}
    cells.update({(4, 10 + i): (c, 0x1E) for i, c in enumerate(LETTERS)})
    cells.update({(6, i): ("1", 0x4F) for i in range(80)})
    cells.update({(8, i): ("T", i) for i in range(16)})

    def dot(x, y):
        character, attribute = cells.get((y // 16, x // 9), (" ", 7))
        lit = x % 9 < 8 and character != " " and font[16][character][y % 16] >> (7 - x % 9) & 1
        return attribute & 15 if lit else attribute >> 4
    return scenes.picture(720, 400, dot, [usual(n) for n in range(16)])


def graphics_mode(mode, width, height, colours, lines, wide, high):
    """A function of the fonts, as the others are."""
    def block(x, y):
        colour = (x // 4 + y // 4 * 3) % colours
        return colour ^ 1 if colours <= 16 and x == 2 * y else colour

    def dot(font, x, y):
        row, column = y // lines, x // 8 - 3
        if row == 2 and 0 <= column < len(LETTERS):
            return colours - 1 if font[lines][LETTERS[column]][y % lines] >> (7 - x % 8) & 1 else 0
        if 80 <= x < 144 and 60 <= y < 92:
            return block(x - 80, y - 60)
        if mode == 0x13 and y >= 150:
            return (x + y) & 255
        if mode == 0x12 and y >= 400:
            return x // 40
        return 0
    palette = scenes.PALETTE if colours == 256 else scenes.SIXTEEN
    return lambda font: scenes.picture(width, height, lambda x, y: dot(font, x, y), palette, wide, high)


def vbe_window(_):
    palette = [bytes((n, 255 - n, n * 5 & 255)) for n in range(256)]
    return scenes.picture(640, 480, lambda x, y: (x // 3 + y) & 255, palette)


def vbe_linear(_):
    def colour(x, y):
        g = y & 63
        return bytes((scenes.five(x & 31), g << 2 | g >> 4, scenes.five((x + y) >> 3 & 31)))
    return 800, 600, b"".join(colour(x + 40, y + 30) for y in range(600) for x in range(800))


SCENES = {
    0x03: text_mode, 0x04: graphics_mode(0x04, 320, 200, 4, 8, 2, 2), 0x06: graphics_mode(0x06, 640, 200, 2, 8, 1, 2),
    0x0D: graphics_mode(0x0D, 320, 200, 16, 8, 2, 2), 0x0E: graphics_mode(0x0E, 640, 200, 16, 8, 1, 2),
    0x10: graphics_mode(0x10, 640, 350, 16, 14, 1, 1), 0x11: graphics_mode(0x11, 640, 480, 2, 16, 1, 1),
    0x12: graphics_mode(0x12, 640, 480, 16, 16, 1, 1), 0x13: graphics_mode(0x13, 320, 200, 256, 8, 2, 2),
    0x20: vbe_window, 0x21: vbe_linear,
}

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(2)
    sys.exit(scenes.compare(f"mode {sys.argv[1]}", sys.argv[2], lambda: SCENES[int(sys.argv[1], 16)](fonts(sys.argv[3]))))
