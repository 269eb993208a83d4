"""scaling.py - what a second host core, other cores and more workers give to one machine and to several.

Three parts: `modes` runs one machine with its threads on one CPU, or on two that share this or that cache, in each device mode; `machines` runs
several machines at once; `workers` boots one machine with more and more translation workers.
"""
import statistics
import time

from lab import guests, host as host_module, page, plot, runner, setup
from lab.experiment import Outcome, Run, choices, number

TITLE = "Scaling over host cores"
QUESTION = ("A device thread beside the vCPU, translation on other cores, several machines on one host: what does each of them gain or cost, and how long "
            "does a guest wait for its devices?")
READING = ("Speeds are relative to mode inline, where one thread does everything, in the same round and on the same CPUs: above 1 the mode is faster. They come "
           "from runs without any timing of accesses; the latencies come from separate runs. A posted write's latency is the host time until the devices "
           "have taken it, a synchronous access's until the guest has its answer, an event's (a timer running out) from the moment when the guest stands at its "
           "tick until its effects are there. Latencies contain about 25 ns for reading the clock.\n\n"
           "The efficiency of N machines is their speed together over N times (at most as many times as there are CPUs) that of one alone, which ran in the "
           "same round. Each of these machines keeps to one thread (workers 0) and to one CPU, so that it is the host that is shared, not the machine that is spread: left "
           "to itself, the host's scheduler now and then lets two run on one CPU for a second while another CPU has nothing to do.")

WORDS = ("Mode inline: one thread runs the guest and its devices. Mode thread: a second thread always runs the devices, and every access of the guest to one is handed over to "
         "it. Mode adaptive, the default: there is a second thread, which sleeps while there is nothing that is worth handing over. The guest sees the same in all three. "
         "A rendezvous is one wait of the guest's thread for the other one; translation workers are further threads that turn guest code into host code.")

MODES = ("inline", "thread", "adaptive")
PARTS = ("modes", "machines", "workers")
EFFICIENCY_FLOOR = 0.95
TICKS_HZ = (100, 1000, 10000)
WORKERS_MOST = 8
QUANTILES = [("50 %", "p50_ns"), ("90 %", "p90_ns"), ("99 %", "p99_ns"), ("99.9 %", "p999_ns"), ("most", "most_ns")]
KINDS = [("posted", "posted writes", "port I/O"), ("synchronous", "synchronous accesses", "port I/O"), ("event", "timer events", "timer, 10000 Hz")]


