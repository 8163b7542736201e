import Glibc
import TileCLCore

/// Attention of given values, pair by pair: which pairs are visible, and what they score.
///
/// Forward and backward pass build on it, so that there is one definition of a score.
struct AttentionPass: Sendable {
  let problem: AttentionDescriptor
  let operands: AttentionOperands
  /// For each row its position in the token order.
  private let positions: [Int32]?
  /// ``RelativePositions/codes``.
  private let cells: [Int32]
  private let keepFactor: Double
  private let dropThreshold: UInt32

  init(_ problem: AttentionDescriptor, _ operands: AttentionOperands) {
    self.problem = problem
    self.operands = operands
    positions = problem.tokenOrder?.inverse
    cells = problem.score.relativePositions?.codes ?? []
    keepFactor = 1 / (1 - Double(problem.score.dropout))
    dropThreshold = Philox.threshold(dropout: problem.score.dropout)
  }

  /// The rows of [B, Hq, Sq].
  var queryCount: Int { problem.batch * problem.queryHeads * problem.queryLength }

  // MARK: - Places

  /// A row of [B, Hq, Sq]; nil for padding.
  func query(_ index: Int) -> AttentionQuery? {
    let row = index % problem.queryLength
    let head = index / problem.queryLength % problem.queryHeads
    let entry = index / problem.queryLength / problem.queryHeads
    guard let place = place(ofRow: row, entry: entry, ranges: \.queries) else { return nil }
    return query(entry: entry, head: head, row: row, sequence: place.sequence, position: place.position)
  }

  /// The query at a position of a sequence.
  func query(entry: Int, head: Int, sequence: Int, position: Int) -> AttentionQuery {
    let row = row(ofPosition: position, first: problem.sequences?.sequences[sequence].queries.lowerBound ?? 0)
    return query(entry: entry, head: head, row: row, sequence: sequence, position: position)
  }

  private func query(entry: Int, head: Int, row: Int, sequence: Int, position: Int) -> AttentionQuery {
    AttentionQuery(
      index: (entry * problem.queryHeads + head) * problem.queryLength + row, entry: entry, head: head, row: row,
      sequence: sequence, position: position, lengths: problem.lengths(batch: sequence),
      firstKey: problem.sequences?.sequences[sequence].keys.lowerBound ?? 0)
  }

  /// The sequence that a row belongs to, and its position there; nil for padding.
  func place(
    ofRow row: Int, entry: Int, ranges: KeyPath<AttentionSequences.Sequence, Range<Int>>
  ) -> (sequence: Int, position: Int)? {
    guard let sequences = problem.sequences else {
      return (entry, positions.map { Int($0[row]) } ?? row)
    }
    var sequence = entry
    if sequences.isPacked {
      // The first sequence that ends behind the row; empty ones before it end at or before the row.
      var (low, high) = (0, sequences.sequences.count)
      while low < high {
        let middle = (low + high) / 2
        if sequences.sequences[middle][keyPath: ranges].upperBound > row { high = middle } else { low = middle + 1 }
      }
      sequence = low
    }
    guard sequences.sequences.indices.contains(sequence) else { return nil }
    let range = sequences.sequences[sequence][keyPath: ranges]
    return range.contains(row) ? (sequence, row - range.lowerBound) : nil
  }

  /// The row of the tensors at a position of a sequence that begins with the row `first`.
  private func row(ofPosition position: Int, first: Int) -> Int {
    problem.tokenOrder.map { Int($0.permutation[position]) } ?? first + position
  }

  // MARK: - Scores

  /// All visible pairs of a query, by rising position of the key.
  func pairs(of query: AttentionQuery) -> [AttentionPairScore] {
    let runs = problem.visibleKeys(ofQuery: query.position, batch: query.sequence, head: query.head)
    var pairs: [AttentionPairScore] = []
    pairs.reserveCapacity(runs.reduce(0) { $0 + $1.count })
    for run in runs {
      for position in run {
        if let pair = pair(query, keyPosition: position) { pairs.append(pair) }
      }
    }
    return pairs
  }

