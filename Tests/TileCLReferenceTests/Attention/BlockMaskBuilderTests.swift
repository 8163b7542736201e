import Testing
import TileCLCore
import TileCLReference

/// Sequences and blocks that divide one another, that do not, and of which either is the longer one.
struct MaskSizes: CustomTestStringConvertible {
  let queries: Int
  let keys: Int
  let queryBlock: Int
  let keyBlock: Int

  var offset: Int { keys - queries }
  var testDescription: String { "\(queries) x \(keys) in \(queryBlock) x \(keyBlock)" }

  static let all = [(1, 1), (40, 40), (129, 127), (17, 90), (90, 17), (200, 131)].flatMap { queries, keys in
    [(1, 1), (3, 5), (16, 16), (32, 8), (33, 64), (128, 128)].map { queryBlock, keyBlock in
      MaskSizes(queries: queries, keys: keys, queryBlock: queryBlock, keyBlock: keyBlock)
    }
  }

  /// The mask of a predicate, every pair of which is tested.
  func mask(where visible: @Sendable (Int, Int) -> Bool) throws -> BlockMask {
    try BlockMask(queryLength: queries, keyLength: keys, queryBlock: queryBlock, keyBlock: keyBlock, where: visible)
  }

  /// Compares a mask with a predicate, as a value and pair by pair.
  func expect(
    _ mask: BlockMask, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    where visible: @Sendable (Int, Int) -> Bool
  ) throws {
    #expect(try mask == self.mask(where: visible), "\(what)", sourceLocation: sourceLocation)
    for query in 0..<queries {
      let shown = mask.visibleKeys(ofQuery: query).flatMap(\.self)
      let expected = (0..<keys).filter { visible(query, $0) }
      #expect(shown == expected, "\(what), query \(query)", sourceLocation: sourceLocation)
    }
  }
}

