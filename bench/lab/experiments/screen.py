"""screen.py - a screen that is painted 60 times a second while a download is under way, watched by VNC."""
import dataclasses
import socket
import struct
import threading

from lab import guests, page, plot, runner, setup
from lab.experiment import Run, number

TITLE = "A screen painted at 60 Hz, and a download"
QUESTION = ("A guest paints all of 1024 x 768 x 32 sixty times a virtual second, takes in Ethernet frames as fast as they come and computes, while somebody watches "
            "by VNC: what does a second host core give? And what does a picture cost the guest, painted or left alone?")
READING = ("The guest is tests/guests/bench_screen.c with an e1000 or a virtio card on a socket, the viewer tests/display/vnc_client.c, which asks for the next picture as soon as it has "
           "one. Viewer and sender may use every host CPU in each run; Tandem's threads are bound. Times are wall times of whole runs, of which the least of each way "
           "counts. Idle time does not occur. A picture is made at most 62 times a second of the host's time.")

DOWNLOAD = "bytes=200000000"
WATCHED = {"inline, 1 CPU": ("inline", 1), "adaptive, 1 CPU": ("adaptive", 1), "adaptive, 2 CPUs": ("adaptive", 2), "inline, 2 CPUs": ("inline", 2)}
VIRTIO = {"virtio, adaptive, 1 CPU": ("adaptive", 1), "virtio, adaptive, 2 CPUs": ("adaptive", 2)}
PICTURES = {"at rest, nobody watches": ("hz=0", False), "at rest, watched": ("hz=0", True), "painted, nobody watches": ("hz=60", False), "painted, watched": ("hz=60", True)}
GAIN_LEAST = 1.2  # adaptive on two CPUs over the same on one
LOSS_MOST = 1.03  # adaptive over inline: "never slower", and what two runs differ by
ETHERTYPE = b"\x88\xb5"  # for experiments (IEEE 802)
FRAME = 1514


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 1000), default=3, metavar="N", help="runs of each way, alternating (default 3)")
    parser.add_argument("--quick", action="store_true", help="short runs, one round: does it all work?")


def plan(study):
    rounds = 1 if study.options.quick else study.options.rounds
    return [run for n in range(rounds) for run in
            [download(study, way, n) for way in WATCHED | VIRTIO] + [picture(study, way, n) for way in PICTURES]]


def command(study, append, devthread, cpus, watched, extra=()):
    seat = ["-vnc", "unix:vnc"] if watched else []
    guest = [*guests.elf(study, "bench_screen", append), "-m", "32", "-vga", "std"]
    return guests.on_cpus(setup.cpus()[:cpus], guests.tandem(study, guest, devthread=devthread, extra=[*extra, *seat]))


def viewer(study):
    client = f"{study.options.build}/tests/display/vnc_client"
    return ["bash", "-c", 'while [ ! -S vnc ]; do sleep 0.01; done; exec "$1" "$PWD/vnc" wait:600000', "bash", client]


def download(study, way, count):
    mode, cpus = (WATCHED | VIRTIO)[way]
    model, card = ("virtio-net-pci", 1) if way in VIRTIO else ("e1000", 0)
    append = ("bytes=5000000" if study.options.quick else DOWNLOAD) + f" card={card}"
    return Run(f"download-{way}-{count}".replace(" ", "-").replace(",", ""), {"part": "download", "way": way, "round": count},
               command(study, append, mode, cpus, True, ["-nic", f"socket,model={model},connect=127.0.0.1:PORT"]), expect=guests.EXIT_OK,
               companions=[viewer(study)], measure=with_sender, weight_s=3)


def picture(study, way, count):
    hz, watched = PICTURES[way]
    frames = 12 if study.options.quick else 300
    return Run(f"picture-{way}-{count}".replace(" ", "-").replace(",", ""), {"part": "picture", "way": way, "round": count},
               command(study, f"frames={frames} {hz}", "adaptive", 2, watched), expect=guests.EXIT_OK,
               companions=[viewer(study)] if watched else [], weight_s=2)


def send(listener):
    """Frames as fast as the guest takes them, each behind its length, until it goes away."""
    frame = b"\xff" * 6 + b"\x52\x54\x00\x00\x00\x01" + ETHERTYPE + bytes(range(250)) * 6
    chunk = (struct.pack(">I", FRAME) + frame[:FRAME]) * 64
    try:
        with listener.accept()[0] as guest:
            while True:
                guest.sendall(chunk)
    except OSError:
        pass


def with_sender(study, run, folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=send, args=(listener,), daemon=True).start()
        port = str(listener.getsockname()[1])
        return runner.run_command(study, dataclasses.replace(run, command=[word.replace("PORT", port) for word in run.command]), folder)


# --- findings ---

def seconds(study, part, way):
    return [r["wall_s"] for r in study.good(part=part, way=way)]


def ratio(study, part, way, other):
    mine, theirs = seconds(study, part, way), seconds(study, part, other)
    return min(mine) / min(theirs) if mine and theirs else None


def shown(value):
    return f"{value:.2f}" if value else "not measured"


def findings(study):
    gain = ratio(study, "download", "adaptive, 1 CPU", "adaptive, 2 CPUs")
    losses = [ratio(study, "download", f"adaptive, {n}", f"inline, {n}") for n in ("1 CPU", "2 CPUs")]
    virtio = ratio(study, "download", "virtio, adaptive, 1 CPU", "virtio, adaptive, 2 CPUs")
    rest = ratio(study, "picture", "at rest, watched", "at rest, nobody watches")
    painted = ratio(study, "picture", "painted, watched", "painted, nobody watches")
    short = len(setup.cpus()) < 2
    good = gain and all(losses) and gain >= GAIN_LEAST and max(losses) <= LOSS_MOST
    text = (f"Two CPUs are {shown(gain)} times as fast as one; adaptive takes {shown(losses[0])} of inline's time on one and {shown(losses[1])} on two. "
            f"By a virtio card two CPUs are {shown(virtio)} times as fast. A watched screen "
            f"at rest makes a run {shown(rest)} times as long as one that nobody watches, one that is painted at 60 Hz {shown(painted)} times.")
    parts = {"download": WATCHED | VIRTIO, "picture": PICTURES}
    strips = {part: {way: seconds(study, part, way) for way in ways if seconds(study, part, way)} for part, ways in parts.items()}
    rows = [(part, way, page.spread(times)) for part, ways in strips.items() for way, times in ways.items()]
    return [
        page.Verdict(False if study.failed() else None if short or study.options.quick else bool(good), text),
        page.Figure(plot.strips(study, "download", strips["download"], "seconds") if strips["download"] else None, "A download of 200 MB while the screen is painted and watched."),
        page.Figure(plot.strips(study, "picture", strips["picture"], "seconds") if strips["picture"] else None, "300 pictures, computing in between.", "What a picture costs"),
        page.Table(["part", "way", "seconds"], rows),
    ]
