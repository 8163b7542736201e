import Testing
import TileCL

@testable import TileCLConformance

@Suite("Random problems of attention")
struct AttentionFuzzTests {
  @Test("are as many as asked for")
  func count() {
    for count in [0, 1, 14] { #expect(AttentionCases.fuzz(count: .success(count)).count == count) }
  }

  @Test("fail with the error of a number that cannot be read")
  func badCount() throws {
    let cases = AttentionCases.fuzz(
      count: Result { try Environment(variables: ["TILECL_FUZZ": "abc"]).fuzzCount })
    #expect(cases.map(\.name) == ["fuzz"])
    let error = #expect(throws: TileCLError.self) { try cases.first?.conformance.run(on: .reference) }
    #expect(error?.argument == "TILECL_FUZZ")
    #expect(error?.code == .environment)
  }
}
