import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// What the kernels of attention are told about scores, as `attention/scores.clh` declares it.
package struct AttentionScoreArguments: Sendable {
  private let problem: AttentionDescriptor
  /// The codes of relative positions; nil without them.
  private let codes: Buffer?

  /// Uploads what belongs to the problem.
  package init(_ problem: AttentionDescriptor, on context: Context) throws {
    self.problem = problem
    codes = try problem.score.relativePositions.map { try context.makeBuffer(copying: $0.codes) }
  }

  /// The compile keys of `attention/common.clh` but for those of tiles.
  package static func defines(_ problem: AttentionDescriptor) -> [String: Int] {
    let mask =
      switch problem.mask {
      case .none: 0
      case .causal: 1
      case .blocks, .headBlocks: 2
      }
    let score = problem.score
    let flags = [
      "HAS_ORDER": problem.tokenOrder != nil, "SEQUENCES": problem.sequences != nil, "SOFTCAP": score.softcap != nil,
      "ALIBI": score.hasALiBi, "BIAS": score.bias != nil, "RELATIVE": score.relativePositions != nil,
      "SCORE_CODE": score.modification != nil, "MASK_CODE": problem.maskModification != nil,
      "SINKS": score.hasSinks, "DROPOUT": score.dropout > 0,
    ]
    return flags.mapValues { $0 ? 1 : 0 }.merging([
      "STORAGE": problem.dtype.storageKey, "HEAD_DIM": problem.headDimension, "VALUE_DIM": problem.valueDimension,
      "MASK": mask,
    ]) { $1 }
  }

  /// The functions that are generated from user code, to stand before `attention/common.clh`.
  ///
  /// - Parameter backward: Whether derivatives and gradients are needed as well.
  package static func userCode(_ problem: AttentionDescriptor, backward: Bool) -> [ProgramSource.Part] {
    AttentionUserCode.parts(problem, backward: backward)
  }

  /// The arguments for `SCORE_PARAMETERS`; the inputs must be valid.
  package func scores<Element>(_ inputs: AttentionInputs<Element>) throws -> [KernelArgument] {
    let score = problem.score
    var arguments: [KernelArgument] = [.float(problem.scale)]
    if let softcap = score.softcap { arguments.append(.float(softcap)) }
    if let slopes = inputs.alibiSlopes { arguments += try slopes.kernelArgumentAndOffset }
    if let bias = inputs.bias {
      arguments += try bias.kernelArgumentAndOffset
      // An axis of size 1 is shared by all.
      arguments += (0..<3).map { .element(bias.shape[$0] == 1 ? 0 : bias.strides[$0]) }
    }
    if let table = inputs.relativeBias, let grid = score.relativePositions, let codes {
      arguments += try table.kernelArgumentAndOffset
      arguments += [.buffer(codes), .int32(Int32(clamping: grid.center))]
    }
    for capture in problem.captures {
      switch inputs.captures[capture.name] {
      case .float(let value): arguments.append(.float(value))
      case .int32(let value): arguments.append(.int32(value))
      case .floats(let tensor): arguments += try tensor.kernelArgumentAndOffset
      case .integers(let tensor): arguments += try tensor.kernelArgumentAndOffset
      case nil: throw TileCLError.invalid("captures[\"\(capture.name)\"]", "nil", allowed: "a value")
      }
    }
    if score.dropout > 0 {
      arguments += [
        .uint32(UInt32(truncatingIfNeeded: inputs.dropoutSeed)),
        .uint32(UInt32(truncatingIfNeeded: inputs.dropoutSeed >> 32)),
        .uint32(Philox.threshold(dropout: score.dropout)), .float(1 / (1 - score.dropout)),
      ]
    }
    return arguments
  }

  /// The arguments for `SINK_PARAMETERS`.
  package func sinks<Element>(_ inputs: AttentionInputs<Element>) throws -> [KernelArgument] {
    try inputs.sinks?.kernelArgumentAndOffset ?? []
  }
}
