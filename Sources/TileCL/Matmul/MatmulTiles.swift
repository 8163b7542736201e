package import TileCLReference
package import TileCLRuntime

/// How a kernel of the matrix product cuts C; its file describes each number.
package protocol MatmulTiles: KernelSizes, Hashable, Sendable {
  /// Rows of C that a work-group computes.
  var rows: Int { get }
  /// Columns of C that a work-group computes.
  var columns: Int { get }
  /// How much of the depth is in local memory at a time.
  var depth: Int { get }
  /// Work-items of a group.
  var groupItems: Int { get }
  /// Rows come in multiples of these, columns too.
  var unit: (rows: Int, columns: Int) { get }
  /// The kernel's static local memory.
  var localByteCount: Int { get }
  /// The kernel's compile keys for tiles.
  var defines: [String: Int] { get }

  /// The sizes that suit a device, the largest first, the last being for any device.
  static func rows(isWide: Bool, device: Device) -> [Self]

  /// Why the kernel does not take a problem; nil if it does.
  static func objection(_ problem: MatmulDescriptor) -> String?

  /// Whether the kernel takes tensors of such strides and addresses.
  static func takes(_ operands: MatmulOperands) -> Bool
}

extension MatmulTiles {
  package static func objection(_ problem: MatmulDescriptor) -> String? { nil }
  package static func takes(_ operands: MatmulOperands) -> Bool { true }
}

extension MatmulTiles {
  /// What a problem costs a device in multiply-adds of one work-group after another.
  ///
  /// Groups run in rounds of as many as there are units, and to bring an element into local memory costs as much as
  /// `copyCost` multiply-adds.
  func cost(_ problem: MatmulDescriptor, units: Int) -> Double {
    let split = MatmulSplit(problem, tiles: self, units: units)
    let rounds = (split.groups + units - 1) / units
    let usedRows = min(rows, problem.rows.roundedUp(toMultipleOf: unit.rows))
    let usedColumns = min(columns, problem.columns.roundedUp(toMultipleOf: unit.columns))
    let step = Double(usedRows * usedColumns) + Self.copyCost * Double(usedRows + usedColumns)
    return Double(rounds) * Double(min(split.depth, problem.depth)) * step
  }

  private static var copyCost: Double { 8 }

  /// The cheapest sizes that fit a device's local memory and groups, or those that `TILECL_TUNING` names.
  static func choice(_ problem: MatmulDescriptor, isWide: Bool, on context: Context) -> Self? {
    let capabilities = context.device.capabilities
    let fitting = rows(isWide: isWide, device: context.device).filter {
      $0.localByteCount <= context.device.declarableLocalMemory && $0.groupItems <= capabilities.maximumWorkGroupSize
    }
    let units = MatmulSplit.units(context.device)
    let cheapest = fitting.min { $0.cost(problem, units: units) < $1.cost(problem, units: units) }
    guard let cheapest else { return nil }
    return KernelTable.tuning(fitting, usual: cheapest, forced: context.environment.tuning) { _ in true }
  }
}
