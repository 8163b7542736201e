import TileCLReference
import TileCLRuntime

/// A product of the backward pass on the matrix units of some target, compiled for one problem.
protocol LinearCrossEntropyGradientProduct: Sendable {
  /// The file of its rows in the ``KernelTable``.
  static var file: String { get }
  /// The last part of its kernels' names.
  static var target: String { get }
  /// The depth of a step of its main loop.
  static var stepDepth: Int { get }
  /// Whether tiles of logits that are to be computed have to be listed.
  static var hasQueues: Bool { get }

  /// The compile keys that the target's main loop wants for a part of the file.
  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int]

  /// The tiles that fit a problem.
  static func fitting(_ problem: LinearCrossEntropyDescriptor, on device: Device) -> [LinearCrossEntropyGradientTiles]

  /// The bytes that a run takes for descriptions of so many operands and results.
  static func operandByteCount(_ count: Int) -> Int

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int) throws

  var sizes: LinearCrossEntropyGradientTiles.Part { get }

  /// The arguments that say where A, B and, unless they are sums, the results are; made once for a run.
  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument]

  /// Launches the product over so many rows, columns and depths.
  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context) throws
}

/// The parts of a file with the backward pass on matrix units: gradients of logits, and what follows from them.
enum LinearCrossEntropyGradientPart: Int {
  case logits, classifier, embeddings

  /// The middle of the kernel's name.
  var name: String {
    switch self {
    case .logits: "gradient_tiles"
    case .classifier: "classifier_gradient"
    case .embeddings: "embedding_gradient"
    }
  }
}

extension LinearCrossEntropyGradientProduct {
  /// The kernel of a part.
  static func kernel(_ part: LinearCrossEntropyGradientPart, of program: Program) throws -> Kernel {
    try program.kernel("tilecl_linear_cross_entropy_\(part.name)_\(target)")
  }
}

/// A product of `linear_cross_entropy/linear_cross_entropy_backward.hopper.cl`.
struct LinearCrossEntropyHopperProduct: LinearCrossEntropyGradientProduct {
  let sizes: LinearCrossEntropyGradientTiles.Part
  private let maps: Kernel
  private let product: Kernel
  private let isListed: Bool
  private let computeUnits: Int

  static let file = "linear_cross_entropy/linear_cross_entropy_backward.hopper.cl"
  static let target = "hopper"
  static let stepDepth = 64
  static let hasQueues = true

  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int] {
    switch part {
    case .logits: ["QUEUED": 1]
    case .classifier: ["A_TRANSPOSED": 1, "B_TRANSPOSED": 1]
    case .embeddings: ["B_TRANSPOSED": 1]
    }
  }

  static func fitting(
    _ problem: LinearCrossEntropyDescriptor, on device: Device
  ) -> [LinearCrossEntropyGradientTiles] {
    LinearCrossEntropyHopperGradientTiles.tunings.filter { LinearCrossEntropyHopperGradientTiles.fits($0, problem) }
  }

  static func operandByteCount(_ count: Int) -> Int { count * HopperMaps.byteCount }

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int
  ) throws {
    self.sizes = sizes
    self.computeUnits = computeUnits
    isListed = part != .logits
    maps = try program.kernel(HopperMaps.kernelName)
    product = try Self.kernel(part, of: program)
  }

  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument] {
    [try HopperMaps.enqueue(maps, a, b, c, on: context).maps]
  }

  /// Groups take tiles in turn. Maps know where the depth ends, and lists, where there are some, its steps.
  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context
  ) throws {
    let groups = min(computeUnits, sizes.tileCount(rows: rows, columns: columns))
    let depths: [KernelArgument] = isListed ? [] : [.int32(Int32(clamping: depth))]
    try context.queue.launch(
      product, global: [groups * sizes.groupItems], local: [sizes.groupItems], operands + depths + arguments)
  }
}

/// A product of `linear_cross_entropy/linear_cross_entropy_backward.ampere.cl`.
struct LinearCrossEntropyAmpereProduct: LinearCrossEntropyGradientProduct {
  let sizes: LinearCrossEntropyGradientTiles.Part
  private let product: Kernel

  static let file = "linear_cross_entropy/linear_cross_entropy_backward.ampere.cl"
  static let target = "ampere"
  static let stepDepth = 32
  static let hasQueues = false

  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int] { [:] }

  static func fitting(
    _ problem: LinearCrossEntropyDescriptor, on device: Device
  ) -> [LinearCrossEntropyGradientTiles] {
    LinearCrossEntropyAmpereGradientTiles.fitting(localMemory: device.declarableLocalMemory)
  }

  static func operandByteCount(_ count: Int) -> Int { 0 }

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int
  ) throws {
    self.sizes = sizes
    product = try Self.kernel(part, of: program)
  }

  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument] {
    a.place + b.place + (c?.place ?? [])
  }

  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context
  ) throws {
    let groups = sizes.tileCount(rows: rows, columns: columns)
    try context.queue.launch(
      product, global: [groups * sizes.groupItems], local: [sizes.groupItems],
      operands + [.int32(Int32(clamping: depth))] + arguments)
  }
}
