#!/usr/bin/env bash
# tests/qmp.sh BUILD - QMP: answers and errors compared with QEMU's own; events; a session with keys and buttons recorded
# and replayed in every mode; a client that does not read; how long answers take.
# shellcheck disable=SC2046 # the options of a guest are words
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
. tests/lib.sh
build=$(readlink -f "${1:-build}")
tandem=$build/tandem guests=$build/tests/guests client=$PWD/tests/qmp_client.py
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2

guest() { echo -kernel "$guests/$1.elf" -append shift=3 -m 16 -display none -serial null; }

conversation='{"execute":"query-status"}
{"execute":"qmp_capabilities"}
{"execute":"qmp_capabilities"}
{"execute":"query-status","id":7}
{"execute":"nonsense","id":{"a":[1]}}
{"execute":"query-block"}
{"execute":"query-replay"}
{"execute":"query-name"}
{"execute":"query-target"}
{"execute":"query-uuid"}
{"execute":"query-iothreads"}
{"execute":"pmemsave","arguments":{"val":0,"size":16,"filename":"pm","foo":1}}
{"execute":"pmemsave","arguments":{"val":0,"size":"x","filename":"pm"}}
{"execute":"pmemsave","arguments":{"val":0,"size":16}}
{"execute":"pmemsave","arguments":{"val":0,"size":16,"filename":"pm"}}
{"execute":"screendump","arguments":{}}
{"execute":"query-status","arguments":{"a":1}}
{"execute":"human-monitor-command"}
{"execute":"human-monitor-command","arguments":{"command-line":"info status","cpu-index":3}}
{"execute":"eject","arguments":{"device":"nosuch"}}
{"execute":"eject","arguments":{"id":"nosuch"}}
{"execute":"blockdev-open-tray","arguments":{"id":"nosuch"}}
{"execute":"blockdev-close-tray","arguments":{"device":"nosuch"}}
{"execute":"blockdev-remove-medium","arguments":{"id":"nosuch"}}
{"execute":"blockdev-insert-medium","arguments":{"id":"nosuch","node-name":"nosuch"}}
{"execute":"blockdev-change-medium","arguments":{"id":"nosuch","filename":"x"}}
{"execute":"send-key","arguments":{"keys":"a"}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a"},{"type":"number","data":30}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"nokey"}]}}
[1]
{"execute": 1}
{"execute":"stop","arguments":[]}
{"execute":"stop","x":1}
{}
{"execute":"stop"}'

# One answer a line, keys in order, without what names a program.
canonical() {
    python3 -c 'import json, sys
for line in sys.stdin:
    j = json.loads(line)
    if "QMP" not in j: print(json.dumps(j, sort_keys=True))'
}
slowly() { while read -r line; do echo "$line"; sleep 0.02; done; sleep 0.2; echo '{"execute":"quit"}'; sleep 0.2; }

like_qemu() {
    if ! command -v qemu-system-i386 >/dev/null; then
        skip "QEMU's answers: no qemu-system-i386"
        return
    fi
    slowly <<<"$conversation" | timeout 20 qemu-system-i386 -M pc -nodefaults -display none -S -qmp stdio 2>/dev/null | canonical | grep -v SHUTDOWN >qemu
    slowly <<<"$conversation" | timeout 20 "$tandem" $(guest pit) -nodefaults -S -qmp stdio 2>/dev/null | canonical | grep -v SHUTDOWN >tandem
    expect "as many answers as requests, and quit's" test "$(wc -l <tandem)" = $(($(wc -l <<<"$conversation") + 1))
    expect "each is QEMU's" diff qemu tandem
}

hostile() {
    local answers
    answers=$({ printf '}]\n{"execute":"qmp_capabilities"}\n"a" x\n{"execute":"query-kvm" "x\n\xff\xfe\n{"execute":"query-name","id":"\\u00e4"}\n'
        head -c 3000 /dev/zero | tr '\0' '['; printf '\n{"execute":"quit","id":"end"}\n'; } | timeout 20 "$tandem" $(guest pit) -S -qmp stdio 2>/dev/null)
    expect "NUL alone on its line is no JSON" test "$(printf '\0\n{"execute":"qmp_capabilities"}{"execute":"quit","id":1}' |
        timeout 20 "$tandem" $(guest pit) -S -qmp stdio 2>/dev/null | sed -n '2s/.*"error".*/error/p;3s/.*"return".*/return/p' | paste -sd ' ')" = 'error return'
    expect_text "what is no JSON is an error" "$answers" '"GenericError", "desc": "JSON parse error'
    expect_text "names that are no ASCII" "$answers" '"id": "(ä|\\u00e4)"'
    answers=$(printf '{"execute":"qmp_capabilities"}\n{"execute":"quit","id":"end"}\n' |
        timeout 20 "$tandem" $(guest pit) -S -qmp-pretty stdio 2>/dev/null)
    expect_text "-qmp-pretty" "$answers" '^    "id": "end"'
    expect "-mon mode=control" bash -c "echo '{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}' | timeout 20 '$tandem' $(guest pit) -S \
        -chardev stdio,id=c -mon c,mode=control 2>/dev/null | grep -c return | grep -qx 2"
}

