#!/usr/bin/env bash
# behaviour.sh [BUILD] - exit statuses, signals, the terminal, statistics, digest files.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
build=$(realpath "${1:-build}")
tandem=$build/tandem
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2

# in eax, dx (9000h); mov [e0000000h], ax; hlt
code_stray='\x66\xba\x00\x90\xed\x66\xa3\x00\x00\x00\xe0\xf4'
for name in loop halt exit triple reset print hello stray; do
    code=code_$name
    tiny_guest "$name" "${!code}"
done
exit_device=(-device 'isa-debug-exit,iobase=0xf4,iosize=4')

# ends STATUS PATTERN ARGUMENT...: exit status, and the last line on stderr
ends() {
    local want=$1 pattern=$2 status
    shift 2
    timeout 30 "$tandem" -m 8 -display none "$@" >stdout 2>stderr </dev/null
    status=$?
    [ "$status" -eq "$want" ] || fail "tandem $*: exit status $status, not $want" "$(cat stderr)"
    [ "$status" -eq "$want" ] && expect_text "tandem $*" "$(tail -n 1 stderr)" "$pattern"
}

for mode in inline thread adaptive; do
    ends 0 'halted and nothing can wake it' -kernel halt -devthread mode=$mode
    ends 85 'isa-debug-exit' -kernel exit "${exit_device[@]}" -devthread mode=$mode
    ends 4 'triple fault' -kernel triple -no-reboot -devthread mode=$mode
    ends 0 'reset' -kernel reset -no-reboot -devthread mode=$mode
    ends 0 'tick limit' -kernel triple -x-ticks 2000 -devthread mode=$mode
    ends 0 'tick limit' -kernel reset -x-ticks 50000 -devthread mode=$mode
    ends 0 'halted' -kernel hello -serial stdio -devthread mode=$mode
    expect_text "output on stdout ($mode)" "$(cat stdout)" '^HI$'
    ends 0 'halted' -kernel hello -serial null -serial file:com2 -devthread mode=$mode
done
expect "help lists options" grep -q -- '-icount' <("$tandem" --help)
expect_text "version" "$("$tandem" -version)" '^tandem [0-9]'
for option in $("$tandem" --help | grep -Eo '^  -[a-z_-]+' | tr -d ' '); do
    expect "manual page has $option" grep -Eq -- "Fl ${option#-}( |$)" "$here/../../docs/tandem.1"
done 2>/dev/null

# --- the debug console: out 0xe9, 'D'; 'C' to port 0x402; a read of it to the debug exit ---
tiny_guest debugcon '\xb0\x44\xe6\xe9\xb0\x0a\xe6\xe9\xe4\xe9\xe6\xf4\xf4'
tiny_guest debugcon2 '\x66\xba\x02\x04\xb0\x43\xee\xb0\x0a\xee\xf4'
for mode in inline thread adaptive; do
    ends $(((0xe9 << 1 | 1) & 255)) 'isa-debug-exit' -kernel debugcon -debugcon file:con "${exit_device[@]}" -devthread mode=$mode
    expect_text "-debugcon ($mode)" "$(cat con)" '^D$'
    ends 0 'halted' -kernel debugcon2 -chardev file,id=c,path=con -device isa-debugcon,iobase=0x402,chardev=c -devthread mode=$mode
    expect_text "isa-debugcon ($mode)" "$(cat con)" '^C$'
done
ends 0 'halted' -kernel hello -chardev stdio,id=out -serial chardev:out
expect_text "-serial chardev:ID" "$(cat stdout)" '^HI$'

# --- the text screen: "Hi" and a corner of code page 437 at B8000, the cursor behind the first letter ---
code_screen='\xc7\x05\x00\x80\x0b\x00\x48\x07\x69\x1f\xc6\x05\x04\x80\x0b\x00\xc9\x66\xba\xd4\x03\x66\xb8\x0f\x01\x66\xef\xf4'
tiny_guest screen "$code_screen"
for mode in inline thread adaptive; do
    ends 0 'halted' -kernel screen -vga std -devthread mode=$mode -screendump-at 1,file=early -screendump-at end,file=end -screendump-at 5,file=mid.json
    expect_text "-screendump-at: between two instructions ($mode)" "$(head -n 1 early)" '^Hi$'
    expect_text "-screendump-at: text ($mode)" "$(head -n 1 end)" '^Hi╔$'
    expect_text "-screendump-at: size and cursor ($mode)" "$(tail -n 1 end)" '^\[80 columns, 25 rows, cursor at column 1, row 0, tick [0-9]+\]$'
    expect "-screendump-at: a line a row ($mode)" test "$(wc -l <end)" -eq 26
    expect "-screendump-at: JSON ($mode)" python3 -c 'import json; s = json.load(open("mid.json")); assert s["text"][0] == "Hi╔" and s["attributes"][0].startswith("071f07") and s["tick"] == 5 and s["columns"] == 80, s'
