import Glibc
import TileCLCore

/// The backward pass of attention.
///
/// With P = exp(s - LSE), keep k = 0 or 1 / (1 - p), and f the score modification, for each visible pair (i, j):
///
///     δ[i] = Σ_c dO[i,c] O[i,c] - dLSE[i]
///     g3 = P · (k · dO[i]·V[j] - δ[i])           by the score that the softmax takes
///     g2 = g3 · f'(s)                            by the score before the modification
///     g0 = g2 · (1 - (s1 / c)²)                  by scale · q·k, with s1 the score after the softcap c
///     dQ[i] = scale Σ_j g0 K[j]     dK[j] = scale Σ_i g0 Q[i]     dV[j] = Σ_i k P dO[i]
///     dbias, dtable = Σ g2    dslope = -Σ g2 |i + (Sk - Sq) - j|    dcapture = Σ g3 ∂f/∂capture
///     dsink = -Σ_i exp(sink - LSE[i]) δ[i]
///
/// Sums go over whatever shares the element. Each element is summed by one thread in a fixed order.
struct AttentionBackwardPass: Sendable {
  let pass: AttentionPass
  /// dO, [B, Hq, Sq, Dv].
  let outputGradient: [Double]
  /// The LSE, [B, Hq, Sq].
  let lse: [Double]
  /// δ, [B, Hq, Sq].
  let delta: [Double]

  /// - Parameter lseGradient: dLSE; empty for 0.
  init(
    _ pass: AttentionPass, forward: AttentionReferenceResult, outputGradient: [Double], lseGradient: [Double]
  ) {
    self.pass = pass
    self.outputGradient = outputGradient
    lse = forward.lse
    let width = pass.problem.valueDimension
    delta = (0..<pass.queryCount).map { index in
      outputGradient.product(at: index * width, forward.output, at: index * width, width)
        - (lseGradient.isEmpty ? 0 : lseGradient[index])
    }
  }

  private var problem: AttentionDescriptor { pass.problem }
  private var operands: AttentionOperands { pass.operands }

  /// - Throws: ``TileCLError`` of code `outOfRange` that names the captured tensor of which a declared gradient takes
  ///   an element that there is not.
  func gradients() throws -> AttentionReferenceGradients {
    let score = problem.score
    let ofQueries = byQuery()
    let ofKeys = byKey()
    let (width, valueWidth) = (problem.headDimension, problem.valueDimension)
    return AttentionReferenceGradients(
      query: ofQueries.columns(0..<width, of: width + 2), key: ofKeys.columns(0..<width, of: width + valueWidth),
      value: ofKeys.columns(width..<width + valueWidth, of: width + valueWidth), bias: bias(),
      alibiSlopes: score.hasALiBi ? byHead(ofQueries.columns(width..<width + 1, of: width + 2)) : [],
      sinks: score.hasSinks ? byHead(ofQueries.columns(width + 1..<width + 2, of: width + 2)) : [],
      relativeBias: relativeBias(), captures: try captures())
  }

  // MARK: - One pair

  private struct PairGradient {
    let pair: AttentionPairScore
    /// k P, by which dO reaches the value.
    let weight: Double
    /// By the score that the softmax takes.
    let new: Double
    /// By the score before the modification.
    let old: Double
    /// By scale · q·k.
    let product: Double
  }

  private func gradient(_ query: AttentionQuery, _ pair: AttentionPairScore) -> PairGradient {
    let score = problem.score
    let width = problem.valueDimension
    let weight = exp(pair.new - lse[query.index])
    let keep = pass.keep(query, keyRow: pair.pair.keyRow)
    let byWeight = keep * outputGradient.product(at: query.index * width, operands.value, at: pair.key * width, width)
    let new = weight * (byWeight - delta[query.index])
    let old = new * (score.modification?.derivative(pair.old, pair.pair, operands.captures) ?? 1)
    let capped = score.softcap.map { pair.capped / Double($0) } ?? 0
    return PairGradient(
      pair: pair, weight: keep * weight, new: new, old: old, product: old * (1 - capped * capped))
  }

  /// The gradients of a query's visible pairs; none for padding and for a query that sees no key.
  private func gradients(ofQuery index: Int) -> [PairGradient] {
    guard let query = pass.query(index), lse[index] != -.infinity else { return [] }
    return pass.pairs(of: query).map { gradient(query, $0) }
  }

  // MARK: - Rows of queries and keys

  /// For each query dQ, what it adds to its head's slope, and what it adds to its head's sink.
  private func byQuery() -> [Double] {
    let width = problem.headDimension
    return Parallel.rows(pass.queryCount, stride: width + 2, zero: 0.0) { index, result in
      for gradient in gradients(ofQuery: index) {
        let factor = Double(problem.scale) * gradient.product
        result.add(factor, operands.key, at: gradient.pair.key * width, width)
        result[width] -= gradient.old * gradient.pair.distance
      }
      if problem.score.hasSinks, let query = pass.query(index), lse[index] != -.infinity {
        result[width + 1] = -exp(operands.sinks[query.head] - lse[index]) * delta[index]
      }
    }
  }

