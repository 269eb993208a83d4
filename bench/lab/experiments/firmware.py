"""firmware.py - an installed Debian, from the reset vector to the login prompt and to power-off, against QEMU."""
import statistics
import time

from lab import guests, page, plot, runner, setup
from lab.experiment import LabError, Outcome, Run, choices, number

TITLE = "From firmware to login"
QUESTION = ("How long does an installed Debian 12 (SeaBIOS, GRUB, Linux with its initrd, systemd) take from the reset vector to the login prompt, and on to power-off, in Tandem "
            "and in QEMU with and without instruction counting?")
READING = ("Wall time on the host, from the start of the emulator until its serial port has said \"login:\", and until the guest has powered off. All sides boot the same image, "
           "each run through a private layer (snapshot=on). The bars hold for medians: at most 0.4 of QEMU -icount, never slower than QEMU without counting. "
           "Virtual time differs between the sides: each has disks and timers of its own.")
PACKAGES = ["qemu-system-x86"]

SIDES = ("tandem", "qemu icount", "qemu")
BUSES = ("ide", "virtio")
ICOUNT_MOST, PLAIN_MOST = 0.4, 1.0
IMAGE = "debian-disk"
LOGIN = b"login: root"
PACE_S = 0.01  # between two looks at the serial port's file


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 100), default=3, metavar="N", help="runs of each side and disk, alternating (default 3)")
    parser.add_argument("--sides", type=choices(*SIDES), default=list(SIDES), metavar="LIST", help=f"of {','.join(SIDES)} (default all)")
    parser.add_argument("--buses", type=choices(*BUSES), default=list(BUSES), metavar="LIST", help="how the disk is attached: ide, virtio (default both)")


def image(study):
    return f"{study.options.build}/bench-firmware.img"


def prepare(study):
    """The image of tests/images/build.sh, told to start its first kernel at once and to power off behind the login."""
    script = ('image_get "$1" "$2" && image_copy "$3" choice "set default=686\nset timeout=0" run poweroff')
    try:
        setup.lib(script, IMAGE, study.options.build, str(image(study)))
    except LabError as error:
        raise LabError(f"no image of Debian: {error}") from error


def plan(study):
    ways = [(n, bus, side) for n in range(study.options.rounds) for bus in study.options.buses for side in study.options.sides]
    return [boot(study, *way) for way in ways]


def boot(study, count, bus, side):
    guest = ["-m", "256", "-net", "none", "-no-reboot", "-drive", f"file={image(study)},format=raw,if={bus},snapshot=on"]
    command = guests.tandem(study, guest) if side == "tandem" else guests.qemu(guest, icount=side.endswith("icount"))
    weight_s = 10 if side == "tandem" else 40
    return Run(f"{bus}-{side}-{count}".replace(" ", "-"), {"bus": bus, "side": side, "round": count}, command, weight_s=weight_s, measure=time_boot)


def time_boot(study, run, folder):
    """Runs it to its end and looks when the login prompt was there."""
    begin, login = time.monotonic(), None
    process = runner.start(run.command, folder, "command", {})
    try:
        while process.poll() is None and time.monotonic() - begin < run.limit_s:
            if login is None and says_login(folder):
                login = time.monotonic() - begin
            time.sleep(PACE_S)
    finally:
        if process.returncode is None:
            runner.end(process)
    if login is None or process.returncode != 0:
        return Outcome(process.returncode, time.monotonic() - begin, why=f"no login and power-off: {runner.tail(folder / guests.SERIAL)}")
    outcome = Outcome(0, time.monotonic() - begin, figures={"login_s": login})
    runner.read_files(folder, outcome)
    return outcome


def says_login(folder):
    path = folder / guests.SERIAL
    return path.exists() and LOGIN in path.read_bytes()


# --- findings ---

def medians(study, bus, figure):
    """By side."""
    values = {}
    for side in study.options.sides:
        runs = [r["figures"]["login_s"] if figure == "login" else r["wall_s"] for r in study.good(bus=bus, side=side)]
        if runs:
            values[side] = runs
    return values


def rows_of(study):
    rows = []
    for bus in study.options.buses:
        for figure in ("login", "power-off"):
            values = medians(study, bus, figure)
            if "tandem" not in values:
                continue
            mine = statistics.median(values["tandem"])
            ratios = [mine / statistics.median(values[side]) if side in values else None for side in SIDES[1:]]
            rows.append((f"{bus}, to {figure}", *(page.spread(values.get(side, [])) for side in SIDES), *ratios))
    return rows


def findings(study):
    rows = rows_of(study)
    missed = [row[0] for row in rows if (row[-2] or 0) > ICOUNT_MOST or (row[-1] or 0) > PLAIN_MOST]
    text = "Every bar is met." if not missed else "Missed: " + ", ".join(missed) + "."
    ratios = {row[0]: {f"Tandem / {side}": ratio for side, ratio in zip(SIDES[1:], row[-2:]) if ratio} for row in rows if row[-1] or row[-2]}
    picture = plot.bars(study, "firmware", ratios, "Tandem's time over the other's", mark=ICOUNT_MOST) if ratios else None
    judged = bool(ratios)
    return [
        page.Verdict((not missed and not study.failed()) if judged else None, text if judged else "There is no QEMU to compare with."),
        page.Figure(picture, "Time of Tandem over QEMU's; the line is the bar against QEMU -icount."),
        page.Table(["", *(f"{side}, s" for side in SIDES), *(f"Tandem / {side}" for side in SIDES[1:])], rows),
    ]
