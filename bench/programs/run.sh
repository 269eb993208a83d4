#!/bin/busybox sh
# shellcheck shell=dash
# run.sh NAME... - runs jobs of bench/run programs, in the guest and natively, under the same BusyBox. All output is the lines that the
# experiment reads: "@begin NAME" and "@end NAME", whose arrival is timed, then "@sum NAME STATUS SUM".
# Where the kernel's command line has tandem_marker (and there is -device tandem-marker), each job begins and ends with a mark: its number
# among the jobs, from 1, then 128 + that number.
export PATH=/usr/bin:/bin W=/data LC_ALL=C TZ=UTC HOME=/tmp PYTHONHASHSEED=0
mkdir -p /tmp/job

mark() {
    # shellcheck disable=SC2059
    [ -z "$marker" ] || printf "\\$(printf %03o "$1")" | dd of=/dev/port bs=1 seek=1504 conv=notrunc 2>/dev/null
}

job() { # number name times command
    local pass=0
    cd /tmp/job || exit 1
    mark "$1"
    echo "@begin $2"
    while [ "$3" -ge "$((pass += 1))" ]; do eval "$4"; done >/tmp/out 2>/tmp/err
    status=$?
    echo "@end $2"
    mark $((128 + $1))
    cd / && rm -rf /tmp/job && mkdir /tmp/job
    cat /tmp/err
    echo "@sum $2 $status $(md5sum </tmp/out | cut -c 1-16)"
}

marker=''
grep -q tandem_marker /proc/cmdline && [ -c /dev/port ] && marker=yes
number=0
while IFS='|' read -r name group times command <&3; do
    case $name in '#'* | '') continue ;; esac
    number=$((number + 1))
    case " $* " in *" $name "*) job $number "$name" "$times" "$command" 3<&- ;; esac
done 3</data/jobs
echo "@done"
