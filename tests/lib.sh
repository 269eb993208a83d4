# lib.sh - shell functions shared by demo, check and the scripts under tests/. Sourced, bash only.
# shellcheck shell=bash

# --- packages: what a fresh Debian 12 needs ---
packages_build=(gcc libc6-dev meson ninja-build pkg-config liburcu-dev libzydis-dev
    libxxhash-dev libzstd-dev libjansson-dev libpng-dev libelf-dev libdw-dev libjemalloc-dev libmpfr-dev libcriterion-dev
    libxkbcommon-dev xkb-data libnbd-dev libslirp-dev libedit-dev libvncserver-dev libncurses-dev)
packages_demo=(debian-installer-12-netboot-i386)
packages_bench=(python3 gnuplot-nox hwloc-nox util-linux)
packages_check=(qemu-utils nbdkit gcc-multilib clang clang-format clang-tidy libclang-rt-14-dev python3-minimal spin cpio socat tmux vncsnapshot shellcheck mandoc bsdutils util-linux xz-utils
    iproute2 seabios ipxe acpica-tools grub-common grub-pc-bin xorriso mtools memtest86+ grub-invaders isolinux syslinux-common e2fsprogs debootstrap
    qemu-system-x86)
packages_ganeti=(python3-bitarray python3-openssl python3-psutil python3-pycurl python3-pyinotify python3-pyparsing python3-simplejson)
packages_check+=("${packages_ganeti[@]}")

package_missing() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" != installed ]
}

