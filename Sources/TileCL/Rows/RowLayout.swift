import TileCLCore
import TileCLRuntime

/// The rows that several tensors of one shape have in common, as `common/rows.clh` takes them: up to three axes of
/// rows, and columns, which are adjacent in each of the tensors.
///
/// Axes that follow each other without gaps in all of the tensors are one, so that most tensors have few.
struct RowLayout: Sendable {
  /// A tensor, whatever its type.
  struct Operand: Sendable {
    let name: String
    let offset: Int
    let shape: [Int]
    let strides: [Int]
    /// The memory; nil on the reference backend.
    let argument: KernelArgument?

    init<Element>(_ name: String, _ tensor: Tensor<Element>) {
      self.name = name
      offset = tensor.offset
      shape = tensor.shape
      strides = tensor.strides
      argument = tensor.buffer.map(KernelArgument.buffer)
    }
  }

  /// An axis, with the distance that its elements have in each of the tensors.
  private struct Axis {
    var size: Int
    var strides: [Int]
  }

  /// Elements along the axes of rows, three of them.
  let sizes: [Int]
  let columns: Int
  private let operands: [Operand]
  private let strides: [[Int]]

  /// - Parameters:
  ///   - operands: Tensors of one shape, whose last axis is contiguous.
  ///   - joinsColumns: Whether rows that follow each other may become one, as they may where elements count alone.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for tensors with more axes of rows than kernels take.
  init(_ operands: [Operand], joinsColumns: Bool) throws {
    self.operands = operands
    let shape = operands.first?.shape ?? []
    var axes: [Axis] = []
    for axis in shape.indices.dropLast() where shape[axis] > 1 {
      axes.append(Axis(size: shape[axis], strides: operands.map { $0.strides[axis] }))
    }
    var columns = shape.last ?? 1
    while joinsColumns, let last = axes.last, last.strides.allSatisfy({ $0 == columns }) {
      columns *= last.size
      axes.removeLast()
    }
    var rows: [Axis] = []
    for axis in axes.reversed() {
      if let inner = rows.last, zip(axis.strides, inner.strides).allSatisfy({ $0 == $1 * inner.size }) {
        rows[rows.count - 1].size *= axis.size
      } else {
        rows.append(axis)
      }
    }
    guard rows.count <= 3 else {
      let name = operands.first { $0.strides != Shape.rowMajorStrides(shape) }?.name ?? "tensor"
      throw TileCLError.invalid(
        name, "a view of shape \(shape) in more than three steps of rows",
        allowed: "views whose rows have up to three axes that are not adjacent", hint: "pass \(name).contiguous()")
    }
    self.columns = columns
    // The outermost axis, which no row is divided by, comes first: that alone makes a single axis cheap.
    let outermost = Array(rows.reversed())
    let filling = [Axis](repeating: Axis(size: 1, strides: operands.map { _ in 0 }), count: 3 - rows.count)
    let all = outermost + filling
    sizes = all.map(\.size)
    strides = operands.indices.map { index in all.map { $0.strides[index] } }
  }

  /// How many rows there are.
  var rowCount: Int { sizes.reduce(1, *) }

  /// ROWS_PARAMETERS.
  var arguments: [KernelArgument] {
    [.element(sizes[1]), .element(sizes[2]), .element(columns)]
  }

  /// TENSOR for the operand of a name; a null pointer if there is none.
  func tensor(_ name: String) -> [KernelArgument] {
    guard let index = operands.firstIndex(where: { $0.name == name }), let argument = operands[index].argument else {
      return [.noBuffer] + [KernelArgument](repeating: .element(0), count: 4)
    }
    return [argument, .element(operands[index].offset)] + strides[index].map { .element($0) }
  }
}
