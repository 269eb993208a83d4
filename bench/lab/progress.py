"""progress.py - what is under way and how long it will take, on stderr: one line that renews itself, or plain lines in a log."""
import sys
import time


class Progress:
    """Time left: the guessed lengths of the runs that are left, corrected by how wrong the guesses were so far."""

    def __init__(self, name, runs, quiet, limit_s=None):
        self.name, self.quiet, self.terminal = name, quiet, sys.stderr.isatty()
        self.total, self.done = len(runs), 0
        self.left_s = sum(run.weight_s for run in runs)
        self.guessed_s = self.spent_s = 0
        self.begun = 0
        self.ends = limit_s and time.monotonic() + limit_s

    def begin(self, run):
        self.begun = time.monotonic()
        if self.terminal:
            self.show(run.key)

    def end(self, run, note):
        self.done += 1
        self.left_s -= run.weight_s
        self.guessed_s += run.weight_s
        self.spent_s += time.monotonic() - self.begun
        if not self.terminal or note != "ok":
            self.show(f"{run.key}: {note}", end="\n")

    def seconds_left(self):
        wrong_by = self.spent_s / self.guessed_s if self.guessed_s else 1
        left = self.left_s * wrong_by
        return min(left, max(0, self.ends - time.monotonic())) if self.ends else left

    def show(self, text, end=""):
        if self.quiet:
            return
        left = time_text(self.seconds_left())
        line = f"{self.name} {self.done}/{self.total}, {left} left  {text}"
        clear = "\r\x1b[K" if self.terminal else ""
        print(f"{clear}{line}", end=end or ("" if self.terminal else "\n"), file=sys.stderr, flush=True)

    def close(self):
        if self.terminal and not self.quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def time_text(seconds):
    minutes, rest = divmod(int(seconds + 0.5), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
