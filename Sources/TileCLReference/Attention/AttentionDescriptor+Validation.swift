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
    if let masks = mask.blockMasks {
      let blocks = masks.masks[0]
      for (name, length, made) in [
        ("queryLength", queryLength, blocks.queryLength), ("keyLength", keyLength, blocks.keyLength),
      ] where length != made {
        throw TileCLError.invalid(
          "mask.\(name)", made, allowed: "\(length), the \(name) of the problem",
          hint: "A block mask holds for the lengths that it was made for.")
      }
      for (name, own, count) in [
        ("batch", masks.batch, batch), ("heads", masks.heads, queryHeads),
      ] where own != 1 && own != count {
        throw TileCLError.invalid("mask.\(name)", own, allowed: count == 1 ? "1" : "1 or \(count), as in the problem")
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

  func validateSequences() throws {
    guard let sequences else { return }
    guard mask.blockMasks == nil, tokenOrder == nil else {
      throw TileCLError.invalid(
        "sequences", "given with \(tokenOrder == nil ? "\(mask)" : "a token order")",
        allowed: "with no mask or a causal one and without a token order",
        hint: "For packed sequences under a block mask, intersect it with BlockMask.documents.")
    }
    if sequences.isPacked {
      guard batch == 1 else {
        throw TileCLError.invalid("batch", batch, allowed: "1 for packed sequences")
      }
      let last = sequences.sequences[sequences.sequences.count - 1]
      for (name, end, length) in [
        ("cumulativeQueryLengths", last.queries.upperBound, queryLength),
        ("cumulativeKeyLengths", last.keys.upperBound, keyLength),
      ] where end != length {
        throw TileCLError.invalid(
          "sequences.\(name)[\(sequences.sequences.count)]", end,
          allowed: "\(length), the rows of the tensor")
      }
    } else {
      guard sequences.sequences.count == batch else {
        throw TileCLError.invalid(
          "sequences.keyLengths.count", sequences.sequences.count, allowed: "\(batch), the batch of the problem")
      }
      for (entry, sequence) in sequences.sequences.enumerated() {
        for (name, count, length) in [
          ("queryLengths", sequence.queries.count, queryLength), ("keyLengths", sequence.keys.count, keyLength),
        ] where count > length {
          throw TileCLError.invalid(
            "sequences.\(name)[\(entry)]", count, allowed: "0...\(length), the rows of the tensor")
        }
      }
    }
  }

  func validateScore() throws {
    try score.validate()
    if let biasShape {
      _ = try checkedProduct(biasShape + [dtype.byteCount], argument: "bias")
    }
    if let grid = score.relativePositions {
      guard grid.count == queryLength, grid.count == keyLength else {
        throw TileCLError.invalid(
          "score.relativePositions", "a grid of \(grid.count) tokens",
          allowed: "a grid of queryLength (\(queryLength)) and keyLength (\(keyLength)) tokens")
      }
      _ = try checkedProduct([queryHeads, grid.tableCount, DType.float32.byteCount], argument: "relativeBias")
    }
    for capture in maskModification?.captures ?? [] {
      if let other = score.modification?.captures.first(where: { $0.name == capture.name }), other != capture {
        throw TileCLError.invalid(
          "score.modification.captures", "\(other.name) of another kind",
          allowed: "the kind that the mask modification gives to \(capture.name)")
      }
    }
  }
}
