public import TileCLCore

extension Engine {
  /// A tensor with a copy of host values.
  ///
  /// - Parameters:
  ///   - values: As many values as the shape has, row by row.
  ///   - shape: Sizes along the axes, outermost first; an empty shape is a scalar.
  /// - Throws: ``TileCLError/Code/invalidArgument`` when values and shape disagree, ``TileCLError/Code/limitExceeded``
  ///   above the device's limit for one buffer.
  public func tensor<Element: TensorElement>(_ values: [Element], shape: [Int]) throws -> Tensor<Element> {
    try copying(values, shape: shape)
  }

  /// A tensor with a copy of fp32 values; numbers written out in the source become `Float` by this overload.
  ///
  /// - Throws: As ``tensor(_:shape:)->Tensor<Element>``.
  public func tensor(_ values: [Float], shape: [Int]) throws -> Tensor<Float> {
    try copying(values, shape: shape)
  }

  private func copying<Element: TensorElement>(_ values: [Element], shape: [Int]) throws -> Tensor<Element> {
    let tensor = try empty(Element.self, shape: shape)
    guard values.count == tensor.count else {
      throw TileCLError.invalid(
        "values", "\(values.count) elements", allowed: "\(tensor.count) elements for shape \(shape)")
    }
    try values.withUnsafeBytes { try tensor.storage.write($0) }
    return tensor
  }

  /// A tensor over host memory: in place on the reference backend and on devices that share memory with the host, given
  /// page-aligned memory; a copy elsewhere.
  ///
  /// - Parameters:
  ///   - memory: As many values as the shape has, row by row; nobody may write it while the tensor lives.
  ///   - shape: Sizes along the axes, outermost first.
  ///   - owner: Whatever keeps the memory, such as a mapped file; it is kept as long as the memory is used.
  /// - Throws: As ``tensor(_:shape:)->Tensor<Element>``.
  public func tensor<Element: TensorElement>(
    sharing memory: UnsafeMutableBufferPointer<Element>, shape: [Int], keepingAlive owner: some Sendable
  ) throws -> Tensor<Element> {
    let count = try elementCount(shape, of: Element.self)
    guard memory.count == count else {
      throw TileCLError.invalid("memory", "\(memory.count) elements", allowed: "\(count) elements for shape \(shape)")
    }
    guard count > 0 else { return try empty(shape: shape) }
    let bytes = UnsafeMutableRawBufferPointer(memory)
    let storage: TensorStorage =
      switch backend {
      case .openCL(let context): .device(try context.makeBuffer(sharing: bytes, keepingAlive: owner), context.queue)
      case .reference: .host(HostMemory(borrowing: bytes, owner: owner))
      }
    return Tensor(engine: self, storage: storage, shape: shape)
  }

  /// A tensor of zeros.
  ///
  /// - Throws: As ``tensor(_:shape:)->Tensor<Element>``.
  public func zeros<Element: TensorElement>(
    _ type: Element.Type = Element.self, shape: [Int]
  ) throws -> Tensor<Element> {
    let tensor = try empty(type, shape: shape)
    try tensor.storage.clear()
    return tensor
  }

  /// A tensor with unspecified values, to be written by an operation.
  ///
  /// - Throws: As ``tensor(_:shape:)->Tensor<Element>``.
  public func empty<Element: TensorElement>(
    _ type: Element.Type = Element.self, shape: [Int]
  ) throws -> Tensor<Element> {
    let count = try elementCount(shape, of: Element.self)
    // OpenCL has no empty buffers: a tensor without elements has one that nobody reads.
    let byteCount = try checkedProduct([max(count, 1), Element.dtype.byteCount], argument: "tensor")
    let storage: TensorStorage =
      switch backend {
      case .openCL(let context): .device(try context.makeBuffer(byteCount: byteCount), context.queue)
      case .reference: .host(try HostMemory(byteCount: byteCount))
      }
    return Tensor(engine: self, storage: storage, shape: shape)
  }

  private func elementCount<Element: TensorElement>(_ shape: [Int], of type: Element.Type) throws -> Int {
    // Anyone may conform a type of their own, and kernels go by the dtype that it claims.
    guard MemoryLayout<Element>.stride == Element.dtype.byteCount else {
      throw TileCLError.invalid(
        "Element", "\(type) with \(MemoryLayout<Element>.stride) bytes",
        allowed: "a type of \(Element.dtype.byteCount) bytes, as its dtype \(Element.dtype) has")
    }
    return try Shape.elementCount(shape, argument: "tensor")
  }
}
