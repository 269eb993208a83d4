"""disk.py - a virtio disk, against QEMU; and what a second core gives to a guest that computes while it reads."""
import statistics
import subprocess

from lab import guests, page, plot, setup
from lab.experiment import Run, number

TITLE = "A disk as fast as it goes"
QUESTION = ("How fast does a guest read and write a virtio disk whose image lies in the host's page cache, in Tandem and in QEMU without and with instruction "
            "counting? And what does a second host core give to a guest that computes while its disk reads: host I/O then runs beside the vCPU.")
READING = ("The guest is tests/guests/bench_disk.c: one queue, interrupts, the same binary for all. Times are wall times of whole runs, start and end of the "
           "emulator included. Ratios are medians over medians; below 1 Tandem is faster. In virtual time the disk has the figures of hw/drive.h; idle time is "
           "skipped. Every sector's first word is compared with what the image holds. The lower picture shows pairs: the time on one host CPU over the time on two.")
PACKAGES = ["qemu-system-x86", "qemu-utils"]

PHASES = {
    "sequential read": "requests=8192 bytes=131072 depth=4 check=1",
    "random read": "requests=60000 bytes=4096 depth=8 random=1 check=1",
    "sequential write": "requests=4096 bytes=131072 depth=4 write=1",
    "random write": "requests=40000 bytes=4096 depth=8 random=1 write=1",
}
SIDES = ("adaptive", "inline", "qemu", "qemu icount")
# A guest that computes while it reads: from a raw image in the host's memory, which is a copy and no more; and from a qcow2 image, one request at a time, with
# sums over each block: there the host has something to do (qemu-nbd), and reads ahead.
OVERLAPS = {"raw": "requests=8192 bytes=131072 depth=4 compute=1", "qcow2": "requests=4096 bytes=131072 depth=1 work=6"}
OVERLAP_WAYS = {"inline, 1 CPU": ("inline", 1), "adaptive, 1 CPU": ("adaptive", 1), "adaptive, 2 CPUs": ("adaptive", 2), "inline, 2 CPUs": ("inline", 2)}
GAIN_LEAST = 1.2   # adaptive on two CPUs over the same on one, where the host has something to do
LOSS_MOST = 1.05   # adaptive over inline, on two CPUs
LATE_MOST = 0.02   # of the time, with a warm cache


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 1000), default=3, metavar="N", help="runs of each side and phase, alternating (default 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, one round: does it all work?")


def qcow2():
    return guests.disk_image().with_suffix(".qcow2")


def prepare(study):
    guests.make_disk_image()
    if not qcow2().exists() or qcow2().stat().st_mtime < guests.disk_image().stat().st_mtime:
        part = qcow2().with_suffix(".qcow2.part")
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", guests.disk_image(), part], check=True)
        part.rename(qcow2())


def plan(study):
    rounds = 1 if study.options.quick else study.options.rounds
    runs = [phase_run(study, phase, side, n) for n in range(rounds) for phase in PHASES for side in SIDES]
    return runs + [overlap_run(study, kind, way, n) for n in range(rounds) for kind in OVERLAPS for way in OVERLAP_WAYS]


def arguments(study, append, kind="raw"):
    if study.options.quick:
        append = " ".join(f"requests={int(word[9:]) // 10}" if word.startswith("requests=") else word for word in append.split())
    if kind == "raw":
        return guests.disk(study, append)
    return [*guests.elf(study, "bench_disk", append), "-drive", f"file={qcow2()},if=virtio,format=qcow2,readonly=on"]


def phase_run(study, phase, side, count):
    guest = arguments(study, PHASES[phase])
    if side.startswith("qemu"):
        command = guests.qemu(guest, icount=side.endswith("icount"))
    else:
        command = guests.tandem(study, guest, devthread=side)
    return Run(f"{phase}-{side}-{count}".replace(" ", "-"), {"phase": phase, "side": side, "round": count}, command, expect=guests.EXIT_OK, weight_s=2)


