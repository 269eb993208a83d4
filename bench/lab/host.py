"""host.py - the host, as a dict that goes into the results: processor, who shares which cache (hwloc), memory, system."""
import os
import platform
import subprocess
import xml.etree.ElementTree as ElementTree


def describe():
    caches = topology()
    return {
        "cpu": cpu_model(), "cpus": sorted(os.sched_getaffinity(0)), "caches": caches, "memory_mib": memory_mib(),
        "virtual_machine": "hypervisor" in cpu_flags(), "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


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
