#!/usr/bin/env bash
# record.sh [BUILD] - adds this host's native results to tests/oracle/native/, which every host replays (run.sh): one
# set a CPU model, named VENDOR-FAMILY-MODEL. Where the kernel runs no 32-bit code, its cases run in 64-bit form, as its
# head line says, and the rows that it lacks are listed. Commit the file. The set is a function of the CPU, the seed and the generator.
set -eu
build=${1:-build} here=$(dirname "$(readlink -f "$0")")
field() { awk -F ': ' -v name="$1" '$1 ~ "^" name "[ \t]*$" { print $2; exit }' /proc/cpuinfo; }
case $(field vendor_id) in
GenuineIntel) vendor=intel ;;
AuthenticAMD) vendor=amd ;;
*) echo "record.sh: only sets of Intel's and AMD's processors have columns in vendor.def" >&2 && exit 2 ;;
esac
set=$here/native/$vendor-$(field 'cpu family')-$(field model)
"$build/tests/oracle/oracle" --record "$set" --cases 1000000 --seed 1
xz -9e -f "$set"
ls -l "$set.xz"
