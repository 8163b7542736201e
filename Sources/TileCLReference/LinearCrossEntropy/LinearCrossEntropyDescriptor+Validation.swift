package import TileCLCore

extension LinearCrossEntropyDescriptor {
  func validate() throws {
    let most = Int(Int32.max)
    for (name, size, least) in [("tokens", tokens, 0), ("hiddenSize", hiddenSize, 1), ("vocabulary", vocabulary, 1)]
    where !(least...most).contains(size) {
      throw TileCLError.invalid(name, size, allowed: "\(least) to \(most)")
    }
    guard dtype.isFloatingPoint else {
      throw TileCLError.invalid(
        "dtype", dtype.rawValue, allowed: DType.floatingPointCases.map(\.rawValue).joined(separator: ", "))
    }
    for (name, rows) in [("tokens", tokens), ("vocabulary", vocabulary)] {
      _ = try checkedProduct([rows, hiddenSize, dtype.byteCount], argument: name)
    }
    try logits.validate()
    try targets.validate()
    try loss.validate()
    try shard?.validate(rows: vocabulary)
    try validateSequences(most)
    try validateOutputs()
    if let shape = probabilitiesShape {
      _ = try checkedProduct(shape + [dtype.byteCount], argument: "probabilities")
    }
  }

  private func validateSequences(_ most: Int) throws {
    guard sequenceLength >= 1, tokens % sequenceLength == 0 else {
      throw TileCLError.invalid("sequenceLength", sequenceLength, allowed: "a divisor of tokens = \(tokens)")
    }
    guard (-most...most).contains(shift) else {
      throw TileCLError.invalid("shift", shift, allowed: "\(-most) to \(most)")
    }
  }

  private func validateOutputs() throws {
    if targets != .classes, !outputs.isDisjoint(with: [.logProbabilities, .accuracy]) {
      throw TileCLError.invalid(
        "outputs", "logProbabilities or accuracy with \(targets)", allowed: "either with class targets",
        hint: "Soft targets have no single class; ask for selected logits and subtract the LSE.")
    }
    guard (0...4096).contains(selectedCount) else {
      throw TileCLError.invalid("selectedCount", selectedCount, allowed: "0...4096")
    }
    guard (0...min(Self.mostTopClasses, vocabulary)).contains(topCount) else {
      throw TileCLError.invalid("topCount", topCount, allowed: "0...\(min(Self.mostTopClasses, vocabulary))")
    }
    guard shard == nil || topCount == 0 else {
      throw TileCLError.invalid(
        "topCount", topCount, allowed: "0 for a shard", hint: "Merge the statistics first; they hold the argmax.")
    }
    guard shard == nil || selectedCount == 0 else {
      throw TileCLError.invalid("selectedCount", selectedCount, allowed: "0 for a shard")
    }
  }

  /// The most classes that ``topCount`` asks for.
  public static let mostTopClasses = 64

  /// What is thrown for a target that is neither a class nor the ignore index.
  ///
  /// - Parameter entry: Its place among those of a token with several.
  package func targetError(token: Int, entry: Int = 0, value: Int32) -> TileCLError {
    let place = if case .top = targets { "\(token), \(entry)" } else { "\(token)" }
    return TileCLError(
      .outOfRange, "targets[\(place)] is \(value); allowed: 0..<\(wholeVocabulary), or ignoreIndex \(ignoreIndex)",
      argument: "targets", hint: "Set ignoreIndex to \(value) if such tokens are to be left out.")
  }

  /// What is thrown for a class whose logit is asked for and that there is not.
  package func selectionError(token: Int, entry: Int, value: Int32) -> TileCLError {
    TileCLError(
      .outOfRange, "selected[\(token), \(entry)] is \(value); allowed: 0..<\(vocabulary)", argument: "selected")
  }
}
