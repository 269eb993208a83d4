#!/usr/bin/env bash
# symbols.sh [BUILD] [ways] - names and processes of profiles: a Debian boot and a Multiboot guest, compared with what other
# tools say; every output format. With "ways": the boot's profile in three modes is one file.
set -u
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
report() { "$build/tandem-profile" "$@"; }

# --- a Multiboot guest: its own symbols, without an option ---
guest=$build/tests/guests/mix_symbols.elf
multiboot() { # FILE OPTION...
    local file=$1
    shift
    timeout 100 "$build/tandem" -kernel "$guest" -append "shift=3 rounds=${rounds:-20}" -m 16 -icount shift=3,sleep=off -display none \
        -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 -profile "file=$file" "$@" </dev/null 2>"$dir/err"
    [ $? -eq "${status:-1}" ] || { cat "$dir/err"; return 1; }
}
expect "multiboot: runs" multiboot "$dir/mix.profile,every=97,stacks=on"
expect "multiboot: perf text" report convert format=perf "$dir/mix.profile" "$dir/mix.perf"
expect "multiboot: 1,000 samples named as nm names them" python3 "$here/symbols.py" elf "$dir/mix.perf" "$guest"
report lines -n 10000 "$dir/mix.profile" "$guest" >"$dir/mix.lines"
expect "multiboot: lines as addr2line has them" python3 "$here/symbols.py" lines "$dir/mix.perf" "$guest" "$dir/mix.lines"
rounds=1 status=3 expect "multiboot: every instruction of a run that ends before the first timer interrupt" multiboot "$dir/all.profile,every=1"
report convert format=perf "$dir/all.profile" "$dir/all.perf"
report lines -n 10000 "$dir/all.profile" "$guest" >"$dir/all.lines"
expect "multiboot: its lines, with code that it wrote itself" python3 "$here/symbols.py" lines "$dir/all.perf" "$guest" "$dir/all.lines"
expect "multiboot: of which there was some" grep -q "[[:space:]]$(nm "$guest" | sed -n 's/^0*\([0-9a-f]*\) b code_page$/\1/p') " "$dir/all.perf"
expect "multiboot: lines of a file that is none" bash -c '! "$1" lines "$2" "$2" 2>/dev/null' bash "$build/tandem-profile" "$dir/mix.profile"
expect_text "multiboot: the report has functions" "$(report report "$dir/mix.profile")" ' k guest_main'
report convert format=folded "$dir/mix.profile" "$dir/mix.folded"
expect "multiboot: a format at once" multiboot "$dir/once.folded,every=97,stacks=on,format=folded"
expect "multiboot: is that of a conversion" cmp "$dir/mix.folded" "$dir/once.folded"
expect "multiboot: the raw file is gone" test ! -e "$dir/once.folded.raw"
irq0=$(nm "$guest" | sed -n 's/^\([0-9a-f]*\) t irq0$/0x\1/p')
expect "multiboot: marks by name and by address" multiboot "$dir/mix.profile,every=97" -mark name=irq0 -mark behind=irq0+0 \
    -mark "address=$irq0" -mark no_such=no_such_symbol
expect "multiboot: have the same hits" test "$(sed -nE 's/^mark (name|behind|address): ([1-9].*)/\2/p' "$dir/err" | uniq -c |
    awk '{ print $1 }')" = 3
expect_text "multiboot: a name that is none" "$(cat "$dir/err")" '^mark no_such: no hit; its symbol was not found$'

