"""programs.py - programs that people run: BusyBox and a few others of Debian, as processes of the host and in the guest, job by job."""
import functools
import json
import math
import shutil
import statistics
import subprocess
import time

from lab import counters, guests, host, page, plot, runner, setup
from lab.experiment import LabError, Outcome, Run, choices, number

TITLE = "Real programs against the host"
QUESTION = ("How much longer does a program take in the guest than as a process of the host? About fifty jobs of BusyBox (hashes, compression, sorting, awk, sed, grep, "
            "arithmetic, files, processes) and a few of Python, Perl, GCC and SQLite, the same binaries of Debian's i386 packages on both sides.")
READING = ("Times are medians over the rounds, from the arrival of the job's first line to that of its last; each round runs all jobs once natively and once in the guest, in one "
           "boot of Debian's kernel. A ratio is the guest's time over the host's. Instructions are the guest's, user and kernel, counted exactly by its ticks. Host instructions "
           "are those of the whole emulator in user mode, where the host lets them be counted. What a job prints must be the same on both sides.")
PACKAGES = ["cpio", "xz-utils", "debian-archive-keyring"]
BARS = {"busybox": {"total": 2.5, "mean": 2.5, "worst": 4.0}, "real": {"mean": 3.0}}
TITLES = {"busybox": "BusyBox", "real": "other programs"}
QUICK = ["md5", "gzip", "sort", "awk_hash", "grep", "fork", "tar", "python_start", "sqlite"]
SIDES = ("native", "tandem", "qemu")
MEMORY_MIB = 768
RUN_LIMIT_S = 900
END_MARK = 128  # as run.sh has it
HOT_PARTS = ("work", "guard", "flags", "ticks", "move", "jump", "call", "fpu")  # as translator/x64 names them


def jobs():
    """(name, group) of each job, in the file's order."""
    lines = (setup.HERE / "bench/programs/jobs").read_text(encoding="ascii").splitlines()
    return [tuple(line.split("|")[:2]) for line in lines if line and not line.startswith("#")]


def add_options(parser):
    names = [name for name, _ in jobs()]
    parser.add_argument("--runs", type=number(1, 1000), default=3, metavar="N", help="rounds; in each, every side runs once (default 3)")
    parser.add_argument("--jobs", type=choices(*names), default=[], metavar="LIST", help=f"only these of {','.join(names)}")
    parser.add_argument("--quick", action="store_true", help=f"one round of {','.join(QUICK)}: under a minute")
    parser.add_argument("--sides", type=choices(*SIDES), default=["native", "tandem"], metavar="LIST",
                        help=f"of {','.join(SIDES)} (default native,tandem; qemu: qemu-system-i386 without -icount)")
    parser.add_argument("--hot", type=number(1, 1000), default=0, metavar="N", help="one more run of each job, with -d hot=N (1000 for all that counts): "
                        "what host instructions are for; the lists stay in the folder hot/ (none by default)")
    parser.add_argument("--tandem-args", default="-translator mode=background", metavar="S", help="Tandem's options (default \"-translator mode=background\")")


def chosen(study):
    names = study.options.jobs or (QUICK if study.options.quick else [name for name, _ in jobs()])
    return [name for name, _ in jobs() if name in names]


