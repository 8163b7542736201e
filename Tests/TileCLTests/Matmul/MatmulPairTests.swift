import Testing
import TileCLTestSupport

@testable import TileCL

@Suite("The kernel of the matrix product for pairs of bf16")
struct MatmulPairTests {
  @Test("Tiles are as the kernel wants them, fit a cache and have names of their own")
  func tileSizes() {
    for tiles in MatmulPairTiles.tunings {
      #expect(tiles.rows % 12 == 0 && tiles.columns % 32 == 0 && tiles.depth % 32 == 0, "\(tiles.name)")
      #expect(tiles.localByteCount <= 640 << 10, "\(tiles.name)")
    }
    #expect(Set(MatmulPairTiles.tunings.map(\.name)).count == MatmulPairTiles.tunings.count)
  }

  @Test("Large tiles for large products, small ones where cores would be idle")
  func usualTiles() throws {
    func usual(_ rows: Int, _ columns: Int, _ depth: Int) throws -> String? {
      let problem = try MatmulDescriptor(rows: rows, columns: columns, depth: depth, dtype: .bfloat16)
      return MatmulPairTiles.tunings.min { $0.cost(problem, units: 16) < $1.cost(problem, units: 16) }?.name
    }
    #expect(try usual(8192, 8192, 8192) == "pairs-r264-c256-d256")
    #expect(try usual(96, 128, 200) == "pairs-r24-c32-d256")
  }

  @Test("It takes bf16 alone, whatever the sizes")
  func objections() throws {
    for dtype in [DType.float32, .float16] {
      let problem = try MatmulDescriptor(rows: 64, columns: 64, depth: 64, dtype: dtype)
      #expect(try #require(MatmulPairTiles.objection(problem)).contains("\(dtype)"))
    }
    let odd = try MatmulDescriptor(
      rows: 5, columns: 3, depth: 7, batch: 2, beta: 1, hasBias: true, dtype: .bfloat16, outputDType: .float32)
    #expect(MatmulPairTiles.objection(odd) == nil)
  }

  private static let hasDotProducts = TestEngines.openCL?.context?.probes.avx512bf16.isPresent == true

  private static func forced() throws -> Engine {
    try Engine(
      device: #require(TestEngines.openCL?.context?.device),
      environment: Environment(variables: ["TILECL_VARIANT": "avx512bf16"]))
  }

  @Test(
    "Small whole numbers give exact sums: odd depths, odd addresses, every side transposed or not",
    .enabled(if: hasDotProducts), arguments: [1, 31, 33, 64, 543])
  func exactSums(depth: Int) throws {
    let engine = try Self.forced()
    let (rows, columns) = (25, 37)
    for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
      let problem = try MatmulDescriptor(
        rows: rows, columns: columns, depth: depth, transposeA: transposeA, transposeB: transposeB, dtype: .bfloat16,
        outputDType: .float32)
      let a = (0..<rows * depth).map { Float($0 * 7 % 17 - 8) }
      let b = (0..<depth * columns).map { Float($0 * 5 % 13 - 6) }
      // One column more, in front, makes every other row begin at an odd address.
      func view(_ values: [Float], _ shape: [Int]) throws -> Tensor<BFloat16> {
        var wide: [BFloat16] = []
        for row in 0..<shape[0] {
          wide.append(BFloat16(Float.nan))
          wide += values[row * shape[1]..<(row + 1) * shape[1]].map { BFloat16($0) }
        }
        return try engine.tensor(wide, shape: [shape[0], shape[1] + 1]).sliced(axis: 1, range: 1..<shape[1] + 1)
      }
      let plan = try engine.makePlan(problem)
      #expect(plan.variant == "avx512bf16")
      let c = try plan.run(view(a, problem.aShape), view(b, problem.bShape), as: Float.self).array()
      #expect(try c.map(Double.init) == Reference.matmul(problem, a: a, b: b))
    }
  }

  @Test("Denormal elements count as zeros", .enabled(if: hasDotProducts))
  func denormals() throws {
    let engine = try Self.forced()
    let problem = try MatmulDescriptor(rows: 9, columns: 1, depth: 2, dtype: .bfloat16, outputDType: .float32)
    let denormal = BFloat16(bitPattern: 0x0040)
    let a = try engine.tensor((0..<18).map { $0 % 2 == 0 ? denormal : BFloat16(3) }, shape: [9, 2])
    let b = try engine.tensor([BFloat16(Float(0x1p100)), BFloat16(2)], shape: [2, 1])
    #expect(try engine.makePlan(problem).run(a, b, as: Float.self).array() == [Float](repeating: 6, count: 9))
  }
}
