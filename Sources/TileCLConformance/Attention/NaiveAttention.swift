import Glibc
import TileCL

/// Attention as an unfused program computes it in one dtype: each step in fp32, each intermediate tensor rounded.
///
/// This is the measure of error that a fused kernel must not exceed, not a truth.
struct NaiveAttention<Element: FloatingPointElement> {
  let problem: AttentionDescriptor

  func run(query: [Float], key: [Float], value: [Float]) -> (output: [Float], lse: [Float]) {
    let rows = problem.batch * problem.queryHeads * problem.queryLength
    let width = problem.valueDimension
    let positions = problem.tokenOrder?.inverse
    let results = Parallel.rows(rows, stride: width + 1, zero: Float(0)) { row, result in
      let head = row / problem.queryLength
      let keyHead = head / problem.queryHeads * problem.keyValueHeads + head % problem.queryHeads / problem.headRatio
      let memoryRow = row % problem.queryLength
      let position = positions.map { Int($0[memoryRow]) } ?? memoryRow
      let keys = problem.visibleKeys(ofQuery: position).flatMap(\.self).map { position in
        keyHead * problem.keyLength + (problem.tokenOrder.map { Int($0.permutation[position]) } ?? position)
      }
      let scores = keys.map { rounded(rounded(dot(query, row, key, $0)) * problem.scale) }
      let maximum = scores.max() ?? -.infinity
      guard maximum > -.infinity else {
        result[width] = -.infinity
        return
      }
      let exponentials = scores.map { exp($0 - maximum) }
      let sum = exponentials.reduce(0, +)
      for (key, exponential) in zip(keys, exponentials) {
        let weight = rounded(exponential / sum)
        for channel in 0..<width {
          result[channel] += weight * value[key * width + channel]
        }
      }
      for channel in 0..<width {
        result[channel] = rounded(result[channel])
      }
      result[width] = maximum + log(sum)
    }
    var output: [Float] = []
    var lse: [Float] = []
    for row in 0..<rows {
      output += results[row * (width + 1)..<row * (width + 1) + width]
      lse.append(results[row * (width + 1) + width])
    }
    return (output, lse)
  }

  private func dot(_ query: [Float], _ row: Int, _ key: [Float], _ keyRow: Int) -> Float {
    let count = problem.headDimension
    var sum: Float = 0
    for channel in 0..<count {
      sum += query[row * count + channel] * key[keyRow * count + channel]
    }
    return sum
  }

  private func rounded(_ value: Float) -> Float {
    Element(rounding: Double(value)).floatValue
  }
}
