#!/usr/bin/env bash
# Checks what can be checked without building: Swift format, kernels, the embedded file list, shell syntax, stray paths.
# All checks run; the script fails at the end if one of them did.
set -uo pipefail
cd "$(dirname "$0")/.."

failures=0
check() { # check TITLE COMMAND...
  local title=$1
  shift
  if "$@"; then
    echo "ok    $title"
  else
    echo "FAIL  $title"
    failures=$((failures + 1))
  fi
}

swift_format() { swift format lint --strict --recursive --parallel Sources Tests Snippets Benchmarks Package.swift; }

# Every kernel file is a line of Kernels/embed.c and an entry of its table; nothing else is.
embedded_files() {
  local listed present
  present=$(cd Kernels && find . -name '*.cl' -o -name '*.clh' | sed 's|^\./||' | LC_ALL=C sort)
  for listed in "$(sed -nE 's/^#embed "([^"]+)".*/\1/p' Kernels/embed.c | LC_ALL=C sort)" \
    "$(sed -nE 's/^ *FILE_ENTRY\("([^"]+)".*/\1/p' Kernels/embed.c | LC_ALL=C sort)"; do
    diff <(printf '%s\n' "$listed") <(printf '%s\n' "$present") >&2 && continue
    echo "Kernels/embed.c (left) and the files below Kernels (right) differ" >&2
    return 1
  done
}

text_files() {
  find . -type d -name '.?*' ! -path ./.ci -prune -o -type f -print | grep -v -E '\.(png|safetensors)$'
}

line_lengths() {
  # A column is a character, which takes a locale that knows UTF-8 to count.
  # The formatter leaves comments and string literals of Swift as they are.
  if {
    find Kernels Scripts .ci Sources/COpenCL -type f -print0
    find Sources Tests Snippets Benchmarks Package.swift -type d -name '.?*' -prune -o -name '*.swift' -type f -print0
  } | LC_ALL=C.UTF-8 xargs -0 grep -nE '^.{121,}' >&2; then
    echo "Lines are at most 120 columns." >&2
    return 1
  fi
}

# Paths below a home directory, but for the invented user of the tests.
no_home_paths() {
  local pattern='(?<![\w.~-])/(home|Users|root)/(?!somebody\b)\w'
  if text_files | tr '\n' '\0' | xargs -0 grep -nIP "$pattern" /dev/null >&2; then
    echo "A path of one person's machine stands above." >&2
    return 1
  fi
}

# The README or an article shows each snippet, which is compiled with the package, letter by letter.
shown_examples() {
  local snippet texts status=0
  texts=$(cat README.md Sources/TileCL/TileCL.docc/*.md)
  for snippet in Snippets/*.swift; do
    [[ $texts == *"$(<"$snippet")"* ]] && continue
    echo "Neither README.md nor an article shows $snippet as it is." >&2
    status=1
  done
  return $status
}

shell_syntax() {
  local script status=0
  for script in Scripts/*.sh .ci/run; do
    bash -n "$script" || status=1
  done
  return $status
}

check "Swift format" swift_format
check "kernels compile alone" Scripts/lint-kernels.sh
check "every kernel file is embedded" embedded_files
check "line lengths" line_lengths
check "no home directories" no_home_paths
check "the examples of README and articles are the snippets" shown_examples
check "shell syntax" shell_syntax
[[ $failures -eq 0 ]]
