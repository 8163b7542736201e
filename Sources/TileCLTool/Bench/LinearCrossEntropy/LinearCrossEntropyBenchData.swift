import TileCL

/// What embeddings, classifier and targets of a bench are, the same in every run.
///
/// The classifier's elements have variance 1 / D and those of random embeddings variance 1, so that a random logit has
/// variance 1.
enum LinearCrossEntropyBenchData: String, Encodable {
  /// Nothing is known of the targets.
  case random
  /// An embedding is √D / 2 times its target's row of the classifier, plus half of a random one: the target's logit is
  /// √D / 2 above the others, as the likely ones of a trained model are.
  case peaked

  func inputs<Element: FloatingPointElement>(
    _ descriptor: LinearCrossEntropyDescriptor, on engine: Engine
  ) throws -> LinearCrossEntropyInputs<Element> {
    let (tokens, hiddenSize, vocabulary) = (descriptor.tokens, descriptor.hiddenSize, descriptor.vocabulary)
    var random = SplitMix64(seed: 7)
    let targets = (0..<tokens).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
    let root = Float(hiddenSize).squareRoot()
    let classifier: [Element] = Self.values(vocabulary * hiddenSize, deviation: 1 / root, &random)
    var embeddings: [Element] = Self.values(tokens * hiddenSize, deviation: 1, &random)
    if self == .peaked {
      for (token, target) in targets.enumerated() {
        let row = Int(target) * hiddenSize
        for column in 0..<hiddenSize {
          let own = token * hiddenSize + column
          let sum = root * classifier[row + column].floatValue + embeddings[own].floatValue
          embeddings[own] = Element(rounding: Double(sum / 2))
        }
      }
    }
    return LinearCrossEntropyInputs(
      embeddings: try engine.tensor(embeddings, shape: descriptor.embeddingsShape),
      classifier: .dense(try engine.tensor(classifier, shape: descriptor.classifierShape)),
      targets: try engine.tensor(targets, shape: [tokens]))
  }

  /// Evenly distributed values of mean 0, four of each number drawn: no two rows are alike, whatever their count.
  private static func values<Element: FloatingPointElement>(
    _ count: Int, deviation: Float, _ random: inout SplitMix64
  ) -> [Element] {
    // Values in -1..<1 have variance 1/3.
    let scale = Double(deviation) * 3.0.squareRoot() / 32_768
    let rounded = (0...UInt16.max).map { Element(rounding: (Double($0) - 32_767.5) * scale) }
    return [Element](unsafeUninitializedCapacity: count) { target, initialized in
      rounded.withUnsafeBufferPointer { rounded in
        var bits: UInt64 = 0
        for index in 0..<count {
          bits = index % 4 == 0 ? random.next() : bits >> 16
          target.initializeElement(at: index, to: rounded[Int(bits & 0xFFFF)])
        }
      }
      initialized = count
    }
  }
}
