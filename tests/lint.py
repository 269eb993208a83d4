#!/usr/bin/env python3
"""lint.py - rules of the source tree that no compiler checks.

    tests/lint.py includes         include directions follow the list in docs/architecture.md
    tests/lint.py match            every tag "MATCH name" stands at two places or more
    tests/lint.py comments         no sentence runs over the comments of several lines of code
    tests/lint.py unused BUILD     no function that a library exports is without a caller elsewhere

Prints what breaks the rule, a line each; exit status 1 if anything does."""
import collections
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAP = os.path.join(ROOT, "docs", "architecture.md")


def tracked(*suffixes):
    names = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    return [n for n in names if n.endswith(suffixes) and os.path.exists(os.path.join(ROOT, n))]


def lines_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read().split("\n")


def directions():
    """The block "Include directions" of the map: lines "    folder -> folder folder". Returns folder -> all it may reach."""
    direct, on = {}, False
    for line in lines_of("docs/architecture.md"):
        on = line.startswith("## Include directions") or (on and not line.startswith("## "))
        m = re.match(r"    (\S+) +-> *(.*)$", line)
        if on and m:
            direct[m.group(1)] = set(m.group(2).split())
    reach = {}
    for folder in direct:
        todo, seen = [folder], set()
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += direct.get(one, ())
        reach[folder] = seen
    return reach


def folder_of(name, known):
    """The longest listed folder that a path lies in, or None."""
    parts = os.path.dirname(name).split("/")
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in known:
            return "/".join(parts[:n])
    return None


def check_includes():
    reach = directions()
    if not reach:
        yield MAP + ": no list under \"## Include directions\""
    for name in tracked(".c", ".h", ".inc", ".def"):
        here = folder_of(name, reach)
        for number, line in enumerate(lines_of(name), 1):
            m = re.match(r'\s*#\s*include "([^"]+)"', line)
            there = m and folder_of(m.group(1), reach)
            if here and there and there not in reach[here]:
                yield f"{name}:{number}: {here} includes {m.group(1)}, but may use only: {' '.join(sorted(reach[here]))}"


def check_match():
    places = collections.defaultdict(list)
    for name in tracked(".c", ".h", ".inc", ".def", ".S", ".sh", ".py", ".build"):
        if name == "tests/lint.py":
            continue
        text = "\n".join(lines_of(name))
        for m in re.finditer(r"\bMATCH(?: |\n \* )(\w+)", text):  # a comment may break the line there
            places[m.group(1)].append(f"{name}:{text.count(chr(10), 0, m.start()) + 1}")
    for tag, where in sorted(places.items()):
        if len(where) < 2:
            yield f"{where[0]}: MATCH {tag}: the other end has no such tag"


def check_comments():
    """A comment is complete in itself: it neither hands its sentence to the next one nor goes on with the last one's."""
    for name in tracked(".c", ".h"):
        lines = lines_of(name)
        for number, line in enumerate(lines, 1):
            where = f"{name}:{number}"
            if re.search(r"[,:] \*/$", line) and not re.search(r"/\* clang-format off", line):
                yield f"{where}: the comment ends inside of a sentence"
            if re.search(r"\S.*/\* (and|or|then) ", line):
                yield f"{where}: the comment begins inside of a sentence"
            if line.strip() == "*/" and re.match(r"\s*/\*", lines[number - 2]):
                yield f"{where}: the end of a comment stands alone; shorten the line before"


def symbols(build):
    """(defined, used): exported functions of the libraries by name, and for each name the objects that call it."""
    objects = [os.path.join(d, f) for d, _, fs in os.walk(build) for f in fs if f.endswith(".o")]
    out = subprocess.run(["nm", "-A", *objects], capture_output=True, text=True, check=True).stdout
    defined, used = {}, collections.defaultdict(set)
    for line in out.split("\n"):
        m = re.match(r"(\S+\.o):\s*[0-9a-f]*\s+([A-Za-z]) (\S+)$", line)
        if m and m.group(2) == "T" and ".a.p/" in m.group(1) and "/tests/" not in m.group(1):  # a test's caller is Criterion
            defined[m.group(3)] = m.group(1)
        elif m and m.group(2) == "U":
            used[m.group(3)].add(m.group(1))
    return defined, used


def check_unused(build):
    defined, used = symbols(build)
    if not defined:
        yield f"{build}: no libraries there; build first"
    for name, obj in sorted(defined.items()):
        if not used[name]:
            source = os.path.basename(obj)[:-2]
            yield f"{source}: {name} has no caller in another file: make it static, or delete it"


CHECKS = {"includes": check_includes, "match": check_match, "comments": check_comments, "unused": check_unused}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in CHECKS:
        sys.exit(f"lint.py: accepted: {' | '.join(CHECKS)}")
    found = list(CHECKS[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