done
ends 2 'vga' -kernel screen -vga cirrus
ends 2 'run ended before' -kernel screen -screendump-at 999999,file=never
ends 0 'halted' -kernel screen -screendump-at end,file=end
expect_text "-screendump-at without a card" "$(cat end)" 'no VGA card'
rm -rf nowhere
ends 2 'nowhere/f' -kernel screen -screendump-at end,file=nowhere/f

# --- a line of output leaves while the guest computes on, without any device event ---
output_arrives() { # mode
    local i found=1 pid
    rm -f line
    "$tandem" -kernel "$build/tests/guests/bench_echo.elf" -append seconds=100000 -m 16 -display none -serial file:line \
        -devthread "mode=$1" >/dev/null 2>&1 </dev/null &
    pid=$!
    for ((i = 0; i < 50 && found != 0; i++)); do
        sleep 0.1
        grep -q '^ready$' line 2>/dev/null && found=0
    done
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    return "$found"
}
for mode in inline adaptive thread thread thread thread thread; do
    expect "output of a guest that computes (mode $mode)" output_arrives "$mode"
done

# --- the process ---
timeout 30 "$tandem" -m 8 -display none -kernel loop -pidfile pid >stdout 2>stderr </dev/null &
for _ in $(seq 100); do [ -s pid ] && break; sleep 0.05; done
expect_text "-pidfile has the process number" "$(cat pid)" '^[0-9]+$'
expect "a signal to that process ends the run" kill -TERM "$(cat pid)"
wait $!
expect "-pidfile's file goes away at the end" test ! -e pid

# "Shutdown" to port 0x8900 powers off.
tiny_guest poweroff '\x66\xba\x00\x89\xb0\x53\xee\xb0\x68\xee\xb0\x75\xee\xb0\x74\xee\xb0\x64\xee\xb0\x6f\xee\xb0\x77\xee\xb0\x6e\xee\xeb\xfe'
for mode in inline thread adaptive; do
    ends 0 'powered off' -kernel poweroff -devthread mode=$mode
    "$tandem" -m 8 -display none -kernel poweroff -no-shutdown -devthread mode=$mode -stats >stdout 2>stderr </dev/null &
    for _ in $(seq 100); do grep -q 'the machine stands' stderr && break; sleep 0.05; done
    expect "-no-shutdown keeps the machine ($mode)" kill -TERM $!
    wait $!
    expect "and a signal ends it ($mode)" test $? -eq 143
    expect_text "with its statistics ($mode)" "$(cat stderr)" '^digest [0-9a-f]{32} at tick'
done

# --- statistics ---
ends 0 . -kernel halt -stats
expect_text "statistics for people" "$(cat stderr)" 'rendezvous per second'
expect_text "state digest" "$(cat stderr)" '^digest [0-9a-f]{32} at tick'
expect_text "what the threads did" "$(cat stderr)" '^  vCPU +[0-9.]+ +[0-9.]+'
ends 0 . -kernel halt -stats file=s.json
for key in ticks icount idle_ticks mips host_time vCPU execute_ns translate_ns account_ns virtual_ns wall_ns posted synchronous pure rendezvous_per_second wait_ns \
    vcpu_parked_ns handovers digest mode; do
    expect "statistics in JSON have $key" grep -q "\"$key\"" s.json
done