# Installs those of the named packages that are missing.
packages_ensure() {
    local missing=() p as_root=()
    for p in "$@"; do
        package_missing "$p" && missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing packages: ${missing[*]}; install them, or run as root or with sudo installed" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# Lets this host run i386 programs. Some kernels of virtual machines run none: there qemu-user runs them, as long as this shell lives.
i386_programs_ensure() { # a folder for the probe
    local binfmt=/proc/sys/fs/binfmt_misc any='\xff\xff\xff\xff' name=tandem-i386-$BASHPID
    # Exits with 0 if its name is x: BusyBox's shell gives itself the name of an applet.
    printf '.globl _start\n_start: mov 4(%%esp), %%eax\nmovzbl (%%eax), %%ebx\nsub $0x78, %%ebx\nmov $1, %%eax\nint $0x80\n' |
        as --32 -o "$1/probe.o" - && ld -m elf_i386 -o "$1/probe" "$1/probe.o" || return
    (exec -a x "$1/probe") 2>/dev/null && return
    packages_ensure qemu-user-static || return
    [ -e "$binfmt/register" ] || mount -t binfmt_misc binfmt_misc "$binfmt" || return
    # shellcheck disable=SC2064
    trap "echo -1 >$binfmt/$name" EXIT
    # An ELF file of class 32, little-endian; ET_EXEC or ET_DYN; EM_386. F: opened now, since a chroot has no qemu-user. P: with its name.
    printf '%s' ":$name:M::"'\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00:' \
        "$any\xff\xff\xff\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff:/usr/bin/qemu-i386-static:FP" >"$binfmt/register"
}

# build_targets_ensure DIR TARGETS [meson options]: configures once, compiles what changed of TARGETS, words in one argument (empty: of all).
# Who else wants the folder meanwhile waits.
build_targets_ensure() {
    local dir=$1 targets lock status
    read -r -a targets <<<"$2"
    shift 2
    exec {lock}>"$dir.lock" && flock "$lock" || return
    { [ -f "$dir/build.ninja" ] || meson setup "$dir" "$@"; } && ninja -C "$dir" "${targets[@]}"
    status=$?
    exec {lock}>&-
    return $status
}

build_ensure() { # dir [meson option...]
    build_targets_ensure "$1" '' "${@:2}"
}

# sanitized_ensure DIR SANITIZERS [TARGETS]: with -O1 and line numbers alone gcc takes half the time that -O2 and -g take, and the tests little more.
# At -O1 gcc takes some variables for uninitialized that are not: warnings are errors in the other builds.
sanitized_ensure() {
    build_targets_ensure "$1" "${3-}" -Db_sanitize="$2" -Db_lundef=false -Doptimization=1 -Ddebug=false -Dc_args=-g1 -Dwerror=false
}

# --- Debian's kernel and initrd ---
debian_dir=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
debian_library=usr/lib/libcrypto.so.3 # a large file of the initrd, for checksums

# The SHA-256 of that file, computed on the host from the same initrd.
debian_library_sum() {
    zcat "$debian_dir/initrd.gz" | cpio -i --quiet --to-stdout "$debian_library" | sha256sum | cut -d ' ' -f 1
}

# debian_args SCRIPT [kernel option...]: puts tandem's arguments into the array `boot_args`: the initrd's shell runs
# SCRIPT without any input, so that the run is the same each time; an empty SCRIPT means a shell on the serial port.
debian_args() {
    local script=$1 append
    shift
    append="console=ttyS0 rdinit=/bin/sh $*"
    [ -n "$script" ] && append+=" -- -c \"$script\""
    boot_args=(-m 256 -kernel "$debian_dir/linux" -initrd "$debian_dir/initrd.gz" -append "$append" -no-reboot)
}

# --- disk and CD images, built by tests/images/build.sh ---

# Puts the image's file into image_file; where it cannot be built here, that is a counted skip and a false result.
image_get() { # name build
    local status
    image_file=$("$(dirname "${BASH_SOURCE[0]}")/images/build.sh" "$1" "$2")
    status=$?
    [ $status -eq 0 ] && return 0
    if [ $status -eq 77 ]; then skip "$1 cannot be built here (tests/images/build.sh $1)"; else fail "image $1"; fi
    return 1
}

# A copy of image_file, with the text of a block in it: what its menu chooses, so that nobody need type (tests/images/choose.py).
image_copy() { # file [block text]...
    cp --sparse=always "$image_file" "$1" || return
    local copy=$1
    shift
    while [ $# -ge 2 ]; do
        printf '%s\n' "$2" | python3 "$(dirname "${BASH_SOURCE[0]}")/images/choose.py" "$copy" "$1" || return
        shift 2
    done
}

# --- results ---
passed=0 failed=0 skipped=0

pass() {
    passed=$((passed + 1))
}

fail() { # what [detail]
    failed=$((failed + 1))
    printf 'FAIL %s\n' "$1"
    if [ -n "${2-}" ]; then printf '%s\n' "$2" | tail -n 20 | sed 's/^/    /'; fi
    return 0
}

# What could not be tried here, and why; counted and shown, so that a missing test is never silent.
skip() { # what and why
    skipped=$((skipped + 1))
    printf 'SKIP %s\n' "$1"
}

# expect WHAT COMMAND...: passes if the command succeeds.
expect() {
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then pass; else fail "$what" "$out"; fi
}

# expect_text WHAT TEXT REGEX
expect_text() {
    if grep -Eq -- "$3" <<<"$2"; then pass; else fail "$1: no match for $3" "$2"; fi
}

# Last line of a test script; its status is the script's.
summary() { # name
    printf '%s: %d passed, %d failed, %d skipped\n' "$1" "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}

# --- a session with a program whose stdin and stdout are the guest's terminal ---
session_log='' session_seen=0 session_in='' session_out='' session_pid=''

session_start() { # command...
    session_log='' session_seen=0
    coproc SESSION { exec "$@" 2>"${session_stderr:-/dev/null}"; }
    session_pid=$SESSION_PID
    exec {session_in}<&"${SESSION[0]}" {session_out}>&"${SESSION[1]}"
}

session_send() { # text: a carriage return ends the line, as on a keyboard
    printf '%s\r' "$1" >&"$session_out"
}

# Waits until TEXT appears behind what earlier waits found; false after SECONDS without it, or at the end.
session_wait() { # text seconds
    local end=$((SECONDS + $2)) chunk rest
    while :; do
        rest=${session_log:session_seen}
        if [[ $rest == *"$1"* ]]; then
            rest=${rest%%"$1"*}
            session_seen=$((session_seen + ${#rest} + ${#1}))
            return 0
        fi
        [ $SECONDS -lt $end ] || return 1
        chunk=
        IFS= read -r -u "$session_in" -t 0.2 -d '' -n 4096 chunk || [ -n "$chunk" ] || kill -0 "$session_pid" 2>/dev/null || return 1
        session_log+=$chunk
    done
}

# Waits for the program's end; its exit status in session_status.
session_end() {
    exec {session_out}>&-
    while IFS= read -r -u "$session_in" -t 120 -d '' -n 4096 chunk || [ -n "$chunk" ]; do session_log+=$chunk; done
    exec {session_in}<&-
    wait "$session_pid"
    session_status=$?
}

# --- tiny Multiboot guests, made of bytes (address fields, loaded at 1 MiB) ---

le32_bytes() {
    printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# tiny_guest FILE CODE: CODE in printf escapes, entered at 0x100020; six zero bytes lie at 0x100080.
tiny_guest() {
    local w head='' code=$2
    for w in 0x1badb002 0x10003 $(((-0x1badb002 - 0x10003) & 0xffffffff)) 0x100000 0x100000 0 0 0x100020; do
        head+=$(le32_bytes "$w")
    done
    {
        printf "$head"
        printf "$code"
        head -c 256 /dev/zero
    } >"$1"
}
# These are used by the scripts that source this file.
{
    code_loop='\xeb\xfe'                                         # jmp .
    code_halt='\xfa\xf4\xeb\xfe'                                 # cli; hlt
    code_exit='\xb0\x2a\xe6\xf4\xeb\xfe'                         # out 0xf4, 42
    code_triple='\x0f\x01\x1d\x80\x00\x10\x00\xcc'               # lidt [0x100080]; int3
    code_reset='\xba\xf9\x0c\x00\x00\xb0\x06\xee\xeb\xfe'        # out 0xcf9, 6
    code_print='\xba\xf8\x03\x00\x00\xb0\x2e\xee\xeb\xfd'        # out 0x3f8, '.' for ever
    # Prints "HI", each character when the transmitter is empty, then halts.
    code_hello='\xba\xf8\x03\x00\x00\xb0\x48\xee\xb2\xfd\xec\xa8\x40\x74\xfb\xb2\xf8\xb0\x49\xee\xb2\xfd\xec\xa8\x40\x74\xfb\xfa\xf4'
    # Sets up the 8259, enables the UART's receive interrupt, then sti; hlt: only input can wake it.
    code_idle='\xb0\x11\xe6\x20\xb0\x20\xe6\x21\xb0\x04\xe6\x21\xb0\x01\xe6\x21'
    code_idle+='\xba\xf9\x03\x00\x00\xb0\x01\xee\xba\xfc\x03\x00\x00\xb0\x08\xee\xfb\xf4\xeb\xfc'
}

# --- a network of one's own ---

# Makes a network namespace with an interface tap0, 10.77.0.1, which nobody else sees; the array `inside` runs a command in it. It is there until
# the script ends. False, and why on standard error, where this user may not.
tap_network() {
    coproc TAPNET { exec unshare -rn sh -c 'ip link set lo up && ip tuntap add dev tap0 mode tap && ip addr add 10.77.0.1/24 dev tap0 && ip link set tap0 up && echo made && cat'; }
    local pid=$TAPNET_PID made=''
    read -r made <&"${TAPNET[0]}"
    [ "$made" = made ] || return
    # shellcheck disable=SC2034 # used by the scripts that source this file
    inside=(nsenter --target "$pid" --user --net --preserve-credentials --)
}

# --- coverage ---

# line_coverage OBJECTS PATTERN: "FILE PERCENT" for each source file below a folder of objects that were built with -Db_coverage
# and have run, whose path matches the pattern of awk.
line_coverage() {
    local gcda
    find "$1" -name '*.gcda' | while read -r gcda; do
        gcov --no-output --object-directory "$(dirname "$gcda")" "$gcda" 2>/dev/null
    done | awk -F"[':%]" -v want="$2" '/^File / { file = $2 ~ want ? $2 : ""; sub(/.*\//, "", file) }
        /^Lines executed/ && file { print file, $2; file = "" }'
}