# --- Debian ---
(cd "$dir" && zcat "$debian_dir/initrd.gz" | cpio -i --quiet --no-absolute-filenames -d bin/busybox 'lib/i386-linux-gnu/libc.so.6' 2>/dev/null)
debian_args "mount -t proc proc /proc; modprobe serpent_generic; rmmod serpent_generic; modprobe blowfish_generic; cat /proc/kallsyms; ls -lR / | sha256sum; poweroff -f" loglevel=0
boot() { # NAME OPTION...
    local name=$1
    shift
    timeout 300 "$build/tandem" "${boot_args[@]}" -nographic -icount shift=3,sleep=off -symbols "$dir/bin/busybox" \
        -symbols "$dir/lib/i386-linux-gnu/libc.so.6" -profile "file=$dir/$name.profile,every=12503,stacks=on" "$@" \
        </dev/null >"$dir/$name.out" 2>"$dir/$name.err"
}
expect "Debian: boots" boot inline -devthread mode=inline
tr -d '\r' <"$dir/inline.out" >"$dir/kallsyms"
report report -n 100000 "$dir/inline.profile" >"$dir/report"
expect "Debian: names and stacks" python3 "$here/symbols.py" report "$dir/report"
expect "Debian: perf text" report convert format=perf "$dir/inline.profile" "$dir/perf"
expect "Debian: 1,000 kernel samples named as in /proc/kallsyms" python3 "$here/symbols.py" kallsyms "$dir/perf" "$dir/kallsyms"
expect "Debian: samples in modules named as in /proc/kallsyms" python3 "$here/symbols.py" modules "$dir/perf" "$dir/kallsyms"
setkey=$(awk '$3 == "blowfish_setkey" { print "0x" $1 }' "$dir/kallsyms")
initcall=$(awk '$3 == "do_one_initcall" { print "0x" $1 }' "$dir/kallsyms")
expect "Debian: boots with marks" boot marked -devthread mode=adaptive -trace "file=$dir/trace,names=on" -mark name=do_one_initcall -mark "address=$initcall" \
    -mark cat=ksys_read,process=cat -mark module=blowfish_common:blowfish_setkey -mark "module_address=$setkey" \
    -mark module_init=blowfish_generic:blowfish_mod_init -mark no_module=blowfish_generic:no_such
expect "Debian: a mark by kallsyms has the hits of its address" test "$(sed -nE 's/^mark (name|address): ([0-9]{3}.*)/\2/p' \
    "$dir/marked.err" | uniq -c | awk '{ print $1 }')" = 2
expect "Debian: a mark in a module has the hits of its address" test "$(sed -nE 's/^mark (module|module_address): ([1-9].*)/\2/p' \
    "$dir/marked.err" | uniq -c | awk '{ print $1 }')" = 2
expect_text "Debian: a mark in a module's initialization" "$(cat "$dir/marked.err")" '^mark module_init: 1 hits'
expect_text "Debian: a module without such a symbol" "$(cat "$dir/marked.err")" '^mark no_module: no hit; its symbol was not found$'
expect "Debian: processes have their names in a timeline" python3 "$here/check_trace.py" "$dir/trace" \
    "any(n.startswith('sha256sum (') for _, _, n in of[2, 2])"
expect_text "Debian: a mark in one process" "$(cat "$dir/marked.err")" '^mark cat: [1-9]'
text=$(cat "$dir/report")
expect_text "Debian: process 1" "$text" '  (init|sh|swapper/0|poweroff) \(1\)$'
expect_text "Debian: kthreadd is process 2" "$text" '  kthreadd \(2\)$'
expect_text "Debian: a process of the shell's" "$text" '  cat \([0-9]+\)$'
expect_text "Debian: a function of a module" "$text" ' k blowfish_setkey$'
expect_text "Debian: one of a module that is gone, where another one is now" "$text" ' k __serpent_encrypt$'
expect_text "Debian: its code is found" "$text" ' u \[busybox\]$'
expect_text "Debian: a function of the library" "$text" ' u (memcpy|strlen|__libc_start_main|_IO_.*|[a-z_]+)$'
expect_text "Debian: system calls" "$text" 'system call 3$'
for format in folded svg pprof perfetto; do
    expect "Debian: $format" report convert "format=$format" "$dir/inline.profile" "$dir/$format"
done
expect "Debian: collapsed stacks add up" python3 "$here/symbols.py" folded "$dir/folded" "$dir/report"
expect "Debian: the flame graph is XML" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$dir/svg"
expect_text "Debian: compared with itself" "$(report diff "$dir/inline.profile" "$dir/inline.profile")" '\+0 +\+0\.00'
if [ -x /usr/lib/go-1.19/bin/go ]; then
    expect_text "Debian: go tool pprof reads it" "$(/usr/lib/go-1.19/bin/go tool pprof -top "$dir/pprof" 2>&1)" 'inflate_fast'
else
    skip "go tool pprof (golang-1.19-go is not installed)"
fi

# --- one profile, whatever the mode ---
if [ "${2-}" = ways ]; then
    expect "Debian: boots, thread, eager" boot thread -devthread mode=thread -translator mode=eager
    expect "Debian: boots, adaptive" boot adaptive
    expect "Debian: the same profile (thread, eager)" cmp "$dir/inline.profile" "$dir/thread.profile"
    expect "Debian: the same profile (adaptive, background)" cmp "$dir/inline.profile" "$dir/adaptive.profile"
fi
summary symbols
