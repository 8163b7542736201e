// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that nobody who uses TileCL fetches the benchmark library.
let package = Package(
  name: "TileCLBenchmarks",
  dependencies: [
    .package(name: "TileCL", path: ".."),
    // Without its default traits: they count allocations through further packages, and nothing here asks for that.
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "Operations",
      dependencies: [
        .product(name: "Benchmark", package: "benchmark"),
        .product(name: "TileCL", package: "TileCL"),
      ],
      path: "Operations",
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
    )
  ]
)
