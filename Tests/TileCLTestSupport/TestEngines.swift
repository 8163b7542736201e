import Foundation
import Glibc
public import TileCL

/// The engines that tests run on.
public enum TestEngines {
  private static let chosen = Result { try Engine() }

  /// The OpenCL engine that this machine's settings choose; nil where there is none.
  public static let openCL: Engine? = {
    guard let engine = try? chosen.get(), engine.context != nil else { return nil }
    return engine
  }()

  /// Why ``openCL`` is nil.
  public static var absence: String {
    switch chosen {
    case .success(let engine): engine.reason
    case .failure(let error): "\(error)"
    }
  }

  /// Whether tests of kernels can run; a test of its own fails where they must and cannot.
  public static var hasOpenCL: Bool { openCL != nil }

  /// Whether a machine without OpenCL fails the tests (`TILECL_REQUIRE_OPENCL=1`).
  public static var requiresOpenCL: Bool { getenv("TILECL_REQUIRE_OPENCL").map { String(cString: $0) } == "1" }

  /// The reference, and OpenCL where there is one.
  public static let all: [Engine] = [Engine.reference] + (openCL.map { [$0] } ?? [])
}

/// A folder of its own for a test, removed with everything in it when the test is done.
public struct TemporaryDirectory: ~Copyable {
  public let path: String

  public init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "tilecl-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path(percentEncoded: false)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }
}
