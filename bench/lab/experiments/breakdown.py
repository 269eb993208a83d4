"""breakdown.py - where the host's time goes while an operating system boots and works: translation, execution, counting, devices, waiting.

Tandem says it by its table of host time (-stats: what each thread was doing). What compiled blocks pay for counting their instructions is the
difference to a build that counts twice (meson -Daccounting=twice). QEMU runs the same guests with and without -icount.
"""
import statistics

from lab import guests, page, plot, setup
from lab.experiment import Run, number

TITLE = "Where the time goes"
QUESTION = ("The report that Tandem began with estimates where the 180 seconds of an instruction-counted boot go: translation 60 %, execution 30 %, counting of "
            "instructions 8 %, devices 2 %; elsewhere it says that counting costs a factor of 18. What is it, measured?")
READING = ("Each bar is the vCPU's thread, from the machine's start to its end: that is what the guest waits for. What translation workers do beside it, on other "
           "CPUs, is a column of its own in the table. Steady state is a boot that works for a while, less a boot that does not, round by round.\n\n"
           "Counting is what compiled blocks spend on their instruction counters (the CPU time of a build that counts twice, less that of one that counts once; it comes "
           "out below zero where it is less than the rounds differ) and the work at the horizon (effects, limits, digest points). In mode interp counting cannot "
           "be told from interpreting. The other times come from looking 500 times a second at what each thread does: in a run of 2 seconds a share of 10 % is right "
           "within 2 points (docs/benchmarks.md). They are scaled to the CPU time that the threads were given, which on a quiet host is all of it.")
PACKAGES = ["qemu-system-x86"]

MODES = ("interp", "eager", "background")
COUNTED_TWICE = ("eager", "background")
LIBRARY = "/usr/lib/libcrypto.so.3"
WORK = (f"sha256sum {LIBRARY}; cat /usr/lib/lib* | md5sum; find / -xdev | sort | wc -l; awk 'BEGIN {{ while (n < 200000) s += n++ % 7; print s }}'; "
        "for f in /bin/*; do basename $f; done | tail -n 1; ")
POWER_OFF = "poweroff -f"
PARTS = ("translation", "execution", "interpreting", "counting in blocks", "at the horizon", "run loop", "devices", "waiting")
KEYS = {"translation": "translate_ns", "execution": "execute_ns", "interpreting": "interpret_ns", "at the horizon": "account_ns", "run loop": "run_loop_ns",
        "devices": "device_ns", "waiting": "wait_ns"}
ESTIMATE = {"translation": 60, "execution": 30, "counting in blocks": 8, "devices": 2}
ESTIMATE_S, ESTIMATE_FACTOR = 180, 18


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 1000), default=3, metavar="N", help="rounds of every run (default 3)")
    parser.add_argument("--quick", action="store_true", help="small guests, one round, no Linux, no QEMU, no second build: does it all work? (10 s)")


def prepare(study):
    if not study.options.quick:
        setup.build(twice(study), "-Daccounting=twice")


def twice(study):
    return f"{study.options.build}-twice"


# --- the plan ---

def loads(study):
    """{name: (guest, exit status)}."""
    quick = study.options.quick
    found = {"address spaces": (guests.elf(study, "bench_cr3", f"switches={2000 if quick else 500000}"), guests.EXIT_OK),
             "computing": (guests.elf(study, "bench_cpu", f"passes={50 if quick else 3000}"), guests.EXIT_OK)}
    if not quick:
        found = {"boot": (guests.debian(POWER_OFF, "quiet"), 0), "boot and work": (guests.debian(WORK + POWER_OFF, "quiet"), 0), **found}
    return found


def sides(study):
    """{side: function(guest) -> command}."""
    found = {}
    for mode in MODES:
        found[mode] = lambda guest, mode=mode: guests.tandem(study, guest, translator=mode)
        if mode in COUNTED_TWICE and not study.options.quick:
            found[f"{mode}, counted twice"] = lambda guest, mode=mode: [f"{twice(study)}/tandem", *guests.tandem(study, guest, translator=mode)[1:]]
    if not study.options.quick:
        found |= {"qemu -icount": lambda guest: guests.qemu(guest, icount=True), "qemu": lambda guest: guests.qemu(guest, icount=False)}
    return found


def plan(study):
    rounds = 1 if study.options.quick else study.options.rounds
    commands, machines = sides(study), loads(study)
    return [side_run(study, load, guest, status, side, command, number_of_round) for number_of_round in range(rounds)
            for load, (guest, status) in machines.items() for side, command in commands.items()]


