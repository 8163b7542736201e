import Glibc
import TileCL

/// The weights that training starts from.
///
/// Norms start at 1. Embeddings are normal with a standard deviation of 0.02, and so is a classifier of its own. Rows
/// of products are normal with 1 / √(input), so that they keep the size of what they multiply; those that are added to
/// the stream, 2 L of them, are smaller by √(2 L), so that it does not grow with the number of layers.
struct TransformerStart {
  private let shape: TransformerShape
  private let seed: UInt64

  /// - Parameter seed: The same seed gives the same weights on every machine.
  init(_ shape: TransformerShape, seed: UInt64) {
    self.shape = shape
    self.seed = seed
  }

  /// Row by row.
  var values: TransformerTensors<[Float]> {
    var generator = SplitMix64(seed: seed)
    func normal(_ sizes: [Int], _ deviation: Double) -> [Float] {
      (0..<sizes.reduce(1, *)).map { _ in
        // Box and Muller; 1 - uniform lies in (0, 1], where the logarithm is finite.
        let radius = (-2 * log(1 - generator.uniform())).squareRoot()
        return Float(deviation * radius * cos(2 * .pi * generator.uniform()))
      }
    }
    func product(_ sizes: [Int], _ factor: Double = 1) -> [Float] {
      normal(sizes, factor / Double(sizes[1]).squareRoot())
    }
    func ones(_ sizes: [Int]) -> [Float] { [Float](repeating: 1, count: sizes.reduce(1, *)) }
    let sizes = shape.parameters
    let added = 1 / Double(2 * shape.layers).squareRoot()
    // In the order of `TransformerTensors.all`.
    return TransformerTensors(
      embedding: normal(sizes.embedding, Self.tableDeviation),
      layers: sizes.layers.map {
        .init(
          attentionNorm: ones($0.attentionNorm), attention: product($0.attention), output: product($0.output, added),
          unitNorm: ones($0.unitNorm), gateUp: product($0.gateUp), down: product($0.down, added))
      },
      norm: ones(sizes.norm), classifier: sizes.classifier.map { normal($0, Self.tableDeviation) })
  }

  private static let tableDeviation = 0.02
}
