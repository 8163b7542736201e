import ArgumentParser
import TileCL

/// `tilecl bench`: times operations.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Times operations on a device.", subcommands: [AttentionBenchCommand.self])
}

/// `tilecl bench attention`: times attention, variant beside variant on the same input.
struct AttentionBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Times attention on a device, each kernel variant on the same input.",
    discussion:
      """
      Event time is the median of the kernels' own time; wall time is that of runs enqueued back to back, and sustained \
      time the same after a while of running. TFLOP/s count 4 D operations for each pair of the blocks that a mask keeps \
      (for a causal mask, each visible pair). Differences are relative to the first variant's output, over all elements.
      """)

  @Option(help: "The device (platform:type:name-or-index).")
  var device: String?

  @Option(help: "Kernel variants, separated by commas; the first is what the others are compared with.")
  var variants = "portable,hopper"

  @Option(help: "Only problems whose name contains this text.")
  var filter: String?

  @Option(help: "How many runs are timed by events.")
  var repetitions = 20

  @Option(help: "For how many seconds the sustained time is taken; 0 for none.")
  var sustained = 1.0

  @Option(help: "The same for variants named portable, which are slow where others are fast.")
  var portableRepetitions = 2

  @Flag(help: "Print the result as JSON.")
  var json = false

  func validate() throws {
    guard repetitions > 0, portableRepetitions > 0 else {
      throw ValidationError("--repetitions takes a number above 0")
    }
  }

  func run() throws {
    let problems = try AttentionBenchProblem.all.filter { filter.map($0.name.contains) ?? true }
    guard !problems.isEmpty else { throw ValidationError("no problem matches") }
    if !json { print(AttentionBenchResult.header) }
    var results: [AttentionBenchResult] = []
    for problem in problems {
      for result in try AttentionBench(problem: problem, options: self).results() {
        if !json { print(result.text) }
        results.append(result)
      }
    }
    if json { print(try prettyJSON(results)) }
  }
}

/// One problem under a name.
struct AttentionBenchProblem {
  let name: String
  let descriptor: AttentionDescriptor
  /// The pairs of a head that a kernel cannot but visit.
  let visitedPairs: Int

  static var all: [AttentionBenchProblem] {
    get throws {
      var problems: [AttentionBenchProblem] = []
      for dimension in [128, 64] {
        for (length, batch) in [(16384, 1), (4096, 4), (1024, 16)] {
          for mask in [AttentionMask.none, .causal] {
            let name = mask == .none ? "dense" : "causal"
            try problems.append(
              .init("\(name) D\(dimension) S\(length)", batch: batch, length: length, dimension: dimension, mask: mask))
          }
        }
      }
      try problems.append(
        .init("gqa 32/8 causal D128 S8192", heads: (32, 8), length: 8192, dimension: 128, mask: .causal))
      let window = try BlockMask(queryLength: 16384, keyLength: 16384, queryBlock: 128, keyBlock: 128) { query, key in
        query / 1024 == key / 1024
      }
      try problems.append(.init("window 1024 D128 S16384", length: 16384, dimension: 128, mask: .blocks(window)))
      let tiles = try BlockMask.hilbertWindow(height: 256, width: 256, window: 16, blockSize: 128)
      try problems.append(.init("hwa 256x256 w16 D64", length: 65536, dimension: 64, mask: .blocks(tiles)))
      let band = try BlockMask(queryLength: 16384, keyLength: 16384, queryBlock: 128, keyBlock: 128) { query, key in
        abs(query - key) < 700
      }
      try problems.append(.init("band 700 D64 S16384, partial", length: 16384, dimension: 64, mask: .blocks(band)))
      return problems
    }
  }

  private init(
    _ name: String, batch: Int = 1, heads: (query: Int, keyValue: Int) = (16, 16), length: Int, dimension: Int,
    mask: AttentionMask
  ) throws {
    self.name = name
    descriptor = try AttentionDescriptor(
      batch: batch, queryHeads: heads.query, keyValueHeads: heads.keyValue, queryLength: length,
      headDimension: dimension, dtype: .bfloat16, mask: mask, returnsLSE: true)
    visitedPairs =
      switch mask {
      case .none: length * length
      case .causal: length * (length + 1) / 2
      case .blocks, .headBlocks:
        mask.blockMasks.map { $0.masks[0].columns.count * $0.masks[0].queryBlock * $0.masks[0].keyBlock } ?? 0
      }
  }

  /// The operations of one run.
  var operations: Double {
    Double(2 * (descriptor.headDimension + descriptor.valueDimension)) * Double(visitedPairs)
      * Double(descriptor.batch * descriptor.queryHeads)
  }
}

/// What one variant did on one problem.
struct AttentionBenchResult: Encodable {
  let problem: String
  /// What computed, which is another variant than asked for where that does not take the problem.
  let variant: String
  let device: String
  let driver: String
  /// Compiling, or loading from the cache, and uploading the mask.
  let planMilliseconds: Double
  let eventMilliseconds: Double
  let wallMilliseconds: Double
  let sustainedMilliseconds: Double?
  let eventTeraflops: Double
  let sustainedTeraflops: Double?
  /// ‖O - O'‖ / ‖O'‖ for the first variant's O', and the largest |LSE - LSE'|; nil for the first variant.
  let outputDifference: Double?
  let lseDifference: Double?

  private static let widths = [30, 9, 9, 10, 10, 10, 9, 9, 10, 10]

  static let header = row(
    ["problem", "variant", "plan ms", "event ms", "wall ms", "sust. ms", "TFLOP/s", "sust.", "diff O", "diff LSE"])

  var text: String {
    func number(_ value: Double?, _ places: Int) -> String { value.map { "\($0.rounded(places: places))" } ?? "-" }
    return Self.row([
      problem, variant, number(planMilliseconds, 0), number(eventMilliseconds, 4), number(wallMilliseconds, 4),
      number(sustainedMilliseconds, 4), number(eventTeraflops, 1), number(sustainedTeraflops, 1),
      number(outputDifference, 6), number(lseDifference, 6),
    ])
  }

  private static func row(_ cells: [String]) -> String {
    zip(cells, widths).map { cell, width in
      cell + String(repeating: " ", count: max(width - cell.count, 0))
    }.joined(separator: " ")
  }
}
