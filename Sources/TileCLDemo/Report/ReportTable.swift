import TileCLText

/// One part of the report: rows of cells, each row with how far its numbers are from the reference.
struct ReportTable: Sendable {
  private struct Row: Sendable {
    var cells: [String]
    var check: Check?
  }

  let title: String
  private var rows: [Row]

  /// - Parameter header: The names of the columns, without that of the checks.
  init(_ title: String, header: [String]) {
    self.title = title
    rows = [Row(cells: header)]
  }

  mutating func add(_ cells: String..., check: Check? = nil) {
    rows.append(Row(cells: cells, check: check))
  }

  var passes: Bool { rows.allSatisfy { $0.check?.passes ?? true } }

  /// How many checks there are, and how many failed.
  var checkCount: Int { rows.count { $0.check != nil } }
  var failureCount: Int { rows.count { !($0.check?.passes ?? true) } }

  /// The cells as they are printed, with the checks' column where the table has any.
  fileprivate var lines: [[String]] {
    rows.enumerated().map { index, row in
      guard checkCount > 0 else { return row.cells }
      if index == 0 { return row.cells + ["off the reference (allowed)"] }
      guard let check = row.check else { return row.cells }
      let verdict = check.passes ? "ok" : "FAILED"
      let deviation = Format.scientific(check.deviation)
      return row.cells + ["\(deviation) (\(Format.scientific(check.allowed))) \(verdict)"]
    }
  }
}

/// The parts of the report under one another, with columns that fit all of a part.
struct Report: Sendable {
  let heading: String
  var tables: [ReportTable] = []
  var closing: [String] = []

  var passes: Bool { tables.allSatisfy(\.passes) }

  var text: String {
    var text = heading + "\n"
    for table in tables {
      let lines = table.lines
      let columns = lines.map(\.count).max() ?? 0
      let widths = (0..<columns).map { column in
        lines.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
      }
      text += "\n\(table.title)\n"
      for (index, line) in lines.enumerated() {
        // The first column is words and stands left; numbers stand right.
        let cells = line.enumerated().map { $1.padded(to: widths[$0], left: $0 > 0) }
        text += "  " + cells.joined(separator: "  ") + "\n"
        if index == 0 {
          text += "  " + String(repeating: "-", count: widths.reduce(2 * (columns - 1), +)) + "\n"
        }
      }
    }
    let checks = tables.reduce(0) { $0 + $1.checkCount }
    let failures = tables.reduce(0) { $0 + $1.failureCount }
    text += "\nChecks against the reference: \(checks - failures) passed, \(failures) failed\n"
    return text + closing.map { $0 + "\n" }.joined()
  }
}
