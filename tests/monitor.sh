#!/usr/bin/env bash
# tests/monitor.sh BUILD - the monitor: every command's answer against something independent, in every mode; that looking
# changes no digest; clients that misbehave; the terminal, by tmux.
# shellcheck disable=SC2046 # the options of a guest are words
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
. tests/lib.sh
build=$(readlink -f "${1:-build}")
tandem=$build/tandem guests=$build/tests/guests
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2

guest() { echo -kernel "$guests/$1.elf" -append shift=3 -m 16 -display none -serial null; }

# talk MODE GUEST LINES...: a run that begins paused; its answers without prompts in the variable `answers`.
talk() {
    local mode=$1 name=$2
    shift 2
    answers=$(printf '%s\n' "$@" quit | timeout 30 "$tandem" $(guest "$name") -devthread "mode=$mode" -S -monitor stdio 2>stderr |
        sed 's/(tandem) //g')
}

# --- memory: x, xp, memsave and pmemsave against the snapshot of the same tick, made by another run ---
memory() {
    local mode
    for mode in inline thread adaptive; do
        talk $mode pit 'run-to 50000' 'pmemsave 0x100000 4096 pm' 'memsave 0x100000 0x1000 m' 'xp /64xb 0x100000' 'x /16dw 0x100000'
        expect "pmemsave and memsave agree without paging ($mode)" cmp pm m
        expect "xp shows what pmemsave wrote ($mode)" cmp <(sed -n 's/^0\{8\}001000[0-3]0: //p' <<<"$answers" | tr -d '\n ' | sed 's/0x//g') \
            <(head -c 64 pm | od -An -v -tx1 | tr -d '\n ')
        expect "x /dw shows it ($mode)" cmp <(sed -n 's/^001000[0-3]0: //p' <<<"$answers" | tr ' ' '\n' | grep .) \
            <(head -c 64 pm | od -An -v -td4 | tr -s ' ' '\n' | grep .)
    done
    # The kernel's own bytes, where the ELF file puts them.
    objcopy -O binary -j .text "$guests/pit.elf" text 2>/dev/null || objcopy -O binary "$guests/pit.elf" text
    local at
    at=$(objdump -h "$guests/pit.elf" | awk '$2 == ".text" { print "0x" $4 }')
    talk inline pit "pmemsave $at $(stat -c %s text) code" "x /3i $at" "x /2s $at"
    expect "code in memory is the ELF file's" cmp text code
    expect "x /i as objdump has it" test "$(sed -n 's/^0\(.......\): \([a-z]*\).*/\1 \2/p' <<<"$answers" | head -n 3)" = \
        "$(objdump -d -M intel --start-address="$at" "$guests/pit.elf" | awk -F '\t' '/^ *[0-9a-f]+:\t/ && $3 { split($3, w, " ");
            sub(/:/, "", $1); gsub(/ /, "", $1); printf "%07s %s\n", $1, w[1] }' | sed 's/^ */0/;s/^0*\(.......\) /\1 /' | head -n 3)"
}

errors() {
    talk inline pit 'x /0x 0' 'x /99999999999999999999xb 0' 'x /4z 0' 'x /4xw 0xfee00000' 'x' 'print 1/0' 'print ((' 'print $nosuch' \
        'pmemsave 0 0 f' 'pmemsave 0xfffff000 4096 f' 'pmemsave 0 4096 /nowhere/f' 'run-to never' 'info nothing' 'info status now' \
        'nonsense' 'log loud' 'mouse_button 9' 'help nonsense' 'screendump /nowhere/f'
    expect_text "a count of 0" "$answers" '^Error: count: 1 to'
    expect "a huge count" test "$(grep -c '^Error: count' <<<"$answers")" = 2
    expect_text "a bad format" "$answers" '^Error: accepted: /\[COUNT\]'
    expect_text "what is no memory" "$answers" '^fee00000: cannot access memory'
    expect_text "too few words" "$answers" '^Error: accepted: x /FMT ADDR'
    expect_text "division by zero" "$answers" 'division by zero'
    expect_text "no such register" "$answers" 'no such register'
    expect_text "a size of 0" "$answers" '^Error: a size of 1 to'
    expect_text "no memory to save" "$answers" '^Error: from 0xfffff000 to 0x100000000 not all is memory'
    expect_text "no such folder" "$answers" '^Error: /nowhere/f: No such file'
    expect_text "no tick" "$answers" '^Error: run-to never: a tick from'
    expect_text "no such subject" "$answers" "^unknown: 'info nothing'"
    expect_text "too many words" "$answers" '^Error: accepted: info status'
    expect_text "no such command" "$answers" "^unknown command: 'nonsense'"
    expect_text "no such item" "$answers" '^Error: log loud: .*in_asm'
    expect_text "no such button" "$answers" '^Error: accepted: a sum of 1'
}

