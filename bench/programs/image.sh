#!/usr/bin/env bash
# image.sh - builds the files of bench/run programs, if they are not there yet, and prints their folder: root/, a tree of Debian 12's i386 packages
# with the jobs' data in /data, and initrd, the same as an image for the guest. No package's scripts run, and nothing is installed on the host.
#
# They lie in $TANDEM_IMAGES (default: tandem/images in the user's cache folder), under a name with a hash of all that they are made of, and may
# be removed at any time. Needs the mirror that apt uses, cpio, python3 and xz; and where the host's kernel runs no i386 programs, root and qemu-user.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=${TANDEM_IMAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/tandem/images}
packages=(busybox-static python3-minimal perl-base gcc libc6-dev sqlite3)
export SOURCE_DATE_EPOCH=1680000000 LC_ALL=C TZ=UTC

# apt with i386's package lists, apart from this machine's own.
apt_prepare() { # dir
    mkdir -p "$1/lists/partial" "$1/archives/partial"
    sed -n 's/^URIs: //p; s/^deb \(\[.*\] \)\?\(http[^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -v security | head -n 1 | sed 's|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & bookworm main|' >"$1/sources"
    apt=(-o APT::Architecture=i386 -o APT::Architectures=i386 -o "Dir::State::lists=$1/lists" -o Dir::State::status=/dev/null
        -o "Dir::Cache::archives=$1/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o "Dir::Etc::sourcelist=$1/sources" -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
}

fetch() { # dir
    local apt
    apt_prepare "$1"
    apt-get "${apt[@]}" update && apt-get "${apt[@]}" -y --no-install-recommends --download-only install "${packages[@]}"
}

# What the jobs do not touch.
prune() { # root
    rm -rf "${1:?}"/usr/share/{doc,man,locale,info,lintian,bug,bash-completion,perl5,gdb,gcc,terminfo} "${1:?}"/var "$1"/etc/{alternatives,dpkg,apt} \
        "$1"/usr/lib/gcc/i686-linux-gnu/12/{lto1,lto-wrapper,collect2,g++-mapper-server,plugin} "$1"/usr/lib/i386-linux-gnu/gconv
    find "$1/usr" \( -name '*.a' -o -name 'lib*san.so*' -o -name '*gprofng*' -o -name 'dpkg*' -o -name '*gold*' -o -name '*-dwp' -o -name '*lto-dump*' -o -name '*gp-*' -o -name '*gcov*' \) -delete
}

applets() { # root
    local name
    for name in $("$1/bin/busybox" --list); do
        [ "$name" = busybox ] || [ -e "$1/usr/bin/$name" ] || [ -e "$1/bin/$name" ] || ln -s busybox "$1/bin/$name"
    done
}

# i386 programs of the tree, as the image's own root.
in_root() { # root command...
    if [ "$(id -u)" -eq 0 ]; then chroot "$@"; else unshare -r --root="$1" "${@:2}"; fi
}

unpack() { # dir root
    local deb
    mkdir -p "$2"/{proc,dev,tmp,data}
    for deb in "$1"/archives/*.deb; do
        case $deb in */dpkg_* | */debconf_* | */tar_*) continue ;; esac # needed to install packages, not to run what is in them
        dpkg-deb --fsys-tarfile "$deb" | tar x -C "$2"
    done
    prune "$2"
    applets "$2"
}

data() { # root
    cp "$here"/{jobs,*.sh,work.*} "$1/data/"
    cp "$here/init" "$1/init"
    chmod 755 "$1/init"
    python3 "$here/data.py" "$1/data"
    in_root "$1" /bin/busybox sh /data/derive.sh
    xz -6 --threads=1 -c "$1/data/big" >"$1/data/big.xz"
}

build() { # work out
    # shellcheck source=/dev/null
    . "$here/../../tests/lib.sh"
    i386_programs_ensure "$1"
    fetch "$1" && unpack "$1" "$2/root" && data "$2/root"
    find "$2/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$2/root" && find . -print0 | sort -z | cpio -o -0 --quiet -H newc --reproducible -R 0:0) >"$2/initrd"
}

out=$cache/programs-$(cat "$here"/* | sha256sum | cut -c 1-16)
if [ ! -f "$out/initrd" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/programs.lock"
    flock 9 # a second builder waits, and then finds them
    if [ ! -f "$out/initrd" ]; then
        work=$(mktemp -d "$cache/work.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        mkdir "$work/out"
        (build "$work" "$work/out") >"$work/log" 2>&1 </dev/null & # with ||, bash would go on after an error
        wait $! || { status=$?; tail -n 20 "$work/log" >&2; exit "$status"; }
        rm -rf "$out"
        mv "$work/out" "$out"
    fi
fi
printf '%s\n' "$out"
