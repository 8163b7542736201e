import TileCLCore

extension LinearDistillationPass {
  /// The gradients of the loss by what the student has, from those by the loss, of which none stand for 1.
  func gradients(_ upstream: [Float], rows: [Row]) -> LinearDistillationReferenceGradients {
    let (tokens, depth, classes) = (problem.tokens, problem.hiddenSize, problem.vocabulary)
    let products = productGradients(upstream, rows: rows)
    let embeddings = Parallel.rows(tokens, stride: depth, zero: 0.0) { token, sums in
      for index in 0..<classes {
        let gradient = products[token * classes + index]
        for d in 0..<depth { sums[d] += gradient * operands.student.classifier[index * depth + d] }
      }
    }
    let classifier = Parallel.rows(classes, stride: depth, zero: 0.0) { index, sums in
      for token in 0..<tokens {
        let gradient = products[token * classes + index]
        for d in 0..<depth { sums[d] += gradient * operands.student.embeddings[token * depth + d] }
      }
    }
    let bias = (0..<(problem.logits.hasBias ? classes : 0)).map { index in
      (0..<tokens).reduce(0.0) { $0 + products[$1 * classes + index] }
    }
    return LinearDistillationReferenceGradients(embeddings: embeddings, classifier: classifier, bias: bias)
  }

  /// The gradients by the student's products E · C + b, [N, V].
  private func productGradients(_ upstream: [Float], rows: [Row]) -> [Double] {
    let classes = problem.vocabulary
    let denominator = denominator
    let (scale, temperature) = (Double(problem.logits.scale), Double(problem.temperature))
    return Parallel.collect(problem.tokens * classes, 0.0) { gradients in
      forEachRow { token, z, u in
        let given = upstream.isEmpty ? 1 : Double(upstream[problem.reduction == .none ? token : 0])
        let weight = weight(token)
        guard weight != 0, denominator != 0 else { return }
        let factor = given * weight / denominator * scale / temperature
        let row = rows[token]
        for index in z.indices {
          let slope = problem.divergence.slope(
            row.student.logProbability(z[index]), row.teacher.logProbability(u[index]), center: row.center)
          // tanh of what the softcap took.
          let bend = problem.logits.softcap.map { z[index] * temperature / Double($0) } ?? 0
          gradients.buffer[token * classes + index] = factor * (1 - bend * bend) * slope
        }
      }
    }
  }
}
