import TileCLCore
import TileCLReference
import TileCLRuntime

/// The memory in which a backward pass keeps parts of the gradients of a score's parameters.
///
/// Elements of tables get parts from pairs anywhere. The units of a launch are therefore cut into slices, one
/// work-group each for every head, with a copy of the tables for each; the copies are added up in order. How many
/// slices there are follows from the problem alone, not from the device, so that equal tiles give equal bits.
struct AttentionGradientWorkspace: Sendable {
  /// The most bytes for copies of tables, if one copy does not take more.
  static let tableLimit = 1 << 26
  /// The most work-groups that share the work where tables have gradients.
  static let sliceLimit = 512

  /// Parts of the gradients of slopes, one for each query.
  let slopeRows: KernelArgument
  /// The gradient of the bias in fp32.
  let biasSums: KernelArgument
  /// Copies of relative-position tables, [slice, head, element].
  let table: KernelArgument
  /// Copies of all captured tensors with gradients, one after another, [slice, head or 1, element].
  let captures: KernelArgument
  /// The slices of a launch over queries; nil where no table has a gradient.
  let slices: Int?
  /// The elements of one copy of the captured tensors.
  let captureCount: Int
  /// How many copies of the captured tensors there are.
  let captureCopies: Int
  /// Where the elements of each captured tensor stand in a copy.
  let captureRanges: [String: Range<Int>]
  /// Whether heads share copies of captured tensors, because each with its own would take too much.
  let separatesHeads: Bool
  private let rangeBuffer: KernelArgument
  private let faults: Buffer?

  /// - Parameters:
  ///   - units: The units of a launch over queries.
  ///   - captures: The elements of each captured tensor that has a gradient.
  ///   - biasSums: Memory to use for the sums of the bias; nil to make some.
  init(
    _ problem: AttentionDescriptor, units: Int, captures: [String: Int], biasSums: KernelArgument?, on context: Context
  ) throws {
    let sizes = try Self.sizes(problem)
    slopeRows = sizes.slopes > 0 ? .buffer(try context.makeBuffer(byteCount: sizes.slopes)) : .noBuffer
    self.biasSums =
      try biasSums ?? (sizes.bias > 0 ? .buffer(context.zeroedBuffer(byteCount: sizes.bias)) : .noBuffer)

    var ranges: [String: Range<Int>] = [:]
    var captureCount = 0
    for (name, count) in captures.sorted(by: { $0.key < $1.key }) {
      ranges[name] = captureCount..<captureCount + count
      captureCount += count
    }
    captureRanges = ranges
    self.captureCount = captureCount
    let copyBytes = try checkedProduct([captureCount, 4], argument: "captures")
    let perHead = copyBytes.multipliedReportingOverflow(by: problem.queryHeads)
    separatesHeads = captureCount > 0 && (perHead.overflow || perHead.partialValue > Self.tableLimit)
    let sliceBytes = sizes.table + (separatesHeads ? copyBytes : perHead.partialValue)
    guard sliceBytes > 0 else {
      slices = nil
      captureCopies = 0
      table = .noBuffer
      self.captures = .noBuffer
      rangeBuffer = .noBuffer
      faults = nil
      return
    }
    let slices = Self.slices(problem, units: units, sliceBytes: sliceBytes)
    self.slices = slices
    captureCopies = separatesHeads ? slices : slices * problem.queryHeads
    table = sizes.table > 0 ? .buffer(try context.zeroedBuffer(byteCount: slices * sizes.table)) : .noBuffer
    guard captureCount > 0 else {
      self.captures = .noBuffer
      rangeBuffer = .noBuffer
      faults = nil
      return
    }
    self.captures = .buffer(try context.zeroedBuffer(byteCount: captureCopies * copyBytes))
    let gradients = problem.score.modification?.gradients ?? []
    let numbers = gradients.flatMap { gradient in
      let range = ranges[gradient.capture] ?? 0..<0
      return [UInt64(range.lowerBound), UInt64(range.count)]
    }
    rangeBuffer = .buffer(try context.makeBuffer(copying: numbers))
    faults = try context.zeroedBuffer(byteCount: 4 * gradients.count)
  }

  /// The arguments that follow the slices in the kernel of a side.
  func arguments(
    _ owner: AttentionBackwardKernelDescriptor.Owner, _ problem: AttentionDescriptor
  ) throws -> [KernelArgument] {
    var arguments: [KernelArgument] = []
    if owner == .queries, problem.score.hasALiBi { arguments.append(slopeRows) }
    if let bias = problem.score.bias, let shape = problem.biasShape, bias.isPerQuery == (owner == .queries) {
      let strides = Shape.rowMajorStrides(shape)
      arguments.append(biasSums)
      // An axis of size 1 is shared by all.
      arguments += (0..<3).map { .element(shape[$0] == 1 ? 0 : strides[$0]) }
    }
    if owner == .queries, problem.score.relativePositions != nil { arguments.append(table) }
    if owner == .queries, let faults {
      arguments += [
        captures, rangeBuffer, .element(captureCount), .int32(separatesHeads ? 0 : 1), .buffer(faults),
      ]
    }
    return arguments
  }

  /// Waits for the device and checks that user code named elements that there are.
  func requireValidIndices(_ problem: AttentionDescriptor, on context: Context) throws {
    guard let faults, let modification = problem.score.modification else { return }
    var flags = [Int32](repeating: 0, count: modification.gradients.count)
    try flags.withUnsafeMutableBytes { try context.queue.read(faults, into: $0) }
    for (gradient, flag) in zip(modification.gradients, flags) where flag != 0 {
      throw modification.indexFault(gradient, count: captureRanges[gradient.capture]?.count ?? 0)
    }
  }

  /// The bytes that are known from the problem alone, with as many slices as there are without captured tensors.
  static func byteCount(_ problem: AttentionDescriptor, units: Int) throws -> Int {
    let sizes = try sizes(problem)
    let slices = sizes.table > 0 ? Self.slices(problem, units: units, sliceBytes: sizes.table) : 0
    let ownBias = problem.dtype == .float32 ? 0 : sizes.bias
    let tables = try checkedProduct([slices, sizes.table], argument: "relativeBias")
    return try checkedSum([sizes.slopes, ownBias, tables], argument: "the workspace's bytes")
  }

  private static func slices(_ problem: AttentionDescriptor, units: Int, sliceBytes: Int) -> Int {
    max(min(units, sliceLimit / problem.queryHeads, tableLimit / sliceBytes), 1)
  }

  /// The bytes of the parts of slopes, of the bias in fp32, and of one copy of all heads' tables.
  private static func sizes(_ problem: AttentionDescriptor) throws -> (slopes: Int, bias: Int, table: Int) {
    func bytes(_ name: String, _ shape: [Int]?) throws -> Int {
      try shape.map { try checkedProduct($0 + [DType.float32.byteCount], argument: name) } ?? 0
    }
    return (
      try bytes("alibiSlopes", problem.score.hasALiBi ? problem.lseShape : nil), try bytes("bias", problem.biasShape),
      try bytes("relativeBias", problem.relativeBiasShape)
    )
  }
}

extension Context {
  /// A buffer of zeros.
  fileprivate func zeroedBuffer(byteCount: Int) throws -> Buffer {
    let buffer = try makeBuffer(byteCount: byteCount)
    try queue.fill(buffer)
    return buffer
  }
}
