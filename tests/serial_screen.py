"""serial_screen.py SERIAL TEXT SCREEN - is the screen of -screendump-at what a terminal on the serial port shows?

Plays what the guest sent, up to the first TEXT in it, on a terminal of 80 x 25 characters (cursor addressing and
clearing alone), and compares the rows with text above the one that TEXT is in with those of the screen, on which
that one is not yet. GRUB draws a terminal's menu one row shorter: rows alike count once. A terminal that has no
line graphics and arrows gets +, -, |, ^ and v for them, as GRUB sends them.
"""
import re
import sys

COLUMNS, ROWS = 80, 25
ASCII = str.maketrans("┌┐└┘─│↑↓", "++++-|^v")


def play(sent):
    rows = [[" "] * COLUMNS for _ in range(ROWS)]
    row = column = 0
    for token in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|\x1b.|[\r\n]|[^\x1b\r\n]", sent):
        if token == "\r":
            column = 0
        elif token == "\n":
            row = min(row + 1, ROWS - 1)
        elif token[0] != "\x1b":
            if column < COLUMNS:
                rows[row][column] = token
            column += 1
        elif token[-1] == "H":
            place = [int(n or 1) - 1 for n in (token[2:-1] or "1;1").split(";")]
            row, column = min(place[0], ROWS - 1), min(place[1], COLUMNS - 1)
        elif token[-1] == "J":
            rows = [[" "] * COLUMNS for _ in range(ROWS)]
    return ["".join(r).rstrip() for r in rows], row


def lines(rows):
    """Rows with something in them; rows alike that follow one another are one."""
    full = [row for row in rows if row]
    return [row for n, row in enumerate(full) if n == 0 or row != full[n - 1]]


serial, text, screen = sys.argv[1:]
with open(serial, encoding="utf-8", errors="replace", newline="") as f:
    sent = f.read()
with open(screen, encoding="utf-8") as f:
    shown = [line.rstrip("\n").translate(ASCII) for line in f][:ROWS]
terminal, last = play(sent[: sent.index(text) + len(text)])
want, got = lines(terminal[:last]), lines(shown)
for row in want:
    if row not in got:
        print(f"not on the screen: {row!r}")
for row in got:
    if row not in want:
        print(f"not on the terminal: {row!r}")
print(f"{len(got)} rows with text")
sys.exit(want != got or len(got) < 5)
