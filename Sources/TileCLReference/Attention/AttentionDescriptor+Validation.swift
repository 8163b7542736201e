import TileCLCore

extension AttentionDescriptor {
  func validateSizes() throws {
    for (name, count) in [("batch", batch), ("queryHeads", queryHeads), ("keyValueHeads", keyValueHeads)] {
      // Heads are counted in 32 bits, as positions are.
      try AttentionLimits.requireLength(name, count)
    }
    guard queryHeads % keyValueHeads == 0 else {
      throw TileCLError.invalid(
        "keyValueHeads", keyValueHeads, allowed: "a divisor of queryHeads = \(queryHeads)",
        hint: "Each key and value head serves the same number of query heads.")
    }
    try AttentionLimits.requireLength("queryLength", queryLength)
    try AttentionLimits.requireLength("keyLength", keyLength)
    for (name, size) in [("headDimension", headDimension), ("valueDimension", valueDimension)] {
      guard AttentionLimits.dimension.contains(size) else {
        throw TileCLError.invalid(name, size, allowed: "1...\(AttentionLimits.dimension.upperBound)")
      }
    }
    guard dtype.isFloatingPoint else {
      throw TileCLError.invalid(
        "dtype", dtype.rawValue, allowed: DType.floatingPointCases.map(\.rawValue).joined(separator: ", "))
    }
    guard scale.isFinite else {
      throw TileCLError.invalid("scale", scale, allowed: "a finite number")
    }
    for (name, shape) in [
      ("query", queryShape), ("key", keyShape), ("value", valueShape), ("output", outputShape),
    ] {
      _ = try checkedProduct(shape + [dtype.byteCount], argument: name)
    }
  }

  func validateMask() throws {
    if case .blocks(let blocks) = mask {
      for (name, length, made) in [
        ("queryLength", queryLength, blocks.queryLength), ("keyLength", keyLength, blocks.keyLength),
      ] where length != made {
        throw TileCLError.invalid(
          "mask.\(name)", made, allowed: "\(length), the \(name) of the problem",
          hint: "A block mask holds for the lengths that it was made for.")
      }
    }
    guard let tokenOrder else { return }
    guard queryLength == keyLength else {
      throw TileCLError.invalid(
        "tokenOrder", tokenOrder, allowed: "nil if queryLength (\(queryLength)) is not keyLength (\(keyLength))",
        hint: "One order serves queries and keys, so both have the same tokens.")
    }
    guard tokenOrder.count == queryLength else {
      throw TileCLError.invalid(
        "tokenOrder.count", tokenOrder.count, allowed: "\(queryLength), the queryLength of the problem")
    }
  }
}