# --- what changes the guest is in the recording ---
replays() {
    local mode tick
    timeout 60 "$tandem" $(guest pit) -S -qmp unix:q,server,nowait -digest file=d0,every=1000000 -icount shift=3,rr=record,rrfile=log 2>err &
    tick=$(timeout 50 python3 "$client" q buttons)
    expect "a client's session with keys and buttons" test "${tick:-0}" -gt 0
    wait $!
    expect_text "its end" "$(cat err)" 'ended from QMP \(quit\)'
    expect "buttons are in the recording" test "$(grep -c ' panel0 ' log)" = 9
    for mode in inline thread adaptive; do
        timeout 100 "$tandem" $(guest pit) -devthread mode=$mode -digest file=d1,every=1000000 -until "tick=$tick" \
            -icount shift=3,sleep=off,rr=replay,rrfile=log 2>err
        expect "the same digests, up to where it ended ($mode)" cmp d0 d1
    done
}

flooded() {
    local pid
    timeout 30 "$tandem" $(guest pit) -qmp unix:f,server,nowait -qmp unix:g,server,nowait 2>/dev/null &
    pid=$!
    timeout 20 python3 "$client" f flood &
    sleep 1
    expect "another client is served meanwhile" timeout 15 python3 "$client" g beside
    kill %2 2>/dev/null
    wait $pid
}

# A machine that boots from nothing, and QEMU's like it: every command's arguments and answers compared.
like_qemu_in_shape() {
    local common=(-m 16 -S -display none -nic 'user,model=e1000' -nic 'user,model=virtio') pids=()
    command -v qemu-system-i386 >/dev/null || { skip "QEMU's schema: no qemu-system-i386"; return; }
    head -c 1048576 /dev/zero >disk
    timeout 60 "$tandem" "${common[@]}" -vga std -serial null -drive file=disk,if=ide,format=raw -qmp unix:st,server,nowait 2>/dev/null &
    pids+=($!)
    timeout 60 qemu-system-i386 -M pc "${common[@]}" -drive file=disk,if=ide,format=raw,file.locking=off -qmp unix:sq,server=on,wait=off 2>/dev/null &
    pids+=($!)
    expect "arguments, answers and their types are QEMU's" timeout 50 python3 "$OLDPWD/tests/qmp_shape.py" st sq
    wait "${pids[@]}"
}

# Debian's package ganeti-3.0, unpacked where images are kept; false: it is not to be had.
ganeti_get() {
    local cache=${TANDEM_IMAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/tandem/images}/ganeti
    ganeti=$cache/usr/share/ganeti/3.0
    [ -d "$ganeti" ] && return
    (mkdir -p "$cache/deb" && cd "$cache/deb" && apt-get -q download ganeti-3.0 && dpkg -x ganeti-3.0_*.deb "$cache") >/dev/null 2>&1
}

# A client that others wrote.
ganeti() {
    local ganeti pid
    if ! ganeti_get || ! PYTHONPATH=$ganeti /usr/bin/python3 -c 'import ganeti.hypervisor.hv_kvm.monitor' 2>/dev/null; then
        skip "ganeti's client: its package cannot be had here, or not what it needs (${packages_ganeti[*]})"
        return
    fi
    head -c 1048576 /dev/zero >disk
    timeout 60 "$tandem" -m 16 -display none -serial null -drive file=disk,if=ide,format=raw -nic user,model=e1000 -qmp unix:gs,server,nowait 2>/dev/null &
    pid=$!
    for _ in $(seq 100); do [ -S gs ] && break; sleep 0.05; done
    expect "all that ganeti's client can ask" env PYTHONPATH="$ganeti" timeout 50 /usr/bin/python3 "$OLDPWD/tests/qmp_ganeti.py" gs
    wait $pid
}

# A request is answered at once: nothing waits for the next look at the clock.
prompt() {
    local mode pid
    for mode in inline thread adaptive; do
        timeout 60 "$tandem" -kernel "$guests/bench_cpu.elf" -append 'shift=3 passes=1000000' -m 16 -display none -serial null \
            -qmp "unix:p$mode,server,nowait" -devthread mode=$mode 2>/dev/null &
        pid=$!
        expect "2 ms for an answer ($mode)" timeout 50 python3 "$client" p$mode prompt
        wait $pid
    done
}

# QEMU's screendump makes a PPM, whatever the file is called.
pictures() {
    timeout 60 "$tandem" $(guest pit) -vga std -S -qmp unix:pic,server,nowait 2>/dev/null &
    expect "screendump's formats" timeout 50 python3 "$client" pic pictures
    wait $!
}

like_qemu
like_qemu_in_shape
pictures
ganeti
hostile
prompt
replays
flooded
summary qmp
