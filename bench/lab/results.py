"""results.py - a results folder.

    run.json        experiment, options, host and program
    results.jsonl   one record a line, written as soon as the run is over
    results.csv     the same as a table
    plots/          the report's pictures
    report.html     the report
    failed/KEY/     what a failed run left
    work/           the run under way

Killing the driver at any time loses at most the run under way: --resume DIR makes the runs that have no record.
"""
import argparse
import csv
import json
import os
import pathlib
import shlex
import shutil
import time

from lab import host as host_module
from lab.experiment import LabError


def create(study):
    """Makes the folder; it must not hold results already."""
    if study.folder.exists() and any(study.folder.iterdir()):
        raise LabError(f"--out {study.folder}: is not empty; a new folder is accepted, or --resume {study.folder}")
    study.folder.mkdir(parents=True, exist_ok=True)
    about = {"experiment": study.name, "options": options_json(study.options), "host": study.host, "program": study.program,
             "began": time.strftime("%Y-%m-%d %H:%M:%S %z")}
    (study.folder / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def options_json(options):
    """The options that a plan is made from."""
    return {name: value for name, value in vars(options).items() if name not in ("out", "resume", "dry_run", "quiet")}


def about(folder):
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"{folder}: no results folder of bench/run ({error})") from None


def options_of(folder):
    return argparse.Namespace(**about(folder)["options"])


def read(folder):
    """All records. A last line that was cut short counts as no record, and is removed."""
    path = folder / "results.jsonl"
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[:data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def record_of(study, run, outcome):
    return {
        "experiment": study.name, "key": run.key, "params": run.params, "ok": outcome.why is None, "why": outcome.why,
        "status": outcome.status, "wall_s": rounded(outcome.wall_s), "cpu_s": rounded(outcome.cpu_s), "rss_mib": rounded(outcome.rss_mib),
        "digest": outcome.digest, "points": outcome.points, "figures": outcome.figures, "command": shlex.join(map(str, run.command)),
        "companions": [shlex.join(map(str, command)) for command in run.companions], "host": host_module.short(study.host),
        "program": study.program, "at": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def rounded(value):
    return None if value is None else round(value, 6)


def append(study, record):
    study.records.append(record)
    with open(study.folder / "results.jsonl", "a", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")


def write_csv(study):
    plain = ["experiment", "key", "ok", "status", "wall_s", "cpu_s", "rss_mib", "digest", "points", "why", "command", "at"]
    params = names_of(study.records, "params")
    figures = names_of(study.records, "figures")
    with open(study.folder / "results.csv", "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(plain + params + figures)
        for record in study.records:
            table.writerow([record[name] for name in plain] + [record["params"].get(name) for name in params] +
                           [record["figures"].get(name) for name in figures])


def names_of(records, part):
    return list(dict.fromkeys(name for record in records for name, value in record[part].items() if not isinstance(value, list)))


def work_folder(study):
    folder = study.folder / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def remove_work(study):
    shutil.rmtree(study.folder / "work", ignore_errors=True)


def keep_failed(study, run):
    target = study.folder / "failed" / run.key
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)
    (study.folder / "work").rename(target)
