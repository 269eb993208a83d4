"""quantum.py - what the longest horizon costs and gains: speed against responsiveness to input."""
import os
import random
import socket
import statistics
import time

from lab import guests, page, plot, runner
from lab.experiment import Outcome, Run, choices, number

TITLE = "The quantum: speed against responsiveness"
QUESTION = ("The vCPU runs at most one quantum ahead before it looks at the world outside again; where no device acts earlier, the quantum is the horizon. A "
            "long one means fewer stops, a short one means that a typed key is noticed sooner. What does it cost, and what does it gain?")
READING = ("Speed is in millions of guest instructions per second of host time, with Debian's kernel booting and with a guest that computes; higher is better. "
           "Response is how long a character that is typed at a computing guest's serial line (a socket) takes until its echo is back; lower is better. In "
           "host time it holds the way through the sockets and the scheduler as well. In virtual time it is how far the guest got between the moment of typing and "
           "the moment at which it saw the character: each echo carries the guest's clock, and where the clock stood when a character was typed "
           "lies on the line between two echoes. It holds what the scheduler did to either process, multiplied by how much faster virtual time runs. One tick is 8 ns of virtual time. Lines join medians; bars go from the tenth to the ninetieth hundredth.")

QUANTA = [1000, 10000, 125000, 1000000, 10000000, 100000000]
DEFAULT_QUANTUM = 125000  # MATCH DEVTHREAD_QUANTUM_NS, 1 ms at shift 3
MODES = ("inline", "adaptive", "thread")
TYPING_S = 3
KEYS_LEAST, KEYS_MOST = 12, 200
GAP_S = (0.010, 0.020)  # longer than output may wait (BUS_FLUSH_NS), so that the first byte of an echo leaves at once
SOCKET = "socket"


def add_options(parser):
    parser.add_argument("--repeats", type=number(1, 1000), default=3, metavar="N", help="runs of each combination (default 3)")
    parser.add_argument("--modes", type=choices(*MODES), default=list(MODES), metavar="LIST", help="device thread modes (default all three)")
    parser.add_argument("--quick", action="store_true", help="two quanta, little typing: does it all work?")
    parser.add_argument("--no-boot", action="store_true", help="without the boots of Debian, which take most of the time")


def plan(study):
    ways = [(repeat, quantum, mode) for repeat in range(study.options.repeats) for quantum in quanta(study) for mode in study.options.modes]
    return [run for way in ways for run in runs_of(study, *way)]


def quanta(study):
    return [QUANTA[0], DEFAULT_QUANTUM] if study.options.quick else QUANTA


def runs_of(study, repeat, quantum, mode):
    boot = [] if study.options.no_boot else [speed_run(study, "boot", guests.debian("poweroff -f", "quiet"), 0, 4, repeat, quantum, mode)]
    computing = speed_run(study, "computing", guests.elf(study, "bench_cpu", "passes=1500"), guests.EXIT_OK, 0.7, repeat, quantum, mode)
    return [*boot, computing, typing_run(study, repeat, quantum, mode)]


def speed_run(study, guest, arguments, status, weight_s, repeat, quantum, mode):
    command = guests.tandem(study, arguments, mode, extra=["-x-quantum", str(quantum)])
    params = {"guest": guest, "quantum": quantum, "mode": mode, "repeat": repeat}
    return Run(f"{guest}-{quantum}-{mode}-{repeat}", params, command, status, weight_s=weight_s)


def typing_run(study, repeat, quantum, mode):
    arguments = guests.elf(study, "bench_echo", "seconds=100000")
    command = guests.tandem(study, arguments, mode, serial=f"unix:{SOCKET},server", extra=["-x-quantum", str(quantum)])
    params = {"guest": "typing", "quantum": quantum, "mode": mode, "repeat": repeat}
    return Run(f"typing-{quantum}-{mode}-{repeat}", params, command, guests.EXIT_OK, limit_s=60, weight_s=TYPING_S + 0.3, measure=type_at)


# --- typing ---

def type_at(study, run, folder):
    """Starts the machine, types at it, and ends it by a 'q'."""
    begin = time.monotonic()
    process = runner.start(run.command, folder, "command", {})
    try:
        with connection(folder) as line:
            figures = latencies(typed(line, random.Random(run.key), TYPING_S / 10 if study.options.quick else TYPING_S))
            line.sendall(b"q")
            ended = runner.wait(process, run.limit_s)
    except (OSError, ValueError) as error:
        return Outcome(wall_s=time.monotonic() - begin, why=f"typing: {error}: {runner.tail(folder / 'command.err')}")
    finally:
        if process.returncode is None:
            runner.end(process)
    outcome = Outcome(ended and ended[0], time.monotonic() - begin, figures=figures)
    if outcome.status != run.expect:
        outcome.why = f"exit status {outcome.status} after typing: {runner.tail(folder / 'command.err')}"
    return outcome


def connection(folder):
    """The guest's serial line, once it is there. The path goes through /proc, because socket paths must be short."""
    handle = os.open(folder, os.O_PATH)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(30)
    try:
        for _ in range(500):
            try:
                line.connect(f"/proc/self/fd/{handle}/{SOCKET}")
                return line
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
        raise OSError("the emulator opened no socket")
    finally:
        os.close(handle)


