#!/usr/bin/env bash
# models.sh [BUILD [fetch]] - Debian's kernels on the models of -cpu: 686 on those that it runs on, and on those that it does not. `fetch`:
# on more of them, and 686-pae with PAE and NX, which comes from the mirror that apt uses.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
kernel_pae=$build/pae/vmlinuz
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# i386's package lists and the package, apart from this machine's own.
fetch_pae() {
    local root=$build/pae name
    mkdir -p "$root/lists/partial" "$root/archives/partial"
    sed -n 's/^URIs: //p; s/^deb \(\[.*\] \)\?\(http[^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -v security | head -n 1 | sed 's|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & bookworm main|' >"$root/sources"
    apt=(-o APT::Architecture=i386 -o APT::Architectures=i386 -o "Dir::State::lists=$root/lists" -o Dir::State::status=/dev/null
        -o "Dir::Cache::archives=$root/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o "Dir::Etc::sourcelist=$root/sources" -o Dir::Etc::sourceparts=/dev/null)
    apt-get "${apt[@]}" update >"$root/log" 2>&1 || return
    name=$(apt-cache "${apt[@]}" depends linux-image-686-pae | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1)
    (cd "$root" && apt-get "${apt[@]}" download "$name" >>log 2>&1 &&
        dpkg-deb --fsys-tarfile "$name"_*.deb | tar x --wildcards './boot/vmlinuz-*' && mv boot/vmlinuz-* vmlinuz)
}

# Boots a kernel on a model: its output is in $dir/out, what the emulator says in $dir/err.
boot() { # kernel model
    debian_args "mount -t proc proc /proc; uname -r; grep -E '^(flags|model name)' /proc/cpuinfo; poweroff -f" loglevel=7
    boot_args[3]=$1
    timeout 300 "$build/tandem" "${boot_args[@]}" -cpu "$2" -nographic -icount shift=3,sleep=off </dev/null >"$dir/out" 2>"$dir/err"
}

# The kernel's flags, each as a word; a leading - is one that it must not find.
expect_boot() { # kernel model flag...
    local model=$2 flags flag
    boot "$1" "$model"
    expect_text "$model: it powers off" "$(cat "$dir/err")" 'the guest powered off'
    flags=" $(tr -d '\r' <"$dir/out" | sed -n 's/^flags[^:]*: //p' | tail -n 1) "
    for flag in "${@:3}"; do
        case $flag in
        -*) if [[ $flags == *" ${flag#-} "* ]]; then fail "$model has no ${flag#-}" "$flags"; else pass; fi ;;
        *) if [[ $flags == *" $flag "* ]]; then pass; else fail "$model has $flag" "$flags"; fi ;;
        esac
    done
}

expect_text "-cpu help" "$("$build/tandem" -cpu help)" '^  pentium3 '
expect_boot "$debian_dir/linux" pentium3 sse -sse2 -nx
# Debian's i386 is for the i686: it stops where it looks at the CPU.
for model in 486 pentium; do
    boot "$debian_dir/linux" "$model"
    expect_text "$model: the kernel stops" "$(cat "$dir/err")" 'the guest halted and nothing can wake it'
done
if [ "${2-}" = fetch ]; then
    expect_boot "$debian_dir/linux" qemu32,-apic sse2 pni -apic -clflush
    expect_boot "$debian_dir/linux" pentium2,-mtrr,-pat,-mca,-mce mmx -sse -mtrr -mce
    [ -f "$kernel_pae" ] || fetch_pae
fi
if [ "${2-}" != fetch ]; then
    : # the long form has the rest
elif [ -f "$kernel_pae" ]; then
    expect_boot "$kernel_pae" i686 pae nx pti
    expect_text "686-pae" "$(cat "$dir/out")" '^6\.1\..*-686-pae'
    expect_text "NX is in use" "$(cat "$dir/out")" 'NX \(Execute Disable\) protection: active'
    expect_boot "$kernel_pae" pentium3 pae pse36 -nx
    expect_boot "$kernel_pae" qemu32 pae -nx
    for mode in thread inline; do
        timeout 300 "$build/tandem" "${boot_args[@]}" -nographic -icount shift=3,sleep=off -devthread mode=$mode \
            -digest "file=$dir/$mode,every=500000000" </dev/null >"$dir/out" 2>"$dir/err"
    done
    expect "one digest in two modes" cmp "$dir/thread" "$dir/inline"
else
    skip "686-pae: its package cannot be fetched ($build/pae/log)"
fi
summary models