# --- $pc is a place in memory, $eip one in its segment: of a processor behind its reset, by Intel's manual ---
program_counter() {
    answers=$(printf '%s\n' 'print $eip' 'print $pc' 'print $cs' 'x /1i $pc' quit | timeout 30 "$tandem" -m 16 -display none -serial null -S -monitor stdio 2>stderr |
        sed 's/(tandem) //g')
    expect_text "\$eip" "$answers" '^0xfff0$'
    expect_text "\$pc" "$answers" '^0xfffffff0$'
    expect_text "\$cs" "$answers" '^0xf000$'
    expect_text "the first instruction" "$answers" '^fffffff0: jmp'
}

# --- info: against the state that a snapshot of this tick holds ---
info() {
    local tick=200000
    timeout 30 "$tandem" $(guest pit) -devthread mode=inline -snapshot-at $tick,file=snapshot -x-ticks $((tick + 1)) 2>/dev/null
    "$build/tandem-digest-diff" snapshot >fields 2>/dev/null
    talk thread pit "run-to $tick" 'savevm ./saved' 'savevm /nowhere/f' 'info registers' 'print /x $eax' 'print $cr0' 'print $tick' 'info pit' 'info irq' 'info clock' \
        'info status' 'info horizon' 'info devices' 'info mtree' 'info pci' 'info block' 'info chardev' 'info stats' 'info replay' \
        'info version' 'info name' 'info tlb' 'info mem' 'digest' 'help' 'help info' 'help x'
    local eax
    eax=$(sed -n 's/^cpu.eax: 0x//p' fields)
    expect "savevm is -snapshot-at" "$build/tandem-digest-diff" snapshot saved
    expect_text "savevm into no folder" "$answers" '^Error: .*/nowhere/f'
    expect_text "info registers" "$answers" "^EAX=$(printf %08x "0x${eax:-0}") "
    expect_text "print /x \$eax" "$answers" "^0x${eax:-0}$"
    expect_text "print \$tick" "$answers" "^$(printf '%#x' $tick)$"
    expect "info pit has the fields of the snapshot" test "$(grep '^pit.counter.0..count: ' <<<"$answers")" = "$(grep '^pit.counter.0..count: ' fields)"
    expect "info irq too" test "$(grep '^pic.pic.0..imr: ' <<<"$answers")" = "$(grep '^pic.pic.0..imr: ' fields)"
    expect_text "info clock" "$answers" "^virtual time: $((tick * 8)) ns"
    expect_text "info status" "$answers" "^VM status: paused, tick $tick$"
    expect_text "info horizon" "$answers" "^pit: next event at tick [0-9]+$"
    expect_text "info devices" "$answers" '^com1: device 4'
    expect_text "info mtree: RAM" "$answers" '^000000000-00009ffff: ram'
    expect_text "info mtree: ports" "$answers" '^0040-0043: pit'
    expect_text "info pci" "$answers" '^00:00.0: 8086:1237 class 0600'
    expect_text "info block" "$answers" '^no drives'
    expect_text "info chardev" "$answers" '^serial0: null'
    expect_text "info stats" "$answers" "^  ticks  *$tick$"
    expect_text "info replay" "$answers" "^no recording, tick $tick"
    expect_text "info version" "$answers" '^version=.* kernel='
    expect_text "info name" "$answers" '^tandem$'
    expect "info tlb and mem without paging" test "$(grep -c '^paging is off$' <<<"$answers")" = 2
    expect "digest is the end's" test "$(sed -n 's/^tick [0-9]* digest //p' <<<"$answers")" = \
        "$(timeout 30 "$tandem" $(guest pit) -x-ticks $tick -stats format=json,file=s.json 2>/dev/null; sed -n 's/.*"state": *"\([0-9a-f]*\)".*/\1/p;s/.*"digest": *"\([0-9a-f]*\)".*/\1/p' s.json | head -n 1)"
}