# Each access and event is in one distribution, once, and the quantiles are in order.
figures_agree() { # what the guest did most: posted, synchronous, event
    python3 -c '
import json, sys
stats = json.load(open("s.json"))
devices, threads, latency = stats["devices"], stats["threads"], stats["latency"]
for name, one in latency.items():
    unit = "" if name == "queue" else "_ns"
    assert sum(n for highest, n in one["buckets"]) == one["count"], name
    marks = [one[q + unit] for q in ("p50", "p90", "p99", "p999", "most")]
    assert marks == sorted(marks) and one["mean" + unit] <= marks[-1], (name, marks)
    assert all(a[0] < b[0] for a, b in zip(one["buckets"], one["buckets"][1:])), name
assert latency["posted"]["count"] == devices["posted"]
assert latency["synchronous"]["count"] == devices["synchronous"]
assert latency["event"]["count"] <= devices["steps"]
assert latency["wait"]["count"] <= threads["rendezvous"]
assert abs(latency["wait"]["mean_ns"] * latency["wait"]["count"] - threads["wait_ns"]) <= 1 + threads["wait_ns"] / 1e9
assert latency[sys.argv[1]]["count"] >= 2000, latency[sys.argv[1]]["count"]
if stats["mode"] == "inline":
    assert threads["rendezvous"] == latency["queue"]["count"] == 0
' "$1"
}
for mode in inline thread adaptive; do
    for guest in 'bench_pio n=1000 posted' 'bench_pio n=1000 synchronous' 'bench_timer irqs=1000 event'; do
        read -r name append most <<<"$guest"
        ends 1 'isa-debug-exit' -m 16 -kernel "$build/tests/guests/$name.elf" -append "$append" "${exit_device[@]}" -icount sleep=off -devthread mode=$mode -stats file=s.json
        expect "figures of $name agree with one another ($mode)" figures_agree "$most"
    done
done
state_of() { # argument...: the digest of the final state
    ends 1 . -m 16 -kernel "$build/tests/guests/bench_timer.elf" -append irqs=200 "${exit_device[@]}" -icount sleep=off -digest file=digest "$@" >/dev/null
    grep '^end' digest
}
state=$(state_of)
expect "a final state" test -n "$state"
for mode in inline thread adaptive; do
    expect "the guest does not notice that accesses are timed ($mode)" test "$state" = "$(state_of -devthread mode=$mode -stats file=s.json)"
done
ends 0 . -kernel halt -stats file=s.json,latency=off
expect "latency=off leaves them out" test "$(grep -c '"latency"' s.json)" -eq 0
ends 0 . -kernel halt -stats
expect_text "latencies for people" "$(cat stderr)" '^  posted writes +[0-9]+ +[0-9.]+'

# Digest points look at chips in place, too, but they are no accesses of the guest.
pure_of() { # argument...
    ends 0 . -kernel hello -serial null -stats file=s.json "$@" >/dev/null
    grep -Eo '"pure": *[0-9]+' s.json
}
for mode in inline thread adaptive; do
    expect "pure accesses are the guest's alone ($mode)" test "$(pure_of -devthread mode=$mode)" = \
        "$(pure_of -devthread mode=$mode -digest file=/dev/null,every=100)"
done

# --- host CPUs: instances that run at once must not share one while others are free ---
allowed_of() { # pid: name and allowed CPUs of each thread
    local t
    for t in /proc/"$1"/task/*; do
        echo "$(<"$t/comm")" "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$t/status")"
    done
}
placed() { # suboptions, name, CPUs...: what the threads of two instances may use, each kind of thread a name
    local pids=() pid i
    for i in 1 2; do
        "$tandem" -m 8 -display none -kernel loop -serial null -devthread "$1" 2>/dev/null &
        pids+=($!)
    done
    for i in {1..100}; do # until their device threads are there, which is when all is placed
        [ "$(cat /proc/{"${pids[0]}","${pids[1]}"}/task/*/comm | grep -cx tandem-dev)" -ge 2 ] && break
        sleep 0.05
    done
    sleep 0.1
    for pid in "${pids[@]}"; do
        for i in "${@:2}"; do
            expect "two instances, -devthread $1: $i" grep -qx "$i" <(allowed_of "$pid")
        done
    done
    kill "${pids[@]}"
    wait "${pids[@]}"
}
mine=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
for mode in thread adaptive; do
    placed mode=$mode "tandem $mine" "tandem-dev $mine" # every thread may run wherever this shell may
    placed mode=$mode,vcpu-cpu="${mine%%[-,]*}" "tandem ${mine%%[-,]*}" "tandem-dev $mine"
    placed mode=$mode,cpu="${mine%%[-,]*}" "tandem $mine" "tandem-dev ${mine%%[-,]*}"
done

