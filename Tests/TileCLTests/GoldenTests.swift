import Testing
import TileCL
import TileCLTestSupport

@Suite("The reference agrees with PyTorch")
struct ReferenceGoldenTests {
  private let check = GoldenCheck(engine: .reference)

  @Test("Attention", arguments: GoldenFixture.all(.attention))
  func attention(_ fixture: GoldenFixture) throws { try check.attention(fixture) }

  @Test("Linear cross-entropy", arguments: GoldenFixture.all(.linearCrossEntropy))
  func linearCrossEntropy(_ fixture: GoldenFixture) throws { try check.linearCrossEntropy(fixture) }

  @Test("Distillation", arguments: GoldenFixture.all(.linearDistillation))
  func linearDistillation(_ fixture: GoldenFixture) throws { try check.linearDistillation(fixture) }

  @Test("Quantized matrix multiplication", arguments: GoldenFixture.all(.quantizedMatmul))
  func quantizedMatmul(_ fixture: GoldenFixture) throws { try check.quantizedMatmul(fixture) }

  @Test("All fixtures are found")
  func inventory() {
    #expect(GoldenFixture.all(.attention).count == 63)
    #expect(GoldenFixture.all(.linearCrossEntropy).count == 25)
    #expect(GoldenFixture.all(.linearDistillation).count == 2)
    #expect(GoldenFixture.all(.quantizedMatmul).count == 13)
  }

  @Test("Hilbert orders of grids of every kind are those of another implementation")
  func hilbertOrders() throws {
    let file = try GoldenFixture(operation: "attention_orders", name: "hilbert").open()
    #expect(file.names.count == 19)
    for name in file.names {
      let sides = name.split(separator: "x").compactMap { Int($0) }
      let order = try TokenOrder.hilbert(height: #require(sides.first), width: #require(sides.last))
      #expect(try order.permutation == file.values(name, as: Int32.self), "\(name)")
    }
  }
}

@Suite(
  "OpenCL agrees with PyTorch",
  .enabled(if: TestEngines.hasOpenCL || TestEngines.requiresOpenCL, "there is no OpenCL device"))
struct OpenCLGoldenTests {
  private let check: GoldenCheck

  init() throws {
    let engine = try #require(TestEngines.openCL, "TILECL_REQUIRE_OPENCL=1: \(TestEngines.absence)")
    check = GoldenCheck(engine: engine)
  }

  @Test("Attention", arguments: GoldenFixture.all(.attention))
  func attention(_ fixture: GoldenFixture) throws { try check.attention(fixture) }

  /// Of the options, all at once: one by one they are the conformance cases' matter.
  @Test(
    "Linear cross-entropy",
    arguments: GoldenFixture.all(.linearCrossEntropy).filter { fixture in
      !fixture.name.hasPrefix("options_") || fixture.name.hasPrefix("options_every")
    })
  func linearCrossEntropy(_ fixture: GoldenFixture) throws { try check.linearCrossEntropy(fixture) }

  @Test("Distillation", arguments: GoldenFixture.all(.linearDistillation))
  func linearDistillation(_ fixture: GoldenFixture) throws { try check.linearDistillation(fixture) }

  @Test("Quantized matrix multiplication", arguments: GoldenFixture.all(.quantizedMatmul))
  func quantizedMatmul(_ fixture: GoldenFixture) throws { try check.quantizedMatmul(fixture) }
}
