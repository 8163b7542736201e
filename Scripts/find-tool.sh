#!/usr/bin/env bash
# Prints the path of a tool (clang, docc) of the Swift toolchain in use, so that none has to be installed besides it.
set -euo pipefail

tool=$1
swift=$(command -v swift) || {
  echo "Swift is not on the PATH." >&2
  exit 1
}
beside=$(dirname "$(readlink -f "$swift")")/$tool
# Where swift is a launcher that chooses among toolchains, the tool on the PATH is launched the same way.
if [[ -x $beside ]]; then
  echo "$beside"
else
  command -v "$tool"
fi
