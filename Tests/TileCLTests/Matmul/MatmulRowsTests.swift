import Testing
import TileCLConformance
import TileCLTestSupport

@testable import TileCL

@Suite("The kernel of the matrix product for few rows")
struct MatmulRowsTests {
  private static func problem(
    _ rows: Int, _ columns: Int, _ depth: Int, transposeB: Bool, dtype: DType = .bfloat16
  ) throws -> MatmulDescriptor {
    try MatmulDescriptor(rows: rows, columns: columns, depth: depth, transposeB: transposeB, dtype: dtype)
  }

  @Test("Tiles fit the least local memory of today's GPUs and have names of their own")
  func tileSizes() throws {
    for sizes in MatmulRowsSizes.tunings {
      for rows in 1...8 {
        for (transposeB, dtype) in [(false, DType.float32), (false, .float16), (true, .float32), (true, .float16)] {
          let problem = try Self.problem(rows, 100, 100, transposeB: transposeB, dtype: dtype)
          let tiles = MatmulRowsTiles(problem, sizes)
          #expect(tiles.rows >= rows && tiles.rows < 2 * rows)
          #expect(tiles.localByteCount <= 32 << 10, "\(sizes.name)")
        }
      }
    }
    #expect(Set(MatmulRowsSizes.tunings.map(\.name)).count == MatmulRowsSizes.tunings.count)
  }

  @Test("Groups share the depth where columns are too few to keep a device busy, and not elsewhere")
  func sharedDepths() throws {
    /// The splits of the cheapest choice for 132 multiprocessors.
    func splits(_ problem: MatmulDescriptor) -> Int? {
      let choices = MatmulRowsSizes.tunings.filter { $0.groupItems > 1 }.flatMap { sizes in
        [1, 528].map { groups in
          let tiles = MatmulRowsTiles(problem, sizes)
          let split = tiles.split(problem, groups: groups)
          #expect(split.depth * split.splits >= problem.depth && split.depth * (split.splits - 1) < problem.depth)
          #expect(split.depth % tiles.stepDepth == 0)
          return (splits: split.splits, cost: tiles.cost(problem, split, groupsAtOnce: 528))
        }
      }
      return choices.min { $0.cost < $1.cost }?.splits
    }
    #expect(try splits(Self.problem(1, 8192, 2048, transposeB: true)) == 1)
    #expect(try splits(Self.problem(1, 2048, 8192, transposeB: true)) == 1)
    #expect(try splits(Self.problem(4, 128_000, 2048, transposeB: false)) == 1)
    #expect(try splits(Self.problem(1, 16, 100_000, transposeB: true)).map { $0 > 1 } == true)
    #expect(try splits(Self.problem(1, 2048, 8192, transposeB: false)).map { $0 > 1 } == true)
  }

  @Test("Up to eight rows are taken", arguments: TestEngines.all.filter { $0.context != nil })
  func objections(engine: Engine) throws {
    let context = try #require(engine.context)
    for rows in 1...8 {
      let problem = try Self.problem(rows, 64, 63, transposeB: true)
      #expect(MatmulRowsLaunch.objection(problem, on: context) == nil)
    }
    let problem = try Self.problem(9, 64, 64, transposeB: true)
    #expect(try #require(MatmulRowsLaunch.objection(problem, on: context)).contains("9 rows"))
  }

  /// What is chosen for one kind of device must be right on every other, or a new device could meet an untried kernel.
  @Test("Every size runs here", .enabled(if: TestEngines.hasOpenCL))
  func everySize() throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let row = try #require(KernelTable.rows.first { $0.operation == .matmul && $0.name == "rows" })
    var values = SeededValues(seed: 6)
    for (columns, depth, transposeB) in [(50, 300, true), (72, 90, false)] {
      let problem = try Self.problem(3, columns, depth, transposeB: transposeB, dtype: .float32)
      let (a, b) = (values.normals(3 * depth, as: Float.self), values.normals(columns * depth, as: Float.self))
      let expected = try Reference.matmul(problem, a: a, b: b)
      for sizes in MatmulRowsSizes.tunings
      where sizes.groupItems <= context.device.capabilities.maximumWorkGroupSize {
        let launch = try MatmulRowsLaunch(problem, sizes: sizes, variant: row, on: context)
        let c = try engine.empty(Float.self, shape: problem.cShape)
        _ = try launch.enqueue(
          MatmulOperands(
            a: .init(engine.tensor(a, shape: problem.aShape), hasBatch: false),
            b: .init(engine.tensor(b, shape: problem.bShape), hasBatch: false), c: .init(c, hasBatch: false),
            bias: [.noBuffer, .element(0)]))
        for (value, truth) in zip(try c.array(), expected) { #expect(abs(Double(value) - truth) < 1e-4) }
      }
    }
  }
}
