"""throughput_run.py - the timing half of bench/throughput: runs each side alternately, times the guest's lines, reports.

The guest says "@begin NAME" and "@end NAME PASSES ok|wrong CHECKSUM" on its console, which is the emulator's stdout here; a phase
lasts from the arrival of the one line to that of the other. "boot" lasts from the start of the emulator to the guest's
first line. Lines are read every half millisecond, so that the reader takes no host time from the emulator.
"""
import argparse
import collections
import json
import math
import os
import platform
import select
import shlex
import statistics
import subprocess
import sys
import time

from lab import host

READ_PAUSE_S = 0.0005
RUN_LIMIT_S = 900
CONSOLE_PASS_BYTES = 64 * 63  # MATCH CONSOLE_LINES (throughput_guest/kernel.c)

COMPUTING = ["sieve", "recursion", "sha256", "sort", "x87", "sse2", "chase", "gzip"]
KERNEL = ["syscall", "pipe", "fork", "fault"]
GROUPS = [("computing phases, geometric mean", COMPUTING, 0.25), ("syscall pipe fork fault, geometric mean", KERNEL, 0.5)]
BAR_BOOT, BAR_BULK, BAR_ANY, BAR_NOICOUNT = 0.5, 0.15, 0.9, 1.0


class BenchError(Exception):
    """A run that cannot be counted."""


# --- one run ---

Run = collections.namedtuple("Run", "seconds skipped rss_kib")


class Listener:
    """Takes a run's console lines with the time of their arrival."""

    def __init__(self, start, now, boots):
        self.start, self.now, self.boots, self.begun = start, now, boots, {}
        self.seconds, self.skipped, self.tail = {}, [], collections.deque(maxlen=15)
        self.console_bytes, self.done, self.text = 0, False, b""

    def take(self, data):
        now = self.now()
        *lines, self.text = (self.text + data).split(b"\n")
        for line in lines:
            self.line(line.rstrip(b"\r").decode("latin-1"), now)

    def line(self, line, now):
        if line.startswith("~"):
            self.console_bytes += len(line) + 1
            return
        self.tail.append(line)
        words = line.split()
        if words and words[0] in self.words:
            self.words[words[0]](self, words, now)

    def on_begin(self, words, now):
        if words[1] == "init" and self.boots:
            self.seconds["boot"] = now - self.start
        self.begun[words[1]] = now

    def on_end(self, words, now):
        name, passes, verdict, checksum = words[1:5]
        if verdict != "ok":
            raise BenchError(f"phase {name}: wrong result {checksum} in pass {passes}")
        if name == "console" and self.console_bytes != int(passes) * CONSOLE_PASS_BYTES:
            raise BenchError(f"phase console: {self.console_bytes} bytes arrived, {int(passes) * CONSOLE_PASS_BYTES} were sent")
        self.seconds[name] = max(now - self.begun[name], READ_PAUSE_S)

    def on_skip(self, words, now):
        self.skipped.append(words[1])

    def on_done(self, words, now):
        self.done = True

    def on_error(self, words, now):
        raise BenchError(" ".join(words))

    words = {"@begin": on_begin, "@end": on_end, "@skip": on_skip, "@done": on_done, "@error": on_error}


def cpu_clock(pid):
    """CPU time of all threads of a process; clock_getcpuclockid(3) in the kernel's encoding."""
    return lambda: time.clock_gettime(~pid << 3 | 2)


def listen(process, listener):
    fd, end = process.stdout.fileno(), time.monotonic() + RUN_LIMIT_S
    while True:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise BenchError(f"no end after {RUN_LIMIT_S} s")
        data = os.read(fd, 65536)
        if not data:
            return
        listener.take(data)
        time.sleep(READ_PAUSE_S)