# --- digest files ---
digest_of() { # file kernel argument...
    local file=$1 kernel=$2
    shift 2
    timeout 30 "$tandem" -m 8 -display none -kernel "$kernel" -x-ticks 300000 -digest "file=$file,every=10000" "$@" 2>stderr
}
digest_of d1 print -devthread mode=inline
digest_of d2 print -devthread mode=thread
expect "same digest inline and thread" "$build/tandem-digest-diff" d1 d2
expect "equal runs are called so" test "$("$build/tandem-digest-diff" d1 d2)" = "equal, $(grep -c '^[0-9]' d1) points"
expect "digest has 30 points" test "$(grep -c '^[0-9]' d1)" -ge 29
sed '10s/ [0-9a-f]*$/ 0123456789abcdef/' d1 >d3
expect_text "the difference is named" "$("$build/tandem-digest-diff" d1 d3)" 'ticks 80000 to 90000: RAM'
digest_of d4 loop
expect_text "another kernel is another machine" "$("$build/tandem-digest-diff" d1 d4)" 'not the same machine'
"$build/tandem-digest-diff" d1 halt 2>stderr
expect "no digest file: status 2" test $? -eq 2

# --- the log of blocks ---
ends 0 . -kernel hello -d in_asm,op -D log
expect_text "guest code in the log" "$(cat log)" '^0x00100[0-9a-f]{3}:  out'
expect_text "IR in the log" "$(cat log)" '^ *[0-9]+  helper OUT'
expect_text "no host code from the interpreter" "$(grep -c '^OUT:' log)" '^0$'
ends 0 . -kernel hello -translator mode=eager -d out_asm -D log
expect_text "host code in the log" "$(cat log)" 'mov rax, <helper OUT>'
expect_text "only what was asked for" "$(grep -c '^IN:' log)" '^0$'
timeout 30 "$tandem" -m 8 -display none -kernel hello -d in_asm 2>stderr >/dev/null
expect_text "the log is on stderr" "$(cat stderr)" '^IN:'

# --- the hottest blocks: every instruction of two loops, each of which a copy of its own counts ---
# mov ecx, 1000; 1: dec ecx; jnz 1b; mov esi, 4096; 2: mov eax, [esi]; add esi, 4; cmp esi, 40000; jb 2b; cli; hlt
tiny_guest hot '\xb9\xe8\x03\x00\x00\x49\x75\xfd\xbe\x00\x10\x00\x00\x8b\x06\x83\xc6\x04\x81\xfe\x40\x9c\x00\x00\x72\xf3\xfa\xf4'
hot_adds_up() { # all instructions, of these in blocks; every part is there
    python3 - "$@" <<'END'
import json, sys
hot = json.load(open("log.hot.json"))
blocks = hot["blocks"]
assert [b["instructions"] for b in blocks] == sorted((b["instructions"] for b in blocks), reverse=True)
assert hot["all_instructions"] == int(sys.argv[1]) and hot["instructions"] == sum(b["instructions"] for b in blocks) == int(sys.argv[2]), hot
for b in blocks:
    assert b["instructions"] == b["executions"] * b["block_instructions"] and b["guest"] and b["ir"] and b["host"]
    assert b["host_instructions"] == sum(b["parts"].values())
    assert {h["part"] for h in b["host"]} >= {"work", "ticks", "counter", "far"}
    assert [h["offset"] for h in b["host"][1:]] == [h["offset"] + h["bytes"] for h in b["host"][:-1]]
assert blocks[0]["parts"]["guard"] >= blocks[0]["executions"] > 8000 and not blocks[1]["parts"]["guard"]
END
}
ends 0 'halted' -kernel hot -translator mode=eager -d hot=20 -D log
expect "all instructions are in listed blocks" hot_adds_up 37908 37908
expect_text "the list as text" "$(cat log)" '^HOT 1: 0x0010[0-9a-f]{4}, memory 0x0010[0-9a-f]{4}, kernel: 89[0-9]{2} executions of 4 instructions, 94\.'
expect_text "what each instruction is for" "$(cat log)" '^    work +[0-9]  mov eax, \['
expect_text "and of all together" "$(cat log)" '^HOT all [0-9]+: 100\.00 % of all 37908 instructions'
ends 0 'halted' -kernel hot -translator mode=eager -d hot=1 -D log
expect_text "no more than were asked for" "$(grep -c '^HOT [0-9]' log)" '^1$'
ends 0 'halted' -kernel hot -translator mode=interp -d hot=5 -D log
expect_text "the interpreter counts nothing" "$(cat log)" '^HOT all 0: '
ends 2 'no item "hot=0"' -kernel hot -d hot=0

