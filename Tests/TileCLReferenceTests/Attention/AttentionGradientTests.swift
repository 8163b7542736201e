import Testing
import TileCLCore
import TileCLReference

@Suite("Gradients of attention are finite differences of the forward pass")
struct AttentionGradientTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let make: @Sendable () throws -> AttentionExample

    init(
      _ name: String, captures: CapturedValues = CapturedValues(),
      _ problem: @escaping @Sendable () throws -> AttentionDescriptor
    ) {
      testDescription = name
      make = { AttentionExample(try problem(), captures: captures, seed: UInt64(name.utf8.count)) }
    }
  }

  @Test(arguments: plain + masks + scores + sequences)
  func finiteDifferences(_ example: Case) throws {
    let example = try example.make()
    let gradients = try example.gradients()
    try check("query", gradients.query, example, \.query)
    try check("key", gradients.key, example, \.key)
    try check("value", gradients.value, example, \.value)
    try check("bias", gradients.bias, example, \.bias)
    try check("alibiSlopes", gradients.alibiSlopes, example, \.alibiSlopes)
    try check("sinks", gradients.sinks, example, \.sinks)
    try check("relativeBias", gradients.relativeBias, example, \.relativeBias)
    let names = example.problem.score.modification?.gradients.map(\.capture) ?? []
    #expect(Set(gradients.captures.keys) == Set(names))
    for name in names {
      try check(name, #require(gradients.captures[name]), example, \.captures[name])
    }
  }

  /// Central differences with a step of 2^-17: their own error is some 1e-9.
  private func check(
    _ what: String, _ gradient: [Double], _ example: AttentionExample,
    _ path: WritableKeyPath<AttentionOperands, [Double]>
  ) throws {
    let values = example.operands[keyPath: path]
    try #require(gradient.count == values.count, "\(what)")
    let step = 0x1p-17
    for index in values.indices {
      var losses: [Double] = []
      for sign in [1.0, -1] {
        var moved = example
        moved.operands[keyPath: path][index] += sign * step
        losses.append(try moved.loss())
      }
      let difference = (losses[0] - losses[1]) / (2 * step)
      guard (difference - gradient[index]).magnitude > 1e-7 * max(1, difference.magnitude) else { continue }
      Issue.record("\(what)[\(index)]: gradient \(gradient[index]), finite difference \(difference)")
      return
    }
    let isSeen = gradient.contains { $0.magnitude > 1e-3 }
    #expect(values.isEmpty || isSeen, "The loss does not depend on \(what).")
  }

  // MARK: - Problems

  private static let plain: [Case] = [
    Case("dense, groups of two, wider values") {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 5, keyLength: 7, headDimension: 3, valueDimension: 4)
    },
    Case("one key") { try .init(queryHeads: 2, queryLength: 3, keyLength: 2, headDimension: 1) },
    Case("causal, more keys") {
      try .init(queryHeads: 2, queryLength: 4, keyLength: 9, headDimension: 2, mask: .causal)
    },
    Case("causal, more queries") {
      try .init(queryHeads: 3, keyValueHeads: 1, queryLength: 9, keyLength: 4, headDimension: 2, mask: .causal)
    },
    Case("negative scale") { try .init(queryHeads: 1, queryLength: 4, headDimension: 2, scale: -1.5) },
  ]

  private static func holes(_ queries: Int, _ keys: Int, shift: Int = 0) throws -> BlockMask {
    try BlockMask(queryLength: queries, keyLength: keys, queryBlock: 4, keyBlock: 3) { query, key in
      query != 2 && (query * 5 + key * 3 + shift) % 4 < 2 && key / 3 != (query / 4 + shift) % 3
    }
  }

  private static let masks: [Case] = [
    Case("rectangular blocks with empty rows") {
      try .init(
        batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 9, keyLength: 8, headDimension: 2,
        mask: .blocks(holes(9, 8)))
    },
    Case("masks by batch entry and head") {
      try .init(
        batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 9, keyLength: 8, headDimension: 2,
        mask: .headBlocks(.init(masks: (0..<4).map { try holes(9, 8, shift: $0) }, batch: 2, heads: 2)))
    },
    Case("masks by head, two of three alike") {
      try .init(
        batch: 2, queryHeads: 3, queryLength: 6, headDimension: 2,
        mask: .headBlocks(.init(masks: (0..<2).map { try holes(6, 6, shift: $0) }, heads: 3, indices: [1, 0, 1])))
    },
    Case("Hilbert order, causal") {
      try .init(
        queryHeads: 2, queryLength: 12, headDimension: 2, mask: .causal, tokenOrder: .hilbert(height: 3, width: 4))
    },
    Case("Hilbert windows") {
      try .init(
        queryHeads: 1, queryLength: 15, headDimension: 2,
        mask: .blocks(.hilbertWindow(height: 3, width: 5, window: 2, blockSize: 4)),
        tokenOrder: .hilbert(height: 3, width: 5))
    },
    Case("hidden by user code", captures: AttentionCode.captures(rows: 7, heads: 2)) {
      try .init(
        queryHeads: 2, queryLength: 6, keyLength: 7, headDimension: 2, mask: .causal,
        maskModification: AttentionCode.mask())
    },
  ]

  private static let biases: [Case] = (0..<8).map { bits in
    let bias = AttentionScore.Bias(
      isPerBatch: bits & 1 != 0, isPerHead: bits & 2 != 0, isPerQuery: bits & 4 != 0)
    return Case("bias, \(bits)") {
      try .init(
        batch: 2, queryHeads: 2, queryLength: 4, keyLength: 5, headDimension: 2, mask: .causal,
        score: .init(bias: bias))
    }
  }

  private static let scores: [Case] =
    biases + [
      Case("softcap") {
        try .init(queryHeads: 2, queryLength: 5, headDimension: 3, scale: 2, score: .init(softcap: 1.25))
      },
      Case("ALiBi, causal, more keys") {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 4, keyLength: 6, headDimension: 2, mask: .causal,
          score: .init(hasALiBi: true))
      },
      Case("sinks, and rows that see nothing else") {
        try .init(
          batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 6, keyLength: 4, headDimension: 2, mask: .causal,
          score: .init(hasSinks: true))
      },
      Case("relative positions on a line") {
        try .init(
          queryHeads: 2, queryLength: 5, headDimension: 2, score: .init(relativePositions: .init(TokenGrid(sides: [5])))
        )
      },
      Case("relative positions of a plane in Hilbert order") {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 12, headDimension: 2, mask: .causal,
          score: .init(relativePositions: .init(TokenGrid(sides: [3, 4]))), tokenOrder: .hilbert(height: 3, width: 4))
      },
      Case("relative positions of a volume") {
        try .init(
          queryHeads: 1, queryLength: 12, headDimension: 2,
          score: .init(relativePositions: .init(TokenGrid(sides: [2, 3, 2]))))
      },
      Case("scores changed by user code", captures: AttentionCode.captures(rows: 6, heads: 2)) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 6, keyLength: 7, headDimension: 2,
          score: .init(modification: AttentionCode.score()))
      },
      Case("dropout") {
        try .init(
          batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 6, headDimension: 2, score: .init(dropout: 0.4))
      },
      Case("everything at once", captures: AttentionCode.captures(rows: 12, heads: 4)) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 12, headDimension: 3, valueDimension: 2, scale: 1,
          mask: .blocks(holes(12, 12)), maskModification: AttentionCode.mask(),
          score: .init(
            softcap: 2, hasALiBi: true, bias: .init(), relativePositions: .init(TokenGrid(sides: [3, 4])),
            modification: AttentionCode.score(), hasSinks: true, dropout: 0.25),
          tokenOrder: .hilbert(height: 3, width: 4))
      },
    ]

  private static let sequences: [Case] = [
    Case("packed sequences, one empty, causal", captures: AttentionCode.captures(rows: 9, heads: 2)) {
      try .init(
        queryHeads: 2, keyValueHeads: 1, queryLength: 9, keyLength: 11, headDimension: 2, mask: .causal,
        score: .init(hasALiBi: true, bias: .init(), modification: AttentionCode.score(), hasSinks: true, dropout: 0.25),
        sequences: .packed(cumulativeQueryLengths: [0, 3, 3, 5, 9], cumulativeKeyLengths: [0, 2, 5, 9, 11]))
    },
    Case("packed sequences with relative positions") {
      try .init(
        queryHeads: 2, keyValueHeads: 1, queryLength: 9, headDimension: 2, mask: .causal,
        score: .init(relativePositions: .init(TokenGrid(sides: [3, 3]))),
        sequences: .packed(cumulativeQueryLengths: [0, 3, 5, 9], cumulativeKeyLengths: [0, 2, 5, 9]))
    },
    Case("padded sequences, one without keys") {
      try .init(
        batch: 3, queryHeads: 2, queryLength: 4, keyLength: 6, headDimension: 2, mask: .causal,
        score: .init(softcap: 3, hasALiBi: true, bias: .init(isPerBatch: true), hasSinks: true),
        sequences: .padded(queryLengths: [4, 2, 3], keyLengths: [5, 6, 0]))
    },
  ]
}

