import TileCLCore
import TileCLRuntime

/// What the generated code of the portable kernel depends on; problems with equal values share one program.
///
/// Sizes of the problem, the number of splits, strides and the ignore index are arguments of the kernel instead.
struct LinearCrossEntropyKernelDescriptor: Hashable, Sendable {
  /// How a work-group's tile of logits is spread over work-items, registers and local memory; the kernel's file
  /// describes each number.
  struct Tile: Hashable, Sendable {
    var groupRows: Int
    var groupColumns: Int
    var itemRows: Int
    var itemVectors: Int
    var vectorWidth: Int
    var steps: Int
    var depth: Int

    /// Tokens of a work-group.
    var rows: Int { groupRows * steps * itemRows }
    /// Classes that a work-group evaluates at a time.
    var columns: Int { groupColumns * itemVectors * vectorWidth }
    var groupItems: Int { groupRows * groupColumns }

    /// The kernel's static local memory.
    var localByteCount: Int {
      let pad = groupItems > 1 ? 1 : 0
      let tiles = rows * (depth + 4 * pad) + depth * (groupColumns * itemVectors + pad) * vectorWidth
      let merge = 3 * groupColumns * rows
      return 4 * max(tiles, merge)
    }
  }

  var dtype: DType
  var tile: Tile
  /// Work-items of the reduction's one work-group, a power of two.
  var reduceItems: Int

  /// The tile for a device, from what it reports.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` for a device with less local memory than any tile needs.
  init(dtype: DType, device: Device) throws {
    let capabilities = device.capabilities
    let tiles = device.kind == .cpu ? [Tile.cpu(capabilities), .single] : [.wide, .narrow, .single]
    let fitting = tiles.first {
      $0.groupItems <= capabilities.maximumWorkGroupSize && $0.localByteCount <= capabilities.localMemory
    }
    guard let fitting else {
      var error = TileCLError(
        .unsupported,
        "linear cross-entropy needs \(Tile.single.localByteCount) bytes of local memory; "
          + "the device has \(capabilities.localMemory)",
        hint: "set TILECL_BACKEND=reference to compute on the host")
      error.device = device.name
      throw error
    }
    self.dtype = dtype
    tile = fitting
    reduceItems = 1
    while reduceItems < 256, 2 * reduceItems <= capabilities.maximumWorkGroupSize { reduceItems *= 2 }
  }

  /// The definitions of the kernel's file.
  var defines: [String: Int] {
    [
      "STORAGE": dtype.storageKey,
      "VECTOR_WIDTH": tile.vectorWidth, "ITEM_VECTORS": tile.itemVectors, "ITEM_ROWS": tile.itemRows,
      "STEPS": tile.steps, "GROUP_COLUMNS": tile.groupColumns, "GROUP_ROWS": tile.groupRows, "DEPTH": tile.depth,
      "REDUCE_ITEMS": reduceItems,
    ]
  }
}

extension LinearCrossEntropyKernelDescriptor.Tile {
  /// 256 work-items with 8 x 8 logits each: a GPU's registers hold the whole tile.
  static let wide = Self(
    groupRows: 16, groupColumns: 16, itemRows: 8, itemVectors: 2, vectorWidth: 4, steps: 1, depth: 16)
  /// The same in groups of 64.
  static let narrow = Self(
    groupRows: 8, groupColumns: 8, itemRows: 8, itemVectors: 2, vectorWidth: 4, steps: 1, depth: 16)
  /// What any device can run.
  static let single = Self(
    groupRows: 1, groupColumns: 1, itemRows: 4, itemVectors: 2, vectorWidth: 4, steps: 8, depth: 32)

  /// One work-item a group, since a CPU runs work-items as a loop that barriers cut up. Vectors are as wide as the
  /// registers, and the register tile leaves some of them free for the operands: 32 with AVX-512, else 16.
  static func cpu(_ capabilities: Capabilities) -> Self {
    if capabilities.x86Features.contains("avx512f") {
      Self(groupRows: 1, groupColumns: 1, itemRows: 8, itemVectors: 2, vectorWidth: 16, steps: 16, depth: 32)
    } else {
      Self(groupRows: 1, groupColumns: 1, itemRows: 4, itemVectors: 2, vectorWidth: 8, steps: 32, depth: 32)
    }
  }
}
