#!/usr/bin/env bash
# Builds the tests once, in release, and runs them three times:
#   1. with empty program caches, so that every kernel is compiled, in two processes at a time;
#   2. with the caches that the first pass left, of the conformance cases every fourth;
#   3. with no OpenCL driver visible, so that everything goes through the reference.
# Then it runs the examples of README and articles, on the device and without one.
#
# A missing device fails the first two passes rather than skipping them. TILECL_DEVICE chooses the device as usual.
#
# Arguments go to `swift test`, for example: Scripts/test.sh --filter Attention
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap '{ jobs -p | xargs -r kill; } 2> /dev/null || true; rm -rf "$scratch"' EXIT
mkdir "$scratch/no-drivers"

# Before minutes are spent on building.
Scripts/list-devices.sh

# A folder of its own: these builds keep internal symbols for the tests, so sharing .build would rebuild all each time.
options=(-c release -Xswiftc -enable-testing --scratch-path .build-tests)
swift build --build-tests "${options[@]}"

# Caches of this run alone: a stale or damaged entry of the user's own must not decide a test.
export XDG_CACHE_HOME=$scratch/cache POCL_CACHE_DIR=$scratch/pocl
mkdir "$XDG_CACHE_HOME" "$POCL_CACHE_DIR"
unset TILECL_CACHE_DIR TILECL_NO_CACHE

passed=0
failed=0
skipped=0

# start_pass NAME [arguments of env] -- [arguments of swift test]
# Runs tests and leaves what they print in the folder $scratch/NAME.
start_pass() {
  local folder=$scratch/$1 status=0 environment=()
  echo "Running the tests: $1"
  mkdir "$folder"
  shift
  while [[ $1 != -- ]]; do
    environment+=("$1")
    shift
  done
  shift
  # Nothing is built here, so two may run in the same folder.
  env "${environment[@]}" swift test "${options[@]}" --skip-build --ignore-lock --disable-xctest "$@" \
    > "$folder/log" 2>&1 || status=$?
  echo "$status" > "$folder/status"
}

# count_pass NAME TITLE: shows a pass that has ended, and adds its tests up.
count_pass() {
  local log=$scratch/$1/log status counted bad left_out
  status=$(<"$scratch/$1/status")
  echo "== $2"
  # Without the lines that only say that something began or passed.
  sed -nE '/ Test run with /{p;b}; /^[^ ]+ (Test|Suite) .*( started\.|passed after [0-9.]+ seconds\.)$/d; p' "$log"
  counted=$(sed -nE 's/^[^ ]+ Test run with ([0-9]+) tests? .*/\1/p' "$log" | tail -n 1)
  bad=$(grep -E '^[^ ]+ Test .* failed after ' "$log" | grep -cvE '^[^ ]+ Test (run|case) ' || true)
  left_out=$(grep -cE '^[^ ]+ Test .* skipped' "$log" || true)
  if [[ -z $counted || $counted -le $left_out ]]; then
    echo "No test ran in this pass." >&2
    counted=$((left_out + 1))
    bad=1
  elif [[ $status -ne 0 && $bad -eq 0 ]]; then
    echo "swift test exited with status $status." >&2
    bad=1
  fi
  failed=$((failed + bad))
  skipped=$((skipped + left_out))
  passed=$((passed + counted - bad - left_out))
}

# What the reference does on the conformance cases is the same in every pass: the last one checks it.
device_pass=(TILECL_REQUIRE_OPENCL=1 --)
if [[ $# -eq 0 ]]; then device_pass+=(--skip ConformanceTests/reference); fi

# A driver compiles one kernel at a time in a process, so two at a time share the first pass, the longest ones first.
# group NAME [arguments of swift test]
group() { start_pass "cold-$1" "${device_pass[@]}" "${@:2}"; }
if [[ $# -eq 0 ]]; then
  group attention-cases --filter ConformanceTests/openCLAttention &
  group attention --filter Attention --skip ConformanceTests &
  wait -n
  group cases --filter ConformanceTests --skip ConformanceTests/openCLAttention &
  wait -n
  group rest --skip Attention --skip ConformanceTests &
  wait
  count_pass cold-attention-cases "cold program cache: attention's cases"
  count_pass cold-attention "cold program cache: attention"
  count_pass cold-cases "cold program cache: the other cases"
  count_pass cold-rest "cold program cache: everything else"
else
  group all "$@"
  count_pass cold-all "cold program cache"
fi
start_pass warm TILECL_TEST_EVERY=4 "${device_pass[@]}" "$@"
count_pass warm "warm program cache"
without_drivers=(-u TILECL_REQUIRE_OPENCL -u TILECL_DEVICE -u TILECL_BACKEND -u OCL_ICD_FILENAMES
  OCL_ICD_VENDORS="$scratch/no-drivers" OPENCL_VENDOR_PATH="$scratch/no-drivers")
start_pass no-driver "${without_drivers[@]}" -- "$@"
count_pass no-driver "no OpenCL driver visible"

echo "== Examples of README and articles"
programs=$(swift build "${options[@]}" --show-bin-path)
# run_example SNIPPET [arguments of env]
run_example() {
  if env "${@:2}" "$programs/$(basename "$1" .swift)"; then
    passed=$((passed + 1))
  else
    echo "$1 failed." >&2
    failed=$((failed + 1))
  fi
}
for snippet in Snippets/*.swift; do
  run_example "$snippet" TILECL_BACKEND=opencl
  run_example "$snippet" "${without_drivers[@]}"
done
# The table of this one is in its article too.
article=Sources/TileCL/TileCL.docc/block-sparse-attention.md
if [[ $(<$article) == *"$("$programs/hilbert-block-sparsity")"* ]]; then
  passed=$((passed + 1))
else
  echo "$article does not show what Snippets/hilbert-block-sparsity.swift prints." >&2
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