@Suite("Properties of attention's gradients")
struct AttentionGradientPropertyTests {
  @Test("A query that sees nothing, and a key that nothing sees, have no gradient")
  func hidden() throws {
    let mask = try BlockMask(queryLength: 6, keyLength: 6, queryBlock: 2, keyBlock: 2) { query, key in
      query != 3 && key != 4
    }
    let gradients = try AttentionExample(
      .init(queryHeads: 1, queryLength: 6, headDimension: 2, mask: .blocks(mask))
    ).gradients()
    #expect(gradients.query[6..<8] == [0, 0])
    #expect(gradients.key[8..<10] == [0, 0])
    #expect(gradients.value[8..<10] == [0, 0])
  }

  @Test("A pass over a part of the keys, given the result of all, gives that part's gradients")
  func parts() throws {
    let whole = AttentionExample(
      try .init(batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 5, keyLength: 8, headDimension: 3))
    let forward = try whole.forward()
    let all = try whole.gradients()
    var query = [Double](repeating: 0, count: all.query.count)
    for half in 0..<2 {
      var part = AttentionExample(
        try .init(batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 5, keyLength: 4, headDimension: 3))
      part.operands.query = whole.operands.query
      part.operands.key = rows(half, of: whole.operands.key)
      part.operands.value = rows(half, of: whole.operands.value)
      let gradients = try Reference.attentionGradients(
        part.problem, part.operands, outputGradient: whole.outputGradient, lseGradient: whole.lseGradient,
        forward: forward)
      expectClose(gradients.key, rows(half, of: all.key))
      expectClose(gradients.value, rows(half, of: all.value))
      query = zip(query, gradients.query).map(+)
    }
    expectClose(query, all.query)
  }

  /// Half the keys of each of two batch entries of 8 keys with 3 channels.
  private func rows(_ half: Int, of values: [Double]) -> [Double] {
    (0..<2).flatMap { values[$0 * 24 + half * 12..<$0 * 24 + half * 12 + 12] }
  }

  @Test("Two runs give the same bits")
  func repeats() throws {
    let example = AttentionExample(
      try .init(
        batch: 3, queryHeads: 4, keyValueHeads: 2, queryLength: 30, headDimension: 4,
        score: .init(hasALiBi: true, bias: .init(isPerHead: false), hasSinks: true)))
    #expect(try example.gradients() == example.gradients())
  }
}

/// Requires two arrays to differ by no more than rounding.
func expectClose(
  _ values: [Double], _ expected: [Double], bound: Double = 1e-12, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(values.count == expected.count, sourceLocation: sourceLocation)
  for (index, (value, expected)) in zip(values, expected).enumerated()
  where !(value == expected || (value - expected).magnitude <= bound * max(1, expected.magnitude)) {
    Issue.record("[\(index)] is \(value), should be \(expected)", sourceLocation: sourceLocation)
    return
  }
}