# The monitor's and QMP's commands and events, and those of the manual page.
in_the_manual() {
    talk inline pit help 'help info'
    echo "$answers" >help
    printf '{"execute":"qmp_capabilities"}\n{"execute":"query-qmp-schema"}\n{"execute":"quit"}\n' |
        timeout 20 "$tandem" $(guest pit) -S -qmp stdio >schema 2>/dev/null
    expect "the manual page has each command, and no other" python3 "$OLDPWD/tests/man_commands.py" "$OLDPWD/docs/tandem.1" help schema
}

# With page tables: those that the guest writes compared with what is shown of them.
paging() {
    talk inline bench_cr3 'run-to 3000000' 'print $cr0' 'info tlb' 'info mem' 'x /4xw 0x100000' 'xp /4xw 0x100000''
    expect_text "the guest pages" "$answers" '^0x8001001'
    expect_text "info tlb: identity" "$answers" '^00100000: 000100000 '
    expect_text "info mem: memory of the kernel" "$answers" '^000000000-001000000 001000000 -rw$'
    expect_text "info mem: code of the program" "$answers" '^008000000-[0-9a-f]* [0-9a-f]* ur-$'
    # Each page of 4 KiB that info tlb lists is in info mem's sum, which counts bytes.
    expect "info tlb and info mem map as much" test $((4096 * $(grep -c '^[0-9a-f]\{8\}: [0-9a-f]\{9\} ..-' <<<"$answers"))) = \
        $(($(sed -n 's/^0[0-9a-f]*-[0-9a-f]* \([0-9a-f]*\) .r.$/0x\1/p' <<<"$answers" | paste -sd+)))
    expect "x and xp agree where pages are identical" test "$(sed -n 's/^00100000: \(0x.*\)/\1/p' <<<"$answers")" = \
        "$(sed -n 's/^0000000000100000: //p' <<<"$answers")"
}

# --- nothing of it shows: digests of runs that are looked at in all ways, at random moments ---
invisible() {
    local g=mix mode
    timeout 60 "$tandem" $(guest $g) -devthread mode=inline -digest file=plain,every=100000 -device isa-debug-exit,iobase=0xf4,iosize=4 2>/dev/null
    for mode in inline thread adaptive; do
        timeout 60 "$tandem" $(guest $g) -devthread mode=$mode -digest file=watched,every=100000 -device isa-debug-exit,iobase=0xf4,iosize=4 \
            -monitor unix:sock,server,nowait -monitor stdio < <(
                for i in $(seq 40); do
                    printf 'info registers\nx /8i $eip\nstop\ninfo irq\ninfo tlb\ndigest\nscreendump s\n'
                    printf 'info horizon\ncont\n'
                    sleep 0.0$((RANDOM % 4))
                done) >answers 2>stderr
        expect "no digest changes ($mode)" "$build/tandem-digest-diff" plain watched
        expect_text "it was looked at ($mode)" "$(cat answers)" 'EAX='
    done
}

# --- text that is pasted: by the keys of the layout, dead ones too ---
paste_text() {
    printf '%s\n' 'paste zÄ\n' 'paste  a\\' 'paste é' 'paste bЖc' "paste $(printf '%0600d' 0)" 'run-to 500000000' quit |
        timeout 60 "$tandem" $(guest echo) -k de -S -monitor stdio -icount shift=3,sleep=off,rr=record,rrfile=log >answers 2>stderr
    expect "pasted text, as keys" test "$(awk '$2 == "keys0" { print $3 }' log | head -n 20 | tr -d '\n')" = \
1500011500002a00012800012800002a00001c00011c00001e00011e0000b800010c00010c0000b800000d00010d0000120001120000300001300000
    expect_text "no key makes it" "$(cat answers)" "Error: no key of the layout de makes 'Ж'"
    expect_text "too much at once" "$(cat answers)" 'Error: too many keys wait already; not typed: 0{80,120}$'
}

