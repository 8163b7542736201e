import TileCLCore

/// The values of one evaluation, the real ones in fp64, checked against a problem.
package struct LinearCrossEntropyOperands: Sendable {
  package var embeddings: [Double]
  package var classifier: [Double]
  package var bias: [Double]
  package var targets: [Int32]
  package var probabilities: [Double]
  package var classWeights: [Double]
  package var tokenWeights: [Double]
  package var divisor: Double
  package var selected: [Int32]

  package init(_ values: LinearCrossEntropyValues) {
    embeddings = values.embeddings.map(Double.init)
    classifier = values.classifier.map(Double.init)
    bias = values.bias.map(Double.init)
    targets = values.targets
    probabilities = values.probabilities.map(Double.init)
    classWeights = values.classWeights.map(Double.init)
    tokenWeights = values.tokenWeights.map(Double.init)
    divisor = Double(values.divisor)
    selected = values.selected
  }

  /// - Throws: ``TileCLError/Code/invalidArgument`` for an array of another length or a bad divisor,
  ///   ``TileCLError/Code/outOfRange`` for the first target, or the first selected class, that there is not.
  func validate(_ problem: LinearCrossEntropyDescriptor) throws {
    let (tokens, depth, classes) = (problem.tokens, problem.hiddenSize, problem.vocabulary)
    let counts: [(String, Int, Int)] = [
      ("embeddings", embeddings.count, tokens * depth), ("classifier", classifier.count, classes * depth),
      ("bias", bias.count, problem.logits.hasBias ? classes : 0),
      ("targets", targets.count, problem.targetsShape?.reduce(1, *) ?? 0),
      ("probabilities", probabilities.count, problem.probabilitiesShape?.reduce(1, *) ?? 0),
      ("classWeights", classWeights.count, problem.loss.hasClassWeights ? problem.wholeVocabulary : 0),
      ("tokenWeights", tokenWeights.count, problem.loss.hasTokenWeights ? tokens : 0),
      ("selected", selected.count, tokens * problem.selectedCount),
    ]
    for (name, count, expected) in counts where count != expected {
      throw TileCLError.invalid("\(name).count", count, allowed: "\(expected)")
    }
    if problem.reduction == .divided, !(divisor.isFinite && divisor != 0) {
      throw TileCLError.invalid("divisor", divisor, allowed: "a finite number other than 0")
    }
    let entries = problem.targets.classCount ?? 1
    for (place, target) in targets.enumerated() where target != problem.ignoreIndex {
      guard target >= 0, Int(target) < problem.wholeVocabulary else {
        throw problem.targetError(token: place / entries, entry: place % entries, value: target)
      }
    }
    for (place, index) in selected.enumerated() where index < 0 || Int(index) >= classes {
      throw problem.selectionError(
        token: place / problem.selectedCount, entry: place % problem.selectedCount, value: index)
    }
  }
}
