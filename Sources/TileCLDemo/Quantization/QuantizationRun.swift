import Glibc
import TileCL
import TileCLText

/// The third part of the demo: the language model's classifier in 8 and 4 bits.
struct QuantizationRun {
  let engine: Engine
  let language: LanguageRun
  let progress: Progress
  /// `[M, D]`.
  private let hidden: [Float]
  /// `[M]`.
  private let targets: [Int32]

  /// Held-out tokens whose logits are computed.
  private static let mostRows = 2048
  private static let checkedRows = 64
  /// The largest error allowed in a logit, in units of the largest logit of the sample.
  private static let tolerance = 1e-5

  init(engine: Engine, language: LanguageRun, progress: Progress) {
    self.engine = engine
    self.language = language
    self.progress = progress
    let (count, depth) = (min(Self.mostRows, language.tokens), language.model.hiddenSize)
    let rows = (0..<count).map { $0 * language.tokens / count }
    hidden = rows.flatMap { language.hidden[$0 * depth..<($0 + 1) * depth] }
    targets = rows.map { language.targets[$0] }
  }

  private var rows: Int { targets.count }
  private var columns: Int { language.text.vocabulary }
  private var depth: Int { language.model.hiddenSize }

  /// Quantizes, multiplies, checks, and reports.
  func run() throws -> ReportTable {
    progress.say("logits of \(rows) tokens in full precision, on the host")
    let exact = exactLogits()
    let elements = columns * depth
    var table = ReportTable(
      "Quantized classifier: \(Format.count(columns)) x \(depth) weights times the hidden vectors of "
        + "\(Format.count(rows)) tokens",
      header: ["weights", "bytes", "of fp32", "logit error", "same top token", "perplexity", "time"])
    table.add(
      "fp32", Format.bytes(4 * elements), "1.000", "-", "-", Format.fixed(perplexity(exact), 1), "-")
    table.add("bf16 would take", Format.bytes(2 * elements), "0.500", "-", "-", "-", "-")
    let formats = [
      try QuantizationFormat(bits: .int8, groupSize: 128),
      try QuantizationFormat(bits: .int4, groupSize: 64),
      try QuantizationFormat(bits: .int4, groupSize: 32, scheme: .affine),
    ]
    for format in formats {
      let result = try multiply(format)
      table.add(
        "\(format)", Format.bytes(result.byteCount),
        Format.fixed(Double(result.byteCount) / Double(4 * elements), 3),
        Format.percent(relativeError(result.logits, exact)), Format.percent(agreement(result.logits, exact)),
        Format.fixed(perplexity(result.logits), 1), Format.seconds(result.seconds), check: result.check)
    }
    return table
  }

  private struct Product {
    let logits: [Float]
    let byteCount: Int
    let seconds: Double
    let check: Check
  }

  private func multiply(_ format: QuantizationFormat) throws -> Product {
    progress.say("\(format)")
    let weights = try engine.quantize(
      engine.tensor(language.model.classifier, shape: [columns, depth]), format)
    let activations = try engine.tensor(hidden, shape: [rows, depth])
    let plan = try engine.makePlan(
      QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format))
    // The first run warms up; both give the same bits.
    _ = try plan.run(activations: activations, weights: weights).array()
    let (product, seconds) = try timed {
      let product = try plan.run(activations: activations, weights: weights)
      try engine.synchronize()
      return product
    }
    let logits = try product.array()
    return Product(
      logits: logits, byteCount: weights.byteCount, seconds: seconds,
      check: try check(logits, weights: weights.packed(), format: format))
  }

  /// Quantization by the reference must give the same codes and scales; some rows of the product are then multiplied by
  /// the reference as well.
  private func check(_ logits: [Float], weights: PackedWeights, format: QuantizationFormat) throws -> Check {
    let reference = Engine.reference
    let expectedWeights = try reference.quantize(
      reference.tensor(language.model.classifier, shape: [columns, depth]), format)
    guard try expectedWeights.packed() == weights else {
      return Check(deviation: .infinity, allowed: Self.tolerance)
    }
    let count = min(Self.checkedRows, rows)
    let plan = try reference.makePlan(
      QuantizedMatmulDescriptor(rows: count, columns: columns, depth: depth, format: format))
    let expected = try plan.run(
      activations: reference.tensor(Array(hidden[..<(count * depth)]), shape: [count, depth]),
      weights: expectedWeights
    ).array().map(Double.init)
    let largest = expected.reduce(0) { max($0, $1.magnitude) }
    return Check(
      logits[..<(count * columns)].map { Double($0) / largest }, expected.map { $0 / largest },
      allowed: Self.tolerance)
  }

  /// `[M, V]`, accumulated in fp64, by plain loops.
  private func exactLogits() -> [Float] {
    let (columns, depth) = (columns, depth)
    let (hidden, classifier) = (hidden, language.model.classifier)
    return Parallel.rows(rows, stride: columns, zero: Float(0)) { row, target in
      for column in 0..<columns {
        var sum = 0.0
        for channel in 0..<depth {
          sum += Double(hidden[row * depth + channel]) * Double(classifier[column * depth + channel])
        }
        target[column] = Float(sum)
      }
    }
  }

  /// The Frobenius norm of the difference over that of the exact logits.
  private func relativeError(_ logits: [Float], _ exact: [Float]) -> Double {
    var (difference, norm) = (0.0, 0.0)
    for (logit, value) in zip(logits, exact) {
      difference += (Double(logit) - Double(value)) * (Double(logit) - Double(value))
      norm += Double(value) * Double(value)
    }
    return (difference / norm).squareRoot()
  }

  /// The part of the tokens with the same most likely next token.
  private func agreement(_ logits: [Float], _ exact: [Float]) -> Double {
    let same = (0..<rows).count { top(logits, $0) == top(exact, $0) }
    return Double(same) / Double(rows)
  }

  private func top(_ logits: [Float], _ row: Int) -> Int? {
    (row * columns..<(row + 1) * columns).max { logits[$0] < logits[$1] }
  }

  private func perplexity(_ logits: [Float]) -> Double {
    let total = (0..<rows).reduce(0.0) { total, row in
      let line = logits[row * columns..<(row + 1) * columns]
      let peak = Double(line.max() ?? 0)
      let sum = line.reduce(0.0) { $0 + exp(Double($1) - peak) }
      return total + peak + log(sum) - Double(logits[row * columns + Int(targets[row])])
    }
    return exp(total / Double(rows))
  }
}