  /// For each key dK and dV.
  private func byKey() -> [Double] {
    let (width, valueWidth) = (problem.headDimension, problem.valueDimension)
    let masks = problem.mask.blockMasks?.transposed()
    let count = problem.batch * problem.keyValueHeads * problem.keyLength
    return Parallel.rows(count, stride: width + valueWidth, zero: 0.0) { index, result in
      let keyHead = index / problem.keyLength % problem.keyValueHeads
      let entry = index / problem.keyLength / problem.keyValueHeads
      guard let place = pass.place(ofRow: index % problem.keyLength, entry: entry, ranges: \.keys) else { return }
      let ofValue = UnsafeMutableBufferPointer(rebasing: result[width...])
      for head in keyHead * problem.headRatio..<(keyHead + 1) * problem.headRatio {
        for position in queries(seeing: place.position, sequence: place.sequence, head: head, masks).joined() {
          let query = pass.query(entry: entry, head: head, sequence: place.sequence, position: position)
          guard lse[query.index] != -.infinity, let pair = pass.pair(query, keyPosition: place.position) else {
            continue
          }
          let gradient = gradient(query, pair)
          result.add(Double(problem.scale) * gradient.product, operands.query, at: query.index * width, width)
          ofValue.add(gradient.weight, outputGradient, at: query.index * valueWidth, valueWidth)
        }
      }
    }
  }

  /// The positions of the queries that the mask lets see a key.
  private func queries(seeing key: Int, sequence: Int, head: Int, _ transposed: HeadBlockMasks?) -> [Range<Int>] {
    let (queries, keys) = problem.lengths(batch: sequence)
    return switch problem.mask {
    case .none: [0..<queries]
    case .causal: [max(key - (keys - queries), 0)..<queries]
    case .blocks, .headBlocks: transposed?.mask(batch: sequence, head: head).visibleKeys(ofQuery: key) ?? []
    }
  }

  // MARK: - What many pairs share

  /// Sums over the queries of each head, which are given one each.
  private func byHead(_ values: [Double]) -> [Double] {
    var sums = [Double](repeating: 0, count: problem.queryHeads)
    for (index, value) in values.enumerated() { sums[index / problem.queryLength % problem.queryHeads] += value }
    return sums
  }

  private func bias() -> [Double] {
    guard let bias = problem.score.bias, let shape = problem.biasShape else { return [] }
    return Parallel.rows(shape[0] * shape[1] * shape[2], stride: problem.keyLength, zero: 0.0) { row, result in
      let queryRow = row % shape[2]
      let head = row / shape[2] % shape[1]
      let entry = row / shape[2] / shape[1]
      for entry in bias.isPerBatch ? entry..<entry + 1 : 0..<problem.batch {
        for head in bias.isPerHead ? head..<head + 1 : 0..<problem.queryHeads {
          for queryRow in bias.isPerQuery ? queryRow..<queryRow + 1 : 0..<problem.queryLength {
            let index = (entry * problem.queryHeads + head) * problem.queryLength + queryRow
            for gradient in gradients(ofQuery: index) { result[gradient.pair.pair.keyRow] += gradient.old }
          }
        }
      }
    }
  }

  private func relativeBias() -> [Double] {
    guard let grid = problem.score.relativePositions else { return [] }
    return scattered(stride: grid.tableCount) { gradient in
      pass.relativeElement(of: gradient.pair.pair).map { ($0, gradient.old) }
    }
  }

  private func captures() throws -> [String: [Double]] {
    var sums: [String: [Double]] = [:]
    guard let modification = problem.score.modification else { return sums }
    for declared in modification.gradients {
      let count = operands.captures[declared.capture].count
      // One place more counts the pairs whose element is outside the tensor.
      let heads = scattered(stride: count + 1) { gradient in
        let pair = gradient.pair.pair
        guard gradient.pair.new != -.infinity, let element = declared.element(pair, operands.captures), element >= 0
        else { return nil }
        guard element < count else { return (count, 1) }
        return (element, gradient.new * declared.derivative(gradient.pair.old, pair, operands.captures))
      }
      // Several declarations may speak of one tensor.
      var sum = sums[declared.capture] ?? [Double](repeating: 0, count: count)
      for (place, value) in heads.enumerated() where place % (count + 1) < count { sum[place % (count + 1)] += value }
      guard heads.enumerated().allSatisfy({ $0.offset % (count + 1) < count || $0.element == 0 }) else {
        throw modification.indexFault(declared, count: count)
      }
      sums[declared.capture] = sum
    }
    return sums
  }

  /// For each head `stride` elements, to which every pair of the head adds a term at one place, if it has one.
  private func scattered(
    stride: Int, _ term: @Sendable (PairGradient) -> (place: Int, value: Double)?
  ) -> [Double] {
    Parallel.rows(problem.queryHeads, stride: stride, zero: 0.0) { head, result in
      for entry in 0..<problem.batch {
        for row in 0..<problem.queryLength {
          let index = (entry * problem.queryHeads + head) * problem.queryLength + row
          for case let (place, value)? in gradients(ofQuery: index).lazy.map(term) { result[place] += value }
        }
      }
    }
  }
}
