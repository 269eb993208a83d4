#!/usr/bin/env python3
"""tidy.py BUILD - clang-tidy over every file that BUILD compiles, as many at a time as there are CPUs; .clang-tidy has the checks.

A file that was found in order is not looked at again while nothing of it has changed: its own text, all that it includes, how it is
compiled, the checks, clang-tidy itself. BUILD/tidy.ok has a hash of all that for each such file. Prints what is found; status 1 if
anything is. Remove BUILD/tidy.ok to look at all files."""
import collections
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@functools.lru_cache(maxsize=None)
def content(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()
    except OSError:
        return "none"


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def includes(build):
    """Object -> what it was made of, as ninja knows from the compiler."""
    found, name = {}, None
    for line in output_of("ninja", "-C", build, "-t", "deps").split("\n"):
        m = re.match(r"(\S+): #deps \d+, .*\(VALID\)$", line)
        if m:
            name = m.group(1)
            found[name] = []
        elif line.startswith("    ") and name:
            found[name].append(line.strip())
        else:
            name = None
    return found


def compiled(build):
    """File -> [(command, object)]: some are compiled in more than one way."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        ways = collections.defaultdict(list)
        for entry in json.load(f):
            ways[entry["file"]].append((entry["command"], entry["output"]))
    return ways


def keys(build):
    """File -> a hash of all that clang-tidy's answer depends on; None: ninja does not know what the file includes."""
    common = output_of("clang-tidy", "--version") + content(os.path.join(TOP, ".clang-tidy"))
    deps, result = includes(build), {}
    for file, ways in compiled(build).items():
        parts = [common, file]
        for command, obj in sorted(ways):
            parts += [command] + [path + content(os.path.join(build, path)) for path in deps.get(obj, ())]
        whole = all(obj in deps for _, obj in ways)
        result[file] = hashlib.sha256("\n".join(parts).encode()).hexdigest() if whole else None
    return result


def run_tidy(build, files):
    """What is wrong with the files, a list of lines."""
    run = subprocess.run(["clang-tidy", "-p", ".", "--quiet", *files], cwd=build, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, check=False)
    lines = [line for line in run.stdout.split("\n") if re.search(r"(warning|error):", line)]
    return lines or ([f"{' '.join(files)}: clang-tidy ends with status {run.returncode}"] if run.returncode else [])


def look(build, files):
    """(file, what is wrong with it) for each. Several files in one run are quicker, but do not say which of them is wrong."""
    if not run_tidy(build, files):
        return [(file, []) for file in files]
    return [(file, run_tidy(build, [file])) for file in files]


def look_at_all(build, files):
    cpus = len(os.sched_getaffinity(0))
    size = min(20, len(files) // (4 * cpus) + 1)
    batches = [files[i:i + size] for i in range(0, len(files), size)]
    with concurrent.futures.ThreadPoolExecutor(cpus) as pool:
        for results in pool.map(lambda batch: look(build, batch), batches):
            yield from results


def main(build):
    ok_path = os.path.join(build, "tidy.ok")
    ok, now, found = set(), keys(build), set()
    if os.path.exists(ok_path):
        with open(ok_path, encoding="utf-8") as f:
            ok = set(f.read().split())
    todo = [file for file, key in now.items() if key not in ok]
    for file, wrong in look_at_all(build, todo):
        found.update(wrong)
        if not wrong and now[file]:
            ok.add(now[file])
    with open(ok_path, "w", encoding="utf-8") as f:
        f.write("\n".join(sorted(ok & set(now.values()))) + "\n")
    print("\n".join(sorted(found)) if found else f"{len(todo)} of {len(now)} files looked at")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("tidy.py: accepted: a build folder")
    sys.exit(main(sys.argv[1]))
