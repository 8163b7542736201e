import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that order a vocabulary by mean logits, which are the logits of the mean embedding.
///
/// Keys are sorted by their upper 24 bits, in three stable passes of 8, by chunks of classes whose counts are added up
/// in order: nothing depends on which chunk is done first.
struct LinearCrossEntropyOrder: Sendable {
  private let problem: LinearCrossEntropyDescriptor
  private let rowSums: Kernel
  private let partSums: Kernel
  private let keys: Kernel
  private let count: Kernel
  private let scan: Kernel
  private let scatter: Kernel
  private let inverse: Kernel

  /// Rows that are added up by one work-item.
  static let partRows = 256
  private static let chunkSize = 1024

  init(_ problem: LinearCrossEntropyDescriptor, _ program: Program) throws {
    self.problem = problem
    rowSums = try program.kernel("tilecl_linear_cross_entropy_row_sums")
    partSums = try program.kernel("tilecl_linear_cross_entropy_part_sums")
    keys = try program.kernel("tilecl_linear_cross_entropy_keys")
    count = try program.kernel("tilecl_linear_cross_entropy_sort_count")
    scan = try program.kernel("tilecl_linear_cross_entropy_sort_scan")
    scatter = try program.kernel("tilecl_linear_cross_entropy_sort_scatter")
    inverse = try program.kernel("tilecl_linear_cross_entropy_inverse")
  }

  private var parts: Int { Self.parts(problem) }
  private var chunks: Int { Self.chunks(problem) }

  private static func parts(_ problem: LinearCrossEntropyDescriptor) -> Int {
    (problem.tokens + partRows - 1) / partRows
  }

  private static func chunks(_ problem: LinearCrossEntropyDescriptor) -> Int {
    (problem.vocabulary + chunkSize - 1) / chunkSize
  }

  /// Memory that is free again once the order is made.
  static func workspaceByteCount(_ problem: LinearCrossEntropyDescriptor) -> Int {
    4 * ((parts(problem) + 1) * problem.hiddenSize + 2 * problem.vocabulary + 256 * chunks(problem))
  }

  /// The order itself.
  static func byteCount(_ problem: LinearCrossEntropyDescriptor) -> Int { 8 * problem.vocabulary }

  func enqueue(_ arguments: LinearCrossEntropyArguments, on context: Context) throws -> VocabularyOrder {
    let queue = context.queue
    let (depth, classes) = (problem.hiddenSize, problem.vocabulary)
    let sums = try context.makeBuffer(byteCount: 4 * parts * depth)
    let mean = try context.makeBuffer(byteCount: 4 * depth)
    try queue.launch(
      rowSums, count: depth, rows: parts,
      arguments.embeddings + [
        .noBuffer, arguments.tokens, .count(Self.partRows), arguments.hiddenSize, .buffer(sums),
      ])
    try queue.launch(
      partSums, count: depth,
      [.buffer(sums), .count(parts), arguments.hiddenSize, .float(1 / Float(problem.tokens)), .buffer(mean)])
    let keyBuffer = try context.makeBuffer(byteCount: 4 * classes)
    try queue.launch(
      keys, count: classes,
      arguments.classifier + arguments.bias + [
        .buffer(mean), arguments.vocabulary, arguments.hiddenSize, arguments.scale, .buffer(keyBuffer),
      ])
    let counts = try context.makeBuffer(byteCount: 4 * 256 * chunks)
    let (first, second) = (
      try context.makeBuffer(byteCount: 4 * classes), try context.makeBuffer(byteCount: 4 * classes)
    )
    // 24 bits: into the first, the second, the first.
    for (pass, (source, target)) in [(nil, first), (first, second), (second, first)].enumerated() {
      let list: [KernelArgument] = [
        .buffer(keyBuffer), source.map { .buffer($0) } ?? .noBuffer, arguments.vocabulary, .count(Self.chunkSize),
        .count(chunks), .count(8 * (pass + 1)), .buffer(counts),
      ]
      try queue.launch(count, count: chunks, list)
      try queue.launch(scan, global: [1], local: [1], [.count(256 * chunks), .buffer(counts)])
      try queue.launch(scatter, count: chunks, list + [.buffer(target)])
    }
    let columns = second
    try queue.launch(inverse, count: classes, [.buffer(first), arguments.vocabulary, .buffer(columns)])
    return VocabularyOrder(classes: first, columns: columns)
  }
}
