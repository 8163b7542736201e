import Glibc
import TileCL

/// Seeded input of one linear cross-entropy case, and the values that it is held against.
struct LinearCrossEntropyProblem: Sendable {
  /// What embeddings and classifier look like.
  enum Data: String, Sendable {
    /// Logits of about unit variance.
    case random
    /// The first classes are copies of embeddings, which are their targets: losses close to 0.
    case peaked
    /// Logits of some hundreds, whose exponentials overflow fp32.
    case large
    /// All logits equal: every loss is log V.
    case equal
  }

  /// Which targets are ignored.
  enum Ignored: Sendable {
    case none
    /// Every third token, with this index.
    case some(Int32)
    case all
  }

  var tokens: Int
  var hiddenSize: Int
  var vocabulary: Int
  var reduction = LinearCrossEntropyDescriptor.Reduction.none
  var data = Data.random
  var ignored = Ignored.none

  var ignoreIndex: Int32 {
    if case .some(let index) = ignored { index } else { -100 }
  }

  func descriptor(_ dtype: DType) throws -> LinearCrossEntropyDescriptor {
    try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: hiddenSize, vocabulary: vocabulary, dtype: dtype, reduction: reduction,
      ignoreIndex: ignoreIndex)
  }

  /// Embeddings, classifier and targets.
  func input<Element: FloatingPointElement>(_ type: Element.Type) -> ([Element], [Element], [Int32]) {
    let sizes = [tokens, hiddenSize, vocabulary].map { UInt64(clamping: $0) }
    var values = SeededValues(seed: sizes.reduce(17) { $0 &* 1009 &+ $1 })
    let size = Double(hiddenSize)
    let scale = data == .large ? 300 / size.squareRoot() : data == .peaked ? 1 : 1 / size.squareRoot()
    let embeddings = values.normals(tokens * hiddenSize, scale: scale, as: type)
    var classifier = values.normals(vocabulary * hiddenSize, as: type)
    var targets = values.integers(tokens, in: 0..<vocabulary).map { Int32(clamping: $0) }
    switch data {
    case .random, .large:
      break
    case .peaked:
      for index in 0..<min(tokens, vocabulary) {
        targets[index] = Int32(clamping: index)
        for d in 0..<hiddenSize { classifier[index * hiddenSize + d] = embeddings[index * hiddenSize + d] }
      }
    case .equal:
      for index in classifier.indices { classifier[index] = classifier[index % hiddenSize] }
    }
    switch ignored {
    case .none: break
    case .some(let index): for token in stride(from: 1, to: tokens, by: 3) { targets[token] = index }
    case .all: targets = targets.map { _ in -100 }
    }
    return (embeddings, classifier, targets)
  }

  /// Loss and LSE by way of explicit fp32 logits, added up in the plainest order.
  ///
  /// Logits are not rounded to the dtype in between, as an unfused evaluation would: the operation promises fp32
  /// accumulation for every dtype, and is held to it.
  func baseline(
    embeddings: [Float], classifier: [Float], targets: [Int32]
  ) -> (loss: [Float], lse: [Float]) {
    let pairs = Parallel.rows(tokens, stride: 2, zero: Float(0)) { token, output in
      var logits = [Float](repeating: 0, count: vocabulary)
      for index in 0..<vocabulary {
        var sum: Float = 0
        for d in 0..<hiddenSize {
          sum += embeddings[token * hiddenSize + d] * classifier[index * hiddenSize + d]
        }
        logits[index] = sum
      }
      let maximum = logits.max() ?? 0
      let lse = log(logits.reduce(0) { $0 + exp($1 - maximum) }) + maximum
      output[0] = lse
      output[1] = targets[token] == ignoreIndex ? 0 : lse - logits[Int(targets[token])]
    }
    let losses = (0..<tokens).map { pairs[2 * $0 + 1] }
    let counted = targets.count { $0 != ignoreIndex }
    let sum = losses.reduce(0, +)
    let loss =
      switch reduction {
      case .none: losses
      case .sum: [sum]
      case .mean: [counted == 0 ? 0 : sum / Float(counted)]
      }
    return (loss, (0..<tokens).map { pairs[2 * $0] })
  }
}
