/// What one variant did on one problem.
struct BenchResult: Encodable {
  /// A time, and what it means for the work of the problem.
  struct Rate: Encodable {
    let milliseconds: Double
    let teraflops: Double
    /// Of the bytes that any implementation moves at least.
    let gigabytesPerSecond: Double
    /// The time that the roofs allow over the time taken: by arithmetic, by memory, and the larger of the two. Above 1
    /// where the kernel that measured the roof was slower than this one; nil without a roof.
    let matrixShare: Double?
    let memoryShare: Double?
    var share: Double? { matrixShare.flatMap { matrix in memoryShare.map { max(matrix, $0) } } }

    init(seconds: Double, operations: Double, bytes: Double, matrix: Double?, memory: Double?) {
      milliseconds = seconds * 1e3
      teraflops = operations / seconds * 1e-12
      gigabytesPerSecond = bytes / seconds * 1e-9
      matrixShare = matrix.map { operations / seconds * 1e-12 / $0 }
      memoryShare = memory.map { bytes / seconds * 1e-9 / $0 }
    }

    private enum CodingKeys: String, CodingKey {
      case milliseconds, teraflops, gigabytesPerSecond, matrixShare, memoryShare, share
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(milliseconds, forKey: .milliseconds)
      try container.encode(teraflops, forKey: .teraflops)
      try container.encode(gigabytesPerSecond, forKey: .gigabytesPerSecond)
      try container.encodeIfPresent(matrixShare, forKey: .matrixShare)
      try container.encodeIfPresent(memoryShare, forKey: .memoryShare)
      try container.encodeIfPresent(share, forKey: .share)
    }
  }

  let problem: String
  /// What computed, which is another variant than asked for where that does not take the problem.
  let variant: String
  let tuning: String?
  let device: String
  let driver: String
  /// Compiling, or loading from the cache, and uploading the mask.
  let planMilliseconds: Double
  /// From the first kernel's start to the last one's end, the median of single runs.
  let burst: Rate
  /// What took the time of the run whose time is ``burst``; nil without a device.
  let commands: BenchCommands?
  /// The host's clock over a batch of runs, at first.
  let wall: Rate
  /// The same after a while of running.
  let sustained: Rate?
  /// The device memory that a run takes at most beyond what its arguments and plans hold: results and workspace.
  let extraBytes: Int
  /// The roof that the matrix shares refer to.
  let matrixRoof: String?
  /// ‖O - O'‖ / ‖O'‖ for the first variant's O' (all results together where there are several), and the largest
  /// |LSE - LSE'|; nil for the first variant.
  let outputDifference: Double?
  let lseDifference: Double?

  private static let widths = [46, 9, 16, 9, 10, 10, 10, 9, 9, 9, 6, 10, 10]

  static let header = row([
    "problem", "variant", "tuning", "plan ms", "burst ms", "wall ms", "sust. ms", "TFLOP/s", "sust.", "GB/s", "roof",
    "extra", "difference",
  ])

  var text: String {
    func number(_ value: Double?, _ places: Int) -> String { value.map { "\($0.rounded(places: places))" } ?? "-" }
    return Self.row([
      problem, variant, tuning ?? "-", number(planMilliseconds, 0), number(burst.milliseconds, 4),
      number(wall.milliseconds, 4), number(sustained?.milliseconds, 4), number(burst.teraflops, 3),
      number(sustained?.teraflops, 3), number(burst.gigabytesPerSecond, 1),
      Self.percentage(burst.share), formatBytes(extraBytes), number(outputDifference, 6),
    ])
  }

  /// What the mark behind a share means.
  static let shareNote = "* more than the measured limit: the kernel that measured it did not reach what the device can"

  /// Whether the table marks the share.
  var isAboveRoof: Bool { burst.share.map { $0 > 1 } ?? false }

  /// A share in percent, marked above 100; a dash where there is none, or no number.
  static func percentage(_ share: Double?) -> String {
    guard let share, let percent = Int(exactly: (share * 100).rounded()) else { return "-" }
    return "\(percent) %\(share > 1 ? "*" : "")"
  }

  private static func row(_ cells: [String]) -> String {
    zip(cells, widths).map { cell, width in
      cell + String(repeating: " ", count: max(width - cell.count, 0))
    }.joined(separator: " ")
  }
}
