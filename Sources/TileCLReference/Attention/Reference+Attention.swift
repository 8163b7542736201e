import TileCLCore

/// What attention gives, before it is rounded to a storage type.
public struct AttentionReferenceResult: Hashable, Sendable {
  /// [B, Hq, Sq, Dv], row-major.
  public let output: [Double]
  /// [B, Hq, Sq], row-major; natural logarithm, -inf for a query that sees no key.
  public let lse: [Double]
}

extension Reference {
  /// Scaled dot-product attention as ``AttentionDescriptor`` defines it, in fp64 and one query at a time.
  ///
  /// - Parameters:
  ///   - problem: The sizes, the scale, the mask and the order.
  ///   - query: [B, Hq, Sq, D], row-major.
  ///   - key: [B, Hkv, Sk, D], row-major.
  ///   - value: [B, Hkv, Sk, Dv], row-major.
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements.
  public static func attention(
    _ problem: AttentionDescriptor, query: [Float], key: [Float], value: [Float]
  ) throws -> AttentionReferenceResult {
    for (name, values, shape) in [
      ("query", query, problem.queryShape), ("key", key, problem.keyShape), ("value", value, problem.valueShape),
    ] {
      let count = shape.reduce(1, *)  // The descriptor has checked that this fits.
      guard values.count == count else {
        throw TileCLError.invalid("\(name).count", values.count, allowed: "\(count), for the shape \(shape)")
      }
    }
    let rows = problem.batch * problem.queryHeads * problem.queryLength
    // The LSE rides behind the channels of its row, so that one parallel loop writes both.
    let stride = problem.valueDimension + 1
    let results = query.withUnsafeBufferPointer { query in
      key.withUnsafeBufferPointer { key in
        value.withUnsafeBufferPointer { value in
          let pass = AttentionPass(problem: problem, query: query, key: key, value: value)
          return Parallel.rows(rows, stride: stride, zero: 0.0) { row, result in
            pass.run(row: row, into: result)
          }
        }
      }
    }
    var output: [Double] = []
    var lse: [Double] = []
    output.reserveCapacity(rows * problem.valueDimension)
    lse.reserveCapacity(rows)
    for row in 0..<rows {
      output.append(contentsOf: results[row * stride..<row * stride + problem.valueDimension])
      lse.append(results[row * stride + problem.valueDimension])
    }
    return AttentionReferenceResult(output: output, lse: lse)
  }
}
