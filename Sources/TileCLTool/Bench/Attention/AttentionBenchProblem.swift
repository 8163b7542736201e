import TileCL

/// A problem of attention.
struct AttentionBenchProblem: BenchProblem {
  enum Pass: String, Encodable {
    case forward, backward
  }

  let name: String
  let pass: Pass
  let mask: AttentionBenchMask
  let score: AttentionBenchScore
  let descriptor: AttentionDescriptor
  /// The pairs of a head that a kernel cannot but visit: all of the blocks that a mask keeps, and under a causal mask
  /// the visible ones.
  let visitedPairs: Int

  init(
    _ name: String, pass: Pass = .forward, batch: Int = 1, heads: (query: Int, keyValue: Int) = (16, 16),
    queryLength: Int? = nil, length: Int, dimension: Int, dtype: DType = .bfloat16, mask: AttentionBenchMask = .none,
    score: AttentionBenchScore = .none
  ) throws {
    self.name = name
    self.pass = pass
    self.mask = mask
    self.score = score
    descriptor = try AttentionDescriptor(
      batch: batch, queryHeads: heads.query, keyValueHeads: heads.keyValue, queryLength: queryLength ?? length,
      keyLength: length, headDimension: dimension, dtype: dtype, mask: mask.mask(length: length),
      score: score.score, tokenOrder: mask.tokenOrder(), returnsLSE: pass == .backward)
    visitedPairs =
      switch descriptor.mask {
      case .none: descriptor.queryLength * length
      case .causal: length * (length + 1) / 2
      case .blocks, .headBlocks:
        descriptor.mask.blockMasks.map {
          $0.masks[0].columns.count * $0.masks[0].queryBlock * $0.masks[0].keyBlock
        } ?? 0
      }
  }

  var specification: AttentionBenchSpecification { AttentionBenchSpecification(self) }

  func prepare(on engine: Engine) throws {
    _ = try engine.makePlan(descriptor)
    if pass == .backward { _ = try engine.makeBackwardPlan(descriptor) }
  }

  /// Of two products for each visited pair, and of five in the backward pass (scores, dP, dV, dQ and dK).
  var operations: Double {
    let (d, dv) = (descriptor.headDimension, descriptor.valueDimension)
    let channels = pass == .forward ? d + dv : 3 * d + 2 * dv
    return Double(2 * channels) * Double(visitedPairs) * Double(descriptor.batch * descriptor.queryHeads)
  }

  var bytes: Double {
    func count(_ shape: [Int]) -> Int { shape.reduce(1, *) }
    let queries = count(descriptor.queryShape) + count(descriptor.outputShape)
    let keys = count(descriptor.keyShape) + count(descriptor.valueShape)
    let size = descriptor.dtype.byteCount
    return switch pass {
    case .forward: Double(size * (queries + keys))
    // dO as well is read, and a gradient of each input is written.
    case .backward: Double(2 * size * (queries + keys) + 4 * count(descriptor.lseShape))
    }
  }
}
