#!/usr/bin/env bash
# Runs the tests under AddressSanitizer, then under ThreadSanitizer, each with a build folder of its own.
# The kernels are compiled by the driver, which knows nothing of the sanitizers: what is checked is the host code.
#
# Arguments go to `swift test`, for example: Scripts/sanitize-host.sh --filter Pool
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache POCL_CACHE_DIR=$scratch/pocl TILECL_REQUIRE_OPENCL=1
mkdir "$XDG_CACHE_HOME" "$POCL_CACHE_DIR"
unset TILECL_CACHE_DIR TILECL_NO_CACHE

# The drivers' compiler is slow under a sanitizer, so it does its work before: PoCL keeps what this run builds.
swift build -c release --product tilecl
echo "== filling the driver's kernel cache"
"$(swift build -c release --show-bin-path)/tilecl" selftest

# run_under SANITIZER FOLDER [arguments of swift test]
run_under() {
  local sanitizer=$1 folder=$2
  shift 2
  echo "== $sanitizer sanitizer"
  swift test -c release -Xswiftc -enable-testing --disable-xctest --sanitize "$sanitizer" --scratch-path "$folder" "$@"
}

# A test asks for more memory than there is; that is TileCL's to report, not the sanitizers'.
export ASAN_OPTIONS=allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/Scripts/leak-suppressions.txt:print_suppressions=0
export TSAN_OPTIONS=allocator_may_return_null=1:suppressions=$PWD/Scripts/race-suppressions.txt
run_under address .build-asan "$@"
"$(Scripts/find-tool.sh clang)" -O1 -shared -fPIC Scripts/tsan-mutex.c -o "$scratch/tsan-mutex.so" -ldl
LD_PRELOAD=$scratch/tsan-mutex.so run_under thread .build-tsan "$@"
