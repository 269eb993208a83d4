"""guests.py - command lines of guests, for Tandem and for QEMU."""
import functools

from lab import setup

ICOUNT = ["-icount", "shift=3,sleep=off"]
DIGEST = "digest"     # names of files in a run's folder
SERIAL = "serial"
STATS = "stats.json"
EXIT_OK = 1           # status of a guest that leaves through isa-debug-exit with 0


def tandem(study, guest, devthread=None, translator=None, digest_every=None, serial=f"file:{SERIAL}", extra=(), latency=False):
    """A run of Tandem with figures (stats.json), and a digest file if asked. latency: accesses are timed, at 50 ns each."""
    stats = f"file={STATS},latency={'on' if latency else 'off'}"
    command = [study.tandem, *guest, *ICOUNT, "-display", "none", "-serial", serial, "-stats", stats]
    if devthread:
        command += ["-devthread", f"mode={devthread}"]
    if translator:
        command += ["-translator", f"mode={translator}"]
    if digest_every:
        command += ["-digest", f"file={DIGEST},every={digest_every}"]
    return command + list(extra)


def qemu(guest, icount, serial=f"file:{SERIAL}"):
    """A run of QEMU, counting instructions as Tandem does, or not."""
    return ["qemu-system-i386", *guest, *(ICOUNT if icount else []), "-display", "none", "-monitor", "none", "-serial", serial]


@functools.cache
def debian(script, *kernel_options):
    """Debian's kernel boots and its shell runs `script` (tests/lib.sh: debian_args). Ends with status 0."""
    out = setup.lib('debian_args "$@"; printf "%s\\0" "${boot_args[@]}"', script, *kernel_options)
    return out.decode().split("\0")[:-1]


def elf(study, name, append=""):
    """A guest of tests/guests/. Ends with status EXIT_OK."""
    return ["-kernel", study.guest(name), "-append", append, "-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def on_cpus(cpus, command):
    """The command, bound to these host CPUs."""
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]
