import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention refuses")
struct AttentionArgumentTests {
  private static func plan(_ engine: Engine) throws -> AttentionPlan {
    try engine.makePlan(
      AttentionDescriptor(
        queryHeads: 2, keyValueHeads: 1, queryLength: 3, keyLength: 5, headDimension: 4, valueDimension: 6))
  }

  private func expect(_ argument: String, _ allowed: String, _ body: () throws -> Void) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.code == .invalidArgument)
    #expect(error?.argument == argument)
    #expect(error?.message.contains(allowed) == true, "\(String(describing: error))")
  }

  @Test("tensors of another shape, naming the tensor", arguments: TestEngines.all)
  func wrongShapes(engine: Engine) throws {
    let plan = try Self.plan(engine)
    let query = try engine.zeros(Float.self, shape: [1, 2, 3, 4])
    let key = try engine.zeros(Float.self, shape: [1, 1, 5, 4])
    let value = try engine.zeros(Float.self, shape: [1, 1, 5, 6])
    #expect(try plan.run(query: query, key: key, value: value).output.shape == [1, 2, 3, 6])
    expect("query", "[1, 2, 3, 4]") { _ = try plan.run(query: key, key: key, value: value) }
    expect("key", "[1, 1, 5, 4]") { _ = try plan.run(query: query, key: value, value: value) }
    expect("value", "[1, 1, 5, 6]") { _ = try plan.run(query: query, key: key, value: key) }
    expect("query", "[1, 2, 3, 4]") {
      _ = try plan.run(query: query.reshaped([2, 3, 4]), key: key, value: value)
    }
  }

  @Test("tensors of another dtype", arguments: TestEngines.all)
  func wrongDType(engine: Engine) throws {
    let plan = try Self.plan(engine)
    expect("query", "float32") {
      _ = try plan.run(
        query: engine.zeros(Float16.self, shape: [1, 2, 3, 4]), key: engine.zeros(Float16.self, shape: [1, 1, 5, 4]),
        value: engine.zeros(Float16.self, shape: [1, 1, 5, 6]))
    }
  }

  @Test("views whose channels are not adjacent, with a mend", arguments: TestEngines.all)
  func wrongLayout(engine: Engine) throws {
    let plan = try Self.plan(engine)
    let query = try engine.zeros(Float.self, shape: [1, 2, 3, 4])
    let key = try engine.zeros(Float.self, shape: [1, 1, 4, 5]).transposed(2, 3)
    let value = try engine.zeros(Float.self, shape: [1, 1, 5, 6])
    expect("key", "stride of 1") { _ = try plan.run(query: query, key: key, value: value) }
    #expect(try plan.run(query: query, key: key.contiguous(), value: value).output.count == 36)
  }

  @Test("tensors of another engine", .enabled(if: TestEngines.hasOpenCL))
  func wrongEngine() throws {
    let engine = try #require(TestEngines.openCL)
    let plan = try Self.plan(engine)
    expect("value", "engine") {
      _ = try plan.run(
        query: engine.zeros(Float.self, shape: [1, 2, 3, 4]), key: engine.zeros(Float.self, shape: [1, 1, 5, 4]),
        value: Engine.reference.zeros(Float.self, shape: [1, 1, 5, 6]))
    }
  }
}
