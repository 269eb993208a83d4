#!/usr/bin/env bash
# headers.sh - every header includes what it needs, and all of them can be included together: no name has
# two meanings. Lists that are included for their rows alone (*_rows.h) are left out.
set -u
cd "$(dirname "$0")/.." || exit 2
cc=${CC:-cc}
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
compiles() { "$cc" -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Werror -Wno-unused -fsyntax-only -x c "$1"; }

failed=0
: >"$dir/all.c"
while read -r header; do
    echo "#include \"$header\"" | tee "$dir/one.c" >>"$dir/all.c"
    compiles "$dir/one.c" || { echo "headers: $header does not compile alone"; failed=1; }
done < <(find cli machine vcpu mem translator devthread hw syncq clockcore -name '*.h' ! -name '*_rows.h' | LC_ALL=C sort)
compiles "$dir/all.c" || { echo "headers: they do not compile together"; failed=1; }
exit $failed