# --- input: what was recorded has the codes and times that were asked for, and replays without the monitor ---
input() {
    local at=$((1000 * 1000)) ms=$((1000 * 1000 / 8))
    printf '%s\n' "run-to $at" 'sendkey a' 'sendkey ctrl-0x20 20' 'mouse_button 1' 'mouse_move 5 -3 1' 'sendkey nosuch' 'sendkey a 0' \
        'mouse_move 40000 0' "run-to $((at + 400 * ms))" digest quit | timeout 30 "$tandem" $(guest clocks) -S -monitor stdio \
        -icount shift=3,sleep=off,rr=record,rrfile=log -digest file=d1,every=100000 >answers 2>stderr
    expect "keys as they were asked for" test "$(awk '$2 == "keys0" { print $3 }' log | paste -sd ' ')" = '1e0001 1e0000 1d0001 200001 200000 1d0000'
    # The machine takes a key in at its next step, and the keyboard sends it a moment later.
    expect "held for 100 and 20 ms" awk -v ms=$ms '$2 == "keys0" { t[++n] = $1 / ms }
        END { a = t[2] - t[1]; b = t[5] - t[4]; print a, b; exit !(a > 98 && a < 102 && b > 18 && b < 22) }' log
    expect "the mouse as it was asked for" test "$(awk '$2 ~ /mouse/ { print $3 }' log | paste -sd ' ')" = '000000000100 0500fdff0101'
    expect_text "no such key" "$(cat answers)" "Error: .*nosuch"
    expect_text "no time" "$(cat answers)" 'Error: 1 to 1000000 milliseconds'
    expect_text "no such motion" "$(cat answers)" 'Error: accepted: -32768 to 32767'
    timeout 30 "$tandem" $(guest clocks) -icount shift=3,sleep=off,rr=replay,rrfile=log -digest file=d2,every=100000 -devthread mode=inline \
        -x-ticks $((at + 400 * ms)) 2>stderr
    expect "replayed without a monitor" "$build/tandem-digest-diff" d1 d2
}

# --- the power button: a guest that drives the fixed hardware of ACPI, by both interrupt controllers, live and replayed in every mode ---
power() {
    local apic mode options
    for apic in 0 1; do
        options=(-kernel "$guests/power.elf" -append "shift=3 apic=$apic" -m 16 -display none -device 'isa-debug-exit,iobase=0xf4,iosize=4')
        for mode in inline thread adaptive; do
            printf '%s\n' 'run-to 1000000' system_powerdown 'run-to 2000000' system_powerdown 'run-to 3000000' system_powerdown cont |
                timeout 30 "$tandem" "${options[@]}" -serial file:out -S -monitor stdio -devthread mode=$mode \
                    -icount shift=3,sleep=off,rr=record,rrfile=log -digest file=d$mode,every=100000 >answers 2>stderr
            expect "the power button, apic=$apic ($mode)" test $? -eq 0
            expect_text "it powers off" "$(cat stderr out)" 'the guest powered off'
            expect_text "SCI as often as it is to come" "$(cat out)" '^5 scis'
        done
        expect "three buttons in the recording" test "$(grep -c ' panel0 ' log)" = 3
        for mode in inline thread adaptive; do
            timeout 30 "$tandem" "${options[@]}" -serial null -devthread mode=$mode -icount shift=3,sleep=off,rr=replay,rrfile=log \
                -digest file=d,every=100000 2>stderr
            expect "replayed, apic=$apic ($mode)" "$build/tandem-digest-diff" dadaptive d
        done
    done
}

