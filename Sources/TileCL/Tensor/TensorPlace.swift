import TileCLCore

/// Where the elements of a tensor lie, whatever their type.
package struct TensorPlace: Equatable, Sendable {
  private let memory: ObjectIdentifier
  private let byteCount: Int
  private let shape: [Int]
  /// In bytes, as is `offset`.
  private let strides: [Int]
  private let offset: Int

  package init<Element>(_ tensor: Tensor<Element>) {
    let size = Element.dtype.byteCount
    memory = tensor.storage.identity
    byteCount = size
    shape = tensor.shape
    strides = tensor.strides.map { $0 * size }
    offset = tensor.offset * size
  }

  /// Bytes from the first element to the end of the last; views have no negative strides.
  private var extent: Int { zip(shape, strides).reduce(byteCount) { $0 + ($1.0 - 1) * $1.1 } }

  /// Bytes of a row, the elements along the last axis.
  private var rowExtent: Int { (shape.last ?? 1) * (strides.last ?? byteCount) }

  /// Whether two tensors may have elements in common. Slices of the columns of one tensor have none.
  package func overlaps(_ other: TensorPlace) -> Bool {
    guard memory == other.memory, offset < other.offset + other.extent, other.offset < offset + extent else {
      return false
    }
    // Rows that repeat at one distance, all others being multiples of it, stay apart if they do so within it.
    let steps = Set((strides.dropLast() + other.strides.dropLast()).filter { $0 > 0 })
    guard let step = steps.min(), steps.allSatisfy({ $0 % step == 0 }) else { return true }
    let (first, second) = (offset % step, other.offset % step)
    guard first + rowExtent <= step, second + other.rowExtent <= step else { return true }
    return first < second + other.rowExtent && second < first + rowExtent
  }
}

extension Tensor {
  package var place: TensorPlace { TensorPlace(self) }

  /// Checks that a tensor which an operation writes shares no element with one that it reads.
  package func requireApart(_ name: String, from other: TensorPlace, _ otherName: String) throws {
    guard place.overlaps(other) else { return }
    throw TileCLError.invalid(
      name, "a tensor that shares memory with \(otherName)", allowed: "memory of its own",
      hint: "leave \(name) out, or pass another tensor")
  }

  /// Checks the same, but for a tensor that is element by element the one read.
  package func requireSameOrApart(_ name: String, from other: TensorPlace, _ otherName: String) throws {
    if place != other { try requireApart(name, from: other, otherName) }
  }
}

extension Engine {
  /// What an operation writes: the tensor that it was given, checked, or a new one.
  ///
  /// - Throws: As ``Tensor/require(_:shape:dtype:on:)`` and ``Tensor/requireContiguousRows(_:)``.
  package func destination<Element: TensorElement>(
    _ given: Tensor<Element>?, _ name: String, shape: [Int], dtype: DType
  ) throws -> Tensor<Element> {
    let tensor = try given ?? empty(Element.self, shape: shape)
    try tensor.require(name, shape: shape, dtype: dtype, on: self)
    try tensor.requireContiguousRows(name)
    return tensor
  }
}

extension Tensor {
  /// Replaces the values, given row by row; rows may lie apart.
  package func assign(_ values: [Element]) throws {
    let size = MemoryLayout<Element>.stride
    let width = isContiguous ? count : shape.last ?? 1
    var starts = [offset]
    if !isContiguous {
      for (length, stride) in zip(shape, strides).dropLast() {
        starts = starts.flatMap { base in (0..<length).map { base + $0 * stride } }
      }
    }
    try values.withUnsafeBytes { bytes in
      for (row, start) in starts.enumerated() {
        let range = row * width * size..<(row + 1) * width * size
        try storage.write(UnsafeRawBufferPointer(rebasing: bytes[range]), offset: start * size)
      }
    }
  }
}
