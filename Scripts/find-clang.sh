#!/usr/bin/env bash
# Prints the path of the clang that belongs to the Swift toolchain in use, so that no other is needed.
set -euo pipefail

swift=$(command -v swift) || {
  echo "Swift is not on the PATH." >&2
  exit 1
}
beside=$(dirname "$(readlink -f "$swift")")/clang
# Where swift is a launcher that chooses among toolchains, the clang on the PATH is launched the same way.
if [[ -x $beside ]]; then
  echo "$beside"
else
  command -v clang
fi
