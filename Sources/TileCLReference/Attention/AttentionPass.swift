import Glibc

/// One evaluation of attention over borrowed arrays.
struct AttentionPass: @unchecked Sendable {
  // Unchecked for the pointers alone: they are only read, by threads that end before the arrays do.
  let problem: AttentionDescriptor
  let query: UnsafeBufferPointer<Float>
  let key: UnsafeBufferPointer<Float>
  let value: UnsafeBufferPointer<Float>
  let positions: [Int32]?

  init(
    problem: AttentionDescriptor, query: UnsafeBufferPointer<Float>, key: UnsafeBufferPointer<Float>,
    value: UnsafeBufferPointer<Float>
  ) {
    self.problem = problem
    self.query = query
    self.key = key
    self.value = value
    positions = problem.tokenOrder?.inverse
  }

  /// Computes one row of [B, Hq, Sq]: Dv channels and the LSE.
  func run(row: Int, into result: UnsafeMutableBufferPointer<Double>) {
    let memoryRow = row % problem.queryLength
    let head = row / problem.queryLength % problem.queryHeads
    let batch = row / problem.queryLength / problem.queryHeads
    let keyRows = (batch * problem.keyValueHeads + head / problem.headRatio) * problem.keyLength
    let position = positions.map { Int($0[memoryRow]) } ?? memoryRow
    let keys = problem.visibleKeys(ofQuery: position)

    var scores: [Double] = []
    scores.reserveCapacity(keys.reduce(0) { $0 + $1.count })
    for run in keys {
      for position in run {
        scores.append(score(queryRow: row, keyRow: keyRows + memoryRowOfKey(position)))
      }
    }
    let maximum = scores.max() ?? -.infinity
    guard maximum != -.infinity || scores.contains(where: \.isNaN) else {
      // No key is visible, or every score is -inf: the row stays 0.
      result[problem.valueDimension] = -.infinity
      return
    }
    var sum = 0.0
    var index = 0
    for run in keys {
      for position in run {
        let weight = exp(scores[index] - maximum)
        index += 1
        sum += weight
        accumulate(weight, valueRow: keyRows + memoryRowOfKey(position), into: result)
      }
    }
    for channel in 0..<problem.valueDimension {
      result[channel] /= sum
    }
    result[problem.valueDimension] = maximum + log(sum)
  }

  private func memoryRowOfKey(_ position: Int) -> Int {
    problem.tokenOrder.map { Int($0.permutation[position]) } ?? position
  }

  private func score(queryRow: Int, keyRow: Int) -> Double {
    let count = problem.headDimension
    let q = UnsafeBufferPointer(rebasing: query[queryRow * count..<(queryRow + 1) * count])
    let k = UnsafeBufferPointer(rebasing: key[keyRow * count..<(keyRow + 1) * count])
    // Eight sums at a time: a single one would wait for itself at every step.
    var sums = SIMD8<Double>.zero
    var channel = 0
    while channel + 8 <= count {
      var a = SIMD8<Float>.zero
      var b = SIMD8<Float>.zero
      for lane in 0..<8 {
        a[lane] = q[channel + lane]
        b[lane] = k[channel + lane]
      }
      sums += SIMD8<Double>(a) * SIMD8<Double>(b)
      channel += 8
    }
    var sum = sums.sum()
    for channel in channel..<count {
      sum += Double(q[channel]) * Double(k[channel])
    }
    return sum * Double(problem.scale)
  }

  private func accumulate(_ weight: Double, valueRow: Int, into result: UnsafeMutableBufferPointer<Double>) {
    let count = problem.valueDimension
    let v = UnsafeBufferPointer(rebasing: value[valueRow * count..<(valueRow + 1) * count])
    for channel in 0..<count {
      result[channel] += weight * Double(v[channel])
    }
  }
}