def typed(line, source, seconds):
    """Types characters at random moments and waits for each echo. Returns (sent, received, guest's ns) of each, host seconds."""
    answers = line.makefile("rb")
    if answers.readline().strip() != b"ready":
        raise ValueError("the guest did not say that it is ready")
    keys, end = [], time.monotonic() + seconds
    while len(keys) < KEYS_MOST and (len(keys) < KEYS_LEAST or time.monotonic() < end):
        time.sleep(source.uniform(*GAP_S))
        sent = time.monotonic()
        line.sendall(b"k")
        keys.append((sent, *echo(answers)))
    return keys


def echo(answers):
    """When the echo's first byte arrived, and the guest's clock, which the rest of the line tells."""
    first = answers.read(1)
    received = time.monotonic()
    rest = answers.readline()
    if first != b"k" or not rest.startswith(b" "):
        raise ValueError(f"no echo: {first + rest}")
    return received, int(rest, 16)


def latencies(keys):
    """Of each key but the first: host time until the echo, and virtual time since it was typed."""
    host, virtual = [], []
    for (_, before, clock_before), (sent, received, clock) in zip(keys, keys[1:]):
        pace = (clock - clock_before) / (received - before)
        virtual.append(clock - (clock_before + pace * (sent - before)))
        host.append((received - sent) * 1e9)
    if not host:
        raise ValueError("fewer than two echoes")
    return {"keys": len(host), **quantiles("host_ns", host), **quantiles("virtual_ns", virtual)}


def quantiles(name, values):
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return {f"{name}_tenth": tenths[0], f"{name}_median": statistics.median(values), f"{name}_ninetieth": tenths[-1]}


# --- findings ---

def findings(study):
    modes = study.options.modes
    blocks = [verdict(study)]
    for guest, what in (("boot", "Debian's kernel boots"), ("computing", "a guest computes")):
        if study.good(guest=guest):
            picture = plot.lines(study, f"quantum-speed-{guest}", {mode: speeds(study, guest, mode) for mode in modes}, "quantum, ticks", "MIPS", logx=True)
            blocks.append(page.Figure(picture, f"Speed while {what}: median, least and greatest of {study.options.repeats}.", f"Speed: {what}"))
    for unit, title in (("host", "host time"), ("virtual", "virtual time")):
        series = {mode: responses(study, unit, mode) for mode in modes}
        picture = plot.lines(study, f"quantum-response-{unit}", series, "quantum, ticks", "ms", logx=True, logy=True)
        blocks.append(page.Figure(picture, f"From typing to the echo, in {title}.", f"Response: {title}"))
    return blocks + [table(study)]


def speeds(study, guest, mode):
    rows = []
    for quantum in quanta(study):
        values = [r["figures"]["time.mips"] for r in study.good(guest=guest, mode=mode, quantum=quantum)]
        if values:
            rows.append((quantum, statistics.median(values), min(values), max(values)))
    return rows


def responses(study, unit, mode):
    """Medians over the runs of each run's quantiles, in ms. A virtual time can come out at a little less than nothing; then it is drawn as 1 us."""
    rows = []
    for quantum in quanta(study):
        good = study.good(guest="typing", mode=mode, quantum=quantum)
        if good:
            parts = [statistics.median(r["figures"][f"{unit}_ns_{part}"] for r in good) for part in ("median", "tenth", "ninetieth")]
            rows.append((quantum, *(max(value, 1000) / 1e6 for value in parts)))
    return rows


def middle(rows, quantum):
    return next((row[1] for row in rows if row[0] == quantum), None)


def verdict(study):
    mode = "adaptive" if "adaptive" in study.options.modes else study.options.modes[0]
    guest = "boot" if study.good(guest="boot") else "computing"
    speed, host = speeds(study, guest, mode), responses(study, "host", mode)
    if not speed or not host:
        return page.Verdict(None, "No run succeeded.")
    best = max(row[1] for row in speed)
    own = middle(speed, DEFAULT_QUANTUM)
    return page.Verdict(None, f"At the default of {DEFAULT_QUANTUM} ticks (1 ms) a {guest} guest in mode {mode} runs at {100 * own / best:.0f} % of the best "
                        f"speed of any quantum, and a typed character is back after {middle(host, DEFAULT_QUANTUM):.2g} ms of host time (median). The "
                        f"shortest quantum gives {100 * speed[0][1] / best:.0f} % and {host[0][1]:.2g} ms, the longest {100 * speed[-1][1] / best:.0f} % "
                        f"and {host[-1][1]:.2g} ms.")


def table(study):
    rows = []
    for mode in study.options.modes:
        boot, computing = speeds(study, "boot", mode), speeds(study, "computing", mode)
        host, virtual = responses(study, "host", mode), responses(study, "virtual", mode)
        for quantum in quanta(study):
            cells = [middle(part, quantum) for part in (boot, computing, host, virtual)]
            forms = ("{:.0f}", "{:.0f}", "{:.3g}", "{:.3g}")
            rows.append((mode, quantum, *("" if cell is None else form.format(cell) for cell, form in zip(cells, forms))))
    head = ["mode", "quantum, ticks", "boot, MIPS", "computing, MIPS", "response, host ms", "response, virtual ms"]
    return page.Table(head, rows, "Medians")
