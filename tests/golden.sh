#!/usr/bin/env bash
# golden.sh [BUILD [GUESTS]] - the digests of known guests, as they are in the repository: runs on this host are so compared with
# runs on every other host, and with yesterday's, under another quantum. GUESTS: the build whose guests run (default: BUILD).
# golden.sh --rewrite [BUILD] writes them anew; the commit that does so says why the states changed.
#
# tests/golden/digests.txt has a line for each guest: NAME SHA256 TICK CHAIN STATE. SHA256 is that of the guest's file
# (Debian: of kernel and initrd), TICK where its run ended, CHAIN the digest chain at the last point (-: none), STATE the hash of the
# state at the end. A guest that another compiler made has another hash and is skipped; those in tests/golden/guests are
# committed as binaries and never are.
set -u
. "$(dirname "$0")/lib.sh"
rewrite=0 quantum=()
if [ "${1-}" = --rewrite ]; then rewrite=1; shift; fi
build=$(realpath "${1:-build}")
guests=$(realpath "${2:-$build}")/tests/guests
golden=$(cd "$(dirname "$0")/golden" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What a guest needs besides the options that all have.
guest_options() { # name
    case $1 in
    toypci) printf '%s\n' -x-toypci ;;
    multiboot) printf '%s\n' -initrd "a arg one,b" ;; # the names are in the guest's memory: no path
    esac
}
printf 'first module' >"$dir/a"
printf 'second' >"$dir/b"

# Prints "TICK CHAIN STATE" of a run, or fails.
digest_of() { # every options...
    local every=$1
    shift
    (cd "$dir" && timeout 600 "$build/tandem" "$@" "${quantum[@]}" -icount shift=3,sleep=off -display none \
        -digest "file=digest,every=$every") </dev/null >"$dir/out" 2>&1
    awk 'BEGIN { chain = "-" } $1 == "end" { print $2, chain, $3; found = 1 } /^[0-9]/ { chain = $2 } END { exit !found }' "$dir/digest"
}

digest_of_guest() { # name file
    local options=()
    mapfile -t options < <(guest_options "$1")
    cp "$2" "$dir/guest.elf" # its name is in the guest's memory, too
    digest_of 100000 -kernel guest.elf -append shift=3 -m 16 -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 \
        "${options[@]}"
}

digest_of_debian() {
    debian_args 'echo shell; poweroff -f' quiet
    digest_of 100000000 "${boot_args[@]}" -serial null
}

sum_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# Every guest once: "NAME FILE", the committed ones first; "debian" has no one file.
guests() {
    local file name
    for file in "$golden"/guests/*.elf "$guests"/*.elf; do
        name=$(basename "$file" .elf)
        # Files with symbols, whose names differ from build to build; guests that need a drive, input, a network or a screen
        # (disks.sh, floppy.sh, ide.sh, media.sh, monitor.sh, pc.sh, ps2.sh, net.sh, vga.sh).
        case $name in mix_symbols | symbols | disk | ide | bench_disk | floppy | media | minix_pc | login | power | ps2 | toynet | net | vga_*) continue ;; esac
        [ -e "$golden/guests/$name.elf" ] && [ "$file" != "$golden/guests/$name.elf" ] && continue
        echo "$name $file"
    done
    echo "debian -"
}

sum_of_guest() { # name file
    if [ "$1" = debian ]; then sum_of "$debian_dir/linux" "$debian_dir/initrd.gz"; else sum_of "$2"; fi
}

run_guest() { # name file
    if [ "$1" = debian ]; then digest_of_debian; else digest_of_guest "$@"; fi
}

# Digests are compared under another quantum than the one that wrote them: it says where the vCPU stops, never what it does.
compare() { # name file
    local sum expected got
    sum=$(sum_of_guest "$@")
    expected=$(awk -v n="$1" -v s="$sum" '$1 == n && $2 == s { print $3, $4, $5 }' "$golden/digests.txt")
    if [ -z "$expected" ]; then
        skip "golden: no digest of $1 with SHA-256 ${sum:0:16}...: another compiler or package made it"
        return
    fi
    quantum=(-x-quantum 9973)
    got=$(run_guest "$@")
    if [ "$got" = "$expected" ]; then pass; else fail "$1: end tick, chain and state" "expected $expected
got      $got"; fi
}

if [ $rewrite -eq 1 ]; then
    for file in "$golden"/guests/*.elf; do # the binaries follow their sources
        cp "$guests/$(basename "$file")" "$file" || exit 1
    done
    guests | while read -r name file; do
        echo "$name $(sum_of_guest "$name" "$file") $(run_guest "$name" "$file")"
    done >"$dir/new" || exit 1
    mv "$dir/new" "$golden/digests.txt"
    echo "golden: $(wc -l <"$golden/digests.txt") digests written; see what changed with git diff, and say why in the commit"
    exit 0
fi
while read -r name file; do compare "$name" "$file"; done < <(guests)
summary golden
