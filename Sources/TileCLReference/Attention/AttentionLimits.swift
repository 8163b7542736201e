import TileCLCore

/// The ranges that every backend serves.
enum AttentionLimits {
  /// Sequence lengths: kernels count positions in 32 bits and add two of them.
  static let length = 1...1 << 30
  static let lengthText = "1...2^30"

  /// Channels of a query, key or value row.
  static let dimension = 1...256

  /// Rows or columns of a mask block.
  static let block = 1...1024

  static func requireLength(_ name: String, _ value: Int) throws {
    guard length.contains(value) else {
      throw TileCLError.invalid(name, value, allowed: lengthText)
    }
  }

  static func requireBlock(_ name: String, _ value: Int) throws {
    guard block.contains(value) else {
      throw TileCLError.invalid(
        name, value, allowed: "\(block.lowerBound)...\(block.upperBound)",
        hint: "16, 32, 64 and 128 suit every device.")
    }
  }
}
