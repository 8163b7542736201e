import Foundation
import TileCLText

/// Says on standard error what the demo is at, so that standard output holds the report alone.
struct Progress: Sendable {
  private let start = ContinuousClock.now

  /// One line, with the seconds since the start.
  func say(_ line: String) {
    FileHandle.standardError.write(Data("[\(Format.fixed(elapsed, 1).padded(to: 5)) s] \(line)\n".utf8))
  }

  /// The seconds since the start.
  var elapsed: Double { (ContinuousClock.now - start).seconds }
}

/// The result of a body and the seconds that it took.
func timed<Result>(_ body: () throws -> Result) rethrows -> (result: Result, seconds: Double) {
  let start = ContinuousClock.now
  let result = try body()
  return (result, (ContinuousClock.now - start).seconds)
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
