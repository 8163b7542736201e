import TileCL

/// How the tensors of a case lie in memory.
enum AttentionLayout: String, Sendable {
  case contiguous
  /// [B, S, H, D] storage, seen as [B, H, S, D].
  case transposed
  /// Parts of larger tensors, cut along the sequence and along the channels.
  case sliced

  /// A tensor of four axes with the given values in this layout.
  func tensor<Element: FloatingPointElement>(
    _ values: [Element], _ shape: [Int], on engine: Engine
  ) throws -> Tensor<Element> {
    switch self {
    case .contiguous:
      return try engine.tensor(values, shape: shape)
    case .transposed:
      let (batch, heads, rows, width) = (shape[0], shape[1], shape[2], shape[3])
      var moved = values
      for index in 0..<batch * heads * rows {
        let (b, h, r) = (index / rows / heads, index / rows % heads, index % rows)
        for channel in 0..<width {
          moved[((b * rows + r) * heads + h) * width + channel] = values[index * width + channel]
        }
      }
      return try engine.tensor(moved, shape: [batch, rows, heads, width]).transposed(1, 2)
    case .sliced:
      // What lies around the part is NaN: one element too many read shows.
      let (rows, width) = (shape[2] + 3, shape[3] + 5)
      var padded = [Element](repeating: Element(rounding: .nan), count: shape[0] * shape[1] * rows * width)
      for index in 0..<shape[0] * shape[1] * shape[2] {
        let row = index / shape[2] * rows + index % shape[2] + 2
        for channel in 0..<shape[3] {
          padded[row * width + channel + 1] = values[index * shape[3] + channel]
        }
      }
      return try engine.tensor(padded, shape: [shape[0], shape[1], rows, width])
        .sliced(axis: 2, range: 2..<2 + shape[2]).sliced(axis: 3, range: 1..<1 + shape[3])
    }
  }
}
