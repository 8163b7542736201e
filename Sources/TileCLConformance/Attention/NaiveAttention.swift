import Glibc
import TileCL

/// Attention as an unfused program computes it in one dtype: each step in fp32, each intermediate tensor rounded.
///
/// This is the measure of error that a fused kernel must not exceed, not a truth.
struct NaiveAttention<Element: FloatingPointElement> {
  let problem: AttentionDescriptor
  let values: AttentionValues
  /// The rows of queries and keys that belong together, in the order of their positions.
  let sequences: [Sequence]
  private let cells: [Int]

  struct Sequence {
    let number: Int
    let entry: Int
    let queries: [Int]
    let keys: [Int]
  }

  /// A visible pair and the intermediate results on the way to its weight.
  struct Pair {
    let pair: AttentionPair
    /// The key's number among the rows of [B, Hkv, Sk].
    let key: Int
    /// The hyperbolic tangent of the softcap; 0 without one.
    let tangent: Float
    let distance: Float
    /// The score before the modification.
    let old: Float
    let score: Float
    /// 0, or 1 / (1 - p).
    let keep: Float
  }

  /// One query with its visible pairs, their weights, and that of its sink.
  struct Row {
    /// The query's number among the rows of [B, Hq, Sq].
    let index: Int
    let entry: Int
    let head: Int
    let pairs: [Pair]
    let weights: [Float]
    let sinkWeight: Float
    let lse: Float
  }

  init(_ problem: AttentionDescriptor, _ values: AttentionValues) {
    self.problem = problem
    self.values = values
    cells = problem.score.relativePositions?.codes.map(Int.init) ?? []
    if let given = problem.sequences {
      sequences = given.sequences.enumerated().map { number, sequence in
        Sequence(
          number: number, entry: sequence.batch, queries: Array(sequence.queries), keys: Array(sequence.keys))
      }
    } else {
      let order = problem.tokenOrder?.permutation.map(Int.init)
      sequences = (0..<problem.batch).map { entry in
        Sequence(
          number: entry, entry: entry, queries: order ?? Array(0..<problem.queryLength),
          keys: order ?? Array(0..<problem.keyLength))
      }
    }
  }

  /// Visits every query that is no padding.
  func forEachRow(_ body: (Row) -> Void) {
    for sequence in sequences {
      for head in 0..<problem.queryHeads {
        for position in sequence.queries.indices { body(row(sequence, head, position)) }
      }
    }
  }

  /// The output [B, Hq, Sq, Dv] and the LSE [B, Hq, Sq].
  func run() -> (output: [Float], lse: [Float]) {
    let width = problem.valueDimension
    let rows = problem.batch * problem.queryHeads * problem.queryLength
    var output = [Float](repeating: 0, count: rows * width)
    var lse = [Float](repeating: -.infinity, count: rows)
    forEachRow { row in
      lse[row.index] = row.lse
      for (pair, weight) in zip(row.pairs, row.weights) {
        let kept = problem.score.dropout > 0 ? rounded(weight * pair.keep) : weight
        for channel in 0..<width {
          output[row.index * width + channel] += kept * values.value[pair.key * width + channel]
        }
      }
      for channel in row.index * width..<(row.index + 1) * width { output[channel] = rounded(output[channel]) }
    }
    return (output, lse)
  }

  private func row(_ sequence: Sequence, _ head: Int, _ position: Int) -> Row {
    let index = (sequence.entry * problem.queryHeads + head) * problem.queryLength + sequence.queries[position]
    let keyHead = sequence.entry * problem.keyValueHeads + head / problem.headRatio
    var pairs: [Pair] = []
    for key in problem.visibleKeys(ofQuery: position, batch: sequence.number, head: head).joined() {
      let pair = AttentionPair(
        batch: sequence.number, head: head, query: position, key: key, queryRow: sequence.queries[position],
        keyRow: sequence.keys[key], queryLength: sequence.queries.count, keyLength: sequence.keys.count)
      guard problem.maskModification?.isVisible(pair, values.captures) ?? true else { continue }
      pairs.append(
        self.pair(pair, query: index, key: keyHead * problem.keyLength + pair.keyRow, entry: sequence.entry))
    }
    let sink = problem.score.hasSinks ? values.sinks[head] : -.infinity
    let maximum = pairs.reduce(sink) { max($0, $1.score) }
    guard maximum > -.infinity else {
      return Row(
        index: index, entry: sequence.entry, head: head, pairs: pairs, weights: pairs.map { _ in 0 }, sinkWeight: 0,
        lse: -.infinity)
    }
    let exponentials = pairs.map { exp($0.score - maximum) }
    let sum = exponentials.reduce(exp(sink - maximum), +)
    return Row(
      index: index, entry: sequence.entry, head: head, pairs: pairs, weights: exponentials.map { rounded($0 / sum) },
      sinkWeight: rounded(exp(sink - maximum) / sum), lse: maximum + log(sum))
  }

  private func pair(_ pair: AttentionPair, query: Int, key: Int, entry: Int) -> Pair {
    let options = problem.score
    var score = rounded(rounded(dot(values.query, query, values.key, key, problem.headDimension)) * problem.scale)
    var tangent: Float = 0
    if let softcap = options.softcap {
      tangent = rounded(tanh(rounded(score / softcap)))
      score = rounded(tangent * softcap)
    }
    let distance = Float(abs(pair.query + pair.keyLength - pair.queryLength - pair.key))
    if options.hasALiBi { score = rounded(score - rounded(values.alibiSlopes[pair.head] * distance)) }
    if let place = biasElement(pair, entry) { score = rounded(score + values.bias[place]) }
    if let place = tableElement(pair) { score = rounded(score + rounded(values.relativeBias[place])) }
    let old = score
    if let code = options.modification { score = rounded(Float(code.score(Double(score), pair, values.captures))) }
    var keep: Float = 1
    if options.dropout > 0 {
      let isKept = Philox.keeps(
        seed: values.dropoutSeed, headNumber: entry * problem.queryHeads + pair.head, queryRow: pair.queryRow,
        keyRow: pair.keyRow, threshold: Philox.threshold(dropout: options.dropout))
      keep = isKept ? 1 / (1 - options.dropout) : 0
    }
    return Pair(pair: pair, key: key, tangent: tangent, distance: distance, old: old, score: score, keep: keep)
  }

  /// The element of the bias that a pair takes.
  func biasElement(_ pair: AttentionPair, _ entry: Int) -> Int? {
    guard let shape = problem.biasShape else { return nil }
    // An axis of size 1 is shared.
    return [entry, pair.head, pair.queryRow, pair.keyRow].enumerated().reduce(0) { place, index in
      place * shape[index.offset] + (shape[index.offset] == 1 ? 0 : index.element)
    }
  }

  /// The element of the tables of relative positions that a pair takes.
  func tableElement(_ pair: AttentionPair) -> Int? {
    problem.score.relativePositions.map { grid in
      pair.head * grid.tableCount + cells[pair.queryRow] - cells[pair.keyRow] + grid.center
    }
  }

  func dot(_ first: [Float], _ row: Int, _ second: [Float], _ otherRow: Int, _ count: Int) -> Float {
    var sum: Float = 0
    for channel in 0..<count { sum += first[row * count + channel] * second[otherRow * count + channel] }
    return sum
  }

  func rounded(_ value: Float) -> Float {
    Element(rounding: Double(value)).floatValue
  }
}
