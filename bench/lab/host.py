"""host.py - the host, as a dict that goes into the results: processor, who shares which cache (hwloc), memory, system; and
whether it runs 32-bit programs."""
import functools
import os
import platform
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree


def describe():
    caches = topology()
    return {
        "cpu": cpu_model(), "cpus": sorted(os.sched_getaffinity(0)), "caches": caches, "memory_mib": memory_mib(),
        "virtual_machine": "hypervisor" in cpu_flags(), "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


# Writes a byte and waits to be killed, as a 32-bit program: 40h is INC EAX there, and a prefix in 64-bit code.
PROBE_BASE, PROBE_HEADERS = 0x08048000, 52 + 32
PROBE_CODE = (b"\xb8\x03\x00\x00\x00\x40" b"\xbb\x01\x00\x00\x00" b"\xb9" + struct.pack("<I", PROBE_BASE) +  # eax = 4 (write), ebx = 1, ecx
              b"\xba\x01\x00\x00\x00" b"\xcd\x80" b"\xb8\x1d\x00\x00\x00" b"\xcd\x80" b"\xf4")  # edx = 1; int 80h; eax = 29 (pause); int 80h; hlt


def probe_elf():
    size = PROBE_HEADERS + len(PROBE_CODE)
    header = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, PROBE_BASE + PROBE_HEADERS, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return b"\x7fELF\x01\x01\x01" + bytes(9) + header + struct.pack("<IIIIIIII", 1, 0, PROBE_BASE, PROBE_BASE, size, size, 5, 4096) + PROBE_CODE


def runs_by_itself(program):
    """Does the program write its byte, and is the process its own file, not an emulator that the kernel was told to start for it?"""
    try:
        with subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            own = process.stdout.read(1) == b"\x7f" and os.path.samefile(f"/proc/{process.pid}/exe", program)
            process.kill()
            return own
    except OSError:
        return False


@functools.cache
def runs_32bit():
    """Does the kernel run i386 programs? Those of some virtual machines do not. Says so once where it does not."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/probe"
        with open(program, "wb", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
            file.write(probe_elf())
        runs = runs_by_itself(program)
    if not runs:
        print("this host runs no 32-bit programs: no native times", file=sys.stderr)
    return runs


def short(host):
    """What each record repeats."""
    return {"cpu": host["cpu"], "cpus": len(host["cpus"]), "system": host["system"]}


def cpuinfo(field):
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def cpu_model():
    family = " ".join(f"{name.split()[-1]} {cpuinfo(name)}" for name in ("cpu family", "model\t", "stepping"))
    return f"{cpuinfo('model name') or platform.machine()} ({family})"


def cpu_flags():
    return cpuinfo("flags").split()


def memory_mib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def topology():
    """Caches, hwloc's view: [{"level": "L2", "kib": 2048, "cpus": [0]}]; empty where lstopo is missing."""
    try:
        done = subprocess.run(["lstopo-no-graphics", "--of", "xml", "-"], capture_output=True, check=True)
        root = ElementTree.fromstring(done.stdout)
    except (OSError, subprocess.CalledProcessError, ElementTree.ParseError):
        return []
    return [cache for node in root.iter("object") for cache in cache_of(node)]


def cache_of(node):
    kind = node.get("type", "")
    if not (kind.startswith("L") and kind.endswith("Cache")) or kind.endswith("iCache"):
        return []
    cpus = sorted(int(unit.get("os_index")) for unit in node.iter("object") if unit.get("type") == "PU")
    return [{"level": kind.removesuffix("Cache"), "kib": int(node.get("cache_size", 0)) >> 10, "cpus": cpus}]


def shared_cache(host, a, b):
    """The nearest cache that two CPUs share ("L1", "L2", "L3"), or None."""
    levels = [cache["level"] for cache in host["caches"] if a in cache["cpus"] and b in cache["cpus"]]
    return min(levels, default=None)


def cpus_sharing(host, level):
    """Two CPUs whose nearest shared cache is `level` (None: they share no cache), or None if this host has no such pair."""
    cpus = host["cpus"]
    pairs = ((a, b) for a in cpus for b in cpus if a < b)
    return next((pair for pair in pairs if shared_cache(host, *pair) == level), None)
