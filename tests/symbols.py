#!/usr/bin/env python3
"""symbols.py - names of a profile (as `perf script` text) against other tools.

    symbols.py kallsyms PERF OUTPUT      1,000 kernel samples against /proc/kallsyms, which the guest printed in OUTPUT
    symbols.py modules PERF OUTPUT       samples in the kernel's modules, likewise
    symbols.py elf PERF ELF              1,000 samples of code of an ELF file, where it was linked, against nm
    symbols.py lines PERF ELF LINES      what `tandem-profile lines` printed against addr2line, all lines
    symbols.py report REPORT             the bars: 95 % of kernel samples named, 90 % of kernel stacks whole
    symbols.py folded FOLDED REPORT      collapsed stacks add up to the report's samples

Prints what is wrong; exit status 1 if anything is."""
import bisect
import os
import random
import re
import subprocess
import sys


def samples_of(path, file):
    """(address, name, offset) of frames of the file that the expression names, one of each."""
    pattern = re.compile(r"\t +([0-9a-f]+) (\S+)\+0x([0-9a-f]+) \(" + file + r"\)")
    found = set()
    with open(path, errors="replace") as f:
        for line in f:
            m = pattern.match(line)
            if m:
                found.add((int(m[1], 16), m[2], int(m[3], 16)))
    return sorted(found)


def chosen(samples):
    if len(samples) < 20:
        yield f"only {len(samples)} different samples"
    random.seed(1)
    return random.sample(samples, min(1000, len(samples)))


def bounds_of(symbols):
    """Address -> (names, first address behind): a symbol ends at the next one, or where its size says."""
    table = {}
    for address, size, name in symbols:
        names, sizes = table.setdefault(address, (set(), []))
        names.add(name)
        sizes.append(size)
    order = sorted(table)
    ends = {a: a + max(table[a][1]) if max(table[a][1]) else (order[i + 1] if i + 1 < len(order) else a + 4096)
            for i, a in enumerate(order)}
    return {a: (table[a][0], ends[a]) for a in order}


def compare(samples, symbols):
    table = bounds_of(symbols)
    chosen_samples = yield from chosen(samples)
    for address, name, offset in chosen_samples:
        names, end = table.get(address - offset, (set(), 0))
        if name not in names or not address - offset <= address <= end:
            yield f"0x{address:x}: {name}+0x{offset:x}, but there: {' '.join(names) or 'nothing'}, up to 0x{end:x}"
    print(f"{len(chosen_samples)} of {len(samples)} different addresses compared")


def check_kallsyms(perf, output):
    symbols = []
    with open(output, errors="replace") as f:
        for line in f:
            m = re.match(r"([0-9a-f]{8}) [tTwWi] (\S+)\s*$", line)
            if m:
                symbols.append((int(m[1], 16), 0, m[2]))
    yield from compare(samples_of(perf, r"\[kernel\]"), symbols)


def check_modules(perf, output):
    """Only modules that the guest had at its end: /proc/kallsyms names them behind the symbol. It no longer has functions of initialization."""
    symbols, modules = [], set()
    with open(output, errors="replace") as f:
        for line in f:
            m = re.match(r"([0-9a-f]{8}) [tTwW] (\S+)\s+\[(\S+)\]\s*$", line)
            if m:
                symbols.append((int(m[1], 16), 0, m[2]))
                modules.add(m[3])
    names = {name for _, _, name in symbols}
    samples = samples_of(perf, r"\[(?:" + "|".join(map(re.escape, sorted(modules))) + r")\]")
    gone = {name for _, name, _ in samples if name not in names}
    if any("init" not in name for name in gone):
        yield f"not in /proc/kallsyms: {' '.join(sorted(gone))}"
    yield from compare([s for s in samples if s[1] in names], symbols)


def check_elf(perf, elf):
    text = subprocess.run(["nm", "--defined-only", "-S", elf], capture_output=True, text=True, check=True).stdout
    symbols = []
    for line in text.split("\n"):
        m = re.match(r"([0-9a-f]+) (?:([0-9a-f]+) )?[tTwWi] (\S+)$", line)
        if m:
            symbols.append((int(m[1], 16), int(m[2] or "0", 16), m[3]))
    yield from compare(samples_of(perf, re.escape(os.path.basename(elf))), symbols)


def executable(elf):
    """[first, end) of each section that holds code. addr2line names the declaration of a variable, too, and a guest may run code in one."""
    text = subprocess.run(["readelf", "-SW", elf], capture_output=True, text=True, check=True).stdout
    for m in re.finditer(r"\] \S+ +\S+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) \S+ +\S*X", text):
        yield int(m[1], 16), int(m[1], 16) + int(m[2], 16)


def check_lines(perf, elf, lines):
    """Samples of each line: the innermost frame of each that lies in the file's own code, asked of addr2line."""
    addresses, first, code = [], False, list(executable(elf))
    with open(perf, errors="replace") as f:
        for line in f:
            m = re.match(r"\t +([0-9a-f]+) ", line)
            if m and first and any(a <= int(m[1], 16) < end for a, end in code):
                addresses.append(m[1])
            first = not line.startswith("\t")
    told = subprocess.run(["addr2line", "-e", elf], input="\n".join(addresses), capture_output=True, text=True, check=True).stdout
    want, have = {}, {}
    for place in told.split("\n"):
        m = re.search(r"([^/]+:\d+)(?: \(discriminator \d+\))?$", place)
        if m:
            want[m[1]] = want.get(m[1], 0) + 1
    with open(lines) as f:
        for line in f:
            m = re.match(r" *(\d+) +[0-9.]+  \S+  (?:.*/)?([^/]+:\d+)$", line)
            if m:
                have[m[2]] = have.get(m[2], 0) + int(m[1])
    if len(want) < 10:
        yield f"only {len(want)} lines"
    for place in want.keys() | have.keys():
        if want.get(place) != have.get(place):
            yield f"{place}: {have.get(place, 0)} samples, of addr2line {want.get(place, 0)}"


def check_report(report):
    with open(report) as f:
        text = f.read()
    m = re.search(r"^kernel: (\d+) samples, ([0-9.]+) % of them with a name, ([0-9.]+) % with a stack", text, re.M)
    if not m:
        yield "no line about the kernel"
        return
    print(m[0])
    if float(m[2]) < 95:
        yield f"{m[2]} % of kernel samples have names, not 95"
    if float(m[3]) < 90:
        yield f"{m[3]} % of kernel stacks are whole, not 90"


def check_folded(folded, report):
    with open(report) as f:
        want = int(re.search(r": (\d+) samples,", f.read())[1])
    with open(folded) as f:
        have = sum(int(line.rsplit(" ", 1)[1]) for line in f)
    if want != have:
        yield f"{have} samples in collapsed stacks, {want} in the report"


CHECKS = {"kallsyms": check_kallsyms, "modules": check_modules, "elf": check_elf, "lines": check_lines, "report": check_report, "folded": check_folded}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    bad = list(CHECKS[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(bad[:20]))
    sys.exit(1 if bad else 0)
