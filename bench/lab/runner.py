"""runner.py - one run: starts its companions and its command, waits, reads what it left. Nothing survives it."""
import json
import os
import select
import signal
import subprocess
import time

from lab import guests
from lab.experiment import Outcome

COMPANION_START_S = 0.1


def run(study, item, folder):
    """Makes one run in the empty folder `folder`. Every process is gone when this returns, or raises."""
    companions = []
    try:
        for command in item.companions:
            companions.append(start(command, folder, "companion", {}))
        if companions:
            time.sleep(COMPANION_START_S)
        outcome = (item.measure or run_command)(study, item, folder)
    finally:
        for process in companions:
            end(process)
    if item.collect and outcome.why is None:
        outcome.figures.update(item.collect(folder))
    return outcome


def start(command, folder, name, environment, **streams):
    with open(folder / f"{name}.out", "ab") as out, open(folder / f"{name}.err", "ab") as err:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **streams}
        return subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, start_new_session=True, **streams)


def end(process):
    """Kills a process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def wait(process, limit_s):
    """Waits, at most so long. Returns (exit status, rusage), or None if it is not over."""
    handle = os.pidfd_open(process.pid)
    try:
        if not select.select([handle], [], [], limit_s)[0]:
            return None
    finally:
        os.close(handle)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def run_command(study, item, folder):
    begin = time.monotonic()
    process = start(item.command, folder, "command", item.environment)
    try:
        ended = wait(process, item.limit_s)
        wall_s = time.monotonic() - begin
    finally:
        if process.returncode is None:
            end(process)
    if not ended:
        return Outcome(wall_s=wall_s, why=f"no end after {item.limit_s} s")
    status, usage = ended
    outcome = Outcome(status, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    if status != item.expect:
        outcome.why = f"exit status {status}, expected {item.expect}: {tail(folder / 'command.err')}"
    read_files(folder, outcome)
    return outcome


def tail(path, length=600):
    try:
        return path.read_text(errors="replace")[-length:].strip()
    except OSError:
        return ""


def read_files(folder, outcome):
    """The figures of stats.json, as group.name, and the end of the digest file."""
    try:
        outcome.figures.update(flat(json.loads((folder / guests.STATS).read_text())))
    except (OSError, ValueError):
        pass
    try:
        lines = (folder / guests.DIGEST).read_text().splitlines()
        outcome.digest, outcome.points = lines[-1], sum(line[:1].isdigit() for line in lines)
    except (OSError, IndexError):
        pass


def flat(value, prefix=""):
    if not isinstance(value, dict):
        return {prefix: value}
    out = {}
    for name, part in value.items():
        out.update(flat(part, f"{prefix}.{name}" if prefix else name))
    return out
