"""work.py - a job of bench/run programs: dictionaries, strings, integers, objects, a little of each."""


class Node:
    """A binary tree."""

    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

    def insert(self, key):
        node = self
        while True:
            side = "left" if key < node.key else "right"
            down = getattr(node, side)
            if down is None:
                setattr(node, side, Node(key))
                return
            node = down

    def depth(self):
        return 1 + max(part.depth() if part else 0 for part in (self.left, self.right))


def random_numbers(count):
    """A generator of our own: the same everywhere."""
    x = 12345
    for _ in range(count):
        x = (x * 1103515245 + 12345) % 2147483648
        yield x >> 8


def words(count):
    return ["".join(chr(97 + n // 7 % 26) * (1 + n % 3) for n in random_numbers(3)) + str(n % 997) for n in random_numbers(count)]


def main():
    counts = {}
    for word in words(4000):
        counts[word] = counts.get(word, 0) + len(word)
    root = Node(1 << 22)
    for number in random_numbers(3000):
        root.insert(number)
    primes = [n for n in range(2, 4000) if all(n % d for d in range(2, int(n ** 0.5) + 1))]
    text = ",".join(sorted(counts)).replace("a", "bb").upper().split(",")
    print(len(counts), sum(counts.values()), root.depth(), len(primes), len(text), hex(pow(3, 5000, 10 ** 300))[-20:])


main()
