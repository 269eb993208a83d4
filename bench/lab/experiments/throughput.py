"""throughput.py - Tandem against QEMU, phase by phase: bench/throughput's guest, sides and bars, with a results folder and pictures."""
import argparse
import os
import subprocess
import time

import throughput_run
from lab import page, plot, setup
from lab.experiment import LabError, Outcome, Run, choices, number

TITLE = "Throughput against QEMU"
QUESTION = ("How long does Tandem take for what qemu-system-i386 -icount shift=3,sleep=off does, where both count every instruction? And for what QEMU does "
            "without counting, and what a process of the host does without an emulator?")
READING = ("Ratios are medians of Tandem's times over medians of the other side's: below 1 Tandem is faster. In brackets stand the least and the greatest ratio "
           "of any one round; where they are far apart, the machine was not quiet. The guest is Debian's kernel and one program, which announces the begin and end of each "
           "phase on its console; every phase's result is checked. docs/benchmarks.md says what each phase does. \"2/1 core\" is Tandem with its "
           "translation workers on two host CPUs over the same on one; \"twice\" is Tandem with the accounting of instructions done twice, over once: "
           "what exceeds 1 is what counting costs.")
SIDES = ("tandem", "qemu", "noicount", "native", "one_core", "two_cores", "twice")
PEERS = {"to_qemu": "QEMU -icount", "to_noicount": "QEMU", "to_native": "host process"}


def add_options(parser):
    names = setup.lib("sed -n 's/^PHASE(\\([a-z0-9_]*\\),.*/\\1/p' bench/throughput_guest/phases.def").decode().split()
    parser.add_argument("--runs", type=number(1, 1000), default=3, metavar="N", help="rounds; in each, every side runs once (default 3)")
    parser.add_argument("--sides", type=choices(*SIDES), default=list(SIDES), metavar="LIST", help=f"of {','.join(SIDES)} (default all; tandem always runs)")
    parser.add_argument("--phases", type=choices(*names), default=[], metavar="LIST", help=f"only these of {','.join(names)} (boot is always measured)")
    parser.add_argument("--tandem-args", default="-translator mode=background", metavar="S", help="Tandem's options (default \"-translator mode=background\")")


def prepare(study):
    """Packages, the guest, and the second build."""
    command = [str(setup.HERE / "bench/throughput"), "--prepare", "--build", study.options.build]
    done = subprocess.run(command + ["--no-accounting"] * ("twice" not in study.options.sides), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"bench/throughput --prepare: {(done.stdout + done.stderr)[-2000:]}")


def settings(study):
    """What throughput_run.py calls its options."""
    build = study.options.build
    return argparse.Namespace(
        tandem=study.tandem, twice=f"{build}-twice/tandem", guest=f"{build}/throughput", tandem_args=study.options.tandem_args, smoke=False, clock="wall",
        kernel=setup.lib('printf %s "$debian_dir/linux"').decode(), phases=",".join(study.options.phases), runs=study.options.runs,
        sides=",".join(side for side in SIDES if side == "tandem" or side in study.options.sides))


# --- runs ---

def plan(study):
    sides = throughput_run.sides_of(settings(study))
    return [run(study, side, command, number) for number in range(1, study.options.runs + 1) for side, command in sides.items()]


def run(study, side, command, number):
    environment = throughput_run.guest_settings(settings(study)) if side == "native" else {}
    weight_s = {"qemu": 45, "noicount": 35}.get(side, 12)
    return Run(f"{side}-{number}", {"side": side, "round": number}, command, environment=environment, weight_s=weight_s, measure=time_phases)


def time_phases(study, item, folder):
    begin = time.monotonic()
    native = item.params["side"] == "native"
    try:
        got = throughput_run.run_once(item.command, {**os.environ, **item.environment} if native else None, not native, "wall")
    except throughput_run.BenchError as error:
        return Outcome(wall_s=time.monotonic() - begin, why=str(error)[-600:])
    return Outcome(0, time.monotonic() - begin, rss_mib=got.rss_kib / 1024, figures=got.seconds)


# --- findings ---

def runs_by_side(study):
    """As throughput_run.measure returns them."""
    runs = {}
    for record in sorted(study.good(), key=lambda r: r["params"]["round"]):
        taken = throughput_run.Run(record["figures"], [], record["rss_mib"] * 1024)
        runs.setdefault(record["params"]["side"], []).append(taken)
    return runs


def findings(study):
    runs = runs_by_side(study)
    if "tandem" not in runs:
        return [page.Verdict(False, "No run of Tandem succeeded.")]
    report = throughput_run.report_of(settings(study), runs)
    blocks = [verdict(study, report), groups(report)]
    for key, title in PEERS.items():
        ratios = {row["phase"]: {f"Tandem / {title}": row[key]["ratio"]} for row in report["phases"] if row[key]}
        if ratios:
            picture = plot.bars(study, f"throughput-{key}", ratios, "Tandem's time over the other's", mark=1)
            blocks.append(page.Figure(picture, f"Time of Tandem over {title}, by phase; below 1 Tandem is faster.", f"Against {title}"))
    return blocks + [phases(report, runs), totals(report)]


def verdict(study, report):
    missed = [row.get("phase") or row["group"] for row in report["phases"] + report["groups"] if row["met"] is False]
    judged = any(row["met"] is not None for row in report["phases"])
    faster = [row for row in report["phases"] if row["to_qemu"] and row["to_qemu"]["ratio"] < 1]
    text = f"Tandem is faster than QEMU with -icount in {len(faster)} of {len(report['phases'])} phases. " if any(r["to_qemu"] for r in report["phases"]) else ""
    text += "Missed: " + ", ".join(missed) + "." if missed else "" if judged else "There is no QEMU to compare with."
    if not judged:
        return page.Verdict(None, text)
    return page.Verdict(not missed and not study.failed(), text, "Bars missed." if missed else "Bars met.")


def groups(report):
    rows = [(row["group"], f"{row['phases']} of {row['of']}", row["ratio"], row["bar"], throughput_run.met_text(row["met"])) for row in report["groups"]]
    return page.Table(["group", "phases", "ratio to QEMU -icount", "bar", ""], rows)


def phases(report, runs):
    rows = []
    for row in report["phases"]:
        ratios = [row[key] and row[key]["ratio"] for key in ("to_noicount", "to_native", "two_cores_to_one", "twice_to_once")]
        seconds = [throughput_run.median_text(row, side) for side in ("tandem", "qemu")]
        rows.append((row["phase"], *seconds, with_spread(row["to_qemu"]), row["bar"], throughput_run.met_text(row["met"]), *ratios))
    head = ["phase", "Tandem s", "QEMU s", "ratio to QEMU -icount", "bar", "", "to QEMU", "to the host", "2/1 core", "twice"]
    return page.Table(head, rows, "All phases")


def with_spread(figure):
    return f"{figure['ratio']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" if figure else ""


def totals(report):
    rows = [(side, seconds, report["peak_memory_mib"][side]) for side, seconds in report["total_s"].items()]
    return page.Table(["side", "all phases, s", "peak memory, MiB"], rows, "All together")