@functools.cache
def image():
    """The folder of the guest's files; built at the first call."""
    done = subprocess.run([str(setup.HERE / "bench/programs/image.sh")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"bench/programs/image.sh: {done.stderr[-2000:]}")
    return done.stdout.strip()


def prepare(study):
    if "qemu" in study.options.sides:
        setup.packages("qemu-system-x86")
    image()


# --- runs ---

def plan(study):
    rounds = 1 if study.options.quick else study.options.runs
    sides = [side for side in SIDES if side in study.options.sides and (side != "native" or host.runs_32bit())]
    timed = [Run(f"{side}-{number}", {"side": side, "round": number, "job": ""}, command(study, side, chosen(study)), weight_s=weight_s(study, side), measure=time_jobs)
             for number in range(1, rounds + 1) for side in sides]
    return timed + [hot_run(study, name) for name in chosen(study) if study.options.hot]


def hot_run(study, name):
    extra = ["-d", f"hot={study.options.hot}", "-D", "hot"]
    return Run(f"hot-{name}", {"side": "hot", "round": 1, "job": name}, command(study, "tandem", [name]) + extra, weight_s=5, limit_s=RUN_LIMIT_S,
               collect=lambda folder: keep_hot(study, name, folder))


def keep_hot(study, name, folder):
    """Sums over the user blocks of the list, which the job itself has run; the list goes into the results folder."""
    kept = study.folder / "hot"
    kept.mkdir(exist_ok=True)
    blocks = [block for block in json.loads((folder / "hot.hot.json").read_text(encoding="ascii"))["blocks"] if block["user"]]
    for file in ("hot", "hot.hot.json"):
        shutil.copy(folder / file, kept / file.replace("hot", name, 1))
    figures = {"hot.insns": sum(block["instructions"] for block in blocks), "hot.host": sum(block["host_instructions"] for block in blocks)}
    for part in HOT_PARTS:
        figures[f"hot.{part}"] = sum(block["parts"][part] for block in blocks)
    return figures


def weight_s(study, side):
    return {"native": 0.2, "tandem": 0.8, "qemu": 2}[side] * len(chosen(study)) + (0 if side == "native" else 6)


def command(study, side, names):
    """A dry run does not build the image."""
    files = "IMAGE" if study.options.dry_run else image()
    if side == "native":
        return [str(setup.HERE / "bench/programs/native.sh"), f"{files}/root", *names]
    append = f"console=ttyS0 rdinit=/init quiet cryptomgr.notests {'tandem_marker ' if side == 'tandem' else ''}jobs={','.join(names)}"
    guest = ["-m", str(MEMORY_MIB), "-kernel", setup.lib('printf %s "$debian_dir/linux"').decode(), "-initrd", f"{files}/initrd", "-append", append, "-no-reboot"]
    if side == "qemu":
        return guests.qemu(guest, False, serial="stdio")
    extra = ["-device", "tandem-marker", "-mark-log", "file=marks.json", *study.options.tandem_args.split()]
    return guests.tandem(study, guest, serial="stdio", extra=extra)


class Listener:
    """Takes a run's lines as they come."""

    def __init__(self, counter):
        self.counter, self.begun, self.figures, self.done, self.wrong = counter, None, {}, False, None

    def line(self, words, now):
        if words[0] == "@begin":
            self.begun, self.counted = now, self.counter.read()
        elif words[0] == "@end":
            self.figures[f"{words[1]}.s"] = now - self.begun
            count = self.counter.read()
            if count is not None:
                self.figures[f"{words[1]}.host"] = count - self.counted
        elif words[0] == "@sum":
            self.figures[f"{words[1]}.sum"] = f"{words[2]} {words[3]}"
        elif words[0] == "@done":
            self.done = True


def time_jobs(study, item, folder):
    begin = time.monotonic()
    process = runner.start(item.command, folder, "command", item.environment, stdout=subprocess.PIPE)
    try:
        listener = listen(process, begin, folder)
        ended = runner.wait(process, 10)
    finally:
        if process.returncode is None:
            runner.end(process)
    outcome = Outcome(wall_s=time.monotonic() - begin, figures=listener.figures)
    if ended:
        outcome.status, usage = ended
        outcome.cpu_s, outcome.rss_mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    add_instructions(study, folder, outcome.figures)
    missing = [name for name in chosen(study) if f"{name}.sum" not in listener.figures]
    if missing or not listener.done or outcome.status != 0:
        outcome.why = f"exit status {outcome.status}; no end of {' '.join(missing)}: {runner.tail(folder / 'output')} {runner.tail(folder / 'command.err')}"
    return outcome


def listen(process, begin, folder):
    """Reads the lines until the output ends, or for too long."""
    listener = Listener(counters.Instructions(process.pid))
    with open(folder / "output", "w", encoding="utf-8") as copy, process.stdout:
        while time.monotonic() - begin < RUN_LIMIT_S:
            line = process.stdout.readline()
            now = time.monotonic()
            if not line:
                break
            text = line.decode(errors="replace").strip()
            copy.write(text + "\n")
            if text.startswith("@"):
                listener.line(text.split(), now)
    listener.counter.close()
    return listener


def add_instructions(study, folder, figures):
    """Of the guest, from the ticks of its marks."""
    names, begun = [name for name, _ in jobs()], {}
    try:
        lines = (folder / "marks.json").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for hit in map(json.loads, lines):
        if hit["type"] != "hit":
            continue
        if hit["value"] < END_MARK:
            begun[hit["value"]] = hit["tick"]
        else:
            which = hit["value"] - END_MARK
            figures[f"{names[which - 1]}.insns"] = hit["tick"] - begun[which]


# --- findings ---

def median(study, side, name, what):
    values = [r["figures"][f"{name}.{what}"] for r in study.good(side=side) if f"{name}.{what}" in r["figures"]]
    return statistics.median(values) if values else None


def quotient(a, b):
    return a / b if a is not None and b else None


class Job:
    """The medians of one job."""

    def __init__(self, study, name, group):
        self.name, self.group = name, group
        self.seconds = {side: median(study, side, name, "s") for side in SIDES}
        self.insns, self.host = median(study, "tandem", name, "insns"), median(study, "tandem", name, "host")
        self.ratio = quotient(self.seconds["tandem"], self.seconds["native"])
        self.qemu_ratio = quotient(self.seconds["qemu"], self.seconds["native"])
        self.spread = spread(study, name)
        self.sums = {r["figures"][f"{name}.sum"] for r in study.good() if f"{name}.sum" in r["figures"]}

    def row(self):
        million = self.insns and self.insns / 1e6
        rate = quotient(million, self.seconds["tandem"])
        return (self.name, self.seconds["native"], self.seconds["tandem"], self.ratio, self.spread, million and round(million), rate and round(rate),
                quotient(self.host, self.insns), self.qemu_ratio)


def spread(study, name):
    """The least and the greatest ratio of any one round."""
    ratios = []
    for record in study.good(side="tandem"):
        for other in study.good(side="native", round=record["params"]["round"]):
            ratios.append(record["figures"][f"{name}.s"] / other["figures"][f"{name}.s"])
    return f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def totals(group):
    """What the bars are about."""
    ratios = [job.ratio for job in group]
    return {"total": sum(j.seconds["tandem"] for j in group) / sum(j.seconds["native"] for j in group), "mean": geometric_mean(ratios), "worst": max(ratios)}


def findings(study):
    measured = [Job(study, name, group) for name, group in jobs() if name in chosen(study)]
    differ = [job.name for job in measured if len(job.sums) > 1]
    compared = [job for job in measured if job.ratio]
    if not compared:
        why = "runs of both sides are needed" if host.runs_32bit() else "this host runs no 32-bit programs"
        return [page.Verdict(False if study.failed() else None, f"Nothing can be compared: {why}.")] + tables(measured) + hot_table(study)
    groups = {name: totals(group) for name in BARS if (group := [job for job in compared if job.group == name])}
    picture = plot.bars(study, "programs", {job.name: {"guest / host": job.ratio} for job in compared}, "times the host's time", mark=1)
    figure = page.Figure(picture, "Time in the guest over time on the host, by job.")
    return [verdict(study, groups, differ), bars(groups), figure] + tables(measured) + hot_table(study)


def verdict(study, groups, differ):
    text = "; ".join(f"{TITLES[name]}: {figures['total']:.2f} times the host's time in all, geometric mean {figures['mean']:.2f}, worst {figures['worst']:.2f}"
                     for name, figures in groups.items()) + "."
    if differ:
        return page.Verdict(False, f"Jobs that print different things: {' '.join(differ)}. {text}", "Wrong results.")
    if study.failed():
        return page.Verdict(False, f"{len(study.failed())} runs failed. {text}", "Runs failed.")
    if study.options.quick or study.options.jobs:
        return page.Verdict(None, text)
    met = all(groups[name][what] <= bar for name in groups for what, bar in BARS[name].items())
    return page.Verdict(None, text, "Bars met." if met else "Bars missed.")


def bars(groups):
    rows = [(TITLES[name], what, figures[what], BARS[name].get(what), "" if what not in BARS[name] else "met" if figures[what] <= BARS[name][what] else "missed")
            for name, figures in groups.items() for what in ("total", "mean", "worst")]
    return page.Table(["jobs", "times the host's", "measured", "bar", ""], rows)


def hot_table(study):
    rows = []
    for record in study.good(side="hot"):
        figures = record["figures"]
        host = figures["hot.host"]
        shares = [quotient(100 * figures[f"hot.{part}"], host) for part in HOT_PARTS]
        rows.append((record["params"]["job"], figures["hot.insns"] / 1e6, quotient(host, figures["hot.insns"]), *shares))
    head = ["job", "million instructions", "host instructions each", *(f"{part} %" for part in HOT_PARTS)]
    return [page.Table(head, rows, "Hot blocks of user code, and what their host instructions are for (-d hot)")] if rows else []


def tables(measured):
    head = ["job", "host s", "guest s", "ratio", "by round", "million instructions", "a second", "host instructions each", "QEMU's ratio"]
    return [page.Table(head, [job.row() for job in measured if job.group == name], TITLES[name]) for name in BARS
            if any(job.group == name for job in measured)]