# --- the log of events: nothing of it may be seen by the guest, in no engine (tests/determinism.sh) ---
for engine in interp eager; do
    ends 4 . -kernel triple -no-reboot -translator mode=$engine -d int,cpu_reset -D log
    expect_text "INT3, then #GP(1a), then #DF are delivered ($engine)" "$(grep '^tick' log | cut -d ' ' -f 3-4 | tr '\n' ' ')" \
        '^v=03 e=0000 v=0d e=001a v=08 e=0000 $'
    expect_text "with CPL, CS:EIP, stack and CR2 ($engine)" "$(grep '^tick' log | sed -n 2p)" \
        '^tick 1: v=0d .* cpl=0 IP=0010:00100027 .* SP=0018:00000000 CR2=00000000'
    expect_text "and registers, as QEMU has them ($engine)" "$(sed -n 2,17p log | tr '\n' '|')" \
        '^EAX=2badb002 EBX=[0-9a-f]{8} ECX=00000000 .*\|EIP=[0-9a-f]{8} EFL=00000002 \[-{7}\] CPL=0 II=0 A20=1 SMM=0 HLT=0\|ES =0018 00000000 ffffffff 00cf9[0-9a-f]00\|.*\|GDT=     [0-9a-f]{8} 0000[0-9a-f]{4}\|IDT=     00000000 00000000\|CR0='
    ends 0 'tick limit' -kernel triple -x-ticks 3 -translator mode=$engine -d cpu_reset -D log
    expect_text "registers before each reset ($engine)" "$(grep -c '^EIP=00100027 ' log)" '^2$'
    ends 0 . -kernel stray -translator mode=$engine -d guest_errors -D log
    expect "accesses that nobody answers ($engine)" cmp log - <<<'guest error at tick 1: 4-byte read of port 9000 (unassigned)
guest error at tick 2: 2-byte write to address e0000000 (unassigned)'
done
# Chips have their word, too. In mode thread their lines may stand behind later ones: ticks say the order.
#   out 0x43, 0xc1; out 0x64, 0x12; out 0x20, 0x13; mov edx, 0xcf8; mov eax, 0x8000f800; out dx, eax; mov dl, 0xfc;
#   out dx, eax; cli; hlt
tiny_guest against '\xb0\xc1\xe6\x43\xb0\x12\xe6\x64\xb0\x13\xe6\x20\xba\xf8\x0c\x00\x00\xb8\x00\xf8\x00\x80\xef\xb2\xfc\xef\xfa\xf4'
for mode in inline thread adaptive; do
    ends 0 . -kernel against -devthread mode=$mode -d guest_errors -D log
    expect "writes that a data sheet speaks against (mode=$mode)" diff <(sort -n -k 5 log) - <<'END'
guest error at tick 1: 1-byte write of c1 to port 0043 (pit: read-back command with bit 0 set)
guest error at tick 3: 1-byte write of 12 to port 0064 (kbc: unknown command to the controller)
guest error at tick 5: 1-byte write of 13 to port 0020 (pic: ICW1 says that there is one 8259, there are two)
guest error at tick 10: 4-byte write of 8000f800 to port 0cfc (pci: configuration write to a function that is not there)
END
done

# --- a triple fault is reported, once, whether or not it ends the run ---
for options in '-no-reboot' '-x-ticks 2000'; do
    timeout 30 "$tandem" -m 8 -display none -kernel triple $options 2>stderr
    expect_text "CS:EIP and the faults that led there ($options)" "$(head -n 1 stderr)" \
        '^tandem: triple fault at tick 1, CS:EIP 0010:00100027: #GP\(001a\) vector 13 -> #DF\(0000\) vector 8 -> #GP\(0042\) vector 13'
    expect "registers, once ($options)" test "$(grep -c '^EIP=00100027 EFL=00000002 .-------. CPL=0' stderr)" -eq 1
done

# --- signals ---
signalled() { # signal status mode
    # A shell in the background hands down an ignored SIGINT.
    env --default-signal=INT,TERM,HUP "$tandem" -m 8 -display none -kernel loop -serial null -devthread "mode=$3" -stats 2>stderr &
    local pid=$! status
    sleep 0.5
    kill "-$1" $pid
    wait $pid
    status=$?
    if [ "$status" -eq "$2" ]; then pass; else fail "SIG$1 in mode $3: exit status $status, not $2" "$(cat stderr)"; fi
    expect_text "SIG$1 in mode $3 prints statistics" "$(cat stderr)" '^digest '
}
set -m # background jobs would ignore SIGINT otherwise
for mode in inline thread adaptive; do
    signalled TERM 143 $mode
    signalled INT 130 $mode
