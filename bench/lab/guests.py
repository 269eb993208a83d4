"""guests.py - command lines of guests, for Tandem and for QEMU."""
import functools
import hashlib
import pathlib
import random
import struct
import tempfile

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


# --- guests that live on a disk or on a network ---

DISK_MIB = 256
TFTP_FILE = "file"    # what the guest toynet asks for
TFTP_BYTES = 200000


def disk_image():
    return pathlib.Path(tempfile.gettempdir()) / f"tandem-bench-disk-{DISK_MIB}.img"


def make_disk_image():
    """Each sector begins with its number. Written once; a run that writes uses a private layer over it (snapshot=on)."""
    if disk_image().exists() and disk_image().stat().st_size == DISK_MIB << 20:
        return
    part = disk_image().with_suffix(".part")
    with open(part, "wb") as out:
        for first in range(0, DISK_MIB << 11, 2048):
            out.write(b"".join(struct.pack("<I508x", n) for n in range(first, first + 2048)))
    part.rename(disk_image())


def disk(study, append):
    """The guest bench_disk over that image. Only one that writes has a private layer: reads go straight to the image."""
    layer = "on" if "write=1" in append else "off"
    return [*elf(study, "bench_disk", append), "-drive", f"file={disk_image()},if=virtio,format=raw,snapshot={layer}"]


def tftp_folder():
    return pathlib.Path(tempfile.gettempdir()) / f"tandem-bench-tftp-{TFTP_BYTES}"


def make_tftp_folder():
    """What the program's own TFTP server serves: a file of bytes that are the same each time."""
    tftp_folder().mkdir(exist_ok=True)
    (tftp_folder() / TFTP_FILE).write_bytes(random.Random(1).randbytes(TFTP_BYTES))


def frames(study):
    """The guest toynet: DHCP, ARP, ping and a file by TFTP, frame by frame. Ends with status EXIT_OK."""
    return [*elf(study, "toynet", "role=0"), "-nic", f"user,model=x-toy,restrict=on,tftp={tftp_folder()},bootfile={TFTP_FILE}"]


@functools.cache
def download(*kernel_options):
    """Debian fetches its kernel's file by TFTP over an e1000 and compares its hash; only then it powers off, with status 0."""
    folder = pathlib.Path(setup.lib('printf %s "$debian_dir"').decode())
    digest = hashlib.sha256((folder / "linux").read_bytes()).hexdigest()
    script = ("modprobe e1000; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; cd /tmp; tftp -g -r linux 10.0.2.2; "
              f"sha256sum linux | grep -q {digest} && poweroff -f")
    return [*debian(script, *kernel_options), "-nic", f"user,model=e1000,restrict=on,tftp={folder}"]


def on_cpus(cpus, command):
    """The command, bound to these host CPUs."""
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]