# --- a guest that sleeps without an end, with nothing planned: every tick that somebody names is arrived at ---
sleepers=(-kernel "$guests/echo.elf" -append shift=3 -m 16 -display none)
idle_run() { # name mode sleep option...
    local name=$1 mode=$2 sleep=$3
    shift 3
    timeout 30 "$tandem" "${sleepers[@]}" -devthread "mode=$mode" -digest "file=$name.digest,every=500000" -icount "shift=3,sleep=$sleep$record" "$@" \
        >"$name.out" 2>"$name.err"
}
# run-to is answered at once there; STOP tells that the guest has arrived.
idle_by_qmp() { # mode sleep
    local line
    rm -f qmp.out
    mkfifo to
    idle_run qmp "$1" "$2" -serial null -S -qmp stdio <to &
    exec 5>to
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"human-monitor-command","arguments":{"command-line":"run-to 3000000"}}' >&5
    for _ in {1..200}; do
        grep -qs '"STOP"' qmp.out && break
        sleep 0.05
    done
    echo '{"execute":"quit"}' >&5
    exec 5>&-
    wait $!
    rm to
}
idle() {
    local mode sleep record=
    for mode in inline thread adaptive; do
        for sleep in off on; do
            printf '%s\n' 'run-to 2000000' 'info clock' 'sendkey a 8' 'run-to 4000000' 'info clock' quit |
                idle_run run_to $mode $sleep -serial null -S -monitor stdio
            expect "run-to arrives ($mode, sleep=$sleep)" test "$(grep -Ec '(^|[^0-9])(2000000|4000000)([^0-9]|$)' run_to.out)" -ge 2
            expect "and no further" grep -q 'at tick 4000000 ' run_to.err
            idle_by_qmp $mode $sleep
            expect "run-to by QMP arrives ($mode, sleep=$sleep)" grep -q 'at tick 3000000 ' qmp.err
            idle_run until $mode $sleep -serial pty -until tick=5000000 -snapshot-at 3000000,file=snap -vga std -screendump-at 2000000,file=screen.ppm
            expect "-until tick= arrives ($mode, sleep=$sleep)" grep -q 'the tick of -until was reached at tick 5000000 ' until.err
            expect "-snapshot-at and -screendump-at, too" test -s snap -a -s screen.ppm
            expect "and the digest points on the way" grep -q '^4500000 ' until.digest
            cp until.digest "until.$mode$sleep"
            rm -f snap screen.ppm
        done
    done
    for mode in inlineon threadoff threadon adaptiveoff adaptiveon; do
        expect "one digest ($mode)" "$build/tandem-digest-diff" until.inlineoff "until.$mode"
    done
    # Recorded: the key goes up where nothing else is planned. Replayed without a monitor.
    record=,rr=record,rrfile=idle.log
    printf '%s\n' 'run-to 1000100' 'sendkey a 8' 'run-to 3000100' quit | idle_run recorded adaptive off -serial null -S -monitor stdio
    expect "a key goes down at once, and up after 8 ms" awk '$2 == "keys0" { t[++n] = $1 } END { exit !(n == 2 && t[2] - t[1] > 990000 && t[2] - t[1] < 1010000) }' idle.log
    for mode in inline thread adaptive; do
        record=,rr=replay,rrfile=idle.log
        idle_run replayed $mode off -serial null
        expect "replayed up to where it ended ($mode)" cmp recorded.digest replayed.digest
        expect_text "which is run-to's tick ($mode)" "$(cat replayed.err)" 'at tick 3000100 '
    done
    record=
    # Nothing can come: the run ends where the guest halted.
    idle_run alone adaptive off -serial null -until tick=5000000
    expect "a guest that waits for nothing ends before" grep -q 'nothing can wake it' alone.err
}

# --- clients on a socket ---
sockets() {
    timeout 30 "$tandem" $(guest echo) -monitor unix:sock,server,nowait 2>stderr &
    local pid=$! i
    for i in $(seq 100); do [ -S sock ] && break; sleep 0.05; done
    expect_text "an answer over a socket" "$(printf 'info name\n' | socat -t 5 - unix:sock)" 'tandem'
    # One that asks for much and never reads, one that sends no line end; the third is served.
    (for i in $(seq 200); do printf 'x /65536xb 0x100000\n'; done; sleep 20) 2>/dev/null | socat -u - unix:sock &
    local deaf=$!
    head -c 100000 /dev/zero | tr '\0' x | timeout 5 socat -u - unix:sock 2>/dev/null
    expect_text "served beside bad clients" "$(printf 'info status\n' | timeout 10 socat -t 5 - unix:sock)" 'VM status: running'
    printf 'quit\n' | socat -t 5 - unix:sock >/dev/null
    wait $pid
    expect "quit over a socket" test $? -eq 0
    expect "the socket is gone" test ! -e sock
    kill $deaf 2>/dev/null
}

# -S prints nothing of its own, and a signal ends it as ever.
stands() {
    timeout 20 "$tandem" $(guest pit) -S >out 2>err &
    local pid=$!
    sleep 0.5
    expect "-S is silent" test ! -s out -a ! -s err
    kill -TERM "$(pgrep -P $pid tandem || echo $pid)"
    wait $pid
    expect "a signal ends a machine that stands" test $? -eq 143
    expect_text "at tick 0" "$(cat err)" 'ended by a signal at tick 0 '
}

