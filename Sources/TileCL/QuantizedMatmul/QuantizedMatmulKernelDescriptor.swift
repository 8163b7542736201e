package import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// What changes the code of a product by quantized weights: the compile key of `quantized_matmul.cl`.
///
/// N, K and group sizes are arguments of the kernel; M counts only by its class, see ``Shape``.
package struct QuantizedMatmulKernelDescriptor: Hashable, Sendable {
  /// How a work-group covers the product.
  package enum Shape: Hashable, Sendable {
    /// `tilecl_quantized_matmul_rows`: work-items share K, every weight is used for `rows` rows at once.
    case rows(rows: Int, columns: Int, units: Int)
    /// `tilecl_quantized_matmul_tiles`: dequantized tiles in local memory.
    case tiles(rows: Int, columns: Int, depth: Int, padding: Int)
  }

  /// The facts about a device that the choice rests on.
  package struct Target: Hashable, Sendable {
    package let isCPU: Bool
    package let maximumWorkGroupSize: Int
    package let localMemory: Int

    package init(isCPU: Bool, maximumWorkGroupSize: Int, localMemory: Int) {
      self.isCPU = isCPU
      self.maximumWorkGroupSize = maximumWorkGroupSize
      self.localMemory = localMemory
    }

    package init(_ device: Device) {
      let capabilities = device.capabilities
      self.init(
        isCPU: device.kind == .cpu, maximumWorkGroupSize: capabilities.maximumWorkGroupSize,
        localMemory: capabilities.localMemory)
    }
  }

  package let dtype: DType
  package let bits: QuantizationFormat.Bits
  package let scheme: QuantizationFormat.Scheme
  package let shape: Shape
  /// Work-items of a group. One on a CPU, where OpenCL compilers make a loop of a group and barriers cut it apart;
  /// its vector registers are filled by 8-wide sums instead.
  package let workGroup: Int
  package let vectorSums: Bool

  package init(_ descriptor: QuantizedMatmulDescriptor, target: Target) {
    dtype = descriptor.dtype
    bits = descriptor.format.bits
    scheme = descriptor.format.scheme
    vectorSums = target.isCPU
    // Columns that share a load of activations, as long as the sums stay in registers. On a CPU loads are cheap.
    let rowTile = [1, 2, 4].first { descriptor.rows <= $0 } ?? 8
    let rows = Shape.rows(
      rows: rowTile, columns: rowTile == 8 || target.isCPU ? 2 : 4, units: target.isCPU ? 4 : 1)
    let tileRows = descriptor.rows <= 32 ? 32 : 64
    let tiles: Shape =
      target.isCPU
      ? .tiles(rows: tileRows, columns: 64, depth: 64, padding: 0)
      : .tiles(rows: tileRows, columns: 64, depth: 32, padding: 4)
    let shape = descriptor.rows > Self.mostRowsWithoutTiles && tiles.localMemory <= target.localMemory ? tiles : rows
    let limit = min(shape.preferredWorkGroup, max(target.maximumWorkGroupSize, 1))
    self.shape = shape
    workGroup = target.isCPU ? 1 : 1 << (Int.bitWidth - 1 - limit.leadingZeroBitCount)
  }

  /// Two passes of the rows kernel cost less than a tile of 32 rows of which half are padding.
  private static let mostRowsWithoutTiles = 16

  package var kernelName: String {
    switch shape {
    case .rows: "tilecl_quantized_matmul_rows"
    case .tiles: "tilecl_quantized_matmul_tiles"
    }
  }

  /// The program's source, from the files of a row of the kernel table.
  package func source(files: [String]) -> ProgramSource {
    var defines = [
      "STORAGE": dtype.storageKey, "BITS": bits.rawValue, "SYMMETRIC": scheme == .symmetric ? 1 : 0,
      "WORK_GROUP": workGroup, "VECTOR_SUMS": vectorSums ? 1 : 0,
    ]
    switch shape {
    case .rows(let rows, let columns, let units):
      defines.merge(["TILED": 0, "ROW_TILE": rows, "COLUMN_TILE": columns, "UNITS": units]) { $1 }
    case .tiles(let rows, let columns, let depth, let padding):
      defines.merge(
        ["TILED": 1, "TILE_ROWS": rows, "TILE_COLUMNS": columns, "TILE_DEPTH": depth, "PADDING": padding]
      ) { $1 }
    }
    return ProgramSource(files: files, defines: defines)
  }

  /// Work-items along the columns and along the rows of a product.
  package func globalSize(rows: Int, columns: Int) -> [Int] {
    let (tileRows, tileColumns) = shape.tile
    return [
      columns.roundedUp(toMultipleOf: tileColumns) / tileColumns * workGroup,
      rows.roundedUp(toMultipleOf: tileRows) / tileRows,
    ]
  }
}

extension QuantizedMatmulKernelDescriptor.Shape {
  /// Rows and columns of the product that one work-group computes.
  package var tile: (rows: Int, columns: Int) {
    switch self {
    case .rows(let rows, let columns, _): (rows, columns)
    case .tiles(let rows, let columns, _, _): (rows, columns)
    }
  }

  /// The local memory of a tile of activations and one of weights, in bytes; the other kernel needs at most 8 KiB.
  var localMemory: Int {
    switch self {
    case .rows(let rows, let columns, _): 4 * rows * columns * preferredWorkGroup
    case .tiles(let rows, let columns, let depth, let padding): 4 * (rows + columns) * (depth + padding)
    }
  }

  /// A work-item each for micro-tiles of 4 x 4, or enough lanes to stream rows of codes.
  var preferredWorkGroup: Int {
    switch self {
    case .rows: 128
    case .tiles(let rows, let columns, _, _): rows / 4 * (columns / 4)
    }
  }
}
