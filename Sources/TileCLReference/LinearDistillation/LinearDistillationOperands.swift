import TileCLCore

/// The values of one evaluation, the real ones in fp64, to be checked against a problem.
package struct LinearDistillationOperands: Sendable {
  /// One side: a student or a teacher.
  package struct Side: Sendable {
    package var embeddings: [Double]
    package var classifier: [Double]
    package var bias: [Double]
  }

  package var student: Side
  package var teacher: Side
  package var tokenWeights: [Double]
  package var targets: [Int32]
  package var divisor: Double

  package init(_ values: LinearDistillationValues) {
    func side(_ embeddings: [Float], _ classifier: [Float], _ bias: [Float]) -> Side {
      Side(
        embeddings: embeddings.map(Double.init), classifier: classifier.map(Double.init),
        bias: bias.map(Double.init))
    }
    student = side(values.embeddings, values.classifier, values.bias)
    teacher = side(values.teacherEmbeddings, values.teacherClassifier, values.teacherBias)
    tokenWeights = values.tokenWeights.map(Double.init)
    targets = values.targets
    divisor = Double(values.divisor)
  }

  /// - Throws: ``TileCLError/Code/invalidArgument`` for an array of another length or a bad divisor.
  func validate(_ problem: LinearDistillationDescriptor) throws {
    let (tokens, classes) = (problem.tokens, problem.vocabulary)
    let counts: [(String, Int, Int)] = [
      ("embeddings", student.embeddings.count, tokens * problem.hiddenSize),
      ("classifier", student.classifier.count, classes * problem.hiddenSize),
      ("bias", student.bias.count, problem.logits.hasBias ? classes : 0),
      ("teacherEmbeddings", teacher.embeddings.count, tokens * problem.teacherHiddenSize),
      ("teacherClassifier", teacher.classifier.count, classes * problem.teacherHiddenSize),
      ("teacherBias", teacher.bias.count, problem.teacherLogits.hasBias ? classes : 0),
      ("tokenWeights", tokenWeights.count, problem.hasTokenWeights ? tokens : 0),
      ("targets", targets.count, problem.ignoreIndex == nil ? 0 : tokens),
    ]
    for (name, count, expected) in counts where count != expected {
      throw TileCLError.invalid("\(name).count", count, allowed: "\(expected)").about(name)
    }
    if problem.reduction == .divided, !(divisor.isFinite && divisor != 0) {
      throw TileCLError.invalid("divisor", divisor, allowed: "a finite number other than 0")
    }
  }
}
