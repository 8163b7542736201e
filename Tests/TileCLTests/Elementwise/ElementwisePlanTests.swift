import Testing
import TileCL
import TileCLTestSupport

@Suite struct ElementwisePlanTests {
  @Test(arguments: TestEngines.all)
  func gradientsAccumulateInPlace(engine: Engine) throws {
    let plan = try engine.makePlan(
      ElementwiseDescriptor(shape: [3], function: .sum(), dtype: .bfloat16, outputDType: .float32))
    let total = try engine.zeros(Float.self, shape: [3])
    let gradient = try engine.tensor([1, 2, -3].map { BFloat16($0) }, shape: [3])
    for run in 1...3 {
      try plan.run(gradient, total, into: total)
      #expect(try total.array() == [1, 2, -3].map { Float(run) * $0 })
    }
  }

  @Test(arguments: TestEngines.all)
  func conversionsRoundToNearest(engine: Engine) throws {
    let plan = try engine.makePlan(
      ElementwiseDescriptor(shape: [4], function: .scaled(by: 1), outputDType: .bfloat16))
    let values: [Float] = [1, 1 + 0x1p-8, 1 + 0x1.8p-7, .infinity]
    #expect(
      try plan.run(engine.tensor(values, shape: [4]), as: BFloat16.self).array() == values.map { BFloat16($0) })
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let plan = try engine.makePlan(ElementwiseDescriptor(shape: [2, 3], function: .sum()))
    let scale = try engine.makePlan(ElementwiseDescriptor(shape: [2, 3], function: .scaled(by: 2)))
    let (x, other) = try (engine.zeros(Float.self, shape: [2, 3]), engine.zeros(Float.self, shape: [3, 2]))
    #expect(faultyArgument { try plan.run(x, x) } == nil)
    #expect(faultyArgument { try plan.run(other, x) } == "x")
    #expect(faultyArgument { try plan.run(x, other) } == "z")
    #expect(faultyArgument { try plan.run(x) } == "z")
    #expect(faultyArgument { try scale.run(x, x) } == "z")
    #expect(faultyArgument { try plan.run(x, x, into: other) } == "y")
    #expect(faultyArgument { try plan.run(x, other.transposed(0, 1)) } == "z")
    let memory = try engine.zeros(Float.self, shape: [3, 3])
    #expect(
      faultyArgument {
        try scale.run(memory.sliced(axis: 0, range: 0..<2), into: memory.sliced(axis: 0, range: 1..<3))
      } == "y")
  }
}
