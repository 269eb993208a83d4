#!/bin/sh
# rebase.sh BUILD_DIR - rewrites goldens/*.txt with what the translator emits now; review the diff.
set -e
here=$(cd "$(dirname "$0")" && pwd)
TANDEM_REBASE=1 TANDEM_GOLDENS="$here/goldens" "${1:?usage: rebase.sh BUILD_DIR}/tests/unit/translator/test_translator_goldens"
