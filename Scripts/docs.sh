#!/usr/bin/env bash
# Builds the documentation into .build/documentation; a warning, such as a dead link, fails the script.
#
# `import TileCL` gives the symbols of four modules. They are documented together, as a user sees them, which
# documenting each target by itself (the documentation plugin's way) cannot do: links between them would be dead.
set -euo pipefail
cd "$(dirname "$0")/.."

swift build --target TileCL
build=$(swift build --show-bin-path)
graphs=.build/symbol-graphs
output=.build/documentation
rm -rf "$graphs" "$output"
mkdir -p "$graphs"

swift symbolgraph-extract -module-name TileCL -output-dir "$graphs" \
  -experimental-allowed-reexported-modules=TileCLCore,TileCLReference,TileCLRuntime \
  -minimum-access-level public -skip-inherited-docs \
  -target "$(swift -print-target-info | sed -nE 's/.*"unversionedTriple": "([^"]+)".*/\1/p' | head -n 1)" \
  -I "$build/Modules" \
  -Xcc "-fmodule-map-file=$build/COpenCL.build/module.modulemap" \
  -Xcc "-fmodule-map-file=$build/CTileCLKernels.build/module.modulemap"

"$(Scripts/find-tool.sh docc)" convert Sources/TileCL/TileCL.docc \
  --additional-symbol-graph-dir "$graphs" --output-path "$output" \
  --fallback-display-name TileCL --fallback-bundle-identifier TileCL --warnings-as-errors

echo "The documentation is in $output; to read it:"
echo "  python3 -m http.server --directory $output 8000   # then http://localhost:8000/documentation/tilecl"
