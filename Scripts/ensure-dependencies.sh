#!/usr/bin/env bash
# Makes sure that the system packages of this project are there: what is missing is installed with apt where that needs
# no password; otherwise the exact command is printed and the script fails. With everything present it says nothing.
#
# Usage: ensure-dependencies.sh [run|sanitize]
#   run       what building, the demo and the tests need (the default)
#   sanitize  that, and Oclgrind
#
# Presence is judged by what the build looks for, not by package names: a driver or header from elsewhere counts.
set -euo pipefail
cd "$(dirname "$0")/.."

group=${1:-run}
case $group in
  run | sanitize) ;;
  *)
    echo "ensure-dependencies.sh: unknown group '$group'; known: run, sanitize" >&2
    exit 2
    ;;
esac

has_header() { printf '#include <%s>\n' "$1" | "$clang" -E -x c - >/dev/null 2>&1; }
# Not a pipe into grep -q: that may stop reading early, which makes ldconfig and with pipefail the whole pipe fail.
has_library() { [[ $(PATH=$PATH:/usr/sbin:/sbin ldconfig -p) == *"$1"* ]]; }
# Whoever names drivers in the environment has chosen them, or that there be none.
has_named_drivers() { [[ -n ${OCL_ICD_VENDORS:-}${OCL_ICD_FILENAMES:-}${OPENCL_VENDOR_PATH:-} ]]; }
has_driver() { has_named_drivers || compgen -G '/etc/OpenCL/vendors/*.icd' >/dev/null; }

if ! command -v swift >/dev/null; then
  echo "Swift is not on the PATH. Install Swift 6.3 or newer from https://www.swift.org/install and run this again." >&2
  exit 1
fi

clang=$(Scripts/find-tool.sh clang)
missing=()
has_header CL/cl.h || missing+=(opencl-headers)
has_library libOpenCL.so || missing+=(ocl-icd-opencl-dev)
has_driver || missing+=(pocl-opencl-icd)
command -v pkg-config >/dev/null || missing+=(pkg-config)
pkg-config --exists libpng 2>/dev/null || missing+=(libpng-dev)
if [[ $group == sanitize ]]; then
  command -v oclgrind >/dev/null || missing+=(oclgrind)
fi

# install PACKAGE...
install() {
  local as_root command=(apt-get install --yes --no-install-recommends "${apt_options[@]}" "$@")
  if ! command -v apt-get >/dev/null; then
    echo "Missing: $* (Debian's names). This system has no apt-get; install their equivalents." >&2
    return 1
  fi
  if [[ $(id -u) -eq 0 ]]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
  else
    echo "Missing: $*. Installing them needs root; run this and try again:" >&2
    echo "  sudo apt-get update && sudo ${command[*]}" >&2
    return 1
  fi
  echo "Installing $*"
  # A machine's package lists may be absent or old; refreshing them takes long, so it is done only when needed. Without
  # lists apt-get passes over what it should install again, and calls that a success.
  if [[ ${#apt_options[@]} -gt 0 ]] || ! "${as_root[@]}" "${command[@]}"; then
    echo "Refreshing the package lists"
    "${as_root[@]}" apt-get update
    "${as_root[@]}" "${command[@]}"
  fi
}

apt_options=()
if [[ ${#missing[@]} -gt 0 ]]; then install "${missing[@]}" || exit 1; fi

# A driver that is registered need not be there, or may be for a GPU that this machine lacks: images for GPU machines
# bring NVIDIA's along, and a package that was removed leaves its registration. Without a device there still is the
# reference, so this is no reason to fail.
if ! has_named_drivers && ! Scripts/list-devices.sh >/dev/null 2>&1; then
  apt_options=(--reinstall --option Dpkg::Options::=--force-confmiss)
  install pocl-opencl-icd || true
  if ! Scripts/list-devices.sh >/dev/null; then
    echo "No OpenCL device: the demo will use the reference, and the tests will fail." >&2
  fi
fi
