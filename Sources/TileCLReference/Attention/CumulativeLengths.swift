import TileCLCore

/// Where documents that are packed one after another begin and end: `cu_seqlens`.
struct CumulativeLengths: Sendable {
  let offsets: [Int]
  /// The document of every position that is a multiple of ``step``, and the last document: a search begins there.
  private let landmarks: [Int]
  private static let step = 128

  /// - Throws: ``TileCLError`` that names the first entry at fault.
  init(_ name: String, _ offsets: [Int], length: Int) throws {
    try Self.validate(name, offsets, length: length)
    self.offsets = offsets
    var document = 0
    landmarks =
      stride(from: 0, to: length, by: Self.step).map { position in
        while offsets[document + 1] <= position { document += 1 }
        return document
      } + [offsets.count - 2]
  }

  /// Checks that the lengths begin at 0, never fall, and end at the length of the sequence.
  static func validate(_ name: String, _ offsets: [Int], length: Int) throws {
    guard offsets.count >= 2 else {
      throw TileCLError.invalid(
        "\(name).count", offsets.count, allowed: "at least 2", hint: "One document is [0, \(length)].")
    }
    guard offsets[0] == 0 else { throw TileCLError.invalid("\(name)[0]", offsets[0], allowed: "0") }
    for index in 1..<offsets.count where offsets[index] < offsets[index - 1] || offsets[index] > length {
      throw TileCLError.invalid(
        "\(name)[\(index)]", offsets[index], allowed: "\(offsets[index - 1])...\(length)",
        hint: "Cumulative lengths never fall, and end at the length of the sequence.")
    }
    guard offsets[offsets.count - 1] == length else {
      throw TileCLError.invalid(
        "\(name)[\(offsets.count - 1)]", offsets[offsets.count - 1], allowed: "\(length), the length of the sequence")
    }
  }

  subscript(document: Int) -> Range<Int> {
    offsets[document]..<offsets[document + 1]
  }

  /// The document that holds a position of 0..<length; it is never an empty one.
  func document(at position: Int) -> Int {
    var low = landmarks[position / Self.step]
    var high = landmarks[position / Self.step + 1] + 1
    while high - low > 1 {
      let middle = (low + high) / 2
      if offsets[middle] <= position { low = middle } else { high = middle }
    }
    return low
  }
}
