/// The coordinates that a coordinate sees along one axis of a grid: `start`, `start + step`, ... below `end`.
struct AxisRun: Hashable, Sendable {
  let start: Int
  let end: Int
  var step = 1

  /// The part inside a range, counted from its lower bound; nil if there is none.
  func clipped(to range: Range<Int>) -> AxisRun? {
    let end = min(end, range.upperBound)
    if step == 1 {
      // By far the most frequent case, and without divisions.
      let first = max(start, range.lowerBound)
      return first < end ? AxisRun(start: first - range.lowerBound, end: end - range.lowerBound) : nil
    }
    let behind = max(range.lowerBound - start, 0)
    let first = start + (behind + step - 1) / step * step
    guard first < end else { return nil }
    // The end follows the last coordinate, so that equal sets are equal values.
    let last = first + (end - 1 - first) / step * step
    return AxisRun(start: first - range.lowerBound, end: last + 1 - range.lowerBound, step: step)
  }
}

/// What is visible along one axis; a token sees another if their coordinates do on every axis.
enum AxisRule: Hashable, Sendable {
  /// Windows that follow one another, the first of which ends at `shift` if that is not 0.
  case window(size: Int, shift: Int)
  /// The coordinates at most `radius` away.
  case sliding(radius: Int)
  /// NATTEN's neighbourhood.
  case neighborhood(kernel: Int, stride: Int, dilation: Int, isCausal: Bool)

  /// The run of a coordinate on an axis of some length.
  func run(_ coordinate: Int, length: Int) -> AxisRun {
    switch self {
    case .window(let size, let shift):
      let start = (coordinate + size - shift) / size * size - size + shift
      return AxisRun(start: max(start, 0), end: min(start + size, length))
    case .sliding(let radius):
      return AxisRun(start: max(coordinate - radius, 0), end: min(coordinate + radius + 1, length))
    case .neighborhood(let kernel, let stride, let dilation, let isCausal):
      // Everything is counted along the coordinates of the same residue.
      let residue = coordinate % dilation
      let index = coordinate / dilation
      let count = (length - residue + dilation - 1) / dilation
      let group = index / stride * stride
      let start: Int
      let end: Int
      if isCausal {
        start = max(min(group + stride, count) - kernel, 0)
        end = index + 1
      } else {
        start = max(min(min(group + stride / 2, count - 1) - kernel / 2, count - kernel), 0)
        end = start + kernel
      }
      return AxisRun(start: start * dilation + residue, end: (end - 1) * dilation + residue + 1, step: dilation)
    }
  }
}
