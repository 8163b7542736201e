import Testing
import TileCLTestSupport

@testable import TileCL

@Suite("The Hopper kernel of the matrix product")
struct MatmulHopperTests {
  private static func tiles(_ problem: MatmulDescriptor) -> String? {
    MatmulHopperTiles.tunings.filter { $0.fits(problem) }
      .min { $0.estimate(problem, computeUnits: 132) < $1.estimate(problem, computeUnits: 132) }?.name
  }

  @Test("Tiles fit local memory and have names of their own")
  func tileSizes() {
    for tiles in MatmulHopperTiles.tunings {
      // Barriers take less than another KiB.
      #expect(tiles.tileByteCount + 1024 <= 227 << 10, "\(tiles.name)")
      #expect(tiles.rasterRows >= 1)
    }
    #expect(Set(MatmulHopperTiles.tunings.map(\.name)).count == MatmulHopperTiles.tunings.count)
  }

  @Test("Tiles leave few units idle, and have registers for what takes part in a result")
  func usualTiles() throws {
    func square(_ size: Int, transposeB: Bool = true, beta: Float = 0) throws -> MatmulDescriptor {
      try MatmulDescriptor(
        rows: size, columns: size, depth: size, transposeB: transposeB, beta: beta, dtype: .bfloat16)
    }
    #expect(try Self.tiles(square(8192)) == "m256-n200-s3")
    #expect(try Self.tiles(square(8192, transposeB: false)) == "m128-n256-s4")
    #expect(try Self.tiles(square(8192, beta: 1)) == "m128-n256-s4")
    #expect(try Self.tiles(square(1024))?.hasPrefix("m128-n") == true)
  }

  @Test("What it does not take has a reason", arguments: TestEngines.all.filter { $0.context != nil })
  func objections(engine: Engine) throws {
    let context = try #require(engine.context)
    for (problem, part) in try [
      (MatmulDescriptor(rows: 64, columns: 64, depth: 64), "float32"),
      (MatmulDescriptor(rows: 64, columns: 64, depth: 63, transposeB: true, dtype: .bfloat16), "63 in a"),
      (MatmulDescriptor(rows: 64, columns: 60, depth: 64, dtype: .float16), "60 in b"),
      (MatmulDescriptor(rows: 8, columns: 8, depth: 8, batch: 65, dtype: .float16), "batch of 65"),
    ] {
      #expect(try #require(MatmulHopperLaunch.objection(problem, on: context)).contains(part))
    }
    for problem in try [
      MatmulDescriptor(rows: 64, columns: 61, depth: 64, transposeB: true, dtype: .bfloat16),
      MatmulDescriptor(rows: 1, columns: 64, depth: 63, dtype: .bfloat16),
      MatmulDescriptor(rows: 64, columns: 64, depth: 7, transposeA: true, beta: 1, dtype: .float16),
    ] {
      #expect(MatmulHopperLaunch.objection(problem, on: context) == nil)
    }
  }
}
