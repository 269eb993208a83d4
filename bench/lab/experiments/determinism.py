"""determinism.py - does anything of the host reach the guest? Many runs that have nothing in common but the guest, one digest."""
import hashlib
import os
import shlex
import shutil
import sys

from lab import design, guests, page, plot, setup
from lab.experiment import Run, number
from lab.experiments import firmware

TITLE = "Determinism under stress"
QUESTION = ("The same guest is run again and again while everything that must not matter is varied: which thread runs the devices, how code is "
            "translated and by how many workers, how small the code cache is, on how many host CPUs, beside what load, with which random delays "
            "at the places where threads meet, under which memory pressure. Does the guest ever see a difference?")
READING = ("A digest is a chain of hashes over the CPU, all devices and memory, taken at regular points of virtual time. Two runs with the same digest "
           "went through the same states at all of these points, instruction for instruction. In the first picture each dot is a run and each colour "
           "a digest: one colour means one digest. The small pictures show how much the host's time varied at each level of each factor "
           "meanwhile; every factor's levels are dealt out in fixed proportions and combined at random, so that each strip holds a "
           "mixture of all others. QEMU has no digest: what is hashed is all that its guest prints, with the kernel's time stamps (microseconds of virtual "
           "time). That sees less than a digest does: runs that print the same may still differ inside. Half of QEMU's runs are with -icount "
           "shift=3,sleep=off alone, half with a fixed date, its calendar in virtual time and a fixed seed as well.")
PACKAGES = ["stress-ng"]

BOOT = "mount -t proc proc /proc; cat /proc/interrupts; sleep 1; poweroff -f"
QEMU = ["-display", "none", "-net", "none", "-vga", "none", "-monitor", "none"]
QEMU_FIXED = ["-rtc", "base=2023-06-10T00:00:00,clock=vm", "-seed", "1"]
PROGRAMS = {"tandem": "Tandem", "qemu": "QEMU -icount", "qemu-fixed": "QEMU -icount, date and seed fixed"}
GUESTS = ("boot", "mix", "disk", "network", "download", "installed")
SMALL = ("mix", "disk", "network")  # they take less than a second, and leave by isa-debug-exit
SAME = {"boot": 5000000, "mix": 50000, "disk": 50000, "network": 50000, "download": 5000000, "installed": 10000000}  # ticks between digest points
PAIRS_KEPT = 3
SOAK_BLOCK = 100
# Levels and their weights. Those that make a run several times as long are rare.
DEVTHREAD = {"inline": 1, "adaptive": 1, "thread": 1}
TRANSLATOR = {"interp": 1, "eager": 8, "background,threads=0,hot=2": 8, "background,threads=1": 8, "background,threads=2,hot=1": 8,
              "background,threads=4": 8}
CACHE = {"64K": 1, "2M": 3, "8M": 12, "16M": 12, "64M": 12}
LOAD = {"none": 3, "computing": 1, "memory": 1, "switching": 1}
DELAYS = {"none": 3, "random": 1}
PRESSURE = {"none": 2, "balloon": 1}
SLOW = {"interp": 4, "64K": 5, "2M": 2.5, "computing": 1.3, "memory": 1.3, "switching": 1.2, "random": 2}  # guesses, for the time left


def add_options(parser):
    parser.add_argument("--runs", type=number(2, 1000000), default=100, metavar="N", help="runs of Tandem (default 100)")
    parser.add_argument("--qemu-runs", type=number(0, 1000000), default=20, metavar="N", help="runs of QEMU -icount (default 20; 0: none)")
    parser.add_argument("--guest", choices=GUESTS, default="boot", help="boot: Debian's kernel and a shell that works (default); mix: a guest of 50 ms; disk: one that "
                        "writes at random places; network: one that loads a file by TFTP; download: Debian loads its kernel by TFTP; installed: Debian from "
                        "firmware and an IDE disk to login and power-off")
    parser.add_argument("--soak", type=number(0.001, 10000, float), metavar="HOURS", help="as many runs as fit into that time, instead of --runs")
    parser.add_argument("--planted", action="store_true", help="with a program into which a leak of host time was planted: it must be found")
    parser.add_argument("--balloon", type=number(32, 1 << 20), default=512, metavar="MIB", help="size of the memory balloon (default 512)")
    parser.add_argument("--seed", type=number(0, 1 << 32), default=1, metavar="N", help="of the design (default 1)")


