"""data.py DIR - the input of the jobs of bench/run programs: text, words, numbers and a table, the same each time."""
import pathlib
import sys

SYLLABLES = "a ba ca de e fi go hu i ka lo me no o pe qui ra se ti u va we xo ya ze ab cd th st er an on".split()


class Random:
    """A linear congruential generator."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return (self.x >> 33) * n >> 31


def vocabulary(random, count):
    return ["".join(SYLLABLES[random.below(len(SYLLABLES))] for _ in range(1 + random.below(4))) for _ in range(count)]


def text(random, words, lines):
    """Frequent words are frequent: the rank is a product of two numbers."""
    out = []
    for _ in range(lines):
        line = [words[random.below(len(words)) * random.below(1000) // 1000] for _ in range(4 + random.below(12))]
        out.append(" " * (random.below(3) * 8 * (random.below(4) == 0)) + " ".join(line))
    return out


def main(folder):
    random = Random(1)
    words = vocabulary(random, 4000)
    numbers = [random.below(10 ** 9) for _ in range(60000)]
    changed = [n + (i % 400 == 7) for i, n in enumerate(numbers)]
    table = [f"{i},{words[random.below(200)]},{random.below(100000)},{words[random.below(4000)]}" for i in range(30000)]
    files = {"text": text(random, words, 12000), "words": [words[random.below(4000)] for _ in range(60000)], "numbers": numbers, "numbers2": changed,
             "table": table}
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


main(pathlib.Path(sys.argv[1]))
