public import TileCLCore

/// The gradients of linear cross-entropy, contiguous; each has the shape and dtype of what it is a gradient of.
public struct LinearCrossEntropyGradients<Element: FloatingPointElement>: Sendable {
  /// dE, [N, D]; nil if embeddings are frozen. For a shard it is the shard's part of a sum over all of them.
  public let embeddings: Tensor<Element>?
  /// dC, [V, D]; nil if the classifier is frozen.
  public let classifier: Tensor<Element>?
  /// db, [V]; nil without a bias, or if it is frozen.
  public let bias: Tensor<Element>?
  /// What the filter left out, for a plan that audits.
  public let audit: LinearCrossEntropyAudit?

  /// Takes what was added up over shards.
  public init(
    embeddings: Tensor<Element>?, classifier: Tensor<Element>?, bias: Tensor<Element>?,
    audit: LinearCrossEntropyAudit? = nil
  ) {
    self.embeddings = embeddings
    self.classifier = classifier
    self.bias = bias
    self.audit = audit
  }
}

/// Of what linear cross-entropy gives gradients.
public struct LinearCrossEntropyParameters: OptionSet, Hashable, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) {
    self.rawValue = rawValue
  }

  public static let embeddings = Self(rawValue: 1 << 0)
  public static let classifier = Self(rawValue: 1 << 1)
  /// Of problems with a bias.
  public static let bias = Self(rawValue: 1 << 2)
  /// Of everything that is there and not quantized.
  public static let all: Self = [.embeddings, .classifier, .bias]
}
