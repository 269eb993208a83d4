#!/usr/bin/env bash
# net_boot.sh [BUILD] - real guests on the network. iPXE gets an address by DHCP and boots Debian's kernel by TFTP, computed and
# the same twice, and by HTTP; Debian fetches 100 MiB by both cards and sums it up, recorded and replayed; the host reaches it
# by hostfwd, two of them one another by a socket, and the host's kernel by a tap.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
mib=${2:-100}
dir=$(mktemp -d)
export TMPDIR=$dir
server=''
trap '[ -n "$server" ] && kill $server; rm -rf "$dir"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

mkdir "$dir/www"
ln -s "$debian_dir/linux" "$debian_dir/initrd.gz" "$dir/www"
head -c $((mib << 20)) /dev/urandom >"$dir/www/big"
sum=$(sha256sum <"$dir/www/big" | cut -d ' ' -f 1)
port=$(free_port)
(cd "$dir/www" && exec python3 -m http.server "$port" --bind 127.0.0.1 >"$dir/http.log" 2>&1) &
server=$!

inside=() # a command that runs another one in a network of its own
run() { # NAME options...
    local name=$dir/$1
    shift
    timeout 1200 "${inside[@]}" "$build/tandem" -m 512 -display none -no-reboot -serial "file:$name.out" -digest "file=$name,every=100000000" "$@" >/dev/null 2>"$name.err" </dev/null
}

# --- iPXE ---
script() { printf '#!ipxe\nkernel %s/linux console=ttyS0 rdinit=/bin/sh -- -c "echo booted by the network; poweroff -f"\ninitrd %s/initrd.gz\nboot\n' "$1" "$1"; }
mkdir "$dir/tftp"
ln -s "$debian_dir/linux" "$debian_dir/initrd.gz" "$dir/tftp"
script tftp://10.0.2.2 >"$dir/tftp/tftp.ipxe"
script "http://10.0.2.2:$port" >"$dir/tftp/http.ipxe"
for model in e1000 virtio-net-pci; do
    nic=user,model=$model,tftp=$dir/tftp
    expect "$model: iPXE boots by TFTP" run bytftp -boot n -nic "$nic,restrict=on,bootfile=tftp.ipxe" -icount shift=3,sleep=off
    expect_text "$model: the kernel came" "$(tr -d '\r' <"$dir/bytftp.out")" '^booted by the network'
    expect "$model: iPXE boots by HTTP" run http -boot n -nic "$nic,bootfile=http.ipxe"
    expect_text "$model: the kernel came" "$(tr -d '\r' <"$dir/http.out")" '^booted by the network'
    expect "$model: TFTP again, mode thread" run again -boot n -nic "$nic,restrict=on,bootfile=tftp.ipxe" -icount shift=3,sleep=off -devthread mode=thread
    expect "$model: the same run" cmp "$dir/bytftp" "$dir/again"
done

# --- Debian ---
debian() { # ADDRESS COMMANDS: boot_args for a shell with a network
    local commands="mount -t proc proc /proc; mount -t sysfs sysfs /sys; for m in e1000 virtio_pci virtio_net; do modprobe \$m; done"
    commands+="; while [ ! -e /sys/class/net/eth0 ]; do sleep 1; done; ip link set eth0 up; ip addr add $1/24 dev eth0"
    debian_args "$commands; ip route add default via 10.0.2.2; sleep 1; $2; poweroff -f"
}
wait_for() { # TEXT NAME
    for ((i = 0; i < 600; i++)); do grep -aq "$1" "$dir/$2.out" 2>/dev/null && return 0; sleep 0.2; done
    return 1
}

