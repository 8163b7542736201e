import ArgumentParser
import Testing

@testable import TileCLDemo

@Suite struct ReportTests {
  @Test func checksSeeEveryDifference() {
    #expect(Check([1, 2], [1, 2.5], allowed: 0.5).passes)
    #expect(!Check([1, 2], [1, 2.5], allowed: 0.4).passes)
    #expect(!Check([.nan], [.nan], allowed: 1).passes)
    #expect(!Check([1], [1, 2], allowed: 9).passes)
    #expect(!Check([], [], allowed: 9).passes)
    #expect(Check([.infinity], [.infinity], allowed: 0).passes)
    let good = Check(deviation: 0, allowed: 1)
    let bad = Check(deviation: .nan, allowed: 1)
    #expect(!good.orWorse(bad).passes && !bad.orWorse(good).passes)
  }

  @Test func aFailureShowsInTheTable() {
    var table = ReportTable("Part", header: ["what", "value"])
    table.add("right", "12", check: Check(deviation: 1e-7, allowed: 1e-5))
    table.add("wrong, and longer", "3", check: Check(deviation: 0.5, allowed: 1e-5))
    table.add("unchecked", "4")
    let report = Report(heading: "Heading", tables: [table])
    #expect(!report.passes)
    #expect(report.text.contains("\n  right                 12  "))
    #expect(report.text.contains("  5.0e-01 (1.0e-05) FAILED\n"))
    #expect(report.text.contains("1 passed, 1 failed"))
  }

  @Test func optionsOutOfRangeAreRefused() {
    for arguments in [["--sigma", "0"], ["--sigma", "nan"], ["--tokens", "0"], ["--curves", "65"]] {
      #expect(throws: (any Error).self) { try Demo.parse(arguments) }
    }
    #expect(throws: Never.self) { try Demo.parse(["--picture", "a.png", "--sigma", "10"]) }
  }
}