done
# timeout(1) sends its signal to the process and to its group: two in a moment are one request.
for mode in inline thread adaptive; do
    for i in 1 2; do
        timeout 0.5 "$tandem" -m 8 -display none -kernel loop -devthread "mode=$mode" -stats -digest file=twice,every=10000000 2>stderr
        expect "timeout in mode $mode: status 124" test $? -eq 124
        expect_text "timeout in mode $mode: last line" "$(cat stderr)" '^tandem: ended by a signal at tick'
        expect_text "timeout in mode $mode: statistics" "$(tail -n 1 stderr)" '^digest [0-9a-f]{32} at tick'
        expect_text "timeout in mode $mode: digest file" "$(tail -n 1 twice)" '^end [0-9]+ [0-9a-f]{32}$'
    done
done
# A run that cannot end (stderr is a full pipe): a repeat within a second changes nothing, a later one kills.
mkfifo fifo
exec 7<>fifo
head -c 65536 /dev/zero >&7
"$tandem" -m 8 -display none -kernel loop -serial null 2>fifo &
pid=$!
sleep 0.3
kill -TERM $pid
sleep 0.3
kill -TERM $pid
sleep 0.3
expect "a repeat within a second does not kill" kill -0 $pid
sleep 0.8
kill -TERM $pid
expect "a later repeat kills at once" timeout 5 tail --pid=$pid -s 0.1 -f /dev/null
wait $pid
expect "with its status" test $? -eq 143
exec 7>&-
# An idle guest, asleep with sleep=on, must be woken by the signal.
tiny_guest idle "$code_idle"
for mode in inline thread adaptive; do
    "$tandem" -m 8 -kernel idle -serial pty -devthread mode=$mode >/dev/null 2>&1 &
    pid=$!
    sleep 0.5
    kill -TERM $pid
    expect "idle guest in mode $mode ends soon" timeout 5 tail --pid=$pid -s 0.1 -f /dev/null
    wait $pid
    expect "idle guest in mode $mode: status 143" test $? -eq 143
done
set +m

# --- the terminal is as it was, whatever happens ---
terminal() { # what command: run in a pseudo-terminal
    rm -f before after
    timeout 30 script -qec "stty -g >before; $2; stty -g >after" /dev/null </dev/null >typescript 2>&1
    expect "terminal restored: $1" cmp before after
}
run="$tandem -m 8 -nographic"
terminal "halt" "$run -kernel halt"
terminal "debug exit" "$run -kernel exit ${exit_device[*]}"
terminal "triple fault" "$run -kernel triple -no-reboot"
terminal "error at start" "$run -kernel missing"
terminal "bad second serial port" "$run -kernel halt -serial mon:stdio -serial bogus"
# The command in the foreground of the terminal, a signal from behind.
foreground() { # signal
    echo "(sleep 0.7; kill -$1 \$(cat pid)) & sh -c 'echo \$\$ >pid; exec $run -kernel loop'; wait"
}
for signal in TERM INT HUP ABRT SEGV; do
    terminal "SIG$signal" "$(foreground $signal)"
done
{ sleep 1; printf '\001x'; sleep 1; } | timeout 30 script -qec "stty -g >before; $run -kernel loop; echo status=\$?; stty -g >after" /dev/null >typescript
expect "terminal restored: Ctrl-A x" cmp before after
expect_text "Ctrl-A x ends with status 0" "$(cat typescript)" 'status=0'

# --- a serial socket that goes away ---
for mode in inline thread adaptive; do
    rm -f sock
    "$tandem" -m 8 -display none -kernel print -serial unix:sock,server,nowait -devthread mode=$mode 2>stderr &
    pid=$!
    for _ in {1..50}; do
        [ -S sock ] && break
        sleep 0.1
    done
    timeout 10 socat -u UNIX-CONNECT:sock - 2>/dev/null | head -c 100 >received
    expect "socket delivers output ($mode)" test -s received
    sleep 0.3
    expect "the run goes on without a client ($mode)" kill -0 $pid
    kill -TERM $pid
    wait $pid
    expect "and ends as told ($mode)" test $? -eq 143
done
summary behaviour
