import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// What the backward kernel of attention is compiled for: everything of a problem and of one side that changes the
/// generated code.
///
/// As for the forward kernel, lengths, batch, heads, numbers and data take no part.
package struct AttentionBackwardKernelDescriptor: Hashable, Sendable {
  /// Which rows a work-group owns.
  package enum Owner: Int, Hashable, Sendable {
    case keys = 0
    case queries = 1
  }

  package let owner: Owner
  package let tiles: AttentionBackwardTiles
  /// The compile keys that do not follow from the tiles.
  private let keys: [String: Int]
  private let userCode: [ProgramSource.Part]

  /// - Throws: ``TileCLError`` of code `limitExceeded` if the device has too little local memory.
  package init(_ problem: AttentionDescriptor, owner: Owner, limits: AttentionTiles.Limits) throws {
    self.owner = owner
    tiles = try AttentionBackwardTiles(.init(problem, isOwnerOfQueries: owner == .queries), limits: limits)
    var keys = AttentionScoreArguments.defines(problem)
    keys["OWNER_QUERIES"] = owner.rawValue
    keys["BIAS_PER_QUERY"] = problem.score.bias?.isPerQuery == false ? 0 : 1
    keys["CAPTURE_GRADIENTS"] = problem.score.modification?.gradients.count ?? 0
    self.keys = keys
    userCode = AttentionScoreArguments.userCode(problem, backward: true)
  }

  /// The program of `attention/attention_backward.cl`.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let sizes = [
      "WORK_GROUP_SIZE": tiles.workGroupSize, "VECTOR": tiles.vector, "OWN_TILE": tiles.ownTile,
      "OTHER_TILE": tiles.otherTile, "DEPTH_TILE": tiles.depthTile, "VALUE_DEPTH_TILE": tiles.valueDepthTile,
      "STAGE_ROWS": tiles.stageRows, "MICRO_ROWS": tiles.microRows, "MICRO_CHANNELS": tiles.microChannels,
    ]
    return variant.source(defines: keys.merging(sizes) { $1 }, userCode: userCode)
  }
}
