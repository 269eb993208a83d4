"""paper.py - the figures of docs/report.md, from results folders.

A block of the paper between `<!-- figures: NAME -->` and `<!-- end -->` is made of results; each says by which command, when and of which
commit. Blocks without new results stay as they are, and so do rows of tables of which each row says where it is from.
"""
import pathlib
import re
import shutil
import statistics

from lab import report
from lab.experiment import LabError
from lab.experiments import breakdown, determinism, scaling

BEGIN, END = "<!-- figures: %s -->", "<!-- end -->"
PICTURES = {("determinism", "runs-tandem"): "determinism", ("scaling", "modes"): "modes", ("breakdown", "breakdown"): "breakdown"}


def write(folders, path):
    """Renews what the folders have results for. Returns the names of the blocks that were made."""
    text, made = path.read_text(encoding="utf-8"), []
    for folder in folders:
        study = report.study_of(folder)
        for name, block in BLOCKS.get(study.name, lambda _: {})(study).items():
            text = replaced(text, name, block)
            made.append(name)
        study.module.findings(study)  # draws, as the program does now
        pictures(study, path.parent / "pictures")
    path.write_text(text, encoding="utf-8")
    return made


def replaced(text, name, block):
    found = re.search(f"({re.escape(BEGIN % name)}\n)(.*?)({re.escape(END)})", text, re.S)
    if not found:
        raise LabError(f"the paper has no block {BEGIN % name}")
    return text[:found.start(2)] + merged(found[2], block) + "\n" + text[found.end(2):]


def merged(old, new):
    """A table whose rows say where they are from keeps the old ones where `new` has none with the same first cell."""
    lines = new.split("\n")
    if not lines[0].endswith("| measured |"):
        return new
    rows = [line for line in lines if line.startswith("|")]
    known = {first_cell(line) for line in rows}
    kept = [line for line in old.split("\n") if line.startswith("|") and len(cells(line)) == len(cells(rows[0])) and first_cell(line) not in known]
    at = len(rows)
    return "\n".join(lines[:at] + [line for line in kept if first_cell(line) != "---"] + lines[at:])


def cells(line):
    return line.strip().strip("|").split("|")


def first_cell(line):
    return cells(line)[0].strip()


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def source(study):
    """Where figures are from: date, commit, and how busy the host was when they began."""
    commit = study.program.get("commit", "unknown")
    return f"{study.began[:10]}, commit {commit}, load average {study.host['load']} at the beginning"


def by_command(study):
    return f"`{report.command(study)}`: {source(study)}."


def pictures(study, folder):
    for (name, plot), picture in PICTURES.items():
        path = study.folder / "plots" / f"{plot}.svg"
        if name == study.name and path.exists() and getattr(study.options, "guest", "boot") == "boot" and not getattr(study.options, "planted", False):
            shutil.copy(path, folder / f"{picture}.svg")


def times(values, form="{:.2f}"):
    values = list(values)
    return f"{form.format(min(values))} to {form.format(max(values))}" if values else "none"


# --- determinism ---

def of_determinism(study):
    tandem = study.good(program="tandem")
    if not tandem:
        return {}
    digests, walls = len(determinism.digests(tandem)), times(r["wall_s"] for r in tandem)
    if study.options.planted:
        return {"planted": f"{len(tandem)} runs gave {digests} digest{'s' * (digests != 1)} ({source(study)})."}
    if study.options.guest != "boot":
        row = [study.options.guest, len(tandem), f"**{digests}**", min(r["points"] for r in tandem), walls, source(study)]
        return {"determinism-guests": table(["guest", "runs", "digests", "points each", "host time of a run, s", "measured"], [row])}
    text = (f"{len(tandem)} runs, **{'one digest' if digests == 1 else f'{digests} digests'}** of {min(r['points'] for r in tandem)} points; a run took {walls} s of host time."
            + texts_of_qemu(study))
    return {"determinism": f"{text}\n{by_command(study)}"}


def texts_of_qemu(study):
    found = []
    for program, how in (("qemu", "as it comes"), ("qemu-fixed", "with a fixed date, a clock in virtual time and a fixed seed")):
        runs = study.good(program=program)
        if runs:
            texts = len(determinism.digests(runs))
            found.append(f"{len(runs)} runs {how} gave {texts} different text{'s' * (texts != 1)}")
    if not found:
        return ""
    return " QEMU (`-icount shift=3,sleep=off`) has no digest; of what its guest printed, with the kernel's time stamps, " + ", ".join(found) + "."


