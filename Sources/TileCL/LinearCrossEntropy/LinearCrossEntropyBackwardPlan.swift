public import TileCLCore
public import TileCLReference

/// The gradients of linear cross-entropy for one descriptor on one engine: the kernels are built, the workspace is
/// known.
///
/// ```swift
/// let problem = try LinearCrossEntropyDescriptor(
///   tokens: 512, hiddenSize: 768, vocabulary: 50_257, outputs: .gradientTiles)
/// let inputs = LinearCrossEntropyInputs(embeddings: x, classifier: .dense(w), targets: t)
/// let forward = try engine.makePlan(problem).run(inputs)
/// let gradients = try engine.makeBackwardPlan(problem).run(inputs, forward: forward)
/// ```
///
/// With d the gradient by a token's loss times its weight, τ = w ((1 - α) q + α / V), T = Σ_v τ, p = exp(z - LSE) and H
/// the entropy,
///
///     g = p (d (T + 2 ζ LSE) + dLSE - dlogp - dH (log p + H)) - d τ + dlogp onehot
///     x = s (1 - (z / c)²) g          dE = x C      dC = xᵀ E      db = Σ_n x
///
/// Logits that the forward pass has not kept are computed anew, a wave of tiles at a time; x is fp32, dC is summed in
/// fp32 and written once, dE is summed in fp32 over the waves. ``GradientFilter`` says which tiles are left out; what
/// is left out, and every bit of the result, follows from the inputs and the LSE, and does not depend on the size of a
/// wave, nor on whether the forward pass kept its tiles, which saves computing those that are left out. No sum is in
/// an order of chance, and no two work-groups write one element.
///
/// Matrix units, on NVIDIA Ampere and newer, take x rounded to the dtype, after a scaling by a power of 2. Their tiles
/// leave classes in their order. Gradients below the threshold may then be kept beside larger ones, and since waves are
/// added to dE one by one, its last bits follow from their size; equal runs give equal bits all the same. CPUs that
/// multiply pairs of bf16 take x rounded to bf16, in the usual tiles and to the bits that those promise.
///
/// Source: the filter and the order of the vocabulary are those of Wijmans et al., arXiv 2411.09009.
public struct LinearCrossEntropyBackwardPlan: Sendable {
  public let descriptor: LinearCrossEntropyDescriptor
  public let engine: Engine
  public let filter: GradientFilter
  /// Of what gradients are given.
  public let parameters: LinearCrossEntropyParameters
  /// The name of the row in the ``KernelTable`` whose kernels compute gradients of logits, or `reference`.
  public let variant: String
  private let audits: Bool
  private let context: Context?
  let backward: (any LinearCrossEntropyBackwardPass)?
  /// For tensors that tuned kernels do not take.
  private let portable: OnDemand<LinearCrossEntropyBackward>?

  init(
    _ descriptor: LinearCrossEntropyDescriptor, filter: GradientFilter, parameters: LinearCrossEntropyParameters,
    budget: Int?, audits: Bool, engine: Engine
  ) throws {
    try filter.validate()
    if let budget, budget < 0 { throw TileCLError.invalid("tileBudget", budget, allowed: "0 or more bytes, or nil") }
    self.descriptor = descriptor
    self.engine = engine
    self.filter = filter
    self.parameters = parameters
    self.audits = audits
    context = engine.context
    guard let context else {
      (variant, backward, portable) = ("reference", nil, nil)
      return
    }
    let kernels = try LinearCrossEntropyKernelDescriptor(descriptor, device: context.device)
    let portable = OnDemand {
      try LinearCrossEntropyBackward(
        descriptor, descriptor: kernels, filter: filter, parameters: parameters, budget: budget, audits: audits,
        engine: engine, context: context)
    }
    let tuned = try KernelTable.firstTuned(.linearCrossEntropy, part: .backward, hasUserCode: false, on: context) {
      (row) -> KernelTable.TunedKernel<any LinearCrossEntropyBackwardPass>? in
      func matrixKernels<Product: LinearCrossEntropyGradientProduct>(
        _ product: Product.Type
      ) -> KernelTable.TunedKernel<any LinearCrossEntropyBackwardPass> {
        typealias Backward = LinearCrossEntropyMatrixBackward<Product>
        return KernelTable.TunedKernel(
          objection: Backward.objection(descriptor, audits: audits, on: context.device), suits: { true },
          make: {
            try Backward(
              descriptor, descriptor: kernels, variant: row, filter: filter, parameters: parameters, budget: budget,
              engine: engine, context: context)
          })
      }
      return switch row.file {
      case LinearCrossEntropyHopperProduct.file: matrixKernels(LinearCrossEntropyHopperProduct.self)
      case LinearCrossEntropyAmpereProduct.file: matrixKernels(LinearCrossEntropyAmpereProduct.self)
      default: nil
      }
    }
    self.portable = portable
    if let tuned {
      (variant, backward) = (tuned.row.name, tuned.launch)
    } else {
      (variant, backward) = (try LinearCrossEntropyBackward.row(for: kernels, on: context).name, try portable.value())
    }
  }

