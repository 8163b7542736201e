#!/usr/bin/env bash
# Runs the small conformance cases in Oclgrind, which interprets kernels and reports data races between work-items,
# accesses out of bounds and wrong API calls. Any report fails the script, as do a wrong result and a portable kernel
# that no case reached. Oclgrind's check for uninitialized values stays off: that of 21.10 does not know LLVM's freeze
# instruction, which optimized kernels hold, and crashes.
#
# TileCL opens the OpenCL loader at run time, so the `oclgrind` wrapper, which preloads its own library, would not be
# seen. Oclgrind is made the loader's only driver instead and set up through its environment variables.
#
# Arguments go to `tilecl selftest`, for example: Scripts/sanitize-kernels.sh --op attention
set -euo pipefail
cd "$(dirname "$0")/.."

driver=
for folder in /usr/lib/oclgrind "$(dirname "$(readlink -f "$(command -v oclgrind)")")/../lib/oclgrind" \
  "$(dirname "$(readlink -f "$(command -v oclgrind)")")/../lib"; do
  [[ -e $folder/liboclgrind-rt-icd.so ]] && driver=$folder/liboclgrind-rt-icd.so && break
done
if [[ -z $driver ]]; then
  echo "liboclgrind-rt-icd.so was not found beside oclgrind." >&2
  exit 1
fi

swift build -c release --product tilecl

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/vendors"
echo "$driver" >"$scratch/vendors/oclgrind.icd"

status=0
env -u TILECL_CACHE_DIR OCL_ICD_VENDORS="$scratch/vendors" OPENCL_VENDOR_PATH="$scratch/vendors" \
  TILECL_BACKEND=opencl TILECL_DEVICE=oclgrind TILECL_NO_CACHE=1 \
  OCLGRIND_LOG="$scratch/reports" OCLGRIND_DATA_RACES=1 OCLGRIND_CHECK_API=1 OCLGRIND_INST_COUNTS=1 \
  "$(swift build -c release --show-bin-path)/tilecl" selftest --small "$@" >"$scratch/output" || status=$?

# The instruction counts, Oclgrind's account of which kernels ran, share the output.
ran=$(sed -nE "s/^Instructions executed for kernel '([^']+)':.*/\1/p" "$scratch/output" | LC_ALL=C sort -u)
grep -vE "^Instructions executed for kernel|^ +[0-9,]+ - |^$" "$scratch/output" || true

if [[ $status -ne 0 ]]; then
  echo "The selftest failed with status $status." >&2
fi
if [[ -s $scratch/reports ]]; then
  head -n 200 "$scratch/reports" >&2
  echo "Oclgrind reported the above ($(grep -c 'Kernel:' "$scratch/reports" || true) reports in all)." >&2
  status=1
fi
# With arguments only a part is meant to run. Those of Kernels/roof compute nothing: they are timed.
if [[ $# -eq 0 ]]; then
  portable=$(find Kernels -name '*.cl' ! -name '*.*.cl' ! -path 'Kernels/roof/*' \
    -exec grep -ohE '\bvoid tilecl_[a-z0-9_]+\(' {} + \
    | sed -E 's/^void (.*)\($/\1/' | LC_ALL=C sort -u)
  unreached=$(comm -13 <(printf '%s\n' "$ran") <(printf '%s\n' "$portable"))
  if [[ -n $unreached ]]; then
    echo "No small case runs these kernels:" $unreached >&2
    status=1
  else
    echo "Oclgrind ran $(wc -l <<<"$portable") kernels"
  fi
fi
exit "$status"
