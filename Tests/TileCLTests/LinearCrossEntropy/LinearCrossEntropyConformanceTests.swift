import Testing
import TileCLConformance

@Suite("Linear cross-entropy: conformance cases")
struct LinearCrossEntropyConformanceTests {
  @Test("There are at least 50, every dtype among those for an interpreter")
  func coverage() {
    let cases = LinearCrossEntropyCases.all
    #expect(cases.count >= 50)
    let small = cases.filter(\.isSmall).map(\.name)
    for dtype in ["float32", "float16", "bfloat16"] {
      #expect(small.contains { $0.hasSuffix("-\(dtype)") }, "\(dtype)")
    }
  }
}
