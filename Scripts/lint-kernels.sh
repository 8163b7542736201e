#!/usr/bin/env bash
# Compiles every kernel file by itself, without a driver, once for each storage type; warnings are errors.
# A kernel must pass with no -D but STORAGE, so each of its compile keys has a default in the file. It sees
# common/storage.clh, then common.clh of its own folder, then what a line "// Needs: NAME.clh" in it names there. What
# it, or that common.clh, needs of ../common comes before both.
# A line "// Check: -D KEY=VALUE ..." in a file asks for one more compilation with those options.
#
# A name with a middle part is a kernel for one target alone and may hold that target's assembly:
# NAME.nvidia.cl, NAME.ampere.cl and NAME.hopper.cl are checked as code for NVPTX, NAME.avx512.cl,
# NAME.avx512bf16.cl and NAME.amx.cl as code for x86 with the vectors, dot products or tiles of that name.
# NAME.vector.cl holds no assembly: it is for CPUs alone because of how it is written.
set -uo pipefail
cd "$(dirname "$0")/.."

clang=$(Scripts/find-tool.sh clang) || exit 1
files=0
failures=0
while IFS= read -r file; do
  target=()
  case ${file##*/} in
    *.nvidia.cl | *.nvidia.clh | *.ampere.cl | *.ampere.clh | *.hopper.cl | *.hopper.clh)
      target=(-target nvptx64-unknown-unknown)
      ;;
    *.avx512.cl | *.avx512.clh) target=(-target x86_64-unknown-linux -march=skylake-avx512) ;;
    *.avx512bf16.cl | *.avx512bf16.clh) target=(-target x86_64-unknown-linux -march=cooperlake) ;;
    *.amx.cl | *.amx.clh) target=(-target x86_64-unknown-linux -march=sapphirerapids) ;;
    *.vector.cl) ;;
    *.*.cl)
      echo "$file: unknown target in the name; known: nvidia, ampere, hopper, avx512, avx512bf16, amx, vector" >&2
      failures=$((failures + 1))
      continue
      ;;
  esac
  include=(-include Kernels/common/storage.clh)
  [[ $file == Kernels/common/storage.clh ]] && include=()
  mapfile -t shared < <(cat "${file%/*}/common.clh" "$file" 2>/dev/null | sed -n 's|^// Needs: \(../common/\)|\1|p')
  mapfile -t needed < <(sed -n 's|^// Needs: ||p' "$file" | grep -v '^\.\./common/')
  for header in $(printf '%s\n' "${shared[@]}" | awk '!seen[$0]++') common.clh "${needed[@]}"; do
    header=${file%/*}/$header
    [[ -e $header && $header != "$file" ]] && include+=(-include "$header")
  done
  files=$((files + 1))
  mapfile -t variants < <(sed -n 's|^// Check: ||p' "$file")
  for variant in "" "${variants[@]}"; do
    read -ra keys <<<"$variant"
    for storage in 0 1 2; do
      "$clang" "${target[@]}" -x cl -cl-std=CL1.2 -fsyntax-only -Wall -Wno-unused-function -Werror \
        -Xclang -finclude-default-header -D "STORAGE=$storage" "${keys[@]}" "${include[@]}" "$file" && continue
      echo "$file: does not compile alone with STORAGE=$storage $variant" >&2
      failures=$((failures + 1))
    done
  done
done < <(find Kernels -name '*.cl' -o -name '*.clh' | LC_ALL=C sort)

if [[ $files -eq 0 ]]; then
  echo "No kernel file was found." >&2
  exit 1
fi
[[ $failures -eq 0 ]]
