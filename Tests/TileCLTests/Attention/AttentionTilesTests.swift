import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention tiles")
struct AttentionTilesTests {
  static let limits: [AttentionTiles.Limits] = [
    .init(kind: .cpu, localMemory: 1 << 20, workGroupSize: 4096),
    .init(kind: .cpu, localMemory: 32768, workGroupSize: 1),
    .init(kind: .gpu, localMemory: 49152, workGroupSize: 1024),
    .init(kind: .gpu, localMemory: 32768, workGroupSize: 256),
    .init(kind: .gpu, localMemory: 65536, workGroupSize: 33),
    .init(kind: .accelerator, localMemory: 32768, workGroupSize: 1),
  ]

  @Test("fit into local memory and keep the kernel's preconditions at every size", arguments: limits)
  func preconditions(limits: AttentionTiles.Limits) throws {
    let blocks: [(query: Int, key: Int)?] = [nil, (1, 1), (16, 128), (5, 7), (100, 48), (1024, 1024)]
    for head in 1...256 {
      for value in [1, 2, 3, 7, 64, 100, 128, 255, 256] {
        for block in blocks {
          let tiles = try AttentionTiles(
            headDimension: head, valueDimension: value, block: block, limits: limits)
          #expect(tiles.localByteCount(headDimension: head, valueDimension: value) <= limits.localMemory)
          #expect(tiles.workGroupSize <= limits.workGroupSize)
          #expect(tiles.workGroupSize.nonzeroBitCount == 1)
          #expect(tiles.queryTile % tiles.vector == 0)
          #expect(tiles.keyTile % tiles.microKeys == 0)
          #expect(tiles.depthTile % 4 == 0)
          #expect((1...tiles.keyTile).contains(tiles.valueTile))
          #expect((1...tiles.keyTile).contains(tiles.microValues))
        }
      }
    }
  }

  @Test("count local memory as the compiler does", .enabled(if: TestEngines.hasOpenCL), arguments: [3, 64, 147, 256])
  func localMemory(head: Int) throws {
    let context = try #require(TestEngines.openCL?.context)
    for mask in [AttentionMask.none, .blocks(try .causal(queryLength: 40, keyLength: 40, blockSize: 16))] {
      let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 40, headDimension: head, mask: mask)
      let launch = try AttentionLaunch(problem, on: context)
      let counted = launch.kernelDescriptor.tiles.localByteCount(headDimension: head, valueDimension: head)
      // Compilers may pad between arrays, and drivers add some bytes of their own.
      #expect((counted...counted + 1024).contains(launch.kernel.localMemory))
    }
  }

  @Test("give an error where local memory is too small")
  func tooLittleMemory() throws {
    let limits = AttentionTiles.Limits(kind: .gpu, localMemory: 8192, workGroupSize: 256)
    let error = #expect(throws: TileCLError.self) {
      try AttentionTiles(headDimension: 256, valueDimension: 256, block: nil, limits: limits)
    }
    #expect(error?.code == .limitExceeded)
    #expect(error?.argument == "headDimension")
    #expect(error?.message.contains("8192") == true)
  }
}
