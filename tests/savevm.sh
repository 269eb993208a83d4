#!/usr/bin/env bash
# tests/savevm.sh [BUILD [ROUNDS]] - snapshots in a running process: savevm, loadvm, delvm, info snapshots, -loadvm TAG.
# Save, run on, load, run on: the digest is that of the run that was never stopped, in every mode, with drives in the middle
# of their work (IDE, virtio, floppy), cards, a screen and firmware; each round at random ticks, going to and fro between
# snapshots. What is saved right behind a load is, byte for byte, what was loaded. SEED: of the choice.
# shellcheck disable=SC2046,SC2207,SC2054 # the options of a guest are words, with commas in them
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
. tests/lib.sh
build=$(readlink -f "${1:-build}") rounds=${2:-1}
tandem=$build/tandem guests=$build/tests/guests tests=$PWD/tests
dir=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)") || exit 2
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
RANDOM=${SEED:-1}
modes=(inline thread adaptive)

# talk OPTIONS... -- LINES...: a run that begins paused; its answers without prompts in the variable `answers`.
talk() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    answers=$(printf '%s\n' "$@" quit | timeout 60 "$tandem" "${options[@]}" -S -monitor stdio 2>stderr | sed 's/(tandem) //g')
    status=$?
}
digests() { sed -n 's/^tick \([0-9]*\) digest /\1 /p' <<<"$answers"; }

random_ticks() { # N BELOW: N random ticks in order, into `ticks`
    local i
    ticks=()
    for ((i = 0; i < $1; i++)); do ticks+=($(((RANDOM << 15 | RANDOM) % $2 + 1))); done
    readarray -t ticks < <(printf '%s\n' "${ticks[@]}" | sort -nu)
}