@Suite("Block mask builders equal their predicates")
struct BlockMaskBuilderTests {
  @Test("Causal and Hilbert window masks in rectangular blocks", arguments: MaskSizes.all)
  func rectangular(sizes: MaskSizes) throws {
    let (queries, keys) = (sizes.queries, sizes.keys)
    let causal = try BlockMask.causal(
      queryLength: queries, keyLength: keys, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    try sizes.expect(causal) { $1 <= $0 + keys - queries }

    let hilbert = try BlockMask.hilbertWindow(
      height: 17, width: 13, window: 3, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    let square = MaskSizes(
      queries: 221, keys: 221, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    try square.expect(hilbert) { $0 / 9 == $1 / 9 }
  }

  @Test("Sliding windows, plain, causal, one-sided and dilated", arguments: MaskSizes.all)
  func slidingWindow(sizes: MaskSizes) throws {
    let windows: [(Int?, Int?)] = [
      (0, 0), (5, 0), (3, 4), (nil, 2), (7, nil), (nil, nil), (50, 20), (1 << 30, 1 << 30),
    ]
    for (left, right) in windows {
      for dilation in [1, 2, 3, 64, 1 << 30] {
        for isCausal in [false, true] {
          let mask = try BlockMask.slidingWindow(
            queryLength: sizes.queries, keyLength: sizes.keys, left: left, right: right, dilation: dilation,
            isCausal: isCausal, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
          let offset = sizes.offset
          let what = "left \(left ?? -1), right \(right ?? -1), dilation \(dilation), causal \(isCausal)"
          #expect(
            try mask
              == sizes.mask {
                let distance = $1 - ($0 + offset)
                return distance.isMultiple(of: dilation) && !(isCausal && distance > 0)
                  && (left.map { -distance <= $0 * dilation } ?? true)
                  && (right.map { distance <= $0 * dilation } ?? true)
              }, "\(what)")
        }
      }
    }
  }

  @Test("Prefix language models", arguments: MaskSizes.all)
  func prefixLM(sizes: MaskSizes) throws {
    for prefix in Set([0, 1, sizes.keys / 3, sizes.keys]) {
      let mask = try BlockMask.prefixLM(
        queryLength: sizes.queries, keyLength: sizes.keys, prefixLength: prefix, queryBlock: sizes.queryBlock,
        keyBlock: sizes.keyBlock)
      let offset = sizes.offset
      try sizes.expect(mask, "prefix \(prefix)") { $1 < prefix || $1 <= $0 + offset }
    }
  }

  @Test("Chunks", arguments: MaskSizes.all)
  func chunked(sizes: MaskSizes) throws {
    for chunk in [1, 7, 32, 1000] {
      for isCausal in [false, true] {
        let mask = try BlockMask.chunked(
          queryLength: sizes.queries, keyLength: sizes.keys, chunkSize: chunk, isCausal: isCausal,
          queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
        let offset = sizes.offset
        try sizes.expect(mask, "chunk \(chunk), causal \(isCausal)") {
          let position = $0 + offset
          return position >= 0 && position / chunk == $1 / chunk && !(isCausal && $1 > position)
        }
      }
    }
  }

  @Test("Diagonals of whole blocks", arguments: MaskSizes.all)
  func blockDiagonal(sizes: MaskSizes) throws {
    for reach in [0, 1, 3, 1 << 30] {
      let mask = try BlockMask.blockDiagonal(
        queryLength: sizes.queries, keyLength: sizes.keys, reach: reach, queryBlock: sizes.queryBlock,
        keyBlock: sizes.keyBlock)
      #expect(mask.patterns.isEmpty)
      try sizes.expect(mask, "reach \(reach)") {
        abs($0 / sizes.queryBlock - $1 / sizes.keyBlock) <= reach
      }
    }
  }

  @Test("Packed documents of one length", arguments: MaskSizes.all)
  func documents(sizes: MaskSizes) throws {
    let square = MaskSizes(
      queries: sizes.keys, keys: sizes.keys, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
    let length = sizes.keys
    for lengths in [[0, length], [0, length / 3, length / 3, length / 2, length], Array(0...length)] {
      for isCausal in [false, true] {
        let mask = try BlockMask.documents(
          cumulativeLengths: lengths, length: length, isCausal: isCausal, queryBlock: sizes.queryBlock,
          keyBlock: sizes.keyBlock)
        try square.expect(mask, "\(lengths), causal \(isCausal)") { query, key in
          zip(lengths, lengths.dropFirst()).contains { $0..<$1 ~= query && $0..<$1 ~= key }
            && !(isCausal && key > query)
        }
      }
    }
  }

  @Test("Packed documents whose queries and keys differ in number, some without either", arguments: MaskSizes.all)
  func unevenDocuments(sizes: MaskSizes) throws {
    let (queries, keys) = (sizes.queries, sizes.keys)
    let queryOffsets = [0, queries / 4, queries / 4, queries / 2, queries - queries / 5, queries]
    let keyOffsets = [0, keys / 2, keys / 2 + keys / 8, keys / 2 + keys / 8, keys - keys / 9, keys]
    for isCausal in [false, true] {
      let mask = try BlockMask.documents(
        queryLength: queries, keyLength: keys, cumulativeQueryLengths: queryOffsets,
        cumulativeKeyLengths: keyOffsets, isCausal: isCausal, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock)
      try sizes.expect(mask, "causal \(isCausal)") { query, key in
        (0..<5).contains { document in
          let (q0, q1) = (queryOffsets[document], queryOffsets[document + 1])
          let (k0, k1) = (keyOffsets[document], keyOffsets[document + 1])
          return q0..<q1 ~= query && k0..<k1 ~= key
            && !(isCausal && key - k0 > query - q0 + (k1 - k0) - (q1 - q0))
        }
      }
    }
  }

  @Test("Windows of a long sequence share their patterns and leave the rest out")
  func longWindow() throws {
    let mask = try BlockMask.slidingWindow(queryLength: 65536, keyLength: 65536, left: 1024, right: 0)
    let statistics = mask.statistics
    #expect(mask.patterns.count == 2)
    #expect(statistics.fullBlocks == (512 - 8) * 7 + 28)
    #expect(statistics.partialBlocks == 512 + 504)
    #expect(statistics.visiblePairs == 1024 * 1025 / 2 + (65536 - 1024) * 1025)
  }
}

@Suite("Block mask builders refuse")
struct BlockMaskBuilderErrorTests {
  private func expect(_ argument: String, value: String, _ body: () throws -> BlockMask) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.code == .invalidArgument)
    #expect(error?.argument == argument)
    #expect(error?.message.contains(" is \(value); allowed: ") == true, "\(String(describing: error))")
  }

  @Test("sizes out of range, naming the argument")
  func badSizes() {
    expect("left", value: "-1") { try .slidingWindow(queryLength: 4, keyLength: 4, left: -1, right: 0) }
    expect("right", value: "\(Int.max)") { try .slidingWindow(queryLength: 4, keyLength: 4, left: 1, right: .max) }
    expect("dilation", value: "0") {
      try .slidingWindow(queryLength: 4, keyLength: 4, left: 1, right: 1, dilation: 0)
    }
    expect("queryLength", value: "0") { try .slidingWindow(queryLength: 0, keyLength: 4, left: 1, right: 1) }
    expect("keyBlock", value: "0") {
      try .causal(queryLength: 4, keyLength: 4, queryBlock: 4, keyBlock: 0)
    }
    expect("prefixLength", value: "5") { try .prefixLM(queryLength: 9, keyLength: 4, prefixLength: 5) }
    expect("prefixLength", value: "-1") { try .prefixLM(queryLength: 9, keyLength: 4, prefixLength: -1) }
    expect("chunkSize", value: "0") { try .chunked(queryLength: 4, keyLength: 4, chunkSize: 0) }
    expect("reach", value: "-1") { try .blockDiagonal(queryLength: 4, keyLength: 4, reach: -1) }
  }

  @Test("cumulative lengths that do not start at 0, fall, overrun, fall short or do not match, naming the entry")
  func badDocuments() {
    let cases: [([Int], String, String)] = [
      ([], "cumulativeLengths.count", "0"), ([0], "cumulativeLengths.count", "1"),
      ([1, 9], "cumulativeLengths[0]", "1"), ([0, 5, 4, 9], "cumulativeLengths[2]", "4"),
      ([0, 5, 10], "cumulativeLengths[2]", "10"), ([0, .max, 9], "cumulativeLengths[1]", "\(Int.max)"),
      ([0, 5, 8], "cumulativeLengths[2]", "8"), ([0, -3, 9], "cumulativeLengths[1]", "-3"),
    ]
    for (lengths, argument, value) in cases {
      expect(argument, value: value) { try .documents(cumulativeLengths: lengths, length: 9) }
    }
    expect("cumulativeQueryLengths[1]", value: "7") {
      try .documents(
        queryLength: 9, keyLength: 7, cumulativeQueryLengths: [0, 7], cumulativeKeyLengths: [0, 7])
    }
    expect("cumulativeKeyLengths[1]", value: "9") {
      try .documents(
        queryLength: 9, keyLength: 7, cumulativeQueryLengths: [0, 9], cumulativeKeyLengths: [0, 9])
    }
    expect("cumulativeKeyLengths.count", value: "3") {
      try .documents(
        queryLength: 9, keyLength: 7, cumulativeQueryLengths: [0, 9], cumulativeKeyLengths: [0, 3, 7])
    }
  }
}
