"""disk.py - a virtio disk, against QEMU; and what a second core gives to a guest that computes while it reads."""
import statistics

from lab import guests, page, plot, setup
from lab.experiment import Run, number

TITLE = "A disk as fast as it goes"
QUESTION = ("How fast does a guest read and write a virtio disk whose image lies in the host's page cache, in Tandem and in QEMU without and with instruction "
            "counting? And what does a second host core give to a guest that computes while its disk reads: host I/O then runs beside the vCPU.")
READING = ("The guest is tests/guests/bench_disk.c: one queue, interrupts, the same binary for all. Times are wall times of whole runs, start and end of the "
           "emulator included. Ratios are medians over medians; below 1 Tandem is faster. In virtual time the disk has the figures of hw/drive.h; idle time is "
           "skipped. Every sector's first word is compared with what the image holds. The lower picture shows pairs: the time on one host CPU over the time on two.")
PACKAGES = ["qemu-system-x86"]

PHASES = {
    "sequential read": "requests=8192 bytes=131072 depth=4 check=1",
    "random read": "requests=60000 bytes=4096 depth=8 random=1 check=1",
    "sequential write": "requests=4096 bytes=131072 depth=4 write=1",
    "random write": "requests=40000 bytes=4096 depth=8 random=1 write=1",
}
SIDES = ("adaptive", "inline", "qemu", "qemu icount")
OVERLAP = "requests=8192 bytes=131072 depth=4 compute=1"
OVERLAP_WAYS = {"inline, 1 CPU": ("inline", 1), "adaptive, 1 CPU": ("adaptive", 1), "adaptive, 2 CPUs": ("adaptive", 2), "inline, 2 CPUs": ("inline", 2)}
GAIN_LEAST = 1.2   # adaptive on two CPUs over the same on one
LATE_MOST = 0.02   # of the time, with a warm cache


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 1000), default=3, metavar="N", help="runs of each side and phase, alternating (default 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, one round: does it all work?")


def prepare(study):
    guests.make_disk_image()


def plan(study):
    rounds = 1 if study.options.quick else study.options.rounds
    runs = [phase_run(study, phase, side, n) for n in range(rounds) for phase in PHASES for side in SIDES]
    return runs + [overlap_run(study, way, n) for n in range(rounds) for way in OVERLAP_WAYS]


def arguments(study, append):
    if study.options.quick:
        append = " ".join(f"requests={int(word[9:]) // 10}" if word.startswith("requests=") else word for word in append.split())
    return guests.disk(study, append)


def phase_run(study, phase, side, count):
    guest = arguments(study, PHASES[phase])
    if side.startswith("qemu"):
        command = guests.qemu(guest, icount=side.endswith("icount"))
    else:
        command = guests.tandem(study, guest, devthread=side)
    return Run(f"{phase}-{side}-{count}".replace(" ", "-"), {"phase": phase, "side": side, "round": count}, command, expect=guests.EXIT_OK, weight_s=2)


def overlap_run(study, way, count):
    mode, cpus = OVERLAP_WAYS[way]
    command = guests.on_cpus(setup.cpus()[:cpus], guests.tandem(study, arguments(study, OVERLAP), devthread=mode))
    return Run(f"overlap-{way}-{count}".replace(" ", "-").replace(",", ""), {"phase": "overlap", "side": way, "round": count}, command, expect=guests.EXIT_OK, weight_s=1)


# --- findings ---

def seconds(study, phase, side):
    return [r["wall_s"] for r in study.good(phase=phase, side=side)]


def ratio(study, phase, side, other):
    mine, theirs = seconds(study, phase, side), seconds(study, phase, other)
    return statistics.median(mine) / statistics.median(theirs) if mine and theirs else None


def late_share(study):
    """The greatest share of a run in which a computing vCPU waited for the host's disk."""
    shares = [r["figures"].get("disks.late_ns", 0) / r["figures"]["time.wall_ns"] for r in study.good(phase="overlap", side="adaptive, 2 CPUs")]
    return max(shares, default=0)


def findings(study):
    against = {phase: {other: ratio(study, phase, "adaptive", other) for other in SIDES[1:]} for phase in PHASES}
    slower = [phase for phase in PHASES if (against[phase]["qemu"] or 0) > 1]
    gain = ratio(study, "overlap", "adaptive, 1 CPU", "adaptive, 2 CPUs")
    loss = ratio(study, "overlap", "adaptive, 2 CPUs", "inline, 2 CPUs")
    late = late_share(study)
    missed = slower + ["overlap"] * (gain is not None and gain < GAIN_LEAST) + ["late waits"] * (late > LATE_MOST)
    text = ("No phase is slower than QEMU without counting. " if not slower else f"Slower than QEMU without counting: {', '.join(slower)}. ")
    if gain and loss:
        text += f"Two CPUs are {gain:.2f} times as fast as one for a guest that computes while it reads; adaptive takes {loss:.2f} of inline's time on two. "
    text += f"The vCPU waited for the host's disk for at most {100 * late:.1f} % of a run."
    rows = [(phase, *(page.spread(seconds(study, phase, side)) for side in SIDES), *against[phase].values()) for phase in PHASES]
    ways = [(way, page.spread(seconds(study, "overlap", way))) for way in OVERLAP_WAYS]
    ratios = {phase: {f"adaptive / {other}": value for other, value in against[phase].items() if value} for phase in PHASES if any(against[phase].values())}
    overlap = {way: seconds(study, "overlap", way) for way in OVERLAP_WAYS if seconds(study, "overlap", way)}
    return [
        page.Verdict(not missed and not study.failed(), text),
        page.Figure(plot.bars(study, "disk", ratios, "Tandem's time over the other's", mark=1) if ratios else None, "Time of Tandem, mode adaptive, over the others'; below 1 it is faster."),
        page.Table(["phase", *(f"{side}, s" for side in SIDES), *(f"adaptive / {side}" for side in SIDES[1:])], rows),
        page.Figure(plot.strips(study, "overlap", overlap, "seconds") if overlap else None, "A guest that computes while its disk reads 1 GiB.", "Computing while reading"),
        page.Table(["way", "seconds"], ways),
    ]
