import Testing
import TileCLCore
import TileCLReference

@Suite("Block mask composition")
struct BlockMaskCompositionTests {
  private func scattered(_ query: Int, _ key: Int) -> Bool {
    key / 30 == query / 30 || (query * 7 + key * 3) % 5 == 0 && key < 70 && query != 20
  }

  @Test("Intersection and union equal the predicates' and and or", arguments: MaskSizes.all)
  func intersectionAndUnion(sizes: MaskSizes) throws {
    let offset = sizes.offset
    let causal = try BlockMask.causal(
      queryLength: sizes.queries, keyLength: sizes.keys, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    let window = try BlockMask.slidingWindow(
      queryLength: sizes.queries, keyLength: sizes.keys, left: 9, right: 12, queryBlock: sizes.queryBlock,
      keyBlock: sizes.keyBlock)
    let tested = try sizes.mask(where: scattered)
    try sizes.expect(causal.intersection(tested), "causal and scattered") {
      $1 <= $0 + offset && scattered($0, $1)
    }
    try sizes.expect(causal.union(tested), "causal or scattered") { $1 <= $0 + offset || scattered($0, $1) }
    try sizes.expect(window.intersection(causal), "window and causal") { -9...0 ~= $1 - $0 - offset }
    try sizes.expect(window.union(causal), "window or causal") { $1 - $0 - offset <= 12 }
    #expect(try tested.intersection(tested) == tested)
    #expect(try tested.union(tested) == tested)
  }

  @Test("Partial blocks that cover one another become full, those that miss one another vanish")
  func classification() throws {
    let even = try BlockMask(queryLength: 37, keyLength: 50, queryBlock: 8, keyBlock: 16) { query, _ in query % 2 == 0 }
    let odd = try BlockMask(queryLength: 37, keyLength: 50, queryBlock: 8, keyBlock: 16) { query, _ in query % 2 == 1 }
    let all = try even.union(odd)
    #expect(all.statistics.fullBlocks == 5 * 4)
    #expect(all.patterns.isEmpty)
    #expect(try even.intersection(odd).columns.isEmpty)
    #expect(try all.intersection(odd) == odd)
  }

  @Test("Bits beyond the ends of explicit blocks do not count")
  func explicitBlocks() throws {
    let everything = try BlockPattern(rows: 4, columns: 4) { _, _ in true }
    let explicit = try BlockMask(
      queryLength: 3, keyLength: 5, queryBlock: 4, keyBlock: 4, rowOffsets: [0, 2], columns: [0, 1],
      patternIndices: [0, 0], patterns: [everything])
    let full = try BlockMask(queryLength: 3, keyLength: 5, queryBlock: 4, keyBlock: 4) { _, _ in true }
    #expect(try explicit.intersection(full) == full)
    #expect(try explicit.union(explicit) == full)
  }

  @Test("The transpose exchanges queries and keys, and its own is the mask again", arguments: MaskSizes.all)
  func transposed(sizes: MaskSizes) throws {
    let offset = sizes.offset
    let exchanged = MaskSizes(
      queries: sizes.keys, keys: sizes.queries, queryBlock: sizes.keyBlock, keyBlock: sizes.queryBlock)
    let causal = try BlockMask.causal(
      queryLength: sizes.queries, keyLength: sizes.keys, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    try exchanged.expect(causal.transposed(), "causal") { $0 <= $1 + offset }
    let tested = try sizes.mask(where: scattered)
    try exchanged.expect(tested.transposed(), "scattered") { scattered($1, $0) }
    #expect(tested.transposed().transposed() == tested)
  }

  @Test("Patterns of any size are transposed bit by bit", arguments: [1, 5, 31, 32, 33, 64, 100])
  func transposedPatterns(rows: Int) throws {
    for columns in [1, 7, 32, 40, 65] {
      let mask = try BlockMask(queryLength: rows, keyLength: columns, queryBlock: rows, keyBlock: columns) {
        ($0 * 7919 + $1 * 104729) % 11 < 4
      }
      let expected = try BlockMask(queryLength: columns, keyLength: rows, queryBlock: columns, keyBlock: rows) {
        ($1 * 7919 + $0 * 104729) % 11 < 4
      }
      #expect(mask.transposed() == expected)
    }
  }

  @Test("A transpose is known as such, and a wrong one by its first wrong entry")
  func checkedTranspose() throws {
    let mask = try BlockMask(queryLength: 10, keyLength: 7, queryBlock: 4, keyBlock: 4) { query, key in
      query < 4 || query + key == 8
    }
    let right = mask.transposed()
    #expect(right.isTranspose(of: mask))
    #expect(mask.isTranspose(of: right))
    #expect(!mask.isTranspose(of: mask))

    func build(
      _ rowOffsets: [Int32]? = nil, _ columns: [Int32]? = nil, _ indices: [Int32]? = nil,
      _ patterns: [BlockPattern]? = nil
    ) throws -> BlockMask {
      try BlockMask(
        queryLength: 7, keyLength: 10, queryBlock: 4, keyBlock: 4, rowOffsets: rowOffsets ?? right.rowOffsets,
        columns: columns ?? right.columns, patternIndices: indices ?? right.patternIndices,
        patterns: patterns ?? right.patterns)
    }
    // Numbered backwards, with a full block as a pattern, it is still the transpose.
    let all = try BlockPattern(rows: 4, columns: 4) { _, _ in true }
    let last = Int32(right.patterns.count)
    let backwards = try build(
      nil, nil, right.patternIndices.map { $0 == BlockMask.full ? 0 : last - $0 }, [all] + right.patterns.reversed())
    #expect(backwards != right)
    #expect(backwards.isTranspose(of: mask))

    #expect(right.rowOffsets == [0, 3, 5])
    #expect(right.columns == [0, 1, 2, 0, 1])
    for (argument, wrong) in [
      ("transpose.queryLength", mask), ("transpose.rowOffsets[1]", try build([0, 2, 5], [0, 1, 0, 1, 2])),
      ("transpose.columns[4]", try build(nil, [0, 1, 2, 0, 2])),
      ("transpose.patternIndices[1]", try build(nil, nil, [-1, -1, right.patternIndices[2], -1, -1])),
    ] {
      let error = #expect(throws: TileCLError.self) { try wrong.requireTranspose(of: mask) }
      #expect(error?.argument == argument)
      #expect(error?.code == .invalidArgument)
      #expect(!wrong.isTranspose(of: mask))
    }
  }

  @Test("Slices of block rows", arguments: MaskSizes.all)
  func slices(sizes: MaskSizes) throws {
    let mask = try sizes.mask(where: scattered)
    let rows = mask.blockRows
    for range in Set([0..<rows, 0..<1, rows - 1..<rows, rows / 3..<rows / 2 + 1]) {
      let first = range.lowerBound * sizes.queryBlock
      let part = MaskSizes(
        queries: min(range.upperBound * sizes.queryBlock, sizes.queries) - first, keys: sizes.keys,
        queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
      try part.expect(mask.sliced(blockRows: range), "rows \(range)") { scattered($0 + first, $1) }
    }
  }

  @Test("Masks of other sizes and rows that do not exist are refused, naming the argument")
  func badInput() throws {
    let mask = try BlockMask.causal(queryLength: 40, keyLength: 50, queryBlock: 8, keyBlock: 16)
    let others: [(String, Int, BlockMask)] = try [
      ("other.queryLength", 41, .causal(queryLength: 41, keyLength: 50, queryBlock: 8, keyBlock: 16)),
      ("other.keyLength", 49, .causal(queryLength: 40, keyLength: 49, queryBlock: 8, keyBlock: 16)),
      ("other.queryBlock", 16, .causal(queryLength: 40, keyLength: 50, queryBlock: 16, keyBlock: 16)),
      ("other.keyBlock", 8, .causal(queryLength: 40, keyLength: 50, queryBlock: 8, keyBlock: 8)),
    ]
    for (argument, value, other) in others {
      for combine in [mask.intersection, mask.union] {
        let error = #expect(throws: TileCLError.self) { try combine(other) }
        #expect(error?.argument == argument)
        #expect(error?.message.contains(" is \(value); allowed: ") == true)
      }
    }
    for range in [0..<0, -1..<2, 4..<6] {
      let error = #expect(throws: TileCLError.self) { try mask.sliced(blockRows: range) }
      #expect(error?.argument == "blockRows")
    }
  }
}
