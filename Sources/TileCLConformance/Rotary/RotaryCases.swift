import Glibc
import TileCL

/// Checks of rotary position embedding and its inverse.
public enum RotaryCases {
  public static let all: [ConformanceCase] = {
    let trials: [(String, Trial)] = [
      ("one", Trial(heads: 1, tokens: 1, dimension: 2)),
      ("whole", Trial(batch: 2, heads: 3, tokens: 17, dimension: 16)),
      ("partial", Trial(batch: 2, heads: 2, tokens: 9, dimension: 13, rotary: 6, offset: 5)),
      ("strided", Trial(batch: 3, heads: 2, tokens: 11, dimension: 20, layout: .tokensFirst)),
      ("in-place", Trial(batch: 2, heads: 4, tokens: 8, dimension: 24, rotary: 20, layout: .inPlace)),
      ("positions", Trial(batch: 2, heads: 2, tokens: 10, dimension: 32, positions: .each)),
      ("shared-positions", Trial(batch: 2, heads: 2, tokens: 10, dimension: 32, positions: .shared)),
      ("far", Trial(heads: 2, tokens: 40, dimension: 64, base: 500_000, offset: 1_000_000)),
    ]
    return DType.floatingPointCases.flatMap { dtype in
      RotaryDescriptor.Pairing.allCases.flatMap { pairing in
        trials.map { name, trial in
          var trial = trial
          trial.pairing = pairing
          return ConformanceCase(operation: .rotary, name: "\(pairing)-\(name)-\(dtype)", isSmall: true) {
            [trial] in try trial.run(dtype, on: $0)
          }
        }
      }
    }
  }()

  private enum Layout {
    case plain
    /// [batch, tokens, heads, dimension] in memory.
    case tokensFirst
    case inPlace
  }

  private enum Positions {
    case none
    case shared
    case each
  }

  private struct Trial: ElementGenericTask {
    var batch = 1
    var heads: Int
    var tokens: Int
    var dimension: Int
    var rotary: Int? = nil
    var base = 10_000.0
    var offset = 0
    var layout = Layout.plain
    var positions = Positions.none
    var pairing = RotaryDescriptor.Pairing.halves

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      let problem = try RotaryDescriptor(
        batch: batch, heads: heads, tokens: tokens, headDimension: dimension, rotaryDimension: rotary, base: base,
        pairing: pairing, positionOffset: offset, dtype: Element.dtype)
      var values = SeededValues(seed: UInt64(900 + dimension + tokens))
      let x = values.normals(problem.shape.reduce(1, *), as: type)
      let numbers: [Int32]? =
        switch positions {
        case .none: nil
        case .shared: values.integers(tokens, in: -70_000..<100_000_000).map { Int32($0) }
        case .each: values.integers(batch * tokens, in: 0..<4000).map { Int32($0) }
        }
      let positionTensor = try numbers.map {
        try engine.tensor($0, shape: positions == .shared ? [tokens] : [batch, tokens])
      }
      let plan = try engine.makePlan(problem)
      func tensor() throws -> Tensor<Element> {
        guard layout == .tokensFirst else { return try engine.tensor(x, shape: problem.shape) }
        var moved = x
        for index in x.indices {
          let (row, channel) = (index / dimension, index % dimension)
          let (entry, head, token) = (row / tokens / heads, row / tokens % heads, row % tokens)
          moved[((entry * tokens + token) * heads + head) * dimension + channel] = x[index]
        }
        return try engine.tensor(moved, shape: [batch, tokens, heads, dimension]).transposed(1, 2)
      }
      let source = try tensor()
      let y = try plan.run(source, positions: positionTensor, into: layout == .inPlace ? source : nil)
      let other = try tensor()
      let back = try plan.runInverse(other, positions: positionTensor, into: layout == .inPlace ? other : nil)
      let floats = x.map(\.floatValue)
      return try [("y", false, y), ("inverse", true, back)].map { name, isInverse, candidate in
        try .tensor(
          name, candidate,
          oracle: Reference.rotary(problem, x: floats, positions: numbers, isInverse: isInverse),
          baseline: plain(problem, floats, numbers, isInverse))
      }
    }

    /// Angles in fp64, the rotation in fp32: what a table of sines and cosines gives.
    private func plain(
      _ problem: RotaryDescriptor, _ x: [Float], _ numbers: [Int32]?, _ isInverse: Bool
    ) -> [Float] {
      var result = x
      for row in 0..<batch * heads * tokens {
        let (entry, token) = (row / tokens / heads, row % tokens)
        let position = numbers.map { Int($0[positions == .shared ? token : entry * tokens + token]) } ?? token + offset
        for pair in 0..<problem.rotaryDimension / 2 {
          let angle = Double(position) * problem.frequency(pair) * (isInverse ? -1 : 1)
          let (c, s) = (Float(cos(angle)), Float(sin(angle)))
          let (first, second) = problem.channels(pair)
          let (a, b) = (x[row * dimension + first], x[row * dimension + second])
          result[row * dimension + first] = a * c - b * s
          result[row * dimension + second] = b * c + a * s
        }
      }
      return result
    }
  }
}
