import Glibc
import TileCLCore

extension Reference {
  /// The loss of a linear classifier, and the log-sum-exp of every token.
  ///
  /// ``LinearCrossEntropyDescriptor`` has the formula. Products of fp32 values are exact in fp64, in which everything
  /// is added; the sum of exponentials is taken relative to a running maximum, so that no size of logits overflows. An
  /// infinite logit follows the limits of the formula: LSE is +inf beside any +inf, -inf when all are -inf.
  ///
  /// Tokens are evaluated in parallel, some at a time; memory beyond the results is a few rows a core.
  ///
  /// - Parameters:
  ///   - problem: The sizes, reduction and ignore index. Its dtype is not used: rounding to it is done by the caller.
  ///   - embeddings: [N, D], row-major.
  ///   - classifier: [V, D], row-major.
  ///   - targets: [N].
  /// - Throws: ``TileCLError/Code/invalidArgument`` for an array of another length, ``TileCLError/Code/outOfRange`` for
  ///   the first target that is neither in 0..<V nor the ignore index.
  public static func linearCrossEntropy(
    _ problem: LinearCrossEntropyDescriptor, embeddings: [Float], classifier: [Float], targets: [Int32]
  ) throws -> LinearCrossEntropyResult {
    let (tokens, depth) = (problem.tokens, problem.hiddenSize)
    for (name, count, expected) in [
      ("embeddings", embeddings.count, tokens * depth),
      ("classifier", classifier.count, problem.vocabulary * depth),
      ("targets", targets.count, tokens),
    ] where count != expected {
      throw TileCLError.invalid("\(name).count", count, allowed: "\(expected)")
    }
    for (token, target) in targets.enumerated() where target != problem.ignoreIndex {
      guard target >= 0, Int(target) < problem.vocabulary else {
        throw problem.targetError(token: token, value: target)
      }
    }

    // A pair (LSE, loss) a token.
    let width = TokenTile.scalarCount
    let tiles = (tokens + width - 1) / width
    let pairs = Parallel.rows(tiles, stride: 2 * width, zero: 0.0) { tile, output in
      var classes = ClassSums(problem, targets: targets, firstToken: tile * width)
      classes.add(embeddings: embeddings, classifier: classifier)
      for lane in 0..<width {
        output[2 * lane] = classes.lse(lane)
        output[2 * lane + 1] = classes.loss(lane)
      }
    }
    let losses = (0..<tokens).map { pairs[2 * $0 + 1] }
    return LinearCrossEntropyResult(
      loss: reduced(losses, targets: targets, problem), lse: (0..<tokens).map { pairs[2 * $0] })
  }

  private static func reduced(
    _ losses: [Double], targets: [Int32], _ problem: LinearCrossEntropyDescriptor
  ) -> [Double] {
    switch problem.reduction {
    case .none:
      return losses
    case .sum:
      return [losses.reduce(0, +)]
    case .mean:
      let counted = targets.count { $0 != problem.ignoreIndex }
      return [counted == 0 ? 0 : losses.reduce(0, +) / Double(counted)]
    }
  }
}

/// A value for each of the tokens that are evaluated together: one pass over the classifier serves them all.
private typealias TokenTile = SIMD8<Double>

/// The running sums over classes of the tokens of one tile; lanes past the last token repeat it.
private struct ClassSums {
  let problem: LinearCrossEntropyDescriptor
  let firstToken: Int
  /// The class that each lane looks for; nil for an ignored token.
  let sought: [Int32?]
  var maximum = TokenTile(repeating: -.infinity)
  /// The sum of exponentials relative to the maximum.
  var sum = TokenTile.zero
  var targetLogit = TokenTile.zero

  init(_ problem: LinearCrossEntropyDescriptor, targets: [Int32], firstToken: Int) {
    self.problem = problem
    self.firstToken = firstToken
    sought = (0..<TokenTile.scalarCount).map { lane in
      let target = targets[min(firstToken + lane, problem.tokens - 1)]
      return target == problem.ignoreIndex ? nil : target
    }
  }

  mutating func add(embeddings: [Float], classifier: [Float]) {
    let depth = problem.hiddenSize
    let rows = (0..<depth).map { d in
      var column = TokenTile.zero
      for lane in 0..<TokenTile.scalarCount {
        column[lane] = Double(embeddings[min(firstToken + lane, problem.tokens - 1) * depth + d])
      }
      return column
    }
    classifier.withUnsafeBufferPointer { classifier in
      rows.withUnsafeBufferPointer { rows in
        for index in 0..<problem.vocabulary {
          var logits = TokenTile.zero
          for d in 0..<depth {
            logits += rows[d] * Double(classifier[index * depth + d])
          }
          add(logits, class: Int32(truncatingIfNeeded: index))
        }
      }
    }
  }

  private mutating func add(_ logits: TokenTile, class index: Int32) {
    for lane in 0..<TokenTile.scalarCount {
      let logit = logits[lane]
      if logit > maximum[lane] {
        sum[lane] = sum[lane] * exp(maximum[lane] - logit) + 1
        maximum[lane] = logit
      } else if logit == maximum[lane] {
        // Apart from the next branch because inf - inf is not 0.
        sum[lane] += 1
      } else {
        sum[lane] += exp(logit - maximum[lane])
      }
      if sought[lane] == index { targetLogit[lane] = logit }
    }
  }

  func lse(_ lane: Int) -> Double {
    log(sum[lane]) + maximum[lane]
  }

  func loss(_ lane: Int) -> Double {
    // The difference first: a small loss beside large logits keeps its digits.
    sought[lane] == nil ? 0 : log(sum[lane]) - (targetLogit[lane] - maximum[lane])
  }
}