def side_run(study, load, guest, status, side, command, number_of_round):
    key = f"{load}-{side}-{number_of_round}".replace(" ", "_").replace(",", "")
    slow = 8 if side == "interp" else 2 if side.startswith("qemu") else 1
    weight_s = 0.2 if study.options.quick else slow * {"boot": 3, "boot and work": 7}.get(load, 0.7)
    return Run(key, {"load": load, "side": side, "round": number_of_round}, command(guest), expect=status, weight_s=weight_s)


# --- one run's times, and what follows from several ---

def seconds_of(record):
    """{part: seconds} of the vCPU's thread, with the workers' translation beside it, wall time and CPU time."""
    figures, scale = record["figures"], share_of_cpu(record)
    found = {part: figures[f"host_time.vCPU.{key}"] / 1e9 * (1 if part == "waiting" else scale) for part, key in KEYS.items()}
    found["workers"] = scale * sum(value for name, value in figures.items() if name.startswith("host_time.translator ") and name.endswith("translate_ns")) / 1e9
    return {**found, "wall": figures["time.wall_ns"] / 1e9, "cpu": record["cpu_s"]}


def share_of_cpu(record):
    """How much of the time in which the machine's threads were at work they had a CPU: where the host has other work, too, less than 1."""
    busy_ns = sum(value for name, value in record["figures"].items() if name.startswith("host_time.") and not name.endswith(".wait_ns"))
    return min(1, 1e9 * record["cpu_s"] / busy_ns) if busy_ns else 1


def rounds_of(study, load, side):
    """{round: {part: seconds}} of Tandem."""
    return {r["params"]["round"]: seconds_of(r) for r in study.good(load=load, side=side)}


def steady(study, side):
    boot, both = rounds_of(study, "boot", side), rounds_of(study, "boot and work", side)
    return {i: {part: max(0, both[i][part] - boot[i][part]) for part in both[i]} for i in boot.keys() & both.keys()}


def times(study, phase, side):
    return steady(study, side) if phase == "steady state" else rounds_of(study, phase, side)


def phases(study):
    return [name for name in ("boot", "steady state", "address spaces", "computing") if times(study, name, MODES[-1])]


def medians(rounds):
    parts = next(iter(rounds.values()), {})
    return {part: statistics.median(one[part] for one in rounds.values()) for part in parts}


def counting(study, phase, mode):
    """What compiled blocks spend on counting, of all CPU time: a value per round; none where that was not measured."""
    once, doubled = times(study, phase, mode), times(study, phase, f"{mode}, counted twice")
    return [doubled[i]["cpu"] / once[i]["cpu"] - 1 for i in sorted(once.keys() & doubled.keys()) if once[i]["cpu"]]


def split(study, phase, mode):
    """{part: seconds}, the medians, counting taken out of execution."""
    found = medians(times(study, phase, mode))
    share = statistics.median(counting(study, phase, mode) or [0])
    busy = sum(found[part] for part in KEYS if part != "waiting")
    found["counting in blocks"] = min(max(0, share * busy), found["execution"])
    found["execution"] -= found["counting in blocks"]
    return found


def percent(found):
    whole = sum(found.get(part, 0) for part in PARTS) or 1
    return {part: 100 * found.get(part, 0) / whole for part in PARTS}


# --- what came of it ---

def findings(study):
    rows = {(phase, mode): split(study, phase, mode) for phase in phases(study) for mode in MODES if times(study, phase, mode)}
    picture = {"the report's estimate": {part: ESTIMATE.get(part, 0) for part in PARTS}}
    picture |= {f"{phase}, {mode}": percent(found) for (phase, mode), found in rows.items()}
    blocks = [
        page.Verdict(False if study.failed() else None, summary(study, rows)),
        page.Figure(plot.bars(study, "breakdown", picture, "% of the vCPU thread's time", stacked=True), "Where the vCPU's thread spends its time."),
        split_table(rows), seconds_table(study, rows), counting_table(study),
    ]
    return blocks + ([qemu_picture(study), qemu_table(study)] if study.good(side="qemu") else [])


