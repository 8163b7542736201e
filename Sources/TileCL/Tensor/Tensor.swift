public import TileCLCore
package import TileCLRuntime

/// An array of numbers with a shape, in the memory of an ``Engine``.
///
/// Element [i, j, ...] stands at `offset + i * strides[0] + j * strides[1] + ...`, counted in elements. A fresh tensor
/// is row-major: the last axis is contiguous. Views share memory with what they were taken from. A tensor's values do
/// not change once an operation has filled it, unless a call is told to write it, by `into:` or as the state of an
/// ``AdamWPlan``.
public struct Tensor<Element: TensorElement>: Sendable {
  /// Where the tensor lives.
  public let engine: Engine
  package let storage: TensorStorage
  /// Sizes along the axes, outermost first.
  public let shape: [Int]
  /// Distances between neighbours along the axes, in elements.
  public let strides: [Int]
  /// The place of the first element, in elements from the start of the memory.
  public let offset: Int

  /// A tensor over all of its storage; the shape must have been validated.
  init(engine: Engine, storage: TensorStorage, shape: [Int]) {
    self.init(engine: engine, storage: storage, shape: shape, strides: Shape.rowMajorStrides(shape), offset: 0)
  }

  private init(engine: Engine, storage: TensorStorage, shape: [Int], strides: [Int], offset: Int) {
    self.engine = engine
    self.storage = storage
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }

  /// How many elements there are.
  public var count: Int { shape.reduce(1, *) }

  public var dtype: DType { Element.dtype }

  /// Whether the elements follow each other row by row without gaps.
  public var isContiguous: Bool {
    // Along an axis with one element no stride is ever taken, and without elements none at all.
    count == 0
      || zip(shape, zip(strides, Shape.rowMajorStrides(shape))).allSatisfy { $0 == 1 || $1.0 == $1.1 }
  }

  /// The device memory; nil on the reference backend.
  package var buffer: Buffer? {
    if case .device(let buffer, _) = storage { buffer } else { nil }
  }

  /// Copies the values out, row by row, when all work that fills them is done.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the device failed.
  public func array() throws -> [Element] {
    guard count > 0 else { return [] }
    if isContiguous { return try storage.elements(Element.self, first: offset, count: count) }
    let extent = zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
    let span = try storage.elements(Element.self, first: offset, count: extent)
    var positions = [0]
    for (size, stride) in zip(shape, strides) {
      positions = positions.flatMap { base in (0..<size).map { base + $0 * stride } }
    }
    return positions.map { span[$0] }
  }
}

// MARK: - Views

extension Tensor {
  /// The tensor with two axes exchanged; no element moves.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for an axis that there is not.
  public func transposed(_ first: Int, _ second: Int) throws -> Tensor {
    for (name, axis) in [("first", first), ("second", second)] { try requireAxis(name, axis) }
    var shape = shape
    var strides = strides
    shape.swapAt(first, second)
    strides.swapAt(first, second)
    return Tensor(engine: engine, storage: storage, shape: shape, strides: strides, offset: offset)
  }

  /// The part of the tensor with indices in `range` along one axis; no element moves.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for an axis that there is not; ``TileCLError/Code/outOfRange`` for
  ///   an empty range or one outside the axis.
  public func sliced(axis: Int, range: Range<Int>) throws -> Tensor {
    try requireAxis("axis", axis)
    guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= shape[axis] else {
      throw TileCLError(
        .outOfRange, "range \(range) is not a part of axis \(axis) with \(shape[axis]) elements", argument: "range")
    }
    var sliced = shape
    sliced[axis] = range.count
    return Tensor(
      engine: engine, storage: storage, shape: sliced, strides: strides,
      offset: offset + range.lowerBound * strides[axis])
  }

  /// The same elements, row by row, under another shape; no element moves.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for another number of elements, or a tensor that is not contiguous.
  public func reshaped(_ newShape: [Int]) throws -> Tensor {
    guard try Shape.elementCount(newShape, argument: "newShape") == count else {
      throw TileCLError.invalid("newShape", newShape, allowed: "sizes with a product of \(count)")
    }
    guard isContiguous else {
      throw TileCLError.invalid(
        "self", "a view with strides \(strides)", allowed: "a contiguous tensor", hint: "call contiguous() first")
    }
    return Tensor(
      engine: engine, storage: storage, shape: newShape, strides: Shape.rowMajorStrides(newShape), offset: offset)
  }

  /// This tensor when it is contiguous, else a contiguous copy made through the host.
  ///
  /// - Throws: As ``array()`` and ``Engine/tensor(_:shape:)->Tensor<Element>``.
  public func contiguous() throws -> Tensor {
    isContiguous ? self : try engine.tensor(array(), shape: shape)
  }

  private func requireAxis(_ name: String, _ axis: Int) throws {
    guard shape.indices.contains(axis) else {
      throw TileCLError.invalid(name, axis, allowed: "an axis of 0 ..< \(shape.count)")
    }
  }
}

// MARK: - For operations

extension Tensor {
  /// Checks an argument of an operation: it must live in the plan's engine and have the plan's shape and dtype.
  package func require(_ name: String, shape expected: [Int], dtype expectedType: DType, on expectedEngine: Engine)
    throws
  {
    guard engine === expectedEngine else {
      throw TileCLError.invalid(
        name, "a tensor of another engine (\(engine.name))", allowed: "a tensor of the plan's engine",
        hint: "make the tensor with the engine that made the plan")
    }
    guard dtype == expectedType else {
      throw TileCLError.invalid(name, "a tensor of \(dtype)", allowed: "\(expectedType), as in the descriptor")
    }
    guard shape == expected else {
      throw TileCLError.invalid(name, "a tensor of shape \(shape)", allowed: "shape \(expected)")
    }
  }

  /// Checks that the last axis is contiguous, which kernels rely on.
  package func requireContiguousRows(_ name: String) throws {
    guard let last = strides.last, last != 1, shape[shape.count - 1] > 1 else { return }
    throw TileCLError.invalid(
      name, "a view with strides \(strides)", allowed: "a stride of 1 along the last axis",
      hint: "pass \(name).contiguous()")
  }
}

extension Tensor {
  /// Checks that the elements follow each other without gaps.
  package func requireContiguous(_ name: String) throws {
    guard isContiguous else {
      throw TileCLError.invalid(
        name, "a view with strides \(strides)", allowed: "a contiguous tensor", hint: "pass \(name).contiguous()")
    }
  }
}

extension Tensor where Element: FloatingPointElement {
  /// The values as `Float`, exactly, row by row.
  package func floats() throws -> [Float] {
    let values = try array()
    // Numbers that are fp32 already are not asked one by one, which costs more than most of what follows.
    if let floats = values as? [Float] { return floats }
    return values.map { $0.floatValue }
  }
}
