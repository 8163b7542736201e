import TileCLCore
import TileCLReference
import TileCLRuntime

/// What the generated code of linear cross-entropy depends on; problems with equal values share its programs.
///
/// Sizes of the problem, the number of splits, strides, scales, weights and the ignore index are arguments of the
/// kernels instead.
struct LinearCrossEntropyKernelDescriptor: Hashable, Sendable {
  var dtype: DType
  var tile: LinearCrossEntropyTile
  /// Work-items of the reduction's one work-group, a power of two.
  var reduceItems: Int
  var hasBias: Bool
  var hasSoftcap: Bool
  /// The bits of a code, and whether it is centred; nil for a dense classifier.
  var bits: Int?
  var isSymmetric: Bool
  /// The number by which kernels know the kind of targets.
  var targets: Int
  var hasSmoothing: Bool
  var hasClassWeights: Bool
  var statistics: [LinearCrossEntropyStatistic]
  /// Whether the forward pass keeps what the backward pass needs to leave out tiles.
  var keepsTiles: Bool

  /// - Throws: ``TileCLError/Code/unsupported`` for a device with less local memory than any tile needs.
  init(_ problem: LinearCrossEntropyDescriptor, device: Device) throws {
    let capabilities = device.capabilities
    let fitting = LinearCrossEntropyTile.candidates(for: device).first {
      $0.groupItems <= capabilities.maximumWorkGroupSize && $0.localByteCount <= capabilities.localMemory
    }
    guard let fitting else {
      var error = TileCLError(
        .unsupported,
        "linear cross-entropy needs \(LinearCrossEntropyTile.single.localByteCount) bytes of local memory; "
          + "the device has \(capabilities.localMemory)",
        hint: "set TILECL_BACKEND=reference to compute on the host")
      error.device = device.name
      throw error
    }
    tile = fitting
    reduceItems = 1
    while reduceItems < 256, 2 * reduceItems <= capabilities.maximumWorkGroupSize { reduceItems *= 2 }
    dtype = problem.dtype
    hasBias = problem.logits.hasBias
    hasSoftcap = problem.logits.softcap != nil
    bits = problem.quantization?.bits.rawValue
    isSymmetric = problem.quantization?.scheme != .affine
    targets =
      switch problem.targets {
      case .classes: 0
      case .probabilities: 1
      case .top: 2
      }
    hasSmoothing = problem.loss.labelSmoothing > 0
    hasClassWeights = problem.loss.hasClassWeights
    statistics = problem.statistics
    keepsTiles = problem.outputs.contains(.gradientTiles)
  }

  /// What all programs share.
  private var common: [String: Int] {
    [
      "STORAGE": dtype.storageKey, "HAS_BIAS": hasBias ? 1 : 0, "SOFTCAP": hasSoftcap ? 1 : 0,
      "QUANTIZED": bits ?? 0, "SYMMETRIC": isSymmetric ? 1 : 0, "TARGETS": targets,
      "HAS_WEIGHTS": hasClassWeights ? 1 : 0, "SMOOTHING": hasSmoothing ? 1 : 0,
    ]
  }

  private var planes: [String: Int] {
    var defines = [
      "SPREAD": statistics.contains(.spread) ? 1 : 0, "ARGMAX": statistics.contains(.argmax) ? 1 : 0,
    ]
    for (name, statistic) in [
      ("PLANE_MASS", LinearCrossEntropyStatistic.mass), ("PLANE_WEIGHTED", .weighted), ("PLANE_SPREAD", .spread),
      ("PLANE_ARGMAX", .argmax),
    ] { defines[name] = statistics.firstIndex(of: statistic) ?? 0 }
    return defines
  }

  /// The definitions of `linear_cross_entropy.cl`.
  var partialsDefines: [String: Int] {
    common.merging(planes) { $1 }.merging(tile.defines) { $1 }
      .merging(["HAS_ORDER": keepsTiles ? 1 : 0, "TILE_MAXIMA": keepsTiles ? 1 : 0]) { $1 }
  }

  // What goes before and after the products depends on few of the keys each, so that problems share it.

  private var ofTargets: [String: Int] {
    ["TARGETS": targets, "HAS_WEIGHTS": hasClassWeights ? 1 : 0, "VECTOR": tile.vector]
  }

  private var ofClassifier: [String: Int] {
    [
      "STORAGE": dtype.storageKey, "HAS_BIAS": hasBias ? 1 : 0, "QUANTIZED": bits ?? 0,
      "SYMMETRIC": isSymmetric ? 1 : 0, "VECTOR": tile.vector,
    ]
  }

  /// The definitions of `linear_cross_entropy_steps.cl`, which reads elements of top targets alone.
  var stepsDefines: [String: Int] {
    ofTargets.merging(planes) { $1 }.merging([
      "STORAGE": targets == 2 ? dtype.storageKey : DType.float32.storageKey, "SMOOTHING": hasSmoothing ? 1 : 0,
      "REDUCE_ITEMS": reduceItems,
    ]) { $1 }
  }

  /// The definitions of `linear_cross_entropy_lookup.cl`.
  var lookupDefines: [String: Int] { ofClassifier.merging(["SOFTCAP": hasSoftcap ? 1 : 0]) { $1 } }

  /// The definitions of `linear_cross_entropy_order.cl`.
  var orderDefines: [String: Int] { ofClassifier }

  /// The definitions of `linear_cross_entropy_backward.cl` where it writes logits.
  var logitsDefines: [String: Int] {
    common.merging(tile.defines) { $1 }
      .merging(["LOGITS": 1, "TARGETS": 0, "HAS_WEIGHTS": 0, "SMOOTHING": 0]) { $1 }
  }

  /// The definitions of `linear_cross_entropy_gradient_steps.cl`.
  var gradientStepsDefines: [String: Int] {
    ofTargets.merging(["STORAGE": dtype.storageKey, "SMOOTHING": hasClosedSmoothing ? 1 : 0]) { $1 }
  }

  /// Whether smoothing's share of the gradients is added in closed form.
  var hasClosedSmoothing: Bool { hasSmoothing && !hasSoftcap }

  /// The definitions of `linear_cross_entropy_backward.cl`.
  func backwardDefines(hasEntropy: Bool, audits: Bool) -> [String: Int] {
    common.merging(tile.defines) { $1 }.merging([
      "HAS_ORDER": 1, "ENTROPY": hasEntropy ? 1 : 0, "AUDIT": audits ? 1 : 0,
      "DENSE": hasSmoothing && hasSoftcap ? 1 : 0, "SMOOTHING": hasClosedSmoothing ? 1 : 0,
    ]) { $1 }
  }
}
