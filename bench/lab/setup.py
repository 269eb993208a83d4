"""setup.py - packages and builds, by the shell functions of tests/lib.sh that ./demo and ./check use."""
import hashlib
import os
import pathlib
import subprocess

from lab.experiment import LabError

HERE = pathlib.Path(__file__).resolve().parents[2]


def lib(script, *arguments):
    """Runs a line of shell with tests/lib.sh sourced. Returns its standard output."""
    done = subprocess.run(["bash", "-c", f". tests/lib.sh; {script}", "bash", *arguments], cwd=HERE, capture_output=True, check=False)
    if done.returncode != 0:
        text = (done.stdout + done.stderr).decode(errors="replace")
        raise LabError(f"{script} {' '.join(arguments)} failed:\n{text[-3000:]}")
    return done.stdout


def packages(*names):
    lib('packages_ensure "${packages_build[@]}" "${packages_demo[@]}" "${packages_bench[@]}" "$@"', *names)


def build(folder, *options):
    """Configures once, compiles what changed."""
    lib('build_ensure "$@"', str(folder), "--buildtype=release", *options)


def program(path):
    """What is measured: version and a hash of the file."""
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    with open(path, "rb") as file:
        return {"version": version, "sha256": hashlib.sha256(file.read()).hexdigest()[:16], "commit": commit()}


def commit():
    """Of this working copy; with a "+" where files that git knows differ from it."""
    git = ["git", "-C", str(HERE), "-c", f"safe.directory={HERE}"]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode != 0
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + "+" * changed


def cpus():
    """The host CPUs that this process may use."""
    return sorted(os.sched_getaffinity(0))
