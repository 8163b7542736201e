public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// A matrix product made ready for one engine: its kernel is compiled, its workspace is known.
///
/// ```swift
/// let plan = try engine.makePlan(MatmulDescriptor(rows: 512, columns: 768, depth: 256, transposeB: true))
/// let y = try plan.run(x, weights)
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread, and gives the same bits for
/// the same input every time. Plans of other sizes, factors and biases share compiled programs.
/// ``MatmulDescriptor`` has the formula.
public struct MatmulPlan: Sendable {
  public let descriptor: MatmulDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  /// The kernels; nil on the reference backend.
  private let variants: MatmulVariants?

  init(_ descriptor: MatmulDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    variants = try engine.context.map { try MatmulVariants(descriptor, on: $0) }
  }

  /// The name of the kernel's row in the ``KernelTable``, or `reference`.
  public var variant: String { variants?.name ?? "reference" }

  /// The name of the sizes that the kernel was compiled for; nil if the reference computes.
  public var tuning: String? { variants?.launch.tuning }

  /// How many work-groups share the depth of one tile of C; 1 on the reference backend.
  public var splits: Int { variants?.launch.splits ?? 1 }

  /// The device memory that a run takes besides its result, in bytes: the sums of splits, or for
  /// the Hopper kernel 384 for each matrix of a batch.
  public var workspaceByteCount: Int { variants?.launch.workspaceByteCount ?? 0 }

  /// Multiplies into a new tensor of the operands' type.
  ///
  /// - Parameters:
  ///   - a: `MatmulDescriptor.aShape`. Rows and matrices may lie any distance apart, elements of a row may not.
  ///   - b: `MatmulDescriptor.bShape`, likewise.
  ///   - bias: [N], for a problem with a bias.
  /// - Returns: C, `MatmulDescriptor.cShape`. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor that is missing, not expected, or of a wrong engine, dtype, shape
  ///   or layout, or `c` if beta is not 0; `limitExceeded` if C or the sums of splits exceed the device's limit.
  public func run<Element: FloatingPointElement>(
    _ a: Tensor<Element>, _ b: Tensor<Element>, bias: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    try run(a, b, bias: bias, as: Element.self)
  }

  /// Multiplies into a new tensor of a type of its own.
  ///
  /// - Parameters:
  ///   - a: `MatmulDescriptor.aShape`.
  ///   - b: `MatmulDescriptor.bShape`.
  ///   - bias: [N], for a problem with a bias.
  ///   - type: The Swift type of ``MatmulDescriptor/outputDType``.
  /// - Throws: As ``run(_:_:bias:)``.
  public func run<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ a: Tensor<Element>, _ b: Tensor<Element>, bias: Tensor<Element>? = nil, as type: Output.Type
  ) throws -> Tensor<Output> {
    guard descriptor.beta == 0 else {
      throw TileCLError(
        .invalidArgument, "c is missing, of which beta = \(descriptor.beta) times is added", argument: "c",
        hint: "call run(_:_:bias:into:)")
    }
    return try multiply(a, b, bias: bias, c: nil)
  }

  /// Multiplies into a tensor that there is.
  ///
  /// - Parameters:
  ///   - a: `MatmulDescriptor.aShape`.
  ///   - b: `MatmulDescriptor.bShape`.
  ///   - bias: [N], for a problem with a bias.
  ///   - c: `MatmulDescriptor.cShape`, a view if wanted; read before unless beta is 0. It may share memory with no
  ///     operand, and other threads must leave it alone until the run is enqueued.
  /// - Returns: `c`.
  /// - Throws: As ``run(_:_:bias:)``.
  @discardableResult
  public func run<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ a: Tensor<Element>, _ b: Tensor<Element>, bias: Tensor<Element>? = nil, into c: Tensor<Output>
  ) throws -> Tensor<Output> {
    try multiply(a, b, bias: bias, c: c)
  }

  private func multiply<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ a: Tensor<Element>, _ b: Tensor<Element>, bias: Tensor<Element>?, c given: Tensor<Output>?
  ) throws -> Tensor<Output> {
    try a.require("a", shape: descriptor.aShape, dtype: descriptor.dtype, on: engine)
    try b.require("b", shape: descriptor.bShape, dtype: descriptor.dtype, on: engine)
    try a.requireContiguousRows("a")
    try b.requireContiguousRows("b")
    guard (bias != nil) == descriptor.hasBias else {
      throw TileCLError.invalid(
        "bias", bias == nil ? "missing" : "given", allowed: "a tensor if and only if the descriptor has a bias")
    }
    if let bias {
      try bias.require("bias", shape: [descriptor.columns], dtype: descriptor.dtype, on: engine)
      try bias.requireContiguous("bias")
    }
    let c = try engine.destination(given, "c", shape: descriptor.cShape, dtype: descriptor.outputDType)
    if given != nil {
      for (name, place) in [("a", a.place), ("b", b.place)] { try c.requireApart("c", from: place, name) }
      if let bias { try c.requireApart("c", from: bias.place, "bias") }
    }
    if let variants {
      let hasBatch = descriptor.batch != nil
      _ = try variants.enqueue(
        MatmulOperands(
          a: .init(a, hasBatch: hasBatch), b: .init(b, hasBatch: hasBatch), c: .init(c, hasBatch: hasBatch),
          bias: bias?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]))
    } else {
      let product = try Reference.matmul(
        descriptor, a: a.floats(), b: b.floats(), c: descriptor.beta == 0 ? nil : c.floats(), bias: bias?.floats())
      try c.assign(product.map(Output.init(rounding:)))
    }
    return c
  }
}

extension Engine {
  /// Makes a matrix product ready to run: chooses and builds a kernel.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/unsupported`` for a device
  ///   that no kernel of this operation can run on, ``TileCLError/Code/openCL`` when the driver fails.
  public func makePlan(_ descriptor: MatmulDescriptor) throws -> MatmulPlan {
    try MatmulPlan(descriptor, on: self)
  }
}
