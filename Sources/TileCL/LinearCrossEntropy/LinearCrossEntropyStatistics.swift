public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// What one shard of a vocabulary contributes to loss and LSE; ``LinearCrossEntropyPlan/merge(_:_:)`` makes them one.
///
/// To move statistics between engines, read ``values`` and make a tensor of the same shape on the other one.
public struct LinearCrossEntropyStatistics: Sendable {
  /// [statistics, N], fp32, in the order of `LinearCrossEntropyDescriptor.statistics`; classes are those of the whole
  /// vocabulary.
  public let values: Tensor<Float>
  /// For the shard's own backward pass.
  public let gradientTiles: LinearCrossEntropyTiles?

  /// Takes what was computed on another engine.
  public init(values: Tensor<Float>) {
    self.values = values
    gradientTiles = nil
  }

  init(values: Tensor<Float>, gradientTiles: LinearCrossEntropyTiles?) {
    self.values = values
    self.gradientTiles = gradientTiles
  }
}

extension LinearCrossEntropyDescriptor {
  /// The shape of `LinearCrossEntropyStatistics.values`.
  public var statisticsShape: [Int] { [statistics.count, tokens] }

  /// The statistics of tokens as numbers.
  func values(of rows: [LinearCrossEntropyRow]) -> [Float] {
    statistics.flatMap { statistic in
      rows.map { row in
        statistic == .argmax ? Float(bitPattern: UInt32(bitPattern: row.argmax)) : Float(rounding: row[statistic])
      }
    }
  }

  /// The statistics of tokens from numbers.
  func rows(of values: [Float]) -> [LinearCrossEntropyRow] {
    (0..<tokens).map { token in
      var row = LinearCrossEntropyRow()
      for (plane, statistic) in statistics.enumerated() {
        let value = values[plane * tokens + token]
        if statistic == .argmax {
          row.argmax = Int32(bitPattern: value.bitPattern)
        } else {
          row[statistic] = Double(value)
        }
      }
      return row
    }
  }
}
