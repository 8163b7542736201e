import Testing
import TileCLTestSupport

@testable import TileCL

@Suite("The Ampere kernel of the matrix product")
struct MatmulAmpereTests {
  @Test("Tiles are as the kernel wants them and have names of their own")
  func tileSizes() {
    for tiles in MatmulAmpereTiles.tunings {
      #expect(tiles.localByteCount <= 64 << 10, "\(tiles.name)")
      #expect(tiles.rows % 64 == 0 && tiles.columns % 64 == 0, "\(tiles.name)")
      #expect(tiles.warpRows % 16 == 0 && tiles.warpColumns % 16 == 0 && tiles.stages >= 2, "\(tiles.name)")
    }
    #expect(MatmulAmpereTiles.tunings.count { $0.localByteCount <= 48 << 10 } == 3)
    #expect(Set(MatmulAmpereTiles.tunings.map(\.name)).count == MatmulAmpereTiles.tunings.count)
  }

  @Test("Large tiles for large products, small ones where a device would be idle")
  func usualTiles() throws {
    func usual(_ rows: Int, _ columns: Int, _ depth: Int) throws -> String? {
      let problem = try MatmulDescriptor(
        rows: rows, columns: columns, depth: depth, transposeB: true, dtype: .bfloat16)
      // 108 multiprocessors.
      return MatmulAmpereTiles.tunings.min { $0.cost(problem, units: 216) < $1.cost(problem, units: 216) }?.name
    }
    #expect(try usual(8192, 8192, 8192) == "m128-n128-d32-s4")
    #expect(try usual(512, 512, 64) == "m64-n64-d32-s4")
  }

  @Test("What it does not take has a reason")
  func objections() throws {
    for (problem, part) in try [
      (MatmulDescriptor(rows: 64, columns: 64, depth: 64), "float32"),
      (MatmulDescriptor(rows: 64, columns: 64, depth: 63, transposeB: true, dtype: .bfloat16), "63 in a"),
      (MatmulDescriptor(rows: 64, columns: 60, depth: 64, dtype: .float16), "60 in b"),
      (MatmulDescriptor(rows: 1, columns: 64, depth: 63, dtype: .bfloat16), "63 in a"),
    ] {
      #expect(try #require(MatmulAmpereTiles.objection(problem)).contains(part))
    }
    for problem in try [
      MatmulDescriptor(rows: 64, columns: 61, depth: 64, transposeB: true, dtype: .bfloat16),
      MatmulDescriptor(rows: 64, columns: 64, depth: 7, transposeA: true, beta: 1, dtype: .float16),
      MatmulDescriptor(rows: 8, columns: 8, depth: 8, batch: 65, hasBias: true, dtype: .float16),
    ] {
      #expect(MatmulAmpereTiles.objection(problem) == nil)
    }
  }
}
