import Testing
import TileCLConformance
import TileCLTestSupport

@testable import TileCL

@Suite struct MatmulPlanTests {
  @Test(arguments: TestEngines.all)
  func theProductsOfALinearLayer(engine: Engine) throws {
    // Small whole numbers, so that every product is exact.
    let (tokens, wide, narrow) = (5, 7, 3)
    func values(_ count: Int, _ period: Int) -> [Float] { (0..<count).map { Float($0 % period) - 2 } }
    let (x, w, dy) = (values(tokens * narrow, 5), values(wide * narrow, 7), values(tokens * wide, 4))
    let tensors = try (
      x: engine.tensor(x, shape: [tokens, narrow]), w: engine.tensor(w, shape: [wide, narrow]),
      dy: engine.tensor(dy, shape: [tokens, wide])
    )
    let forward = try engine.makePlan(
      MatmulDescriptor(rows: tokens, columns: wide, depth: narrow, transposeB: true))
    let y = try forward.run(tensors.x, tensors.w)
    let input = try engine.makePlan(MatmulDescriptor(rows: tokens, columns: narrow, depth: wide))
    let dx = try input.run(tensors.dy, tensors.w)
    let weight = try engine.makePlan(
      MatmulDescriptor(rows: wide, columns: narrow, depth: tokens, transposeA: true))
    let dw = try weight.run(tensors.dy, tensors.x)
    func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    // y is linear in x and in w: <dy, y> = <dx, x> = <dw, w>.
    let loss = try dot(dy, y.array())
    #expect(try dot(dx.array(), x) == loss)
    #expect(try dot(dw.array(), w) == loss)
    #expect(y.shape == [tokens, wide] && dx.shape == [tokens, narrow] && dw.shape == [wide, narrow])
  }

  @Test(arguments: TestEngines.all)
  func resultsAccumulateInPlace(engine: Engine) throws {
    let plan = try engine.makePlan(MatmulDescriptor(rows: 2, columns: 2, depth: 2, beta: 1))
    let a = try engine.tensor([1, 2, 3, 4], shape: [2, 2])
    let identity = try engine.tensor([1, 0, 0, 1], shape: [2, 2])
    let sum = try engine.zeros(Float.self, shape: [2, 2])
    for run in 1...3 {
      try plan.run(a, identity, into: sum)
      #expect(try sum.array() == [1, 2, 3, 4].map { Float(run) * $0 })
    }
    let error = try #require(throws: TileCLError.self) { try plan.run(a, identity) }
    #expect(error.argument == "c")
  }

