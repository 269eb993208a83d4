# shellcheck shell=dash
# derive.sh - run in the image's tree when it is built: what its own programs make of the data of data.py.
export PATH=/usr/bin:/bin LC_ALL=C
set -e
cd /data
cat text text text >mid
cat mid mid mid mid >big
cp big big2
sed '70000,$s/the/teh/' mid >mid2
sort words >sorted
gzip -c big >big.gz
bzip2 -c mid >mid.bz2
tar cf tree.tar -C /usr/include linux
gcc -O2 -S -o work.s work.c