# --- the terminal: Ctrl-A c, editing, history, completion, and the terminal as it was afterwards ---
screen_has() { # regex: within 10 s
    local i
    for i in $(seq 100); do
        tmux -L "$tmux_name" capture-pane -p | grep -Eq -- "$1" && return 0
        sleep 0.1
    done
    tmux -L "$tmux_name" capture-pane -p
    return 1
}
keys() { tmux -L "$tmux_name" send-keys "$@"; }
on_terminal() { # options: starts a run on a terminal of its own
    tmux -L "$tmux_name" -f /dev/null new-session -d -x 100 -y 40 \
        "stty -a >before; $tandem $* 2>&1; echo status \$?; stty -a >after; sleep 100"
}
terminal() {
    local tmux_name=tandem-$$-1 how
    on_terminal -kernel "$guests/echo.elf" -append shift=3 -m 16 -nographic
    expect "the guest runs on the terminal" screen_has '^ready'
    keys C-a c
    expect "Ctrl-A c leads to the monitor" screen_has '^\(tandem\) *$'
    keys 'info nam' Tab Enter
    expect "a completed word is executed" screen_has '^tandem$'
    keys 'info st' Tab Tab
    expect "several candidates are listed" screen_has 'stats  status'
    keys C-u 'print 40+3' Left BSpace Enter
    expect "the line is edited" screen_has '^0x193$'
    keys 'print 0x1234' Enter
    expect "an answer" screen_has '^0x1234$'
    keys Up BSpace 5 Enter
    expect "history" screen_has '^0x1235$'
    keys 'run-to 1' Enter
    expect "an error" screen_has 'Error: run-to 1: a tick from'
    keys C-a c
    keys abc
    expect "the guest has the keys again" screen_has '[0-9a-f]{5}' # a sum, without zeros in front
    keys C-a h
    expect "Ctrl-A h" screen_has 'Ctrl-A c +switch between console and monitor'
    keys C-a c q Enter
    expect "quit ends it" screen_has '^status 0'
    expect "the terminal is as it was" cmp before after
    tmux -L "$tmux_name" kill-server
    for how in 'C-c:status 130' 'q Enter:status 0'; do
        tmux_name=tandem-$$-${how:0:1}
        on_terminal $(guest echo) -S -monitor stdio
        expect "-monitor stdio has a line to edit" screen_has '^\(tandem\)'
        keys 'info nam' Tab Enter
        expect "and completes (${how%%:*})" screen_has '^tandem$'
        keys -l 'print 5ä'
        keys BSpace '*5' Enter
        expect "and takes characters beyond ASCII (${how%%:*})" screen_has '^0x19$'
        keys -l 'paste äü'
        keys Enter
        expect "which come as UTF-8 (${how%%:*})" screen_has "no key of the layout us makes 'ä' .U.00E4"
        keys 'print 6*7' Enter Up BSpace 8 Enter
        expect "and has a history (${how%%:*})" screen_has '^0x30$'
        keys ${how%%:*}
        expect "${how%%:*} ends it" screen_has "${how##*:}"
        expect "the terminal is as it was (${how%%:*})" cmp before after
        tmux -L "$tmux_name" kill-server
    done
}

# Ctrl-A c without a terminal: plain lines.
without_terminal() {
    answers=$(printf '\001cinfo name\nprint 6*7\n\001c\001cquit\n' | timeout 20 "$tandem" -kernel "$guests/echo.elf" -append shift=3 -m 16 -nographic -S 2>stderr)
    expect_text "Ctrl-A c in a script" "$answers" '^\(tandem\) 0x2a$'
    expect_text "and its quit" "$(cat stderr)" 'ended from the monitor'
    expect_text "what was sent before the end of the guest is answered" \
        "$(printf '\001cprint 6*7\n' | timeout 20 "$tandem" -kernel "$guests/echo.elf" -append shift=3 -m 16 -nographic 2>stderr)" '0x2a$'
    expect_text "one terminal for two" "$(timeout 20 "$tandem" -kernel "$guests/echo.elf" -nographic -monitor stdio 2>&1 </dev/null)" \
        '^tandem: -monitor stdio: standard input and output serve a serial port'
}

memory
errors
program_counter
info
in_the_manual
paging
invisible
paste_text
input
power
idle
sockets
stands
terminal
without_terminal
summary monitor
