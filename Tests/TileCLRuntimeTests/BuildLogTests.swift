import Testing

@testable import TileCLRuntime

@Suite struct BuildLogTests {
  private static let text = """
    #line 1 "first.cl"
    one
    two

    #line 1 "my \\"own\\" \\\\ code"
    uno
    #line 7 "last.cl"
    seven
    """

  @Test(arguments: [
    ("<kernel>:2:5: error: bad", "first.cl:1:5: error: bad"), ("<kernel>:4:1: note", "first.cl:3:1: note"),
    ("<kernel>:6:9: error", "my \"own\" \\ code:1:9: error"), ("<kernel>:8:2: error", "last.cl:7:2: error"),
    ("in <kernel>:8:2\nand <kernel>:2:1:\nend", "in last.cl:7:2\nand first.cl:1:1:\nend"),
  ])
  func linesOfTheWholeTextBecomeLinesOfItsParts(log: String, expected: String) {
    #expect(BuildLog.located(log, in: Self.text) == expected)
  }

  @Test func carriageReturnsEndNoLine() {
    let text = "#line 1 \"own\"\na\r\nb\r\n#line 1 \"next\"\nc\n"
    #expect(BuildLog.located("<kernel>:3:1: error", in: text) == "own:2:1: error")
    #expect(BuildLog.located("<kernel>:5:1: error", in: text) == "next:1:1: error")
  }

  @Test(arguments: ["", "first.cl:1:5: error", "<kernel>:1:1: error", "<kernel>:99:1: error", "<kernel>: error", "7"])
  func whatCannotBePlacedStays(log: String) {
    #expect(BuildLog.located(log, in: Self.text) == log)
  }
}