def overlap_run(study, kind, way, count):
    mode, cpus = OVERLAP_WAYS[way]
    command = guests.on_cpus(setup.cpus()[:cpus], guests.tandem(study, arguments(study, OVERLAPS[kind], kind), devthread=mode))
    name = f"overlap-{kind}-{way}-{count}".replace(" ", "-").replace(",", "")
    return Run(name, {"phase": f"overlap {kind}", "side": way, "round": count}, command, expect=guests.EXIT_OK, weight_s=1)


# --- findings ---

def seconds(study, phase, side):
    return [r["wall_s"] for r in study.good(phase=phase, side=side)]


def ratio(study, phase, side, other):
    mine, theirs = seconds(study, phase, side), seconds(study, phase, other)
    return statistics.median(mine) / statistics.median(theirs) if mine and theirs else None


def late_share(study):
    """The greatest share of a run in which a computing vCPU waited for the host's disk."""
    shares = [r["figures"].get("disks.late_ns", 0) / r["figures"]["time.wall_ns"] for r in study.good(phase="overlap raw", side="adaptive, 2 CPUs")]
    return max(shares, default=0)


def findings(study):
    against = {phase: {other: ratio(study, phase, "adaptive", other) for other in SIDES[1:]} for phase in PHASES}
    slower = [phase for phase in PHASES if (against[phase]["qemu"] or 0) > 1]
    gain = {kind: ratio(study, f"overlap {kind}", "adaptive, 1 CPU", "adaptive, 2 CPUs") for kind in OVERLAPS}
    loss = {kind: ratio(study, f"overlap {kind}", "adaptive, 2 CPUs", "inline, 2 CPUs") for kind in OVERLAPS}
    late = late_share(study)
    missed = (slower + ["overlap"] * ((gain["qcow2"] or GAIN_LEAST) < GAIN_LEAST) +
              ["inline"] * (max(value or 0 for value in loss.values()) > LOSS_MOST) + ["late waits"] * (late > LATE_MOST))
    text = ("No phase is slower than QEMU without counting. " if not slower else f"Slower than QEMU without counting: {', '.join(slower)}. ")
    for kind in OVERLAPS:
        if gain[kind] and loss[kind]:
            text += (f"For a guest that computes while it reads a {kind} image, two CPUs are {gain[kind]:.2f} times as fast as one; "
                     f"adaptive takes {loss[kind]:.2f} of inline's time on two. ")
    text += f"The vCPU waited for the host's disk for at most {100 * late:.1f} % of a run."
    rows = [(phase, *(page.spread(seconds(study, phase, side)) for side in SIDES), *against[phase].values()) for phase in PHASES]
    ways = [(way, *(page.spread(seconds(study, f"overlap {kind}", way)) for kind in OVERLAPS)) for way in OVERLAP_WAYS]
    ratios = {phase: {f"adaptive / {other}": value for other, value in against[phase].items() if value} for phase in PHASES if any(against[phase].values())}
    overlap = {way: seconds(study, "overlap qcow2", way) for way in OVERLAP_WAYS if seconds(study, "overlap qcow2", way)}
    return [
        page.Verdict(not missed and not study.failed(), text),
        page.Figure(plot.bars(study, "disk", ratios, "Tandem's time over the other's", mark=1) if ratios else None, "Time of Tandem, mode adaptive, over the others'; below 1 it is faster."),
        page.Table(["phase", *(f"{side}, s" for side in SIDES), *(f"adaptive / {side}" for side in SIDES[1:])], rows),
        page.Figure(plot.strips(study, "overlap", overlap, "seconds") if overlap else None, "A guest that computes over each block that it reads from a qcow2 image.", "Computing while reading"),
        page.Table(["way", *(f"{kind} image, s" for kind in OVERLAPS)], ways),
    ]