def run_once(command, environment, boots, clock):
    """Runs one side once. The process is always gone when this returns."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    listener = Listener(*((start, time.monotonic) if clock == "wall" else (0, cpu_clock(process.pid))), boots)
    try:
        listen(process, listener)
    except BaseException as error:
        process.kill()
        if not isinstance(error, BenchError):
            raise
        raise BenchError(f"{shlex.join(command)}\n{error}\n" + "\n".join(listener.tail)) from None
    finally:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not listener.done:
        raise BenchError(f"{shlex.join(command)}\nended early, status {process.returncode}\n" + "\n".join(listener.tail))
    if process.returncode != 0:
        raise BenchError(f"{shlex.join(command)}\nstatus {process.returncode}\n" + "\n".join(listener.tail))
    return Run(listener.seconds, listener.skipped, usage.ru_maxrss)


# --- the sides ---

def kernel_line(options):
    words = ["console=ttyS0,115200", "quiet", "panic=-1"]
    return " ".join(words + [f"{key}={value}" for key, value in guest_settings(options).items()])


def guest_settings(options):
    settings = {"phases": options.phases} if options.phases else {}
    if options.smoke:
        settings["passes"] = "1"
    return settings


def machine(options):
    return ["-m", "256", "-kernel", options.kernel, "-initrd", f"{options.guest}/initrd", "-append", kernel_line(options),
            "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"]


ICOUNT = ["-icount", "shift=3,sleep=off"]
BACKGROUND = ["-translator", "mode=background", "-devthread", "mode=inline"]


def cpus(count):
    return ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:count])


def sides_of(options):
    tandem = [options.tandem, *machine(options), *ICOUNT]
    qemu = ["qemu-system-i386", *machine(options)]
    every = {
        "tandem": tandem + shlex.split(options.tandem_args),
        "qemu": qemu + ICOUNT,
        "noicount": qemu,
        "native": [f"{options.guest}/root/init"],
        "twice": [options.twice, *tandem[1:], *shlex.split(options.tandem_args)],
        "one_core": ["taskset", "-c", cpus(1), *tandem, *BACKGROUND],
        "two_cores": ["taskset", "-c", cpus(2), *tandem, *BACKGROUND],
    }
    return {name: every[name] for name in options.sides.split(",") if usable(name)}


def usable(side):
    if side == "native":
        return host.runs_32bit()
    return side not in ("one_core", "two_cores") or len(os.sched_getaffinity(0)) >= 2


def progress(options, text):
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def measure(options, sides):
    """Rounds of all sides, alternately. Returns side -> list of runs."""
    runs = {name: [] for name in sides}
    for number in range(1, options.runs + 1):
        for name, command in sides.items():
            progress(options, f"round {number} of {options.runs}: {name} ...")
            environment = {**os.environ, **guest_settings(options)} if name == "native" else None
            runs[name].append(run_once(command, environment, name != "native", options.clock))
            progress(options, f"  {sum(runs[name][-1].seconds.values()):.1f} s")
    return runs


# --- figures ---

def times(runs, side, phase):
    return [run.seconds[phase] for run in runs.get(side, []) if phase in run.seconds]


def ratio(runs, above, below, phase):
    """Ratio of medians, and the least and greatest ratio of one round; None where a side has no such phase."""
    a, b = times(runs, above, phase), times(runs, below, phase)
    if not a or not b:
        return None
    each = [x / y for x, y in zip(a, b)]
    return {"ratio": statistics.median(a) / statistics.median(b), "low": min(each), "high": max(each)}


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def bar_of(phase):
    if phase == "boot":
        return BAR_BOOT
    if phase in ("x87", "sse2") or phase.startswith(("memcpy_", "memset_")):
        return BAR_BULK
    return BAR_ANY


def phase_row(runs, phase):
    row = {"phase": phase, "bar": bar_of(phase)}
    for side in runs:
        row[side + "_s"] = times(runs, side, phase)
    for side in ("qemu", "noicount", "native"):
        row["to_" + side] = ratio(runs, "tandem", side, phase)
    row["two_cores_to_one"] = ratio(runs, "two_cores", "one_core", phase)
    row["twice_to_once"] = ratio(runs, "twice", "tandem", phase)
    row["met"] = verdict(row)
    return row


def verdict(row):
    checks = [(row["to_qemu"], row["bar"]), (row["to_noicount"], BAR_NOICOUNT)]
    known = [(figure["ratio"], bar) for figure, bar in checks if figure]
    return all(value <= bar for value, bar in known) if known else None


def group_row(rows, title, names, bar):
    known = [row["to_qemu"]["ratio"] for row in rows if row["phase"] in names and row["to_qemu"]]
    if not known:
        return None
    mean = geometric_mean(known)
    return {"group": title, "phases": len(known), "of": len(names), "ratio": mean, "bar": bar, "met": mean <= bar}


def total_seconds(run):
    return sum(run.seconds.values())


def report_of(options, runs):
    first = next(iter(runs.values()))[0]
    rows = [phase_row(runs, phase) for phase in first.seconds]
    groups = [row for row in (group_row(rows, *group) for group in GROUPS) if row]
    return {
        "host": {"cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "system": platform.release()},
        "clock": options.clock, "runs": options.runs, "tandem_args": options.tandem_args, "phases": rows, "groups": groups, "skipped": first.skipped,
        "peak_memory_mib": {side: max(run.rss_kib for run in each) / 1024 for side, each in runs.items()},
        "total_s": {side: statistics.median(total_seconds(run) for run in each) for side, each in runs.items()},
        "met": all(row["met"] is not False for row in rows + groups),
    }


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


# --- the report as text ---

def figure_text(figure):
    return f"{figure['ratio']:.3f}" if figure else "n/a"


def spread_text(figure):
    return f"{figure['low']:.3f}-{figure['high']:.3f}" if figure else ""


def median_text(row, side):
    values = row.get(side + "_s")
    return f"{statistics.median(values):.2f}" if values else "n/a"


def met_text(met):
    return {True: "PASS", False: "MISS", None: ""}[met]


def print_report(report):
    form = "{:<16} {:>9} {:>8} {:>8} {:>14} {:>5} {:>5}  {:>8} {:>8} {:>8} {:>8}"
    print(form.format("phase", "tandem s", "qemu s", "ratio", "rounds", "bar", "", "/noicnt", "/native", "2/1 core", "twice"))
    for row in report["phases"]:
        print(form.format(row["phase"], median_text(row, "tandem"), median_text(row, "qemu"), figure_text(row["to_qemu"]),
                          spread_text(row["to_qemu"]), row["bar"], met_text(row["met"]), figure_text(row["to_noicount"]),
                          figure_text(row["to_native"]), figure_text(row["two_cores_to_one"]),
                          figure_text(row["twice_to_once"])))
    for row in report["groups"]:
        print(f"{row['group']} ({row['phases']} of {row['of']}): {row['ratio']:.3f}, bar {row['bar']} {met_text(row['met'])}")
    if report["skipped"]:
        print("not run, for Tandem's CPUID does not claim SSE2:", " ".join(report["skipped"]))
    print("peak memory, MiB:", ", ".join(f"{side} {mib:.0f}" for side, mib in report["peak_memory_mib"].items()))
    print("all phases, s:", ", ".join(f"{side} {seconds:.1f}" for side, seconds in report["total_s"].items()))


def smoke(runs):
    """Every phase ended with the right result, or measure() had not returned."""
    passed = sum(len(run.seconds) for each in runs.values() for run in each)
    if "native" not in runs:
        print("SKIP the phases as a process of the host: it runs no 32-bit programs")
    print(f"throughput smoke: {passed} passed, 0 failed, {int('native' not in runs)} skipped")
    return 0


def parse():
    parser = argparse.ArgumentParser()
    for name in ("sides", "phases", "tandem", "tandem-args", "twice", "kernel", "guest", "json"):
        parser.add_argument("--" + name, default="")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


def main():
    options = parse()
    try:
        runs = measure(options, sides_of(options))
    except (BenchError, OSError) as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.smoke:
        return smoke(runs)
    report = report_of(options, runs)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(report, out, indent=1)
    print_report(report)
    return 0 if report["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