# --- scaling ---

def of_scaling(study):
    made = {"scaling": modes_table(study)} if scaling.mode_guests(study) else {}
    if study.good(part="modes", timed=True):
        made["scaling-accesses"] = accesses(study)
    if scaling.side_guests(study):
        made["scaling-machines"] = machines(study)
    if study.good(part="workers"):
        made["scaling-workers"] = workers(study)
    return made


def modes_table(study):
    """Medians, and behind them the spread where it is wide."""
    places = list(scaling.places(study.host))
    columns = [(mode, place) for mode in scaling.MODES[1:] for place in places]
    rows = []
    for guest in scaling.mode_guests(study):
        mips = [r["figures"]["time.mips"] for r in study.good(part="modes", guest=guest, place=places[0], mode="inline", timed=False)]
        speeds = [scaling.speeds(study, guest, place, mode) for mode, place in columns]
        rows.append([guest, f"{statistics.median(mips or [0]):.0f}", *(median(values) for values in speeds)])
    head = ["guest", "inline, MIPS", *(f"{mode}, {place}" for mode, place in columns)]
    return table(head, rows) + f"\n\nMedians of the rounds. {by_command(study)}"


def median(values, form="{:.2f}"):
    return form.format(statistics.median(values)) if values else "none"


def accesses(study):
    place = list(scaling.places(study.host))[-1]

    def of(kind, guest, mode):
        found = [r["figures"][f"latency.{kind}.p50_ns"] / 1000 for r in study.good(part="modes", guest=guest, place=place, mode=mode, timed=True)]
        return median(found)
    rows = [[name, *(of(kind, guest, mode) for mode in scaling.MODES)] for kind, name, guest in scaling.KINDS]
    return table(["median, microseconds of host time", *scaling.MODES], rows) + f"\n\nThe machine's threads on {place}. {by_command(study)}"


def machines(study):
    rows = []
    for guest in scaling.side_guests(study):
        for count in scaling.machine_counts(study.host):
            values = scaling.efficiencies(study, guest, count)
            if count > 1 and values:
                rows.append([f"{count}, {guest}", f"{statistics.median(values):.3f}", times(values, "{:.3f}")])
    cpus = len(study.host["cpus"])
    return table([f"machines on {cpus} CPUs", "efficiency", "rounds"], rows) + f"\n\nThe bar of the experiment is {scaling.EFFICIENCY_FLOOR} for {cpus}. {by_command(study)}"


def workers(study):
    walls = {}
    for r in study.good(part="workers"):
        walls.setdefault(r["params"]["workers"], []).append(r["figures"]["time.wall_ns"] / 1e9)
    middle = [statistics.median(values) for values in walls.values()]
    return f"With {min(walls)} to {max(walls)} of them a boot takes {times(middle, '{:.1f}')} s (medians). {by_command(study)}"


# --- breakdown ---

def of_breakdown(study):
    rows = {(phase, mode): breakdown.split(study, phase, mode) for phase in breakdown.phases(study) for mode in breakdown.MODES
            if breakdown.times(study, phase, mode)}
    made = {}
    if rows:
        made["breakdown"] = shares(study, rows)
    if study.good(side="qemu"):
        made["breakdown-icount"] = counting_in_qemu(study)
    return made


def shares(study, rows):
    lines = [["the origin report's estimate of a boot", 60, 30, 8, "", 2]]
    for (phase, mode), found in rows.items():
        share = breakdown.percent(found)
        lines.append([f"{phase}, `{mode}`", *(f"{value:.1f}" for value in (
            share["translation"], share["execution"] + share["interpreting"], share["counting in blocks"] + share["at the horizon"], share["run loop"],
            share["devices"]))])
    head = ["share of the vCPU thread's time, %", "translation", "execution and interpreting", "counting", "run loop", "devices"]
    return table(head, lines) + f"\n\n{by_command(study)}"


def counting_in_qemu(study):
    rows = []
    for phase in breakdown.phases(study):
        seconds = [median(breakdown.walls(study, phase, side).values(), "{:.1f}") for side in breakdown.QEMU_SIDES.values()]
        rows.append([phase, *seconds, median(breakdown.qemu_factors(study, phase))])
    return table(["", *(f"{label}, s" for label in breakdown.QEMU_SIDES), "factor of `-icount`"], rows) + f"\n\n{by_command(study)}"


BLOCKS = {"determinism": of_determinism, "scaling": of_scaling, "breakdown": of_breakdown}
