#!/usr/bin/env bash
# net.sh [BUILD] - networks. restrict=on is computed: one digest and one dump in every way of running, saved and loaded in
# the middle, without a log. Two machines over a socket, hostfwd and a tap: recorded, then replayed without a network.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
export TMPDIR=$dir
trap 'rm -rf "$dir"' EXIT
guest=$build/tests/guests/toynet.elf

inside=() # a command that runs another one in a network of its own
run() { # NAME APPEND options...: digest in NAME, the guest's output in NAME.out, messages in NAME.err
    local name=$dir/$1 append=$2
    shift 2
    timeout 120 "${inside[@]}" "$build/tandem" -kernel "$guest" -append "$append" -m 8 -display none -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -serial "file:$name.out" -digest "file=$name,every=100000" "$@" -icount "${icount:-shift=3,sleep=off}" >/dev/null 2>"$name.err" </dev/null
}
ends() { # "$@" ends with the guest's success
    "$@"
    [ $? -eq 1 ] || { cat "$dir/$2.err" "$dir/$2.out"; return 1; }
}
same() { cmp "$dir/ref" "$dir/$1" && cmp "$dir/ref.out" "$dir/$1.out"; }
free_port() { python3 -c 'import socket, sys; s = socket.socket(type=getattr(socket, sys.argv[1])); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' "$1"; }

# --- restrict=on ---
mkdir "$dir/tftp"
head -c 20000 /dev/urandom >"$dir/tftp/file"
computed=(-nic "user,id=n0,model=x-toy,restrict=on,tftp=$dir/tftp,bootfile=file" -object)
expect "reference run" ends run ref role=0 "${computed[@]}" "filter-dump,id=f0,netdev=n0,file=$dir/ref.pcap" -devthread mode=inline
expect_text "TFTP sends the file" "$(grep -c 'file 20000 bytes' "$dir/ref.out")" 1
ways=(
    "-devthread mode=thread"
    "-devthread mode=adaptive"
    "-devthread mode=thread -x-jitter seed=${SEED:-1}"
    "-devthread mode=adaptive -x-pause every=300000,seed=${SEED:-1}"
    "-devthread mode=inline -translator mode=interp -x-quantum 1000"
)
for way in "${ways[@]}"; do
    # shellcheck disable=SC2086
    expect "restrict=on $way" ends run b role=0 "${computed[@]}" "filter-dump,id=f0,netdev=n0,file=$dir/b.pcap" $way
    expect "the same run" same b
    expect "the same frames at the same times" cmp "$dir/ref.pcap" "$dir/b.pcap"
done
dump=filter-dump,id=f0,netdev=n0,file=/dev/null
icount="shift=3,sleep=off,rr=record,rrfile=$dir/empty.log" expect "recorded" ends run b role=0 "${computed[@]}" "$dump"
expect "a recording of it has no frames" bash -c "! grep -q frames0 '$dir/empty.log'"
icount="shift=3,sleep=off,rr=replay,rrfile=$dir/empty.log" expect "replayed" ends run b role=0 "${computed[@]}" "$dump"
expect "the same run" same b

