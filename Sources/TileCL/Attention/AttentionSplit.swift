import TileCLCore
import TileCLReference
import TileCLRuntime

/// How many work-groups share the keys of one tile of queries, each over an equal part of them.
///
/// Few queries make few groups: one token against a long cache leaves most of a device idle unless its keys are shared
/// out. With `groups` tiles of queries in all, and `steps` tiles of keys for each,
///
///     splits = min(ceil(groupsPerUnit * computeUnits / groups), steps / 4)
///
/// within what the device can allocate for the partial results. Each is an output and an LSE in fp32, merged in order.
///
/// Source: Flash-Decoding, Dao et al. 2023, https://crfm.stanford.edu/2023/10/12/flashdecoding.html.
struct AttentionSplit: Hashable, Sendable {
  let splits: Int
  /// Rows of the output, B · Hq · Sq.
  let rows: Int
  let outputByteCount: Int
  let lseByteCount: Int

  static let allowed = 1...4096
  /// A part of fewer tiles of keys costs more than it saves.
  private static let leastSteps = 4

  /// - Parameters:
  ///   - requested: The splits to take; nil for a choice.
  ///   - keyTile: The keys of a step of the kernel.
  ///   - groups: The work-groups of one split.
  /// - Throws: ``TileCLError`` of code `limitExceeded` if the partial results of the splits asked for exceed what the
  ///   device can allocate.
  init(
    _ problem: AttentionDescriptor, requested: Int?, keyTile: Int, groups: Int, on context: Context
  ) throws {
    rows = try checkedProduct(problem.lseShape, argument: "lse")
    let splits = requested ?? Self.choice(problem, keyTile: keyTile, groups: groups, device: context.device)
    let limit = context.pool.maximumAllocation
    let partByteCount = try checkedProduct(
      [rows, problem.valueDimension, MemoryLayout<Float>.size], argument: "the partial outputs")
    if requested == nil {
      self.splits = max(min(splits, limit / partByteCount), 1)
    } else {
      self.splits = splits
    }
    outputByteCount = try checkedProduct([self.splits, partByteCount], argument: "the partial outputs")
    lseByteCount = try checkedProduct([self.splits, rows, MemoryLayout<Float>.size], argument: "the partial LSEs")
    guard self.splits == 1 || outputByteCount <= limit else {
      var error = TileCLError(
        .limitExceeded,
        "\(splits) splits leave \(outputByteCount) bytes of partial outputs; the device's limit is \(limit) bytes for "
          + "one buffer", argument: "keySplits", hint: "Ask for fewer splits, or for none in particular.")
      error.device = context.device.name
      throw error
    }
  }

  /// Checks a number of splits that was asked for.
  static func validate(_ requested: Int?) throws {
    guard let requested, !allowed.contains(requested) else { return }
    throw TileCLError.invalid(
      "keySplits", requested, allowed: "\(allowed.lowerBound)...\(allowed.upperBound), or nil for a choice")
  }

  private static func choice(
    _ problem: AttentionDescriptor, keyTile: Int, groups: Int, device: Device
  ) -> Int {
    // A CPU's cores take one group each; two groups hide each other's waits on other devices.
    let wanted = (device.kind == .cpu ? 1 : 2) * device.capabilities.computeUnits
    guard groups < wanted else { return 1 }
    let steps = keysPerQuery(problem) / keyTile
    return max(min((wanted + groups - 1) / groups, steps / leastSteps, allowed.upperBound), 1)
  }

  /// The keys that the average query walks over.
  private static func keysPerQuery(_ problem: AttentionDescriptor) -> Int {
    if let sequences = problem.sequences {
      return sequences.sequences.map(\.keys.count).max() ?? 0
    }
    guard let masks = problem.mask.blockMasks else { return problem.keyLength }
    let blocks = masks.masks.reduce(0) { $0 + $1.columns.count }
    return blocks / max(masks.masks.count * masks.masks[0].blockRows, 1) * masks.masks[0].keyBlock
  }
}