  /// The name of the sizes that these kernels were compiled for; nil if they have no table of them.
  public var tuning: String? { backward?.tuning }

  /// The device memory that a run takes beside arguments and results, in bytes; 0 on the reference backend and without
  /// tokens.
  ///
  /// With tiles of r classes and c tokens, t = ⌈N / c⌉ of tokens and u = ⌈V / r⌉ of classes, and
  /// w = min(u, max(1, ⌊budget / (4 r c t)⌋)) tiles of classes a wave, that is
  ///
  ///     4 r c t w            gradients of logits of a wave
  ///     40 N + 4 t u         coefficients and targets of tokens, and which tiles are live
  ///     4 N D                sums of dE
  ///     4 r t w              shares of the bias
  ///     8 k N                k top targets
  ///     8 V + 4 ((⌈N / 256⌉ + 1) D + 2 V + 256 ⌈V / 1024⌉)    the order of classes
  ///     4 N + 4 (⌈N / 256⌉ + ⌈V / 256⌉ + 2) D               sums for label smoothing without a softcap, 4 with a bias
  ///     4 t u + 4 V          an audit
  ///     4                    class weights
  ///
  /// where what is frozen takes nothing. The kernels of matrix units have cells of c tokens and r classes, on Hopper 64
  /// or 128 and 128, 192 or 256, on Ampere 32 or 64 and 64, t and u of them, waves of w classes, as many as
  /// ⌊budget / 2 N⌋ allows and leave least of the device idle, and tiles of m rows for products:
  ///
  ///     2 N w                gradients of logits of a wave
  ///     40 N + 4 t u + 8     coefficients and targets of tokens, and which cells are live
  ///     4 t u + 4 ⌈V / w⌉    which tiles are computed, rounded up, if the forward pass kept its; on Ampere 2 t u
  ///     4 N D                sums of dE
  ///     4 w ⌈N / 256⌉        shares of the bias
  ///     4 (1 + t) ⌈w / m⌉ + 4 (1 + w / r) ⌈N / m⌉     lists of live cells
  ///     1024                 descriptions of the operands, on Hopper
  ///     4 N + 4 (⌈N / 256⌉ + ⌈V / 256⌉ + 2) D         as above
  public var workspaceByteCount: Int { backward?.workspaceByteCount ?? 0 }

  /// Computes the gradients of a loss by everything that has one, from those by what the forward pass gave.
  ///
  /// - Parameters:
  ///   - inputs: What the forward pass took.
  ///   - forward: What it gave: for a shard, what ``LinearCrossEntropyPlan/merge(_:_:)`` did.
  ///   - upstream: The gradients by loss, LSE, log-probabilities and entropy; by default 1 by the loss.
  /// - Returns: The gradients. Of a problem without tokens, or all of whose tokens are ignored, they are 0.
  /// - Throws: ``TileCLError`` that names the tensor that is missing or of a wrong engine, dtype, shape or layout;
  ///   ``TileCLError/Code/limitExceeded`` or ``TileCLError/Code/openCL`` when the device has no room or fails.
  public func run<Element: FloatingPointElement>(
    _ inputs: LinearCrossEntropyInputs<Element>, forward: LinearCrossEntropyOutput,
    upstream: LinearCrossEntropyUpstream = LinearCrossEntropyUpstream()
  ) throws -> LinearCrossEntropyGradients<Element> {
    try inputs.validate(descriptor, on: engine)
    try forward.lse.require("forward.lse", shape: [descriptor.tokens], dtype: .float32, on: engine)
    try upstream.validate(descriptor, on: engine)
    if upstream.entropy != nil, forward.entropy == nil {
      throw TileCLError.invalid("forward.entropy", "nil", allowed: "the entropy of the forward pass")
    }
    guard descriptor.tokens > 0 else { return try zeros(LinearCrossEntropyAudit.nothing) }
    switch forward.state {
    case .device(let state):
      guard let context, let backward, let portable else { break }
      let arguments = try LinearCrossEntropyArguments(descriptor, inputs, on: context)
      let pass: any LinearCrossEntropyBackwardPass = try backward.takes(arguments) ? backward : portable.value()
      return try pass.run(arguments, forward: forward, upstream: upstream, state: state)
    case .reference(let rows):
      return try rounded(
        Reference.linearCrossEntropyGradients(
          descriptor, inputs.values(), upstream: upstream.values(), rows: rows))
    }
    throw TileCLError.invalid("forward", "the output of another engine", allowed: "that of the plan's engine")
  }