  /// Queries, keys and values of one product, and another's columns left alone.
  @Test(arguments: TestEngines.all)
  func resultsMayBeSlices(engine: Engine) throws {
    let plan = try engine.makePlan(MatmulDescriptor(rows: 2, columns: 2, depth: 1))
    let whole = try engine.zeros(Float.self, shape: [2, 5])
    let slice = try whole.sliced(axis: 1, range: 2..<4)
    try plan.run(engine.tensor([1, 2], shape: [2, 1]), engine.tensor([3, 4], shape: [1, 2]), into: slice)
    #expect(try whole.array() == [0, 0, 3, 4, 0, 0, 0, 6, 8, 0])
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let plan = try engine.makePlan(MatmulDescriptor(rows: 2, columns: 3, depth: 4, hasBias: true))
    let a = try engine.zeros(Float.self, shape: [2, 4])
    let b = try engine.zeros(Float.self, shape: [4, 3])
    let bias = try engine.zeros(Float.self, shape: [3])
    #expect(faultyArgument { try plan.run(a, b, bias: bias) } == nil)
    #expect(faultyArgument { try plan.run(a.reshaped([4, 2]), b, bias: bias) } == "a")
    #expect(faultyArgument { try plan.run(a, b.reshaped([3, 4]), bias: bias) } == "b")
    #expect(
      faultyArgument { try plan.run(engine.zeros(Float.self, shape: [4, 2]).transposed(0, 1), b, bias: bias) } == "a")
    #expect(faultyArgument { try plan.run(a, b) } == "bias")
    #expect(faultyArgument { try plan.run(a, b, bias: engine.zeros(Float.self, shape: [4])) } == "bias")
    #expect(faultyArgument { try plan.run(a, b, bias: bias, as: Float16.self) } == "c")
    let halves = try engine.zeros(Float16.self, shape: [2, 4])
    let halfB = try engine.zeros(Float16.self, shape: [4, 3])
    #expect(faultyArgument { try plan.run(halves, halfB, bias: engine.zeros(Float16.self, shape: [3])) } == "a")
    #expect(faultyArgument { try plan.run(a, b, bias: bias, into: engine.zeros(Float.self, shape: [3, 2])) } == "c")
    let square = try engine.makePlan(MatmulDescriptor(rows: 2, columns: 2, depth: 2))
    let memory = try engine.zeros(Float.self, shape: [4, 2])
    let (top, middle) = try (memory.sliced(axis: 0, range: 0..<2), memory.sliced(axis: 0, range: 1..<3))
    let bottom = try memory.sliced(axis: 0, range: 2..<4)
    #expect(faultyArgument { try square.run(top, bottom, into: middle) } == "c")
    #expect(faultyArgument { try square.run(top, bottom, into: top) } == "c")
    #expect(faultyArgument { try square.run(top, top, into: bottom) } == nil)
    for other in TestEngines.all where other !== engine {
      #expect(faultyArgument { try plan.run(other.zeros(Float.self, shape: [2, 4]), b, bias: bias) } == "a")
    }
  }

  @Test func fewTilesShareTheDepth() throws {
    let problem = try MatmulDescriptor(rows: 20, columns: 20, depth: 10_000, batch: 2)
    for tiles in MatmulVectorTiles.tunings {
      let split = MatmulSplit(problem, tiles: tiles, units: 64)
      #expect(split.splits > 1)
      #expect(split.depth % tiles.depth == 0)
      #expect(split.depth * split.splits >= problem.depth && split.depth * (split.splits - 1) < problem.depth)
      #expect(split.partsByteCount == split.splits * 2 * 20 * 20 * 4)
      #expect(MatmulSplit(problem, tiles: tiles, units: 64, largestParts: 2 * 20 * 20 * 4).splits == 1)
      let many = try MatmulDescriptor(rows: 5000, columns: 5000, depth: 10_000)
      #expect(MatmulSplit(many, tiles: tiles, units: 64).splits == 1)
    }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func aPlanSaysWhatItDoes() throws {
    let engine = try #require(TestEngines.openCL)
    let plan = try engine.makePlan(MatmulDescriptor(rows: 3, columns: 3, depth: 100_000))
    #expect(KernelTable.rows.contains { $0.operation == .matmul && $0.name == plan.variant })
    #expect(plan.tuning != nil)
    #expect(plan.workspaceByteCount == (plan.splits > 1 ? plan.splits * 9 * 4 : 0))
    #expect(try Engine.reference.makePlan(plan.descriptor).variant == "reference")
  }

  /// What is chosen for one kind of device must be right on every other, or a new device could meet an untried kernel.
  @Test(.enabled(if: TestEngines.hasOpenCL))
  func groupsOfManyItemsRunHere() throws {
    let context = try #require(TestEngines.openCL?.context)
    let engine = try #require(TestEngines.openCL)
    var values = SeededValues(seed: 5)
    let problem = try MatmulDescriptor(rows: 70, columns: 50, depth: 90, transposeB: true)
    let (a, b) = (values.normals(70 * 90, as: Float.self), values.normals(50 * 90, as: Float.self))
    let expected = try Reference.matmul(problem, a: a, b: b)
    let row = try KernelTable.portable(.matmul, on: context)
    for tiles in MatmulPortableTiles.all where tiles.groupItems <= context.device.capabilities.maximumWorkGroupSize {
      let launch = try MatmulTileLaunch(problem, tiles: tiles, variant: row, on: context)
      let c = try engine.empty(Float.self, shape: [70, 50])
      _ = try launch.enqueue(
        MatmulOperands(
          a: .init(engine.tensor(a, shape: [70, 90]), hasBatch: false),
          b: .init(engine.tensor(b, shape: [50, 90]), hasBatch: false), c: .init(c, hasBatch: false),
          bias: [.noBuffer, .element(0)]))
      for (value, truth) in zip(try c.array(), expected) { #expect(abs(Double(value) - truth) < 1e-4) }
    }
  }
}

@Suite struct TensorPlaceTests {
  private func view(_ tensor: Tensor<Float>, rows: Range<Int>, columns: Range<Int>) throws -> TensorPlace {
    try tensor.sliced(axis: 0, range: rows).sliced(axis: 1, range: columns).place
  }

  @Test func slicesOfColumnsAreApart() throws {
    let tensor = try Engine.reference.zeros(Float.self, shape: [4, 10])
    let left = try view(tensor, rows: 0..<4, columns: 0..<5)
    #expect(try !left.overlaps(view(tensor, rows: 0..<4, columns: 5..<10)))
    #expect(try left.overlaps(view(tensor, rows: 1..<2, columns: 4..<6)))
    #expect(try !view(tensor, rows: 0..<2, columns: 0..<5).overlaps(view(tensor, rows: 2..<4, columns: 0..<5)))
    #expect(left.overlaps(tensor.place))
    #expect(try !left.overlaps(Engine.reference.zeros(Float.self, shape: [4, 10]).place))
  }
}
