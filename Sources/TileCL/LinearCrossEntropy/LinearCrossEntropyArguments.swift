import TileCLCore
import TileCLReference
import TileCLRuntime

/// The arguments that many kernels of linear cross-entropy take, made once for a run.
struct LinearCrossEntropyArguments: Sendable {
  let problem: LinearCrossEntropyDescriptor
  /// Memory, offset and distance between rows.
  let embeddings: [KernelArgument]
  /// Without an order.
  let classifier: [KernelArgument]
  /// Memory and offset.
  let bias: [KernelArgument]
  /// Memory, offset and distance between rows.
  let targets: [KernelArgument]
  let probabilities: [KernelArgument]
  let tokenWeights: [KernelArgument]
  let selected: [KernelArgument]
  /// Of the whole vocabulary, from the start of the memory.
  let classWeights: KernelArgument
  let divisor: Float
  /// Whether copies of 16 bytes reach every row of embeddings and of a dense classifier.
  let hasAlignedRows: Bool

  init<Element>(
    _ problem: LinearCrossEntropyDescriptor, _ inputs: LinearCrossEntropyInputs<Element>, on context: Context
  ) throws {
    self.problem = problem
    embeddings = try inputs.embeddings.rowArguments
    classifier = try inputs.classifier.kernelArguments
    bias = try inputs.bias?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]
    targets = try inputs.targets?.rowArguments ?? Self.none
    probabilities = try inputs.probabilities?.rowArguments ?? Self.none
    tokenWeights = try inputs.tokenWeights?.rowArguments ?? Self.none
    selected = try inputs.selected?.rowArguments ?? Self.none
    divisor = inputs.divisor
    if case .dense(let classifier) = inputs.classifier {
      hasAlignedRows = inputs.embeddings.hasAlignedRows && classifier.hasAlignedRows
    } else {
      hasAlignedRows = false
    }
    if let weights = inputs.classWeights, let buffer = weights.buffer {
      if weights.offset == 0 {
        classWeights = .buffer(buffer)
      } else {
        // Kernels count from the first class.
        let copy = try context.makeBuffer(byteCount: 4 * weights.count)
        try context.queue.copy(buffer, offset: 4 * weights.offset, to: copy, byteCount: 4 * weights.count)
        classWeights = .buffer(copy)
      }
    } else {
      classWeights = .noBuffer
    }
  }

  /// Those of rows that there are not.
  static let none: [KernelArgument] = [.noBuffer, .element(0), .element(0)]

  /// Class weights, and where those of this classifier begin.
  var ownClassWeights: [KernelArgument] { [classWeights, .element(problem.firstClass)] }

  var tokens: KernelArgument { .count(problem.tokens) }
  var vocabulary: KernelArgument { .count(problem.vocabulary) }
  var wholeVocabulary: KernelArgument { .count(problem.wholeVocabulary) }
  var hiddenSize: KernelArgument { .count(problem.hiddenSize) }
  var ignoreIndex: KernelArgument { .int32(problem.ignoreIndex) }
  var firstClass: KernelArgument { .count(problem.firstClass) }
  /// The length of a sequence, and the shift.
  var sequences: [KernelArgument] { [.count(problem.sequenceLength), .int32(Int32(clamping: problem.shift))] }
  var scale: KernelArgument { .float(problem.logits.scale) }
  var softcap: KernelArgument { .float(problem.logits.softcap ?? 1) }
  /// The operands of logits on matrix units.
  var embeddingOperand: MatrixOperand { operand(embeddings, rows: problem.tokens) }
  var classifierOperand: MatrixOperand { operand(classifier, rows: problem.vocabulary) }

  private func operand(_ matrix: [KernelArgument], rows: Int) -> MatrixOperand {
    // The distance between rows of a single one is never taken, but a tensor map wants a valid one.
    let place = rows == 1 ? matrix.prefix(2) + [.element(problem.hiddenSize)] : matrix
    return MatrixOperand(place, count: rows, width: problem.hiddenSize)
  }

  /// How many classes targets name for each token.
  var entries: Int { problem.targets.classCount ?? 0 }
  /// How many each token has in arrays of their own.
  var topEntries: Int { if case .top(let count) = problem.targets { count } else { 0 } }
}

extension KernelArgument {
  /// A number below 2^32, as sizes of valid problems are.
  static func count(_ value: Int) -> KernelArgument { .uint32(UInt32(clamping: value)) }
}

extension Tensor {
  /// The memory, the first element's place and the distance between rows (a vector's: between elements); a scalar's
  /// rows are all the same.
  var rowArguments: [KernelArgument] {
    get throws { [try kernelArgument, .element(offset), .element(strides.first ?? 0)] }
  }
}