  private var wantsClassifier: Bool { parameters.contains(.classifier) && descriptor.quantization == nil }
  private var wantsBias: Bool { parameters.contains(.bias) && descriptor.logits.hasBias }

  private func rounded<Element: FloatingPointElement>(
    _ gradients: LinearCrossEntropyReferenceGradients
  ) throws -> LinearCrossEntropyGradients<Element> {
    func tensor(_ values: [Double], _ shape: [Int], _ isWanted: Bool) throws -> Tensor<Element>? {
      try isWanted ? engine.tensor(values.map(Element.init(rounding:)), shape: shape) : nil
    }
    return LinearCrossEntropyGradients(
      embeddings: try tensor(
        gradients.embeddings, descriptor.embeddingsShape, parameters.contains(.embeddings)),
      classifier: try tensor(gradients.classifier, descriptor.classifierShape, wantsClassifier),
      bias: try tensor(gradients.bias, [descriptor.vocabulary], wantsBias), audit: nil)
  }

  private func zeros<Element: FloatingPointElement>(
    _ audit: LinearCrossEntropyAudit
  ) throws -> LinearCrossEntropyGradients<Element> {
    LinearCrossEntropyGradients(
      embeddings: try parameters.contains(.embeddings) ? engine.zeros(shape: descriptor.embeddingsShape) : nil,
      classifier: try wantsClassifier ? engine.zeros(shape: descriptor.classifierShape) : nil,
      bias: try wantsBias ? engine.zeros(shape: [descriptor.vocabulary]) : nil,
      audit: context != nil && audits ? audit : nil)
  }
}

extension LinearCrossEntropyAudit {
  /// Of a problem without tokens.
  fileprivate static let nothing = Self(tiles: 0, keptTiles: 0, largestDroppedGradient: 0, emptiedClasses: 0)
}

extension Engine {
  /// Prepares the gradients of linear cross-entropy: chooses and builds kernels.
  ///
  /// - Parameters:
  ///   - descriptor: The problem of the forward pass. With `gradientTiles` among its outputs, tiles that the filter
  ///     leaves out are not computed.
  ///   - filter: What may be left out; the reference backend leaves out nothing.
  ///   - parameters: Of what to give gradients; what is left out is frozen.
  ///   - tileBudget: The bytes of gradients of logits that are held at a time, 64 MiB if nil, 80 MiB on matrix units.
  ///     One tile of classes is held whatever it takes, and with as many bytes as all of them have, there is one wave.
  ///   - audits: Whether to report what the filter left out, for which all tiles are computed, and the call waits for
  ///     the device; nil from the reference backend.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a threshold or budget that is none, and as
  ///   ``makePlan(_:logitBudget:)``.
  public func makeBackwardPlan(
    _ descriptor: LinearCrossEntropyDescriptor, filter: GradientFilter = GradientFilter(),
    parameters: LinearCrossEntropyParameters = .all, tileBudget: Int? = nil, audits: Bool = false
  ) throws -> LinearCrossEntropyBackwardPlan {
    try LinearCrossEntropyBackwardPlan(
      descriptor, filter: filter, parameters: parameters, budget: tileBudget, audits: audits, engine: self)
  }
}
