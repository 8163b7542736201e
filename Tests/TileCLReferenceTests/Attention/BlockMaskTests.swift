import Testing
import TileCLCore
import TileCLReference

@Suite("Block masks")
struct BlockMaskTests {
  @Test(
    "Hilbert window masks have the block counts of the literature",
    arguments: [
      // Side, window, percentages of empty, partial and full blocks of 128, keys touched by a query.
      (64, 8, 96.88, 3.12, 0.0, 128.0), (96, 16, 97.22, 0.0, 2.78, 256.0), (128, 16, 98.44, 0.0, 1.56, 256.0),
      (128, 8, 99.22, 0.78, 0.0, 128.0), (256, 16, 99.61, 0.0, 0.39, 256.0),
    ])
  func hilbertWindowCounts(
    side: Int, window: Int, empty: Double, partial: Double, full: Double, keys: Double
  ) throws {
    let mask = try BlockMask.hilbertWindow(height: side, width: side, window: window)
    let statistics = mask.statistics
    let percent = 100 / Double(statistics.blockCount)
    #expect(abs(Double(statistics.emptyBlocks) * percent - empty) <= 0.01)
    #expect(abs(Double(statistics.partialBlocks) * percent - partial) <= 0.01)
    #expect(abs(Double(statistics.fullBlocks) * percent - full) <= 0.01)
    #expect(statistics.keysTouchedPerQuery == keys)
    #expect(statistics.visiblePairs == side * side * window * window)
    #expect(mask.sparsity == statistics.sparsity)
  }

  @Test("Every block row of 128 x 128 tokens in windows of 16 has exactly two full blocks")
  func twoFullBlocks() throws {
    let mask = try BlockMask.hilbertWindow(height: 128, width: 128, window: 16)
    for row in 0..<mask.blockRows {
      #expect(mask.entries(inRow: row).count == 2)
    }
    #expect(mask.patternIndices.allSatisfy { $0 == BlockMask.full })
    #expect(mask.patterns.isEmpty)
  }

  @Test("Ragged windows and row-major windows have the block counts of the literature")
  func raggedCounts() throws {
    let hilbert = try BlockMask.hilbertWindow(height: 56, width: 56, window: 7).statistics
    #expect(abs(100 * hilbert.sparsity - 88.32) <= 0.01)
    #expect(hilbert.fullBlocks == 0)
    let rowMajor = try BlockMask(queryLength: 3136, keyLength: 3136) { query, key in
      query / 56 / 7 == key / 56 / 7 && query % 56 / 7 == key % 56 / 7
    }
    #expect(abs(100 * rowMajor.sparsity - 80.64) <= 0.01)
    #expect(rowMajor.statistics.visiblePairs == 3136 * 49)
  }

  @Test("Analytic masks equal their predicates", arguments: [1, 3, 16, 32, 33, 128])
  func analyticMasksEqualPredicates(block: Int) throws {
    for (queries, keys) in [(1, 1), (40, 40), (129, 127), (17, 90), (90, 17)] {
      let analytic = try BlockMask.causal(queryLength: queries, keyLength: keys, blockSize: block)
      let tested = try BlockMask(queryLength: queries, keyLength: keys, queryBlock: block, keyBlock: block) {
        $1 <= $0 + keys - queries
      }
      #expect(analytic == tested)
    }
    for (height, width, window) in [(8, 8, 4), (17, 13, 3), (1, 40, 2), (5, 5, 100)] {
      let size = window * window
      let analytic = try BlockMask.hilbertWindow(height: height, width: width, window: window, blockSize: block)
      let tested = try BlockMask(
        queryLength: height * width, keyLength: height * width, queryBlock: block, keyBlock: block
      ) { $0 / size == $1 / size }
      #expect(analytic == tested)
    }
  }

  @Test("Visible keys, single pairs and counts agree, in rectangular blocks with ragged ends")
  func visibility() throws {
    let mask = try BlockMask(queryLength: 41, keyLength: 70, queryBlock: 8, keyBlock: 12) { query, key in
      query != 20 && (key < 12 || (query * 7 + key * 3) % 5 == 0 || key / 12 == query / 8)
    }
    var pairs = 0
    for query in 0..<41 {
      let expected = (0..<70).filter { key in
        query != 20 && (key < 12 || (query * 7 + key * 3) % 5 == 0 || key / 12 == query / 8)
      }
      #expect(mask.visibleKeys(ofQuery: query).flatMap(\.self) == expected)
      #expect((0..<70).filter { mask.isVisible(query: query, key: $0) } == expected)
      pairs += expected.count
    }
    #expect(mask.statistics.visiblePairs == pairs)
    #expect(mask.visibleKeys(ofQuery: 41).isEmpty)
    #expect(!mask.isVisible(query: 0, key: 70))
  }

  @Test("Equal patterns are stored once")
  func patternsAreShared() throws {
    let causal = try BlockMask.causal(queryLength: 4096, keyLength: 4096, blockSize: 64)
    #expect(causal.patterns.count == 1)
    #expect(causal.statistics.partialBlocks == 64)
    #expect(causal.statistics.fullBlocks == 64 * 63 / 2)
    #expect(causal.statistics.visiblePairs == 4096 * 4097 / 2)

    let pattern = try BlockPattern(rows: 4, columns: 4) { $0 == $1 }
    let explicit = try BlockMask(
      queryLength: 8, keyLength: 8, queryBlock: 4, keyBlock: 4, rowOffsets: [0, 1, 2], columns: [0, 1],
      patternIndices: [0, 1], patterns: [pattern, pattern])
    #expect(explicit.patterns == [pattern])
    #expect(explicit.patternIndices == [0, 0])
    #expect(explicit.visibleKeys(ofQuery: 5) == [5..<6])
  }

  @Test("A mask that hides everything has no blocks")
  func emptyMask() throws {
    let mask = try BlockMask(queryLength: 300, keyLength: 300) { _, _ in false }
    #expect(mask.columns.isEmpty)
    #expect(mask.sparsity == 1)
    #expect(mask.statistics.keysTouchedPerQuery == 0)
  }

  @Test("Pattern bits run along the queries, 32 to a word")
  func patternLayout() throws {
    let pattern = try BlockPattern(rows: 40, columns: 2) { row, column in row == 33 && column == 1 }
    #expect(pattern.wordsPerColumn == 2)
    #expect(pattern.words == [0, 0, 0, 1 << 1])
    #expect(pattern.visibleCount == 1)
    #expect(pattern.isVisible(row: 33, column: 1))
    #expect(!pattern.isVisible(row: 33, column: 2))
  }
}