# --- saved in the middle of the transfer, loaded ---
tick=$(python3 - "$dir/ref.pcap" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read()
at, stamps = 24, []
while at < len(data):
    s, ns, kept, _ = struct.unpack_from("<IIII", data, at)
    frame = data[at + 16 : at + 16 + kept]
    if frame[12:14] == b"\x08\x00" and frame[34:36] == b"\x00\x45":  # from port 69
        stamps.append(s * 10**9 + ns)
    at += 16 + kept
print(stamps[len(stamps) // 2] // 8 - 100)
PY
)
expect "saved at $tick" ends run b role=0 "${computed[@]}" "$dump" -snapshot-at "$tick,file=$dir/snap"
for mode in inline thread; do
    expect "loaded, mode $mode" ends run c role=0 "${computed[@]}" "$dump" -loadvm "$dir/snap" -devthread mode=$mode
    expect_text "the same end" "$(tail -n 1 "$dir/c")" "$(tail -n 1 "$dir/ref")"
done
echo other >"$dir/tftp/more"
run c role=0 "${computed[@]}" "$dump" -loadvm "$dir/snap"
expect_text "other TFTP files are another machine" "$(grep -c 'the snapshot is another machine.s: it was made with nic0=' "$dir/c.err")" 1

# --- the cards, over their rings: one digest in every way of running, recorded, replayed, saved and loaded under way ---
guest=$build/tests/guests/net.elf
head -c 20000 /dev/zero | tr '\0' n >"$dir/tftp/file"
rm "$dir/tftp/more"
for card in '0 e1000' '1 virtio-net-pci' '2 virtio-net-pci'; do
    nic="user,model=${card#* },restrict=on,tftp=$dir/tftp" name="net.c card=${card% *}"
    expect "$name" ends run ref "card=${card% *}" -m 16 -nic "$nic" -devthread mode=inline
    for way in "${ways[@]}"; do
        # shellcheck disable=SC2086
        expect "$name $way" ends run b "card=${card% *}" -m 16 -nic "$nic" $way
        expect "the same run" same b
    done
    icount="shift=3,sleep=off,rr=record,rrfile=$dir/net.log" expect "$name, recorded" ends run b "card=${card% *}" -m 16 -nic "$nic"
    icount="shift=3,sleep=off,rr=replay,rrfile=$dir/net.log" expect "$name, replayed" ends run b "card=${card% *}" -m 16 -nic "$nic" -devthread mode=thread
    expect "the same run" same b
    last=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    for part in 1 2 3; do
        tick=$((last * part / 4 + RANDOM % 1000))
        expect "$name, saved at $tick" ends run b "card=${card% *}" -m 16 -nic "$nic" -snapshot-at "$tick,file=$dir/snap"
        expect "$name, loaded at $tick" ends run c "card=${card% *}" -m 16 -nic "$nic" -loadvm "$dir/snap" -devthread mode=adaptive
        expect_text "the same end" "$(tail -n 1 "$dir/c")" "$(tail -n 1 "$dir/ref")"
    done
done
guest=$build/tests/guests/toynet.elf

# --- two machines over a socket, each recorded ---
port=$(free_port SOCK_STREAM)
icount="shift=3,sleep=off,rr=record,rrfile=$dir/echo.log" run echo role=2 -nic "socket,model=x-toy,listen=:$port" &
for ((i = 0; i < 100; i++)); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
icount="shift=3,sleep=off,rr=record,rrfile=$dir/send.log" expect "frames to the other machine and back" ends run send "role=1 frames=100" -nic "socket,model=x-toy,connect=127.0.0.1:$port"
wait $!
expect_text "which sent them back" "$?" 1
for name in send echo; do
    [ $name = send ] && role="role=1 frames=100" || role=role=2
    icount="shift=3,sleep=off,rr=replay,rrfile=$dir/$name.log" expect "replayed without the other ($name)" ends run b "$role" -nic "socket,model=x-toy,connect=127.0.0.1:1" -devthread mode=thread
    expect_text "the same end" "$(tail -n 1 "$dir/b")" "$(tail -n 1 "$dir/$name")"
done

# --- hostfwd ---
port=$(free_port SOCK_DGRAM)
icount="shift=3,sleep=on,rr=record,rrfile=$dir/fwd.log" run fwd "role=3 frames=3" -nic "user,id=n0,model=x-toy,hostfwd=udp::$port-:7" -object "filter-dump,id=f,netdev=n0,file=$dir/fwd.pcap" &
for ((i = 0; i < 100; i++)); do grep -q ready "$dir/fwd.out" 2>/dev/null && break; sleep 0.1; done
for word in one two three; do
    expect_text "a datagram into the guest and back" "$(echo $word | timeout 10 socat -t 2 - "udp:127.0.0.1:$port")" $word
done
wait $!
expect_text "its guest's end" "$?" 1
icount="shift=3,sleep=off,rr=replay,rrfile=$dir/fwd.log" expect "replayed without a network" ends run b "role=3 frames=3" -nic "user,id=n0,model=x-toy,hostfwd=udp::$port-:7" -object "filter-dump,id=f,netdev=n0,file=$dir/b.pcap" -devthread mode=thread
expect_text "the same end" "$(tail -n 1 "$dir/b")" "$(tail -n 1 "$dir/fwd")"
expect "the same frames at the same times" cmp "$dir/fwd.pcap" "$dir/b.pcap"

# --- tap: an interface of the host's, in a network of its own, so that it meets no other and needs no clearing away ---
if tap_network 2>"$dir/no-tap"; then
    icount="shift=3,sleep=on,rr=record,rrfile=$dir/tap.log" run tap "role=5 frames=4" -nic "tap,id=n0,model=x-toy,ifname=tap0,script=no" -object "filter-dump,id=f,netdev=n0,file=$dir/tap.pcap" &
    for ((i = 0; i < 300; i++)); do grep -q ready "$dir/tap.out" 2>/dev/null && break; sleep 0.1; done
    expect_text "the guest pings the host" "$(cat "$dir/tap.out")" '^4 pings'
    expect "the host pings the guest" timeout 30 "${inside[@]}" python3 tests/ping.py 10.77.0.2 8 500 960
    for word in one two three four; do
        expect_text "a datagram into the guest and back" "$(echo $word | timeout 10 "${inside[@]}" socat -t 2 - udp:10.77.0.2:7)" $word
    done
    wait $!
    expect_text "its guest's end" "$?" 1
    inside=() # where no interface has this name
    icount="shift=3,sleep=off,rr=replay,rrfile=$dir/tap.log" expect "replayed without the interface" ends run b "role=5 frames=4" -nic "tap,id=n0,model=x-toy,ifname=tap0,script=no" -object "filter-dump,id=f,netdev=n0,file=$dir/b.pcap" -devthread mode=thread
    expect_text "the same end" "$(tail -n 1 "$dir/b")" "$(tail -n 1 "$dir/tap")"
    expect "the same frames at the same times" cmp "$dir/tap.pcap" "$dir/b.pcap"
else
    skip "tap: $(tail -n 1 "$dir/no-tap")"
fi
summary net
