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