debian 10.0.2.15 "wget -q -O - http://10.0.2.2:$port/big | sha256sum"
for model in e1000 virtio-net-pci; do
    fetch=("${boot_args[@]}" -nic "user,model=$model")
    expect "$model: fetches $mib MiB" run fetch "${fetch[@]}" -icount "shift=3,sleep=on,rr=record,rrfile=$dir/log"
    expect_text "$model: the sum is right" "$(cat "$dir/fetch.out")" "$sum"
    expect "$model: replayed without a network" run replay "${fetch[@]}" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread mode=inline
    expect "$model: the same run" cmp "$dir/fetch" "$dir/replay"
    expect "$model: the same output" cmp "$dir/fetch.out" "$dir/replay.out"
done

debian 10.0.2.15 "echo ready; echo from the guest | nc -l -p 7000; nc -l -p 7000"
for model in e1000 virtio-net-pci; do
    rm -f "$dir/into.out"
    at=$(free_port)
    run into "${boot_args[@]}" -nic "user,model=$model,hostfwd=tcp::$at-:7000" &
    expect "$model: a guest that listens" wait_for '^ready' into
    expect_text "$model: the host hears the guest" "$(timeout 20 socat -u "tcp:127.0.0.1:$at" -)" 'from the guest'
    sleep 1
    echo from the host | timeout 20 socat -u - "tcp:127.0.0.1:$at"
    wait $!
    expect_text "$model: and the guest the host" "$(cat "$dir/into.out")" 'from the host'
done

at=$(free_port)
debian 10.0.2.21 "echo ready; nc -l -p 7000"
run one "${boot_args[@]}" -nic "socket,listen=:$at" &
one=$!
expect "a first machine" wait_for '^ready' one
debian 10.0.2.22 "ping -c 3 10.0.2.21; echo across the wire | nc 10.0.2.21 7000"
expect "a second machine" run two "${boot_args[@]}" -nic "socket,model=virtio-net-pci,connect=127.0.0.1:$at,mac=52:54:00:12:34:57"
wait $one
expect_text "it pings the first" "$(cat "$dir/two.out")" '3 packets received'
expect_text "and speaks to it" "$(cat "$dir/one.out")" 'across the wire'
# --- tap: the host's own network stack at the other end of the wire, full frames in both directions, by both cards ---
if tap_network 2>"$dir/no-tap"; then
    own=("${inside[@]}")
    kill "$server"
    (cd "$dir/www" && exec "${own[@]}" python3 -m http.server 8000 --bind 10.77.0.1 >"$dir/http.log" 2>&1) &
    server=$!
    debian 10.77.0.2 "ping -c 3 -s 1472 10.77.0.1; wget -q -O - http://10.77.0.1:8000/linux | sha256sum; echo ready; nc -l -p 7000"
    sum=$(sha256sum <"$debian_dir/linux" | cut -d ' ' -f 1)
    for model in e1000 virtio-net-pci; do
        nic=(-nic "tap,model=$model,ifname=tap0,script=no")
        rm -f "$dir/tap.out"
        run tap "${boot_args[@]}" "${nic[@]}" -icount "shift=3,sleep=on,rr=record,rrfile=$dir/log" &
        expect "$model: a guest behind a tap" wait_for '^ready' tap
        expect_text "$model: it pings the host" "$(cat "$dir/tap.out")" '3 packets received'
        expect_text "$model: a file of the host's arrives whole" "$(cat "$dir/tap.out")" "$sum"
        expect "$model: the host pings it" timeout 60 "${own[@]}" python3 tests/ping.py 10.77.0.2 8 500 1472
        echo from the host | timeout 20 "${own[@]}" socat -u - tcp:10.77.0.2:7000
        wait $!
        expect_text "$model: and speaks to it" "$(cat "$dir/tap.out")" 'from the host'
        inside=() # where no interface has this name
        expect "$model: replayed without the tap" run replay "${boot_args[@]}" "${nic[@]}" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread mode=inline
        inside=("${own[@]}")
        expect "$model: the same run" cmp "$dir/tap" "$dir/replay"
        expect "$model: the same output" cmp "$dir/tap.out" "$dir/replay.out"
    done
else
    skip "tap: $(tail -n 1 "$dir/no-tap")"
fi
summary net_boot
