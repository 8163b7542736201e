import TileCLCore
package import TileCLReference

extension AttentionInputs {
  /// Checks every tensor and capture against a problem.
  ///
  /// - Throws: ``TileCLError`` that names the one that is missing, not expected, or of a wrong engine, dtype, shape,
  ///   layout or value.
  func validate(_ problem: AttentionDescriptor, on engine: Engine) throws {
    for (name, tensor, shape) in [
      ("query", query, problem.queryShape), ("key", key, problem.keyShape), ("value", value, problem.valueShape),
    ] {
      try tensor.require(name, shape: shape, dtype: problem.dtype, on: engine)
      try tensor.requireContiguousRows(name)
    }
    try validate("bias", bias, problem.biasShape, problem.dtype, on: engine)
    try bias?.requireContiguousRows("bias")
    for (name, tensor, shape) in [
      ("alibiSlopes", alibiSlopes, problem.score.hasALiBi ? problem.headShape : nil),
      ("sinks", sinks, problem.score.hasSinks ? problem.headShape : nil),
      ("relativeBias", relativeBias, problem.relativeBiasShape),
    ] {
      try validate(name, tensor, shape, .float32, on: engine)
      try tensor?.requireContiguous(name)
    }
    try validateCaptures(problem, on: engine)
  }

  private func validate<Value>(
    _ name: String, _ tensor: Tensor<Value>?, _ shape: [Int]?, _ dtype: DType, on engine: Engine
  ) throws {
    switch (tensor, shape) {
    case (let tensor?, let shape?): try tensor.require(name, shape: shape, dtype: dtype, on: engine)
    case (nil, let shape?):
      throw TileCLError.invalid(name, "nil", allowed: "a tensor of shape \(shape): the descriptor's score asks for it")
    case (.some, nil):
      throw TileCLError.invalid(name, "a tensor", allowed: "nil: the descriptor's score does not ask for it")
    case (nil, nil): break
    }
  }

  private func validateCaptures(_ problem: AttentionDescriptor, on engine: Engine) throws {
    let declared = problem.captures
    for name in captures.keys.sorted() where !declared.contains(where: { $0.name == name }) {
      let names = declared.map(\.name).joined(separator: ", ")
      throw TileCLError.invalid(
        "captures", name, allowed: declared.isEmpty ? "none: there is no user code that captures" : names)
    }
    for capture in declared {
      let name = "captures[\"\(capture.name)\"]"
      switch (capture.kind, captures[capture.name]) {
      case (.float, .float(let number)):
        guard !number.isNaN else { throw TileCLError.invalid(name, number, allowed: "a number") }
      case (.int32, .int32): break
      case (.tensor(.float32), .floats(let tensor)):
        try tensor.require(name, shape: tensor.shape, dtype: .float32, on: engine)
        try tensor.requireContiguous(name)
      case (.tensor(.int32), .integers(let tensor)):
        try tensor.require(name, shape: tensor.shape, dtype: .int32, on: engine)
        try tensor.requireContiguous(name)
      case (let kind, let value):
        throw TileCLError.invalid(name, value?.summary ?? "nil", allowed: kind.summary)
      }
    }
  }
}

extension Capture.Kind {
  /// What errors call it.
  fileprivate var summary: String {
    switch self {
    case .float: "a float"
    case .int32: "an int32"
    case .tensor(let dtype): "a tensor of \(dtype)"
    }
  }
}

extension AttentionInputs.CaptureValue {
  /// What errors call it.
  fileprivate var summary: String {
    switch self {
    case .float(let number): "the float \(number)"
    case .int32(let number): "the int32 \(number)"
    case .floats(let tensor): "a float32 tensor of shape \(tensor.shape)"
    case .integers(let tensor): "an int32 tensor of shape \(tensor.shape)"
    }
  }
}

extension AttentionInputs {
  /// The values for the reference.
  package func values() throws -> AttentionValues {
    var captured = CapturedValues()
    for (name, value) in captures {
      captured[name] =
        switch value {
        case .float(let number): [Double(number)]
        case .int32(let number): [Double(number)]
        case .floats(let tensor): try tensor.array().map(Double.init)
        case .integers(let tensor): try tensor.array().map(Double.init)
        }
    }
    return AttentionValues(
      query: try query.floats(), key: try key.floats(), value: try value.floats(), bias: try bias?.floats() ?? [],
      alibiSlopes: try alibiSlopes?.array() ?? [], sinks: try sinks?.array() ?? [],
      relativeBias: try relativeBias?.array() ?? [], captures: captured, dropoutSeed: dropoutSeed)
  }
}
