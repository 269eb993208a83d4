"""floors.py - the speed floors that ./check --all holds; also the example to copy for a new experiment."""
import statistics

from lab import guests, page, plot, setup
from lab.experiment import Run, number

TITLE = "Speed floors"
QUESTION = ("Is a boot of Linux fast enough on one core, and does the adaptive device mode, which may use a second core, never cost much "
            "more than device code on the vCPU's own thread (mode inline)?")
READING = ("Pairs of runs alternate, inline then adaptive, so that a change in the host's mood meets both. A ratio above 1 means that the adaptive "
           "mode was slower in that pair. The floors are held by the median of the pairs; the dots show every pair.")

MIPS_FLOOR = 25
# guest, its options, and how much slower adaptive may be than inline: guests that compute, take timer interrupts, do only port I/O
GUESTS = [("bench_cpu", "passes=250", 1.05), ("bench_timer", "irqs=200000", 1.05), ("bench_pio", "n=1000000", 1.5)]
MODES = ("inline", "adaptive")


def add_options(parser):
    parser.add_argument("--pairs", type=number(1, 1000), default=5, metavar="N", help="pairs of runs per guest (default 5)")


def plan(study):
    return [boot(study)] + [guest_run(study, count, guest, append, pair, mode)
                            for count in core_counts() for guest, append, _ in GUESTS
                            for pair in range(study.options.pairs) for mode in MODES]


def core_counts():
    return [1, 2] if len(setup.cpus()) >= 2 else [1]


def boot(study):
    guest = guests.debian("mount -t proc proc /proc; uname -a; poweroff -f", "quiet")
    command = guests.on_cpus(setup.cpus()[:1], guests.tandem(study, guest))
    return Run("boot", {"guest": "boot", "cores": 1}, command, weight_s=4)


def guest_run(study, count, guest, append, pair, mode):
    command = guests.tandem(study, guests.elf(study, guest, append), devthread=mode)
    params = {"guest": guest, "cores": count, "mode": mode, "pair": pair}
    return Run(f"{guest}-{count}-{mode}-{pair}", params, guests.on_cpus(setup.cpus()[:count], command), expect=guests.EXIT_OK, weight_s=0.6)


def ratios(study, guest, count):
    seconds = {mode: {r["params"]["pair"]: r["figures"]["time.wall_ns"] for r in study.good(guest=guest, cores=count, mode=mode)} for mode in MODES}
    pairs = sorted(seconds["inline"].keys() & seconds["adaptive"].keys())
    return [seconds["adaptive"][pair] / seconds["inline"][pair] for pair in pairs]


def findings(study):
    mips = next((r["figures"]["time.mips"] for r in study.good(guest="boot")), 0)
    strips = {f"{guest}, {count} core{'s' * (count > 1)}": (ratios(study, guest, count), bar) for count in core_counts() for guest, _, bar in GUESTS}
    rows = [(name, page.spread(values, "{:.3f}"), bar, met(values, bar)) for name, (values, bar) in strips.items()]
    missed = [row[0] for row in rows if row[3] != "met"] + ["boot"] * (mips < MIPS_FLOOR)
    picture = plot.strips(study, "floors", {name: values for name, (values, _) in strips.items()}, "adaptive / inline, wall time")
    text = "Every floor is met." if not missed else "Missed: " + ", ".join(missed) + "."
    return [
        page.Verdict(not missed and not study.failed(), f"{text} The boot ran at {mips:.0f} million guest instructions a second on one core."),
        page.Figure(picture, "Wall time of mode adaptive over mode inline; 1 is no difference."),
        page.Table(["guest", "adaptive / inline: median (least to greatest)", "at most", ""], rows),
    ]


def met(values, bar):
    return "met" if values and statistics.median(values) <= bar else "MISSED"
