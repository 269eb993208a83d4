#!/usr/bin/env bash
# net_boot.sh [BUILD] - real guests on the network. iPXE gets an address by DHCP and boots Debian's kernel by TFTP, computed and
# the same twice, and by HTTP; Debian fetches 100 MiB by both cards and sums it up, recorded and replayed.
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

run() { # NAME options...
    local name=$dir/$1
    shift
    timeout 1200 "$build/tandem" -m 512 -display none -no-reboot -serial "file:$name.out" -digest "file=$name,every=100000000" "$@" >/dev/null 2>"$name.err" </dev/null
}

# --- iPXE ---
script() { printf '#!ipxe\nkernel %s/linux console=ttyS0 rdinit=/bin/sh -- -c "echo booted by the network; poweroff -f"\ninitrd %s/initrd.gz\nboot\n' "$1" "$1"; }
mkdir "$dir/tftp"
ln -s "$debian_dir/linux" "$debian_dir/initrd.gz" "$dir/tftp"
script tftp://10.0.2.2 >"$dir/tftp/tftp.ipxe"
script "http://10.0.2.2:$port" >"$dir/tftp/http.ipxe"
for model in e1000 virtio-net-pci; do
    nic=user,model=$model,tftp=$dir/tftp
    expect "$model: iPXE boots by TFTP" run bytftp -cdrom /usr/lib/ipxe/ipxe.iso -boot d -nic "$nic,restrict=on,bootfile=tftp.ipxe" -icount shift=3,sleep=off
    expect_text "$model: the kernel came" "$(tr -d '\r' <"$dir/bytftp.out")" '^booted by the network'
    expect "$model: iPXE boots by HTTP" run http -cdrom /usr/lib/ipxe/ipxe.iso -boot d -nic "$nic,bootfile=http.ipxe"
    expect_text "$model: the kernel came" "$(tr -d '\r' <"$dir/http.out")" '^booted by the network'
    expect "$model: TFTP again, mode thread" run again -cdrom /usr/lib/ipxe/ipxe.iso -boot d -nic "$nic,restrict=on,bootfile=tftp.ipxe" -icount shift=3,sleep=off -devthread mode=thread
    expect "$model: the same run" cmp "$dir/bytftp" "$dir/again"
done

# --- Debian fetches ---
commands="mount -t proc proc /proc; mount -t sysfs sysfs /sys; for m in e1000 virtio_pci virtio_net; do modprobe \$m; done"
commands+="; while [ ! -e /sys/class/net/eth0 ]; do sleep 1; done; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0"
commands+="; ip route add default via 10.0.2.2; sleep 1; wget -q -O - http://10.0.2.2:$port/big | sha256sum; poweroff -f"
debian_args "$commands"
for model in e1000 virtio-net-pci; do
    fetch=("${boot_args[@]}" -nic "user,model=$model")
    expect "$model: fetches $mib MiB" run fetch "${fetch[@]}" -icount "shift=3,sleep=on,rr=record,rrfile=$dir/log"
    expect_text "$model: the sum is right" "$(cat "$dir/fetch.out")" "$sum"
    expect "$model: replayed without a network" run replay "${fetch[@]}" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread mode=inline
    expect "$model: the same run" cmp "$dir/fetch" "$dir/replay"
    expect "$model: the same output" cmp "$dir/fetch.out" "$dir/replay.out"
done
summary net_boot
