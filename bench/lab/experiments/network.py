"""network.py - Debian fetches a file from an HTTP server on the host's loopback by both cards, against QEMU."""
import dataclasses
import functools
import hashlib
import random
import statistics
import subprocess
import sys
import time

from lab import guests, page, plot, runner
from lab.experiment import Outcome, Run, choices, number

TITLE = "A download"
QUESTION = ("How fast does Debian fetch a file by HTTP from a server on the host's loopback, by an e1000 and by a virtio card, in Tandem and in QEMU without instruction "
            "counting? And how long does it take to fetch the file and compute its SHA-256?")
READING = ("Wall time on the host between two lines that the guest prints, before and behind the download; the boot is not in it. Both sides use user networking. "
           "Tandem counts instructions and lets idle time pass (sleep=on), as live networks want; ratios are Tandem's median over QEMU's, and 1 at most is the bar for fetching.")
PACKAGES = ["qemu-system-x86"]

SIDES = ("tandem", "qemu")
MODELS = ("e1000", "virtio-net-pci")
PARTS = ("fetch", "fetch and sum")
MARKS = (b"at=0", b"at=1", b"at=2")
MOST = 1.0
PACE_S = 0.002  # between two looks at the serial port's file


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 100), default=3, metavar="N", help="runs of each side and card, alternating (default 3)")
    parser.add_argument("--mib", type=number(1, 1000), default=100, metavar="N", help="the file's size (default 100)")
    parser.add_argument("--models", type=choices(*MODELS), default=list(MODELS), metavar="LIST", help="of e1000,virtio-net-pci (default both)")


@functools.cache
def content(mib):
    data = random.Random(1).randbytes(mib << 20)
    return data, hashlib.sha256(data).hexdigest()


def plan(study):
    ways = [(n, model, side) for n in range(study.options.rounds) for model in study.options.models for side in SIDES]
    return [fetch(study, *way) for way in ways]


def fetch(study, count, model, side):
    digest = content(study.options.mib)[1]
    script = ("mount -t proc proc /proc; mount -t sysfs sysfs /sys; for m in e1000 virtio_pci virtio_net; do modprobe $m; done; "
              "while [ ! -e /sys/class/net/eth0 ]; do sleep 1; done; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; sleep 2; "
              "echo at=0; wget -q -O /dev/null http://10.0.2.2:PORT/file && echo at=1; "
              f"wget -q -O - http://10.0.2.2:PORT/file | sha256sum | grep -q {digest} && echo at=2 && poweroff -f")
    guest = [*guests.debian(script), "-nic", f"user,model={model}"]
    if side == "tandem":
        command = ["shift=3,sleep=on" if word == guests.ICOUNT[1] else word for word in guests.tandem(study, guest)]
    else:
        command = guests.qemu(guest, icount=False)
    return Run(f"{model}-{side}-{count}", {"model": model, "side": side, "round": count}, command, weight_s=20, measure=time_fetch)


def time_fetch(study, run, folder):
    """Serves the file, runs the guest to its end and looks when it has said what."""
    (folder / "file").write_bytes(content(study.options.mib)[0])
    server = subprocess.Popen([sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        port = server.stdout.readline().split()[5].decode()
        outcome = watch(dataclasses.replace(run, command=[word.replace("PORT", port) for word in run.command]), folder)
    finally:
        runner.end(server)
        (folder / "file").unlink()
    return outcome


def watch(run, folder):
    begin, times = time.monotonic(), []
    process = runner.start(run.command, folder, "command", {})
    try:
        while process.poll() is None and time.monotonic() - begin < run.limit_s:
            while len(times) < len(MARKS) and said(folder, MARKS[len(times)]):
                times.append(time.monotonic())
            time.sleep(PACE_S)
    finally:
        if process.returncode is None:
            runner.end(process)
    if len(times) < len(MARKS) or process.returncode != 0:
        return Outcome(process.returncode, time.monotonic() - begin, why=f"{len(times)} of {len(MARKS)} marks: {runner.tail(folder / guests.SERIAL)}")
    outcome = Outcome(0, time.monotonic() - begin, figures={"fetch_s": times[1] - times[0], "sum_s": times[2] - times[1]})
    runner.read_files(folder, outcome)
    return outcome


def said(folder, mark):
    path = folder / guests.SERIAL
    return path.exists() and b"\n" + mark in path.read_bytes()


# --- findings ---

def seconds(study, model, side, part):
    return [r["figures"]["fetch_s" if part == "fetch" else "sum_s"] for r in study.good(model=model, side=side)]


def findings(study):
    rows, ratios, missed = [], {}, []
    for model in study.options.models:
        for part in PARTS:
            times = [seconds(study, model, side, part) for side in SIDES]
            if not all(times):
                continue
            ratio = statistics.median(times[0]) / statistics.median(times[1])
            ratios[f"{model}, {part}"] = {"Tandem / QEMU": ratio}
            rows.append((f"{model}, {part}", *(page.spread(t) for t in times), *(study.options.mib / statistics.median(t) for t in times), ratio))
            missed += [model] * (part == "fetch" and ratio > MOST)
    text = f"Slower than QEMU without counting: {', '.join(missed)}." if missed else "Both cards are at least as fast as QEMU's without counting."
    return [
        page.Verdict((not missed and not study.failed()) if rows else None, text if rows else "Nothing was measured."),
        page.Figure(plot.bars(study, "network", ratios, "Tandem's time over QEMU's", mark=MOST) if ratios else None, "Time of Tandem over QEMU's without counting."),
        page.Table(["", *(f"{side}, s" for side in SIDES), *(f"{side}, MiB/s" for side in SIDES), "Tandem / QEMU"], rows),
    ]
