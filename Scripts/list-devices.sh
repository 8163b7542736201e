#!/usr/bin/env bash
# Lists the OpenCL devices of this machine, one per line. Where there is none it fails, and tells why as far as loader
# and drivers say it.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$(Scripts/find-tool.sh clang)" -I Sources/COpenCL/include Scripts/list-devices.c Sources/COpenCL/COpenCL.c \
  -o "$scratch/list-devices" -ldl
if "$scratch/list-devices" 2> "$scratch/reason"; then exit 0; fi

{
  cat "$scratch/reason"
  for file in /etc/OpenCL/vendors/*; do
    if [[ -f $file ]]; then echo "$file registers $(<"$file")"; fi
  done
  grep -m 1 'model name' /proc/cpuinfo || true
  # Again, with what ocl-icd and PoCL can tell of themselves.
  OCL_ICD_DEBUG=7 POCL_DEBUG=error,warning,general "$scratch/list-devices" 2>&1 | tail -n 40
} >&2 || true
exit 1