def summary(study, rows):
    if ("boot", "background") not in rows:
        return f"{len(study.records)} runs of small guests; a whole run boots Linux and asks QEMU, too."
    found = percent(rows["boot", "background"])
    text = (f"A boot of Debian's kernel takes {rows['boot', 'background']['wall']:.1f} s in mode background: translation is {found['translation']:.0f} % of it on the vCPU's thread "
            f"(the report: 60 %), execution and interpreting {found['execution'] + found['interpreting']:.0f} % (30 %), counting "
            f"{found['counting in blocks'] + found['at the horizon']:.0f} % (8 %), devices {found['devices']:.0f} % (2 %).")
    factors = [statistics.median(values) for values in (qemu_factors(study, phase) for phase in phases(study)) if values]
    if ("boot", "eager") in rows:
        text += f" In mode eager, which translates everything before its first run, translation is {percent(rows['boot', 'eager'])['translation']:.0f} %."
    return text + (f" Counting costs QEMU a factor of {min(factors):.2f} to {max(factors):.2f} (18)." if factors else "")


def split_table(rows):
    head = ["", "translator", "translation", "execution and interpreting", "counting", "run loop", "devices", "waiting"]
    table = [("the report's estimate of a boot", "", *(f"{ESTIMATE.get(name, 0):.0f}" for name in ("translation", "execution", "counting in blocks")), "", "2", "")]
    for (phase, mode), found in rows.items():
        share = percent(found)
        table.append((phase, mode, *(f"{value:.1f}" for value in (
            share["translation"], share["execution"] + share["interpreting"], share["counting in blocks"] + share["at the horizon"], share["run loop"],
            share["devices"], share["waiting"]))))
    return page.Table(head, table, "The report's table, measured, in %", "Of the vCPU thread's time. The run loop looks up blocks and delivers exceptions and interrupts.")


def seconds_table(study, rows):
    table = [("the report's boot", "", ESTIMATE_S, None, *([None] * len(PARTS)))]
    for (phase, mode), found in rows.items():
        walls = [one["wall"] for one in times(study, phase, mode).values()]
        table.append((phase, mode, page.spread(walls), f"{found['workers']:.2f}", *(f"{found.get(part, 0):.2f}" for part in PARTS)))
    return page.Table(["", "translator", "wall time, s", "translation on workers"] + list(PARTS), table, "In seconds", "Medians of the rounds; wall time with least and greatest. All but wall time and waiting is CPU time.")


def counting_table(study):
    rows = []
    for phase in phases(study):
        for mode in COUNTED_TWICE:
            shares, once = counting(study, phase, mode), times(study, phase, mode)
            if shares:
                rows.append((phase, mode, page.spread([one["cpu"] for one in once.values()]), page.spread([100 * share for share in shares], "{:.1f}")))
    if not rows:
        return page.Text("This run did not measure what counting costs inside compiled blocks: that takes a second build.", "Counting")
    return page.Table(["", "translator", "CPU time, s", "of it for counting in compiled blocks, %"], rows, "Counting",
                      "Median, least and greatest. CPU time of the whole process. Where the least is below zero, counting costs less than the rounds differ.")


# QEMU.

def walls(study, phase, side):
    """{round: seconds}, of a whole process, start included; the steady state as above."""
    of = {load: {r["params"]["round"]: r["wall_s"] for r in study.good(load=load, side=side)} for load in ("boot", "boot and work", phase)}
    if phase != "steady state":
        return of[phase]
    return {i: of["boot and work"][i] - of["boot"][i] for i in of["boot"].keys() & of["boot and work"].keys()}


def qemu_factors(study, phase):
    counted, free = walls(study, phase, "qemu -icount"), walls(study, phase, "qemu")
    return [counted[i] / free[i] for i in sorted(counted.keys() & free.keys()) if free[i] > 0]


QEMU_SIDES = {"QEMU": "qemu", "QEMU -icount": "qemu -icount", "Tandem": "background"}


def qemu_picture(study):
    rows = {phase: {label: statistics.median(walls(study, phase, side).values()) for label, side in QEMU_SIDES.items() if walls(study, phase, side)}
            for phase in phases(study)}
    return page.Figure(plot.bars(study, "icount", rows, "wall time, s"), "The same guests in QEMU without and with -icount shift=3,sleep=off, and in Tandem, which always counts.",
                       "What counting costs QEMU")


def qemu_table(study):
    rows = []
    for phase in phases(study):
        cells = [page.spread(list(walls(study, phase, side).values())) for side in QEMU_SIDES.values()]
        rows.append((phase, *cells, page.spread(qemu_factors(study, phase))))
    rows.append(("the report", None, None, None, ESTIMATE_FACTOR))
    return page.Table(["", *(f"{label}, s" for label in QEMU_SIDES), "QEMU -icount / QEMU"], rows,
                      note="Whole processes, QEMU's firmware included. Without -icount QEMU's clock is the host's: a guest that waits for time to pass takes that long.")
