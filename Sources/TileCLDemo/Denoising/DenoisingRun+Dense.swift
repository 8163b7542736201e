import TileCL
import TileCLPicture

extension DenoisingRun {
  /// What dense attention takes, where every pixel sees every other one.
  struct DenseComparison {
    /// The pixels of the part that was measured.
    let pixels: Int
    /// The time on that part.
    let seconds: Double
    /// Rows of that part against the reference.
    let check: Check
    /// The time on the whole picture.
    let whole: (seconds: Double, isMeasured: Bool)
  }

  /// The side of the middle part of the picture on which dense attention always fits.
  private static let partSide = 96
  private static let checkedRows = 64

  func denseComparison() throws -> DenseComparison {
    let part = middle(side: Self.partSide)
    progress.say("dense attention over \(part.count) pixels")
    // A small problem of the same kind builds the kernels.
    let few = Array(part.prefix(Self.checkedRows))
    _ = try attention(over: tensors(on: engine, queries: few, keys: few)).output.array()
    let (output, seconds) = try timedAttention(over: part)

    let rows = stride(from: 0, to: part.count, by: max(part.count / Self.checkedRows, 1)).map(\.self)
    let expected = try attention(over: tensors(on: .reference, queries: rows.map { part[$0] }, keys: part))
      .output.array()
    let found = rows.flatMap { row in (0..<RGBImage.channels).map { output[row * RGBImage.channels + $0] } }

    let ratio = Double(features.pixelCount) / Double(part.count)
    var whole = (seconds: seconds * ratio * ratio, isMeasured: false)
    if whole.seconds <= options.denseLimit {
      progress.say("dense attention over the whole picture")
      whole = (try timedAttention(over: nil).seconds, true)
    }
    return DenseComparison(
      pixels: part.count, seconds: seconds,
      check: Check(found.map(Double.init), expected.map(Double.init), allowed: Self.colourTolerance), whole: whole)
  }

  private func timedAttention(over pixels: [Int32]?) throws -> (output: [Float], seconds: Double) {
    let tensors = try tensors(on: engine, queries: pixels, keys: pixels)
    let (output, seconds) = try timed { try attention(over: tensors).output.array() }
    return (output, seconds)
  }

  /// The pixels of a square in the middle of the picture, of all of it along a side that is shorter.
  private func middle(side: Int) -> [Int32] {
    let (width, height) = (min(side, noisy.width), min(side, noisy.height))
    let (left, top) = ((noisy.width - width) / 2, (noisy.height - height) / 2)
    return (0..<height).flatMap { y in (0..<width).map { x in Int32((top + y) * noisy.width + left + x) } }
  }
}
