import Foundation
import Testing
import TileCL

/// What drivers are handed for the targets that this machine is not: put together as a row says, and read by clang.
@Suite("Rows of the kernel table")
struct KernelRowTests {
  private static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The output of a command that succeeds, and the status and errors of one that fails.
  private static func run(_ command: String, _ arguments: [String]) throws -> (output: String, failure: String?) {
    let process = Process()
    process.executableURL = URL(filePath: command)
    process.arguments = arguments
    process.currentDirectoryURL = package
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (text, process.terminationStatus == 0 ? nil : "status \(process.terminationStatus): \(message)")
  }

  /// What clang calls the device that a row is for, and the keys that its headers have no default for.
  private static func target(of row: KernelVariant) -> [String] {
    switch row.requirement {
    case .wgmma, .mma: ["-target", "nvptx64-unknown-unknown"]
    case .avx512: ["-target", "x86_64-unknown-linux", "-march=skylake-avx512", "-D", "VECTOR=16"]
    case .avx512bf16: ["-target", "x86_64-unknown-linux", "-march=cooperlake", "-D", "VECTOR=16"]
    case .amx: ["-target", "x86_64-unknown-linux", "-march=sapphirerapids", "-D", "VECTOR=16"]
    case .none, .cpu: []
    }
  }

  @Test("Each compiles from its files, in its order, for its target", arguments: KernelTable.rows)
  func compiles(row: KernelVariant) throws {
    let found = try Self.run("/usr/bin/env", ["bash", "Scripts/find-tool.sh", "clang"])
    try #require(found.failure == nil)
    let clang = found.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let kernels = Self.package.appending(path: "Kernels")
    let files = row.files.dropLast().flatMap { ["-include", kernels.appending(path: $0).path(percentEncoded: false)] }
    for storage in [DType.float32, .float16, .bfloat16] {
      let failure = try Self.run(
        clang,
        Self.target(of: row) + ["-x", "cl", "-cl-std=CL1.2", "-fsyntax-only", "-Wall", "-Wno-unused-function"]
          + ["-Werror", "-Xclang", "-finclude-default-header", "-D", "STORAGE=\(storage.storageKey)"]
          + files + [kernels.appending(path: row.file).path(percentEncoded: false)]
      ).failure
      #expect(failure == nil, "\(row.name) of \(row.file), \(storage.rawValue)")
    }
  }
}