# to_and_fro LABEL TICKS OPTIONS...: an uninterrupted run's digests at some ticks; then the same ticks, saved on the way and
# reached again from every snapshot.
to_and_fro() {
    local label=$1 below=$2 lines=() mode i j ref n
    shift 2
    for ((j = 0; j < rounds; j++)); do
        random_ticks 4 "$below"
        n=${#ticks[@]} lines=()
        for i in "${ticks[@]}"; do lines+=("run-to $i" digest); done
        talk "$@" -devthread mode=inline -snapshots store -- "${lines[@]}"
        ref=$(digests)
        expect "$label: the reference run reaches ${ticks[*]}" test "$(wc -l <<<"$ref")" = "$n"
        mode=${modes[RANDOM % 3]} lines=()
        rm -rf store
        for ((i = 0; i < n; i++)); do lines+=("run-to ${ticks[i]}" digest "savevm s$i"); done
        # Back, forth and back again; behind each load the rest of the way.
        for i in $((n - 2)) 0 1; do
            lines+=("loadvm s$i" "savevm again$i" digest)
            for ((k = i + 1; k < n; k++)); do lines+=("run-to ${ticks[k]}" digest); done
        done
        talk "$@" -devthread "mode=$mode" -snapshots store "${extra[@]}" -- "${lines[@]}"
        expect "$label, mode=$mode, at ${ticks[*]}: no error" bash -c "! grep -q . <<<'$(grep Error <<<"$answers")'"
        expect "$label, mode=$mode, at ${ticks[*]}: the digests of a run that was never stopped" cmp <(sort -u <<<"$ref") <(digests | sort -u)
        expect "$label: that many digests" test "$(digests | wc -l)" = $((n + 2 + n + n - 1))
        for i in 0 1 $((n - 2)); do
            expect "$label, mode=$mode: saved behind a load at ${ticks[i]}: the same bytes" cmp "store/s$i" "store/again$i"
        done
        # The file serves -loadvm, in another process.
        talk "$@" -devthread "mode=${modes[RANDOM % 3]}" -snapshots store -loadvm s0 -- "run-to ${ticks[n - 1]}" digest
        expect "$label: -loadvm TAG" test "$(digests)" = "$(tail -n 1 <<<"$ref")"
    done
}

common=(-icount shift=3,sleep=off -display none -serial null)
guest() { echo -kernel "$guests/$1.elf" -m 16; }
extra=()

plain() {
    to_and_fro "pit" 400000 $(guest pit) -append shift=3 "${common[@]}"
    to_and_fro "mix" 400000 $(guest mix) -append shift=3 "${common[@]}"
    to_and_fro "pae" 200000 $(guest pae) -append shift=3 "${common[@]}"
    to_and_fro "toypci" 400000 $(guest toypci) -append "rounds=500 moves=100" -x-toypci "${common[@]}"
}

drives() {
    head -c $((1011 * 512)) /dev/urandom >disk
    head -c $((93 * 2048)) /dev/urandom >cdrom
    python3 -c 'import sys
for n in range(2880): sys.stdout.buffer.write(n.to_bytes(4, "little") * 128)' >floppy
    head -c 1048576 /dev/urandom >image
    cp disk before
    extra=(-x-host-delay "seed=$((RANDOM + 1))")
    to_and_fro "ide, snapshot=on" 15000000 $(guest ide) -append rounds=1 -drive file=disk,format=raw,snapshot=on -cdrom cdrom "${common[@]}"
    to_and_fro "ide, -snapshots" 15000000 $(guest ide) -append rounds=1 -drive file=disk,format=raw -cdrom cdrom "${common[@]}"
    to_and_fro "virtio, writing" 1200000 $(guest bench_disk) -append "requests=500 bytes=4096 depth=8 random=1 write=1 sectors=2048" \
        -drive file=image,format=raw,if=virtio,snapshot=on "${common[@]}"
    to_and_fro "toy disk" 2500000 $(guest disk) -append rounds=12 -x-toypci -drive if=x-toy,file=image,format=raw,snapshot=on "${common[@]}"
    to_and_fro "floppy" 30000000 $(guest floppy) -drive file=floppy,format=raw,if=floppy,snapshot=on "${common[@]}"
    extra=()
    expect "the image is as it was" cmp disk before
}

firmware() {
    [ -f /usr/share/seabios/bios-256k.bin ] || { skip "firmware"; return; }
    to_and_fro "firmware, VGA, cards, drives" 60000000 -m 32 -drive file=disk,format=raw,snapshot=on -drive file=image,format=raw,if=virtio,snapshot=on \
        -nic user,model=e1000,restrict=on -nic user,model=virtio-net-pci,restrict=on -vga std "${common[@]}"
}

# --- drives that are written in place; what the images are in the end ---
in_place() {
    cp before disk
    local options=($(guest ide) -append rounds=1 -drive file=disk,format=raw -cdrom cdrom "${common[@]}")
    talk "${options[@]}" -drive file=floppy,format=raw,if=floppy,snapshot=on -- 'run-to 1000' 'savevm a' 'loadvm ./nosuch' 'digest'
    expect_text "in place: savevm says what it needs" "$answers" '^Error: .*ide0-hd0 is written in place.*snapshot=on.*-snapshots'
    expect "in place: nothing is in the store" test ! -e tandem-snapshots/a
    talk "${options[@]}" -snapshots store2 -- 'run-to 7000000' 'savevm a' 'run-to 8000000' 'loadvm a'
    expect "-snapshots: no error" test "$(grep -c Error <<<"$answers")" = 0
    expect "-snapshots: the image is as it was" cmp disk before
    expect_text "-snapshots: it is said" "$(cat stderr)" 'disk: stays as it is: with -snapshots'
    talk "${options[@]}" -- 'run-to 1000' "loadvm $dir/store2/a" 'info status'
    expect_text "in place: loadvm says what it needs" "$answers" '^Error: .*ide0-hd0 is written in place'
    expect_text "in place: loadvm has done nothing" "$answers" 'paused, tick 1000$'
    expect "in place: the image is as it was" cmp disk before
}

# --- the store: names, lists, what is no snapshot ---
store() {
    local options=($(guest pit) -append shift=3 "${common[@]}")
    rm -rf tandem-snapshots
    talk "${options[@]}" -- 'info snapshots' 'run-to 50000' savevm 'savevm two' 'run-to 60000' 'savevm ./file' 'savevm ../x y' 'savevm ..' 'savevm .dot' \
        'savevm -x' 'savevm a:b' 'info snapshots' 'delvm two' 'delvm two' 'delvm ../x' "delvm $dir/file" 'loadvm two' 'loadvm tick-50000' digest 'info snapshots'
    expect_text "an empty store" "$answers" '^there is no snapshot in tandem-snapshots$'
    expect "savevm ./FILE is a file" test -s file
    expect "savevm without a name is named by the tick" test -s tandem-snapshots/tick-50000
    expect "bad names are refused" test "$(grep -c 'a tag of letters' <<<"$answers")" = 4
    expect "nothing else is there" test "$(ls -A tandem-snapshots)" = tick-50000
    expect_text "the list" "$answers" "^$(digests | cut -d ' ' -f 2 | cut -c 1-16)  two  *0.0 MiB  [-0-9]* [:0-9]*  *0.000400  *50000$"
    expect_text "delvm of what is not there" "$answers" '^Error: two: no snapshot of this tag'
    expect "delvm takes tags alone" test "$(grep -c 'a tag of info snapshots' <<<"$answers")" = 2
    expect_text "loadvm of what is not there" "$answers" '^Error: loadvm two: No such file'
    # What is in the store may be anything.
    local s=tandem-snapshots bytes
    bytes=$(stat -c %s $s/tick-50000)
    echo text >$s/text && : >$s/empty && mkdir $s/folder && mkfifo $s/fifo && ln -s nowhere $s/dangling && ln -s /dev/zero $s/zero
    head -c $((bytes / 2)) $s/tick-50000 >$s/half
    head -c 30 $s/tick-50000 >$s/head
    sed 's/ram=16777216/ram=16777217/' $s/tick-50000 >$s/other
    { printf 'tandem-snapshot 1\n' && head -c 100000 /dev/zero | tr '\0' x; } >$s/endless
    touch $s/'with space' $s/$'\e[31m'
    talk "${options[@]}" -- 'run-to 70000' digest 'info snapshots' 'loadvm text' 'loadvm empty' 'loadvm folder' 'loadvm fifo' 'loadvm dangling' 'loadvm zero' \
        'loadvm half' 'loadvm head' 'loadvm other' 'loadvm endless' 'savevm text' 'savevm folder' 'delvm text' 'delvm folder' 'delvm half' digest 'run-to 90000' digest
    expect "each is refused" test "$(grep -c '^Error: ' <<<"$answers")" = 14
    expect "nobody has noticed" test "$(digests | sed -n 1p)" = "$(digests | sed -n 2p)"
    expect "what is no snapshot stays" test "$(cat $s/text)" = text
    expect "a damaged one is deleted" test ! -e $s/half
    talk "${options[@]}" -- 'run-to 90000' digest
    local last
    last=$(digests)
    talk "${options[@]}" -loadvm file -- 'run-to 90000' digest
    expect "-loadvm FILE in this folder" test "$(digests)" = "$last"
}

# --- digests, recordings, watchers; a guest that has ended ---
others() {
    local options=($(guest pit) -append shift=3 "${common[@]}")
    rm -rf tandem-snapshots
    talk "${options[@]}" -digest file=ref,every=10000 -- 'run-to 200000'
    talk "${options[@]}" -digest file=chain,every=10000 -- 'run-to 45000' 'savevm a' 'run-to 123456' 'loadvm a' 'run-to 200000'
    expect "the digest file is that of a run that began at the snapshot" cmp <(awk '$1 > 45000 || $1 == "end"' ref) <(grep -v '^#' chain)
    expect "tandem-digest-diff says so" "$build/tandem-digest-diff" ref chain
    talk "${options[@]}" -icount shift=3,sleep=off,rr=record,rrfile=log -- 'run-to 45000' 'savevm b' 'loadvm b' 'loadvm a'
    expect "recording: loadvm is refused" test "$(grep -c '^Error: the run is recorded' <<<"$answers")" = 2
    talk "${options[@]}" -icount shift=3,sleep=off,rr=replay,rrfile=log -- 'run-to 45000' 'savevm c' 'loadvm b'
    expect_text "replaying: loadvm is refused" "$answers" '^Error: the run is replayed'
    expect "saved in a replay as in the recording" cmp tandem-snapshots/b tandem-snapshots/c
    talk "${options[@]}" -profile file=p,every=1000 -- 'loadvm a'
    expect_text "not under -profile" "$answers" '^Error: not with -profile'
    # The guest leaves long before; with -no-shutdown its power-off is no end, and a load brings it back.
    talk "${options[@]}" -snapshot-at 60000,file=late -- 'run-to 45000' 'savevm d' 'run-to 70000' 'loadvm d' 'run-to 80000' digest
    expect "-snapshot-at and savevm in one run" test -s late
}

qmp() {
    python3 - "$tandem" $(guest pit) -append shift=3 "${common[@]}" <<'PY'
import json, subprocess, sys, time
p = subprocess.Popen(["timeout", "60"] + sys.argv[1:] + ["-S", "-snapshots", "qstore", "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
events = []
def call(name, **arguments):
    p.stdin.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
    p.stdin.flush()
    while True:
        m = json.loads(p.stdout.readline())
        if "event" in m: events.append((m["event"], m.get("data", {}).get("status"), m.get("data", {}).get("id")))
        if "return" in m: return m["return"]
        if "error" in m: return m["error"]["class"] + ": " + m["error"]["desc"]
json.loads(p.stdout.readline())
call("qmp_capabilities")
run_to = lambda tick: call("human-monitor-command", **{"command-line": "run-to %d" % tick})
status = lambda: call("human-monitor-command", **{"command-line": "info status"})
def stands(tick):
    run_to(tick)
    for _ in range(200):
        if "paused, tick %d" % tick in status(): return
        time.sleep(0.02)
    raise SystemExit("not at tick %d: %s" % (tick, status()))
stands(50000)
assert call("snapshot-save", **{"job-id": "save0", "tag": "t", "vmstate": "disk0", "devices": []}) == {}
assert call("query-jobs") == [{"current-progress": 1, "status": "concluded", "total-progress": 1, "type": "snapshot-save", "id": "save0"}]
assert [e[1] for e in events if e[0] == "JOB_STATUS_CHANGE"] == ["created", "running", "waiting", "pending", "concluded"], events
assert "already in use" in call("snapshot-save", **{"job-id": "save0", "tag": "t", "vmstate": "d", "devices": []})
assert call("job-dismiss", id="save0") == {}
assert "DeviceNotActive" in call("job-dismiss", id="save0")
stands(70000)
call("snapshot-load", **{"job-id": "load0", "tag": "t", "vmstate": "disk0", "devices": []})
assert "tick 50000" in status(), status()
call("snapshot-load", **{"job-id": "load1", "tag": "../t", "vmstate": "disk0", "devices": []})
assert "error" in [j for j in call("query-jobs") if j["id"] == "load1"][0]
call("snapshot-delete", **{"job-id": "del0", "tag": "t", "devices": []})
assert "error" not in [j for j in call("query-jobs") if j["id"] == "del0"][0]
assert "there is no snapshot" in call("human-monitor-command", **{"command-line": "info snapshots"})
for i in range(13): call("snapshot-delete", **{"job-id": "x%d" % i, "tag": "t", "devices": []})
assert "not dismissed" in call("snapshot-delete", **{"job-id": "one more", "tag": "t", "devices": []})
call("quit")
PY
}

# --- media that were changed between a snapshot and its load ---
media() {
    local options=($(guest echo) -append shift=3 -display none -serial null -snapshots media) mode without
    head -c 65536 /dev/zero | tr '\0' a >a.iso
    head -c 131072 /dev/zero | tr '\0' b >b.iso
    for mode in inline thread adaptive; do
        rm -rf media
        talk "${options[@]}" -cdrom a.iso -devthread "mode=$mode" -- 'run-to 50000' 'run-to 90000' digest
        without=$(digests)
        talk "${options[@]}" -cdrom a.iso -devthread "mode=$mode" -- 'run-to 50000' 'savevm a' 'change ide1-cd0 b.iso' 'run-to 70000' 'info block' 'savevm b' \
            'run-to 90000' digest 'loadvm a' 'info block' 'run-to 90000' digest 'loadvm b' 'info block' 'run-to 90000' digest 'eject -f ide1-cd0' 'run-to 95000' \
            'loadvm b' 'info block' 'run-to 90000' digest
        expect "media, $mode: no error" bash -c "! grep Error <<<'$answers'"
        expect "media, $mode: the disc of each snapshot" test "$(grep -Eo '[ab]\.iso' <<<"$answers" | uniq | tr -d '\n')" = b.isoa.isob.iso
        expect "media, $mode: as if no disc had been changed" test "$(digests | sed -n 2p)" = "$without"
        expect "media, $mode: the other disc's end" test "$(digests | sed -n '1p;3p;4p' | uniq | wc -l)" = 1
        expect "media, $mode: which is another" test "$(digests | sed -n 1p)" != "$without"
    done
    talk "${options[@]}" -cdrom a.iso -- 'run-to 60000' 'change ide1-cd0 a.iso' 'run-to 61000' digest 'loadvm b' digest 'info block' 'loadvm a' 'info block'
    expect "media, in another process" test "$(grep -Eo '[ab]\.iso' <<<"$answers" | uniq | tr -d '\n')" = b.isoa.iso
    mv b.iso away
    talk "${options[@]}" -cdrom a.iso -- 'run-to 60000' digest 'loadvm b' digest 'info block'
    expect_text "media: a disc that is gone" "$answers" '^Error: .*b\.iso'
    expect "media: nothing has changed" test "$(digests | uniq | wc -l)" = 1
}

# --- connections stay through a load: a monitor's, a console's, a viewer's, and into the guest over libslirp ---
connections() {
    local port pid i
    port=$(python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    timeout 60 "$tandem" -kernel "$guests/toynet.elf" -append 'role=3 frames=100' -m 16 -snapshots held -nic "user,model=x-toy,hostfwd=udp:127.0.0.1:$port-:7" \
        -vga std -vnc unix:vnc -serial unix:serial,server,nowait -monitor unix:monitor,server,nowait 2>stderr &
    pid=$!
    for i in {1..100}; do [ -S monitor ] && [ -S vnc ] && [ -S serial ] && break; sleep 0.1; done
    expect "connections: all of them are there behind a load" timeout 50 python3 - "$port" <<'PY'
import socket, struct, sys, time

def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s

def get(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        assert more, "closed"
        data += more
    return data

def monitor(line):
    mon.sendall(line.encode() + b"\n")
    text = b""
    while not text.endswith(b"(tandem) "):
        text += mon.recv(65536)
    assert b"Error" not in text, text
    return text

def echo(word):
    for _ in range(40):
        udp.send(word)
        try:
            if udp.recv(100) == word:
                return
        except TimeoutError:
            pass
    sys.exit("no answer to %r" % word)

def look():
    vnc.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, *size))
    assert get(vnc, 4)[0] == 0

mon, vnc, serial = unix("monitor"), unix("vnc"), unix("serial")
while not mon.recv(65536).endswith(b"(tandem) "):
    pass
vnc.sendall(get(vnc, 12))
assert 1 in get(vnc, get(vnc, 1)[0])
vnc.sendall(b"\1")
assert get(vnc, 4) == bytes(4)
vnc.sendall(b"\1")
head = get(vnc, 24)
size = struct.unpack(">HH", head[:4])
get(vnc, struct.unpack(">I", head[20:])[0])
look()
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.settimeout(0.5)
udp.connect(("127.0.0.1", int(sys.argv[1])))
echo(b"one")
monitor("stop")
monitor("savevm a")
monitor("cont")
echo(b"two")
for word in (b"three", b"four"):
    monitor("loadvm a")
    monitor("cont")
    echo(word)
assert b"running" in monitor("info status")
vnc.sendall(struct.pack(">BBHI", 4, 1, 0, 0x61))
mon.sendall(b"quit\n")
serial.settimeout(1)
while serial.recv(4096):
    pass
PY
    wait $pid
    expect "connections: quit" test $? -eq 0
}

# --- TCP connections of the guest's through a load: each is reset and made anew, and the host sees its end closed ---
streams() {
    local port pid i mode
    for mode in inline thread adaptive; do
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        rm -rf held monitor serial.out
        timeout 100 "$tandem" -kernel "$guests/toynet.elf" -append "role=4 frames=100000000 port=$port" -m 16 -S -snapshots held -nic user,model=x-toy -devthread mode=$mode \
            -serial file:serial.out -monitor unix:monitor,server,nowait 2>stderr &
        pid=$!
        expect "streams: a connection ends with its machine ($mode)" timeout 90 python3 "$tests/savevm_streams.py" "$port" monitor serial.out
        wait $pid
        expect "streams: quit ($mode)" test $? -eq 0
    done
    # A snapshot with a connection in it, loaded elsewhere and recorded: the replay needs no network.
    python3 "$tests/savevm_streams.py" "$port" &
    pid=$!
    timeout 60 "$tandem" -kernel "$guests/toynet.elf" -append "role=4 frames=100000000 port=$port" -m 16 -nic user,model=x-toy -serial file:l.out -loadvm held/a \
        -icount shift=3,rr=record,rrfile=l.log -digest file=l.digest,every=1000000 -until text=reset 2>stderr
    expect "streams: loaded by another process, it is reset" test $? -eq 0
    kill $pid
    for mode in inline thread; do
        timeout 60 "$tandem" -kernel "$guests/toynet.elf" -append "role=4 frames=100000000 port=$port" -m 16 -nic user,model=x-toy -serial file:r.out -loadvm held/a \
            -icount shift=3,sleep=off,rr=replay,rrfile=l.log -digest file=r.digest,every=1000000 -until text=reset -devthread mode=$mode 2>stderr
        expect "streams: and replayed (mode $mode)" cmp l.digest r.digest
    done
}

# --- the machine at the other end of a socket does not notice; frames that were under way are lost ---
sockets() {
    local port pid
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    rm -rf held monitor
    timeout 100 "$tandem" -kernel "$guests/toynet.elf" -append role=2 -m 16 -device isa-debug-exit,iobase=0xf4,iosize=4 -nic "socket,model=x-toy,listen=:$port" 2>/dev/null </dev/null &
    pid=$!
    sleep 0.5
    talk -S -kernel "$guests/toynet.elf" -append 'role=1 frames=300' -m 16 -device isa-debug-exit,iobase=0xf4,iosize=4 -snapshots held -nic "socket,model=x-toy,connect=127.0.0.1:$port" -serial file:serial.out \
        -- 'run-to 3000000' 'savevm a' 'run-to 6000000' 'loadvm a' 'run-to 6000000' 'info network' 'loadvm a' 'run-to 9000000000'
    expect_text "sockets: still connected behind a load" "$answers" 'socket: connect=.*, connected'
    expect_text "sockets: all frames came back" "$(cat serial.out)" '^hash '
    wait $pid
    expect "sockets: the other machine's guest ends well" test $? -eq 1
}

plain
media
connections
streams
sockets
drives
firmware
in_place
store
others
expect "QMP" qmp
summary savevm