def program_path(study):
    return f"{study.options.build}/tests/tandem_leak" if study.options.planted else f"{study.options.build}/tandem"


def prepare(study):
    if qemu_runs(study):
        setup.packages("qemu-system-x86")
    if study.options.guest == "disk":
        guests.make_disk_image()
    if study.options.guest == "network":
        guests.make_tftp_folder()
    if study.options.guest == "installed":
        firmware.prepare(study)


def qemu_runs(study):
    """QEMU has no device for frames as Tandem's own, and the large guests are about Tandem."""
    return study.options.qemu_runs if study.options.guest in ("boot", "mix") else 0


def limit_s(study):
    return study.options.soak * 3600 if study.options.soak else None


# --- the plan ---

def pins():
    """Levels of pinning: what this host has."""
    return {"free": 1, "1 CPU": 1} | ({"2 CPUs": 1} if len(setup.cpus()) >= 2 else {})


def host_factors():
    return {"pin": pins(), "load": LOAD, "pressure": PRESSURE}


def all_factors():
    return {"devthread": DEVTHREAD, "translator": TRANSLATOR, "cache": CACHE, "delays": DELAYS, **host_factors()}


def plan(study):
    host, factors, seed = host_factors(), all_factors(), study.options.seed
    rows = [row for block, runs in enumerate(blocks(study)) for row in design.draw(factors, runs, seed + block)]
    tandem = [tandem_run(study, number, row) for number, row in enumerate(rows, 1)]
    qemu = [qemu_run(study, number, row) for number, row in enumerate(design.draw(host, qemu_runs(study), seed), 1)]
    return qemu + tandem if study.options.soak else tandem + qemu


def blocks(study):
    """How many runs each design has: one design, or, for a soak, more of them than can be run."""
    if not study.options.soak:
        return [study.options.runs]
    return [SOAK_BLOCK] * (1 + int(study.options.soak * 3600 / SOAK_BLOCK / (0.02 if study.options.guest in SMALL else 1)))


def guest_arguments(study):
    made = {"boot": lambda: guests.debian(BOOT), "mix": lambda: guests.elf(study, "mix", "rounds=60"),
            "disk": lambda: guests.disk(study, "requests=4000 bytes=4096 depth=8 random=1 write=1"), "network": lambda: guests.frames(study),
            "download": guests.download,
            "installed": lambda: ["-m", "256", "-net", "none", "-no-reboot", "-drive", f"file={firmware.image(study)},format=raw,if=ide,snapshot=on"]}
    return made[study.options.guest]()


def tandem_run(study, number, row):
    extra = ["-x-jitter", f"seed={number}"] if row["delays"] == "random" else []
    command = guests.tandem(study, guest_arguments(study), row["devthread"], f"{row['translator']},cache={row['cache']}",
                            SAME[study.options.guest], extra=extra)
    return host_run(study, f"tandem-{number}", {"program": "tandem", "run": number, **row}, command)


def qemu_run(study, number, row):
    """Every second one as it comes, every other one with all that QEMU can fix."""
    program, fixed = ("qemu", []) if number % 2 else ("qemu-fixed", QEMU_FIXED)
    command = ["qemu-system-i386", *guest_arguments(study), *guests.ICOUNT, *QEMU, "-serial", f"file:{guests.SERIAL}", *fixed]
    return host_run(study, f"{program}-{number}", {"program": program, "run": number, **row}, command)