def add_options(parser):
    parser.add_argument("--rounds", type=number(1, 1000), default=5, metavar="N", help="rounds of every run (default 5)")
    parser.add_argument("--parts", type=choices(*PARTS), default=list(PARTS), metavar="LIST", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small guests, one round, no Linux: does it all work? (20 s)")


def prepare(study):
    guests.make_disk_image()
    guests.make_tftp_folder()


def plan(study):
    boot = None if study.options.quick else guests.debian("poweroff -f", "quiet")
    parts = {"modes": plan_modes, "machines": plan_machines, "workers": plan_workers}
    return [run for part in PARTS if part in study.options.parts for run in parts[part](study, boot)]


def rounds(study):
    return range(1 if study.options.quick else study.options.rounds)


# --- one machine in each mode, on one CPU and on two ---

def places(host):
    """{name: CPUs} of what this host can show, the most apart last."""
    found = {"one CPU": tuple(host["cpus"][:1])}
    for name, level in SHARING.items():
        pair = host_module.cpus_sharing(host, level)
        if pair and (host["caches"] or level is None):
            found[name if host["caches"] else "two CPUs, caches unknown"] = pair
    return found


SHARING = {"two CPUs of one core": "L1", "two CPUs, L2 shared": "L2", "two CPUs, L3 shared": "L3", "two CPUs, no cache shared": None}


def loads(quick):
    """{name: (guest, its options)}: what one machine does."""
    ticks = {f"timer, {hz} Hz": ("bench_tick", f"hz={hz} irqs={max(10, hz // 2) if quick else 30 * hz}") for hz in TICKS_HZ}
    scale = 1 if quick else 20
    return {"computing": ("bench_cpu", f"passes={30 * scale}"), "console": ("bench_console", f"n={25000 * scale}"),
            "port I/O": ("bench_pio", f"n={15000 * scale}"), **ticks}


DISK = "bytes=4096 depth=8 random=1 check=1"  # of bench_disk: reads at random places


def plan_modes(study, boot):
    runs = []
    for timed in (False, True):
        for number_of_round in rounds(study) if not timed else (0,):
            for place, cpus in places(study.host).items():
                machines = {name: (guests.elf(study, *load), guests.EXIT_OK) for name, load in loads(study.options.quick).items()}
                machines["disk"] = (guests.disk(study, f"requests={6000 if study.options.quick else 60000} {DISK}"), guests.EXIT_OK)
                machines["network"] = (guests.download("quiet"), 0) if boot else (guests.frames(study), guests.EXIT_OK)
                if boot:
                    machines["Linux boot"] = (boot, 0)
                runs += [mode_run(study, name, guest, status, place, cpus, mode, number_of_round, timed)
                         for name, (guest, status) in machines.items() for mode in MODES]
    return runs


def mode_run(study, name, guest, status, place, cpus, mode, number_of_round, timed):
    pins = [] if len(cpus) == 1 or mode == "inline" else ["-devthread", f"vcpu-cpu={cpus[0]},cpu={cpus[1]}"]
    command = guests.on_cpus(cpus, guests.tandem(study, guest, devthread=mode, latency=timed, extra=pins))
    params = {"part": "modes", "guest": name, "place": place, "mode": mode, "timed": timed, "round": number_of_round}
    key = "-".join(["modes", name, place, mode, "timed" if timed else str(number_of_round)]).replace(" ", "_").replace(",", "").replace("/", "")
    return Run(key, params, command, expect=status, weight_s=5 if name in ("Linux boot", "network") else 0.2 if study.options.quick else 1)


# --- several machines side by side ---

def machine_counts(host):
    """1, 2, 4 ... to all CPUs, and twice as many."""
    cpus, counts = len(host["cpus"]), []
    while not counts or counts[-1] * 2 < cpus:
        counts.append(counts[-1] * 2 if counts else 1)
    return sorted({*counts, cpus, 2 * cpus})


def plan_machines(study, boot):
    side = {"computing": (guests.elf(study, "bench_cpu", f"passes={100 if study.options.quick else 5000}"), guests.EXIT_OK)}
    if boot:
        side["Linux boot"] = (boot, 0)
    return [machines_run(study, name, guest, status, count, number_of_round) for number_of_round in rounds(study)
            for name, (guest, status) in side.items() for count in machine_counts(study.host)]


def machines_run(study, name, guest, status, count, number_of_round):
    command = guests.tandem(study, guest, extra=["-translator", "threads=0"])
    params = {"part": "machines", "guest": name, "machines": count, "round": number_of_round}
    queue = max(1, count / len(study.host["cpus"]))
    return Run(f"machines-{name.replace(' ', '_')}-{count}-{number_of_round}", params, command, expect=status, measure=side_by_side,
               weight_s=queue * (0.2 if study.options.quick else 4))


def side_by_side(study, item, folder):
    """So many machines at once; the outcome is that of all together."""
    begin, processes, cpus = time.monotonic(), [], study.host["cpus"]
    try:
        for number_of_machine in range(item.params["machines"]):
            own = folder / str(number_of_machine)
            own.mkdir()
            command = guests.on_cpus([cpus[number_of_machine % len(cpus)]], item.command)
            processes.append((own, runner.start(command, own, "command", item.environment)))
        ended = [runner.wait(process, item.limit_s) for _, process in processes]
    finally:
        for _, process in processes:
            if process.returncode is None:
                runner.end(process)
    return together(item, [own for own, _ in processes], ended, time.monotonic() - begin)


def together(item, folders, ended, wall_s):
    if not all(ended) or any(status != item.expect for status, _ in ended):
        return Outcome(wall_s=wall_s, why=f"a machine failed: exit statuses {[end and end[0] for end in ended]}")
    mips = [mips_of(folder) for folder in folders]
    cpu_s = sum(usage.ru_utime + usage.ru_stime for _, usage in ended)
    return Outcome(item.expect, wall_s, cpu_s, figures={"all.mips": sum(mips), "least.mips": min(mips), "most.mips": max(mips)})


def mips_of(folder):
    one = Outcome()
    runner.read_files(folder, one)
    return one.figures["time.mips"]


# --- workers ---

def plan_workers(study, boot):
    guest, status = (boot, 0) if boot else (guests.elf(study, "bench_cr3", "switches=3000"), guests.EXIT_OK)
    counts = (0, 1, 2) if study.options.quick else range(WORKERS_MOST + 1)
    return [Run(f"workers-{count}-{number_of_round}", {"part": "workers", "workers": count, "round": number_of_round},
                guests.tandem(study, guest, extra=["-translator", f"threads={count}"]), expect=status, weight_s=5 if boot else 0.3)
            for number_of_round in rounds(study) for count in counts]


# --- what came of it ---

def findings(study):
    found = {"modes": modes_found, "machines": machines_found, "workers": workers_found}
    blocks = [block for part in PARTS if part in study.options.parts for block in found[part](study)]
    return [verdict(study), page.Text(WORDS, "The words"), *blocks, page.Text(not_shown(study.host), "What this host could not show")]


def verdict(study):
    cpus = len(study.host["cpus"])
    if "machines" not in study.options.parts:
        return page.Verdict(False if study.failed() else None, f"{len(study.records)} runs.")
    medians = {guest: statistics.median(efficiencies(study, guest, cpus) or [0]) for guest in side_guests(study)}
    if not medians:
        return page.Verdict(False, "No machines ran side by side.")
    text = f"{cpus} machines on {cpus} CPUs run at " + " and ".join(f"{value:.3f} ({guest})" for guest, value in medians.items())
    text += f" of {cpus} times the speed of one alone; the bar is {EFFICIENCY_FLOOR}." + gains(study)
    ok = min(medians.values()) >= EFFICIENCY_FLOOR
    if study.failed() or study.options.quick:
        return page.Verdict(False if study.failed() else None, text)
    return page.Verdict(ok, text, "They scale." if ok else "Below the bar.")


def gains(study):
    """The least and the greatest speed of each mode, of all guests and places."""
    text = ""
    for mode in MODES[1:]:
        medians = [statistics.median(values) for guest in mode_guests(study) for place in places(study.host) if (values := speeds(study, guest, place, mode))]
        if medians:
            text += f" One machine in mode {mode} runs at {min(medians):.2f} to {max(medians):.2f} of the speed of mode inline."
    return text


def not_shown(host):
    missing = [name for name in SHARING if name not in places(host)]
    text = f"It has {len(host['cpus'])} CPUs. "
    text += f"One machine's two threads were not seen on: {'; '.join(missing)}. " if missing else "Every way in which two CPUs can share a cache was seen. "
    if host["virtual_machine"]:
        text += "It is a virtual machine: what hwloc says of caches is what its hypervisor says, and other machines on the same processor take time from it. "
    return text


# One machine in each mode.

def speeds(study, guest, place, mode):
    """Speed relative to inline, a value per round."""
    walls = {m: {r["params"]["round"]: r["figures"]["time.wall_ns"] for r in study.good(part="modes", guest=guest, place=place, mode=m, timed=False)}
             for m in ("inline", mode)}
    return [walls["inline"][i] / walls[mode][i] for i in sorted(walls["inline"].keys() & walls[mode].keys())]


def mode_guests(study):
    return list(dict.fromkeys(r["params"]["guest"] for r in study.good(part="modes")))


def modes_found(study):
    table, picture = [], {}
    for guest in mode_guests(study):
        for place in places(study.host):
            mips = [r["figures"]["time.mips"] for r in study.good(part="modes", guest=guest, place=place, mode="inline", timed=False)]
            values = {mode: speeds(study, guest, place, mode) for mode in MODES[1:]}
            table.append((guest, place, page.spread(mips, "{:.0f}"), *(page.spread(values[mode]) for mode in MODES[1:])))
            for mode in MODES[1:]:
                if values[mode]:
                    picture.setdefault(guest, {})[f"{mode}, {place}"] = statistics.median(values[mode])
    return [
        page.Figure(plot.bars(study, "modes", picture, "speed, inline = 1", mark=1),
                    "How fast a machine is with a device thread, relative to mode inline; 1 is no difference, higher is better.", "One machine: loss and gain"),
        page.Table(["guest", "its threads on", "inline, MIPS", "speed of thread, inline = 1", "speed of adaptive"], table,
                   note="Median, and least to greatest, of the rounds. MIPS: million guest instructions a second of host time."),
        page.Figure(timer_picture(study), "Million instructions a second while a timer interrupts the guest, on one CPU; medians, least and greatest.",
                    "What timer interrupts cost"),
        page.Figure(latency_picture(study), f"Latency of single accesses and events, the machine's threads on {list(places(study.host))[-1]}; logarithmic.",
                    "How long the guest waits"),
        threads_table(study), latency_table(study),
    ]


def timer_picture(study):
    series = {}
    for mode in MODES:
        for hz in TICKS_HZ:
            mips = [r["figures"]["time.mips"] for r in study.good(part="modes", guest=f"timer, {hz} Hz", place="one CPU", mode=mode, timed=False)]
            if mips:
                series.setdefault(mode, []).append((hz, statistics.median(mips), min(mips), max(mips)))
    return plot.lines(study, "timers", series, "timer interrupts a virtual second", "MIPS", logx=True)


def latency_picture(study):
    place, rows = list(places(study.host))[-1], {}
    for kind, name, guest in KINDS:
        for mode in MODES:
            for r in study.good(part="modes", guest=guest, place=place, mode=mode, timed=True):
                rows[f"{name}, {mode}"] = {label: r["figures"][f"latency.{kind}.{key}"] / 1000 for label, key in QUANTILES}
    return plot.bars(study, "latency", rows, "microseconds of host time", logy=True)


def timed_rows(study):
    """The record of each run whose accesses were timed, with the words that name it."""
    for guest in mode_guests(study):
        for place in places(study.host):
            for mode in MODES:
                for r in study.good(part="modes", guest=guest, place=place, mode=mode, timed=True):
                    yield (guest, place, mode), r["figures"]


def threads_table(study):
    rows = [(*words, f"{f['threads.rendezvous_per_second']:.0f}", f"{100 * f['threads.wait_ns'] / max(1, f['time.wall_ns']):.1f}",
             f"{f['latency.queue.mean']:.2f}", f["latency.queue.p99"], f["latency.queue.most"])
            for words, f in timed_rows(study) if f["threads.rendezvous"]]
    return page.Table(["guest", "threads on", "mode", "rendezvous a second", "waiting, %", "queue: mean", "99 %", "most"], rows, "Between the threads",
                      "Waiting: the vCPU's wait for the device thread, of the run's wall time. Queue: messages in it when another was sent. Left out are "
                      "runs in which the vCPU never waited for another thread.")


def latency_table(study):
    rows = []
    for words, figures in timed_rows(study):
        for kind, name, _ in KINDS:
            if figures[f"latency.{kind}.count"] >= 100:
                rows.append((*words, name, figures[f"latency.{kind}.count"], *(f"{figures[f'latency.{kind}.{key}'] / 1000:.2f}" for _, key in QUANTILES)))
    return page.Table(["guest", "threads on", "mode", "what", "times", *(f"{label}, us" for label, _ in QUANTILES)], rows, "Latencies",
                      "Kinds of which a run had fewer than 100 are left out. A quantile is at most 3.2 % too high.")


# Several machines.

def side_guests(study):
    return list(dict.fromkeys(r["params"]["guest"] for r in study.good(part="machines")))


def efficiencies(study, guest, count):
    """A value per round."""
    mips = {n: {r["params"]["round"]: r["figures"]["all.mips"] for r in study.good(part="machines", guest=guest, machines=n)} for n in (1, count)}
    busy = min(count, len(study.host["cpus"]))
    return [mips[count][i] / (busy * mips[1][i]) for i in sorted(mips[1].keys() & mips[count].keys())]


def machines_found(study):
    rows, series = [], {}
    for guest in side_guests(study):
        for count in machine_counts(study.host):
            good = study.good(part="machines", guest=guest, machines=count)
            mips = [r["figures"]["all.mips"] for r in good]
            if not mips:
                continue
            fair = [r["figures"]["least.mips"] / r["figures"]["most.mips"] for r in good]
            rows.append((guest, count, page.spread(mips, "{:.0f}"), page.spread(efficiencies(study, guest, count), "{:.3f}"), page.spread(fair)))
            series.setdefault(guest, []).append((count, statistics.median(mips), min(mips), max(mips)))
    for guest, points in list(series.items()):
        cpus = len(study.host["cpus"])
        series[f"{guest}, ideal"] = [(count, points[0][1] * min(count, cpus)) for count, *_ in points]
    return [
        page.Figure(plot.lines(study, "machines", series, "machines at once", "MIPS of all together"),
                    f"Machines side by side on {len(study.host['cpus'])} CPUs; medians, least and greatest. Ideal: as many times one machine's speed.", "Several machines"),
        page.Table(["guest", "machines", "MIPS of all", "efficiency", "slowest / fastest machine"], rows),
    ]


# Workers.

def workers_found(study):
    walls = {}
    for r in study.good(part="workers"):
        walls.setdefault(r["params"]["workers"], []).append(r["figures"]["time.wall_ns"] / 1e9)
    points = [(count, statistics.median(values), min(values), max(values)) for count, values in sorted(walls.items())]
    what = "bench_cr3" if study.options.quick else "Linux boot"
    return [
        page.Figure(plot.lines(study, "workers", {what: points}, "translation workers", "wall time, s"),
                    "Wall time by the number of threads that translate beside the vCPU; with 0 it translates for itself.", "Translation workers"),
        page.Table(["workers", "wall time, s"], [(count, page.spread(values)) for count, values in sorted(walls.items())]),
    ]
