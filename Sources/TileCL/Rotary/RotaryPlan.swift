public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// Rotary position embedding made ready for one engine, forward and back.
///
/// ```swift
/// let plan = try engine.makePlan(RotaryDescriptor(heads: 8, tokens: 512, headDimension: 64))
/// let queries = try projected.reshaped([1, 512, 8, 64]).transposed(1, 2)
/// try plan.run(queries, into: queries)
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread. Plans of other shapes, bases
/// and positions share compiled programs. ``RotaryDescriptor`` has the formula.
public struct RotaryPlan: Sendable {
  public let descriptor: RotaryDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  private let kernel: LaunchableKernel?

  /// What a device needs.
  private struct LaunchableKernel: Sendable {
    let program: RowProgram
    /// Fractions of a turn for each position, in two parts.
    let turns: Buffer
    let isCPU: Bool

    init(_ descriptor: RotaryDescriptor, on context: Context) throws {
      program = try RowProgram(
        .rotary, kernels: ["tilecl_rotary"],
        keys: [
          "STORAGE": descriptor.dtype.storageKey, "INTERLEAVED": descriptor.pairing == .interleaved ? 1 : 0,
        ], on: context)
      turns = try context.makeBuffer(
        copying: (0..<descriptor.rotaryDimension / 2).flatMap { pair in
          let turn = descriptor.frequency(pair) / (2 * .pi)
          return [Float(turn), Float(turn - Double(Float(turn)))]
        })
      isCPU = context.device.kind == .cpu
    }
  }

  init(_ descriptor: RotaryDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    kernel = try engine.context.map { try LaunchableKernel(descriptor, on: $0) }
  }

  /// Turns pairs of channels by their tokens' positions.
  ///
  /// - Parameters:
  ///   - x: [batch, heads, tokens, headDimension], such as queries or keys. Views are taken as they are, as long as
  ///     channels are adjacent: [B, S, H, D] storage passes as `transposed(1, 2)`.
  ///   - positions: [tokens] or [batch, tokens]; counted from ``RotaryDescriptor/positionOffset`` unless given.
  ///   - y: What to fill; a new tensor unless given. It may be `x`, and else shares no memory with it.
  /// - Returns: y. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    _ x: Tensor<Element>, positions: Tensor<Int32>? = nil, into y: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    try turn(x, positions: positions, into: y, isInverse: false)
  }

  /// Turns them back: the inverse, and for the gradient of y what gives the gradient of x.
  ///
  /// - Throws: As ``run(_:positions:into:)``.
  @discardableResult
  public func runInverse<Element: FloatingPointElement>(
    _ y: Tensor<Element>, positions: Tensor<Int32>? = nil, into x: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    try turn(y, positions: positions, into: x, isInverse: true)
  }

  private func turn<Element: FloatingPointElement>(
    _ x: Tensor<Element>, positions: Tensor<Int32>?, into given: Tensor<Element>?, isInverse: Bool
  ) throws -> Tensor<Element> {
    let (sourceName, targetName) = isInverse ? ("y", "x") : ("x", "y")
    try x.require(sourceName, shape: descriptor.shape, dtype: descriptor.dtype, on: engine)
    try x.requireContiguousRows(sourceName)
    let y = try engine.destination(given, targetName, shape: descriptor.shape, dtype: descriptor.dtype)
    try y.requireSameOrApart(targetName, from: x.place, sourceName)
    if let positions {
      let shape = positions.shape.count == 1 ? [descriptor.tokens] : [descriptor.batch, descriptor.tokens]
      try positions.require("positions", shape: shape, dtype: .int32, on: engine)
      try y.requireApart(targetName, from: positions.place, "positions")
    }
    guard let kernel else {
      let values = try Reference.rotary(
        descriptor, x: x.floats(), positions: positions?.array(), isInverse: isInverse)
      try y.assign(values.map(Element.init(rounding:)))
      return y
    }
    var arguments: [KernelArgument] = []
    for tensor in [x, y] {
      arguments += try tensor.kernelArgumentAndOffset + tensor.strides.prefix(3).map { .element($0) }
    }
    if let positions {
      arguments += try positions.kernelArgumentAndOffset
      arguments += [.element(positions.shape.count == 1 ? 0 : positions.strides[0])]
      arguments += [.element(positions.strides[positions.strides.count - 1])]
    } else {
      arguments += [.noBuffer, .element(0), .element(0), .element(0)]
    }
    let pairs = descriptor.rotaryDimension / 2
    // The pairs, then the channels that are copied unless they are there; on a CPU an item takes all of a token's.
    let places = pairs + (x.place == y.place ? 0 : descriptor.headDimension - 2 * pairs)
    arguments.append(.buffer(kernel.turns))
    for size in [descriptor.batch, descriptor.heads, descriptor.tokens, pairs, places] {
      arguments.append(.uint32(UInt32(truncatingIfNeeded: size)))
    }
    arguments += [.int32(Int32(truncatingIfNeeded: descriptor.positionOffset)), .float(isInverse ? -1 : 1)]
    let items = descriptor.batch * descriptor.tokens * (kernel.isCPU ? 1 : places)
    try kernel.program.launch(
      "tilecl_rotary", groups: kernel.program.groups(items: items), arguments)
    return y
  }
}

extension Engine {
  /// Makes a rotary position embedding ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: RotaryDescriptor) throws -> RotaryPlan { try RotaryPlan(descriptor, on: self) }
}