def host_run(study, key, params, command):
    """The run on its host CPUs, with its load beside it."""
    if params["pin"] != "free":
        command = guests.on_cpus(setup.cpus()[:int(params["pin"][0])], command)
    companions = load(params["load"])
    if params["pressure"] == "balloon":
        companions.append([sys.executable, str(setup.HERE / "bench/lab/balloon.py"), str(study.options.balloon)])
    weight = (0.2 if study.options.guest in SMALL else 10 if study.options.guest == "installed" else 4) * (1 if params["program"] == "tandem" else 2.5)
    for level in params.values():
        weight *= SLOW.get(level, 1)
    return Run(key, params, command, guests.EXIT_OK if study.options.guest in SMALL else 0, limit_s=600, weight_s=weight, companions=companions,
               collect=lambda folder: compared(study, key, params["program"], command, companions, folder))


def load(level):
    """Half of the host's CPUs work on something else; or all of them switch between processes. stress-ng switches as fast as it can if it
    is not told how fast: a boot beside that has taken ten minutes (and had the right digest)."""
    cpus, half = str(len(setup.cpus())), str(max(1, len(setup.cpus()) // 2))
    stressors = {"computing": ["--cpu", half], "memory": ["--stream", half], "switching": ["--switch", cpus, "--switch-freq", "20000"]}
    return [["stress-ng", "--quiet", *stressors[level]]] if level in stressors else []


# --- comparing, while the files are there ---

def compared(study, key, program, command, companions, folder):
    """Hashes of what the run left. The first run's files are the reference; the first runs that differ from it are kept."""
    names = [name for name in (guests.DIGEST, guests.SERIAL) if (folder / name).exists()]
    hashes = {name: hash_of(folder / name) for name in names}
    reference = study.folder / "reference" / program
    if not reference.exists():
        keep(reference, folder, names, command, [])
    same = all(hash_of(reference / name) == hashes[name] for name in names)
    if not same and len(list((study.folder / "pairs").glob(f"{program}-[0-9]*"))) < PAIRS_KEPT:
        keep_pair(study, study.folder / "pairs" / key, reference, folder, names, command, companions)
    return {f"{name}_hash": value for name, value in hashes.items()} | {"same_as_first": same}


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def keep(target, folder, names, command, companions):
    target.mkdir(parents=True)
    for name in names:
        shutil.copy(folder / name, target)
    beside = "".join(f"{shlex.join(line)} & beside=\"$beside $!\"\n" for line in companions)
    (target / "command.sh").write_text(f"beside=\n{beside}{shlex.join(command)}\n[ -z \"$beside\" ] || kill $beside\n", encoding="utf-8")


def keep_pair(study, target, reference, folder, names, command, companions):
    """Both runs' files, and a script that makes both runs again and compares them."""
    keep(target / "b", folder, names, command, companions)
    shutil.copytree(reference, target / "a")
    compare = f"{study.options.build}/tandem-digest-diff" if guests.DIGEST in names else "diff"
    script = target / "repeat.sh"
    script.write_text('#!/usr/bin/env bash\n# Makes the two runs that differed again, in again/a and again/b, and says where they differ.\n'
                      'here=$(cd "$(dirname "$0")" && pwd)\nfor side in a b; do\n    mkdir -p "$here/again/$side"\n'
                      '    (cd "$here/again/$side" && bash "$here/$side/command.sh" </dev/null)\ndone\n'
                      f'{shlex.quote(compare)} "$here/again/a/{names[0]}" "$here/again/b/{names[0]}"\n', encoding="utf-8")
    os.chmod(script, 0o755)


# --- findings ---

def digests(records):
    """digest -> its records, in the order in which they came."""
    found = {}
    for record in records:
        name = record["figures"].get(f"{guests.DIGEST}_hash") or record["figures"].get(f"{guests.SERIAL}_hash")
        found.setdefault(name, []).append(record)
    return found


def findings(study):
    tandem = study.good(program="tandem")
    blocks = [verdict(study, tandem)]
    blocks += [every_run(study, program, title) for program, title in PROGRAMS.items() if study.good(program=program)]
    blocks.append(counts(study))
    blocks.append(page.Text("Each strip below holds all runs of Tandem, sorted by one factor; a bar is a median.", "What it did to the host's time"))
    blocks += [factor_figure(study, tandem, name) for name in LABEL]
    blocks.append(factor_table(tandem))
    return blocks + pairs(study)


def verdict(study, tandem):
    distinct, points = len(digests(tandem)), min((r["points"] for r in tandem), default=0)
    enough = points >= 100
    figures = f"{len(tandem)} runs, {distinct} distinct digest{'s' * (distinct != 1)} of {points} points each"
    walls = [r["wall_s"] for r in tandem]
    spread = f"; a run took {min(walls):.2f} to {max(walls):.2f} s of host time." if walls else "."
    if study.options.planted:
        text = "the planted leak of host time was found" if distinct > 1 else "the planted leak of host time was NOT found: this experiment proves nothing"
        return page.Verdict(distinct > 1, f"{figures}: {text}.", "Found." if distinct > 1 else "Not found.")
    good = distinct == 1 and enough and not study.failed()
    word = "Never." if good else "It does." if distinct > 1 else "Not shown."
    return page.Verdict(good, figures + spread + ("" if enough else " Fewer than 100 points are too few."), word)


def every_run(study, program, title):
    records = study.good(program=program)
    found = digests(records)
    series = {f"digest {i}": [(r["params"]["run"], r["wall_s"]) for r in group] for i, group in enumerate(found.values(), 1)}
    what = "digest" if program == "tandem" else "hash of what the guest printed"
    picture = plot.dots(study, f"runs-{program}", series, "run", "host time, s")
    return page.Figure(picture, f"A dot is a run, a colour is a {what}: {len(records)} runs, {len(found)} colour{'s' * (len(found) != 1)}.", title)


def counts(study):
    parts = [("tandem", guests.DIGEST, ", digests")] + [(program, guests.SERIAL, ", what the guest printed") for program in PROGRAMS]
    rows = []
    for program, file, what in parts:
        records = study.good(program=program)
        hashes = [r["figures"].get(f"{file}_hash") for r in records]
        if hashes:
            most = max(hashes.count(value) for value in set(hashes))
            rows.append((PROGRAMS[program] + what, len(records), len(set(hashes)), most, page.spread([r["wall_s"] for r in records])))
    head = ["", "runs", "different", "most frequent one", "host time, s: median (least to greatest)"]
    return page.Table(head, rows, "How many different outcomes", "Without a fixed date QEMU begins at the host's; the guest prints it, and other time stamps behind it.")


LABEL = {"devthread": "device thread mode", "translator": "translator and workers", "cache": "size of the code cache", "delays": "injected delays",
         "pin": "host CPUs", "load": "load beside it", "pressure": "memory pressure"}


def by_level(records, factor):
    """level -> records, in the order in which the levels are listed above; levels that no run has are left out."""
    groups = {level: [r for r in records if r["params"][factor] == level] for level in all_factors()[factor]}
    return {level: group for level, group in groups.items() if group}


def factor_figure(study, records, factor):
    groups = {short(level): [r["wall_s"] for r in group] for level, group in by_level(records, factor).items()}
    picture = plot.strips(study, f"factor-{factor}", groups, "host time, s", logy=True, size=(460, 300), key=False)
    return page.Figure(picture, f"By {LABEL[factor]}.", small=True)


def short(level):
    return level.replace("background,", "").replace("threads=", "workers ").replace(",hot=", " hot ")


def factor_table(records):
    rows = []
    for factor, label in LABEL.items():
        for level, group in by_level(records, factor).items():
            rows.append((label, level, len(group), len(digests(group)), page.spread([r["wall_s"] for r in group])))
            label = ""
    return page.Table(["factor", "level", "runs", "digests", "host time, s: median (least to greatest)"], rows)


def pairs(study):
    kept = sorted(path.name for path in (study.folder / "pairs").glob("*"))
    if not kept:
        return []
    return [page.Text("For " + ", ".join(kept) + " the folder pairs/ has the files of the first run (a) and of the run that differed (b), and repeat.sh, which "
                      "makes both again and names where they differ.", "Runs that differed")]
