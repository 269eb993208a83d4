"""balloon.py MIB - memory pressure: holds so much memory, and gives parts of it back and takes them again without end.

Started beside a run. Every page that it takes must be found and cleared by the host's kernel, in competition with the run's own.
"""
import mmap
import sys
import time

PART = 32 << 20
PAUSE_S = 0.02


def main(mib):
    parts = [mmap.mmap(-1, PART) for _ in range(max(1, (mib << 20) // PART))]
    while True:
        for part in parts:
            part.madvise(mmap.MADV_DONTNEED)
            for page in range(0, PART, mmap.PAGESIZE):
                part[page] = 1
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(int(sys.argv[1]))
