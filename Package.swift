// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built in Swift 6 mode, with warnings as errors and explicit imports.
let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "TileCL",
  products: [
    .library(name: "TileCL", targets: ["TileCL"]),
    .library(name: "TileCLRuntime", targets: ["TileCLRuntime"]),
    .executable(name: "tilecl", targets: ["TileCLTool"]),
    .executable(name: "tilecl-demo", targets: ["TileCLDemo"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // The OpenCL loader, opened at run time: a machine without one still starts every program.
    .target(name: "COpenCL", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // Every file under Kernels/, embedded as bytes.
    .target(
      name: "CTileCLKernels",
      path: "Kernels",
      exclude: [
        "adamw", "ampere", "attention", "common", "elementwise", "embedding", "hopper", "linear_cross_entropy",
        "linear_distillation", "matmul", "probe", "quantized_matmul", "rms_norm", "roof", "rotary", "swiglu", "x86",
      ],
      sources: ["embed.c"],
      publicHeadersPath: "include"
    ),
    .target(name: "TileCLCore", swiftSettings: strict),
    .target(
      name: "TileCLRuntime",
      dependencies: [
        "COpenCL", "CTileCLKernels", "TileCLCore", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict
    ),
    .target(name: "TileCLReference", dependencies: ["TileCLCore"], swiftSettings: strict),
    .target(
      name: "TileCL",
      dependencies: [
        "TileCLCore", "TileCLReference", "TileCLRuntime",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict
    ),
    .target(name: "TileCLConformance", dependencies: ["TileCL"], swiftSettings: strict),
    .executableTarget(
      name: "TileCLTool",
      dependencies: [
        "TileCL", "TileCLConformance", "TileCLPicture", "TileCLText",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict
    ),
    // libpng reads and writes the pictures of the two programs; the libraries do not link it.
    .systemLibrary(
      name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .target(name: "TileCLPicture", dependencies: ["CPNG", "TileCLCore"], swiftSettings: strict),
    // Text and its tokens, and numbers as text, for the two programs.
    .target(name: "TileCLText", dependencies: ["TileCLCore"], swiftSettings: strict),
    .executableTarget(
      name: "TileCLDemo",
      dependencies: [
        "TileCL", "TileCLPicture", "TileCLText",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict
    ),
    .testTarget(name: "TileCLCoreTests", dependencies: ["TileCLCore"], swiftSettings: strict),
    .target(
      name: "TileCLTestSupport", dependencies: ["TileCL"], path: "Tests/TileCLTestSupport", swiftSettings: strict),
    .testTarget(
      name: "TileCLRuntimeTests",
      dependencies: ["TileCL", "TileCLRuntime", "TileCLTestSupport", .product(name: "Logging", package: "swift-log")],
      swiftSettings: strict),
    .testTarget(
      name: "TileCLReferenceTests", dependencies: ["TileCLReference"], swiftSettings: strict),
    .testTarget(
      name: "TileCLTests", dependencies: ["TileCL", "TileCLConformance", "TileCLTestSupport"],
      exclude: ["Goldens"], swiftSettings: strict),
    .testTarget(
      name: "TileCLPictureTests", dependencies: ["TileCLCore", "TileCLPicture", "TileCLTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TileCLTextTests", dependencies: ["TileCLCore", "TileCLTestSupport", "TileCLText"],
      swiftSettings: strict),
    .testTarget(
      name: "TileCLDemoTests",
      dependencies: [
        "TileCLDemo", "TileCL", "TileCLPicture", "TileCLTestSupport", "TileCLText",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TileCLToolTests",
      dependencies: [
        "TileCLTool", "TileCLConformance", "TileCLPicture", "TileCLTestSupport", "TileCLText",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu2x
)
