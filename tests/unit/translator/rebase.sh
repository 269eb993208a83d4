#!/bin/sh
# rebase.sh BUILD_DIR - rewrites goldens/*.txt (IR) and codegen/*.txt (host code) with what comes out now; review the diff.
set -e
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: rebase.sh BUILD_DIR}
for test in goldens codegen; do
    TANDEM_REBASE=1 TANDEM_GOLDENS="$here" "$build/tests/unit/translator/test_translator_$test"
done
