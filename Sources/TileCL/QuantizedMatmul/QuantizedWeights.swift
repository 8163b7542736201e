import TileCLCore
public import TileCLReference

/// A quantized N x K weight matrix in the memory of an ``Engine``.
///
/// One packed copy serves every number of activation rows and every dtype of activations. The arrangement of its
/// bytes is ``QuantizedLayout``; ``packed()`` copies them out, and ``Engine/quantizedWeights(_:)`` copies them in.
public struct QuantizedWeights: Sendable {
  public let layout: QuantizedLayout
  /// `[N, wordsPerRow]` words, as signed integers of the same bits.
  package let codes: Tensor<Int32>
  /// `[N, groupsPerRow]`.
  package let scales: Tensor<Float>
  /// `[N, groupsPerRow]`; nil in the symmetric scheme.
  package let offsets: Tensor<Float>?

  /// Where the weights live.
  public var engine: Engine { codes.engine }
  public var format: QuantizationFormat { layout.format }
  /// N, the rows of the matrix: the columns of a product with it.
  public var columns: Int { layout.columns }
  /// K, the columns of the matrix.
  public var depth: Int { layout.depth }
  /// The bytes of codes, scales and offsets together.
  public var byteCount: Int { layout.byteCount }

  /// Unspecified weights, to be filled by a kernel.
  init(emptyOn engine: Engine, layout: QuantizedLayout) throws {
    let groups = [layout.columns, layout.groupsPerRow]
    self.layout = layout
    codes = try engine.empty(Int32.self, shape: [layout.columns, layout.wordsPerRow])
    scales = try engine.empty(Float.self, shape: groups)
    offsets = layout.format.scheme == .affine ? try engine.empty(Float.self, shape: groups) : nil
  }

  init(_ packed: PackedWeights, on engine: Engine) throws {
    layout = packed.layout
    let groups = [layout.columns, layout.groupsPerRow]
    codes = try engine.tensor(
      packed.codes.map(Int32.init(bitPattern:)), shape: [layout.columns, layout.wordsPerRow])
    scales = try engine.tensor(packed.scales, shape: groups)
    offsets = layout.format.scheme == .affine ? try engine.tensor(packed.offsets, shape: groups) : nil
  }

  /// Codes, scales and offsets as Swift arrays, copied when all work that fills them is done.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the device failed.
  public func packed() throws -> PackedWeights {
    try PackedWeights(
      layout: layout, codes: codes.array().map(UInt32.init(bitPattern:)), scales: scales.array(),
      offsets: offsets?.array() ?? [])
  }
}

extension Engine {
  /// Copies packed weights, for example those of a file, into this engine's memory.
  ///
  /// - Throws: ``TileCLError/Code/limitExceeded`` above the device's limit for one buffer.
  public func quantizedWeights(_ packed: PackedWeights) throws -> QuantizedWeights {
    try QuantizedWeights(packed, on: self)
  }
}