  /// The pair of a query and a key that the mask shows; nil if user code hides it.
  func pair(_ query: AttentionQuery, keyPosition: Int) -> AttentionPairScore? {
    let lengths = query.lengths
    let keyRow = row(ofPosition: keyPosition, first: query.firstKey)
    let pair = AttentionPair(
      batch: query.sequence, head: query.head, query: query.position, key: keyPosition, queryRow: query.row,
      keyRow: keyRow, queryLength: lengths.queries, keyLength: lengths.keys)
    if let code = problem.maskModification, !code.isVisible(pair, operands.captures) { return nil }

    let score = problem.score
    let keyHead = query.entry * problem.keyValueHeads + query.head / problem.headRatio
    let key = keyHead * problem.keyLength + keyRow
    let width = problem.headDimension
    var capped =
      Double(problem.scale) * operands.query.product(at: query.index * width, operands.key, at: key * width, width)
    if let softcap = score.softcap.map(Double.init) { capped = softcap * tanh(capped / softcap) }
    let distance = Double(abs(query.position + lengths.keys - lengths.queries - keyPosition))
    var old = capped
    if score.hasALiBi { old -= operands.alibiSlopes[query.head] * distance }
    if let place = biasRow(of: query) { old += operands.bias[place * problem.keyLength + keyRow] }
    if let place = relativeElement(of: pair) {
      old += operands.relativeBias[query.head * (score.relativePositions?.tableCount ?? 0) + place]
    }
    let new = score.modification?.score(old, pair, operands.captures) ?? old
    return AttentionPairScore(pair: pair, key: key, capped: capped, distance: distance, old: old, new: new)
  }

  /// The row of the bias that a query takes, counted over all axes but the keys'.
  func biasRow(of query: AttentionQuery) -> Int? {
    guard let bias = problem.score.bias else { return nil }
    var row = bias.isPerBatch ? query.entry : 0
    if bias.isPerHead { row = row * problem.queryHeads + query.head }
    if bias.isPerQuery { row = row * problem.queryLength + query.row }
    return row
  }

  /// The element of its head's table of relative positions that a pair takes.
  func relativeElement(of pair: AttentionPair) -> Int? {
    problem.score.relativePositions.map { $0.center + Int(cells[pair.queryRow]) - Int(cells[pair.keyRow]) }
  }

  /// What dropout multiplies a weight by: 1 / (1 - p), or 0 if it is dropped.
  func keep(_ query: AttentionQuery, keyRow: Int) -> Double {
    guard dropThreshold > 0 else { return keepFactor }
    let isKept = Philox.keeps(
      seed: operands.dropoutSeed, headNumber: query.entry * problem.queryHeads + query.head, queryRow: query.row,
      keyRow: keyRow, threshold: dropThreshold)
    return isKept ? keepFactor : 0
  }
}

extension [Double] {
  /// The inner product of `count` elements here and in another array.
  func product(at start: Int, _ other: [Double], at otherStart: Int, _ count: Int) -> Double {
    withUnsafeBufferPointer { first in
      other.withUnsafeBufferPointer { second in
        let a = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(first)[start * 8..<(start + count) * 8])
        let b = UnsafeRawBufferPointer(
          rebasing: UnsafeRawBufferPointer(second)[otherStart * 8..<(otherStart + count) * 8])
        // Eight sums at a time: a single one would wait for itself at every step.
        var sums = SIMD8<Double>.zero
        let whole = count / 8 * 8
        for channel in stride(from: 0, to: whole, by: 8) {
          sums +=
            a.loadUnaligned(fromByteOffset: channel * 8, as: SIMD8<Double>.self)
            * b.loadUnaligned(fromByteOffset: channel * 8, as: SIMD8<Double>.self)
        }
        var sum = sums.sum()
        for channel in whole..<count { sum += first[start + channel] * second[otherStart + channel] }
        return sum
      }
    }
  }
}

extension UnsafeMutableBufferPointer<Double> {
  /// Adds a multiple of elements of an array to the first `count` elements here.
  func add(_ factor: Double, _ values: [Double], at start: Int, _ count: Int) {
    values.withUnsafeBufferPointer { values in
      for channel in 0..<count { self[channel] += factor * values[start + channel] }
    }
  }
}
