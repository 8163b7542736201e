import Testing
import TileCLCore
import TileCLReference

@Suite("Options of attention are checked")
struct AttentionOptionTests {
  private func expect<Result>(
    _ argument: String, _ code: TileCLError.Code = .invalidArgument, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Result
  ) {
    let error = #expect(throws: TileCLError.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.argument == argument, sourceLocation: sourceLocation)
    #expect(error?.code == code, sourceLocation: sourceLocation)
  }

  private func problem(
    batch: Int = 2, queryLength: Int = 6, keyLength: Int = 6, mask: AttentionMask = .none,
    maskModification: MaskModification? = nil, score: AttentionScore = AttentionScore(),
    sequences: AttentionSequences? = nil, tokenOrder: TokenOrder? = nil
  ) throws -> AttentionDescriptor {
    try AttentionDescriptor(
      batch: batch, queryHeads: 2, queryLength: queryLength, keyLength: keyLength, headDimension: 2, mask: mask,
      maskModification: maskModification, score: score, sequences: sequences, tokenOrder: tokenOrder)
  }

  @Test("Numbers of a score")
  func score() throws {
    for softcap in [0, -1, Float.nan, .infinity] {
      expect("score.softcap") { try problem(score: .init(softcap: softcap)) }
    }
    for dropout in [-0.1, 1, Float.nan] {
      expect("score.dropout") { try problem(score: .init(dropout: dropout)) }
    }
    expect("score.relativePositions") { try problem(score: .init(relativePositions: .init(TokenGrid(sides: [5])))) }
    expect("score.relativePositions") {
      try problem(keyLength: 7, score: .init(relativePositions: .init(TokenGrid(sides: [2, 3]))))
    }
    expect("bias", .limitExceeded) {
      try AttentionDescriptor(
        batch: 1 << 20, queryHeads: 8, queryLength: 1 << 20, headDimension: 1,
        score: .init(bias: .init(isPerBatch: true)))
    }
  }

  @Test("Grids of relative positions")
  func relativePositions() {
    expect("sides.count") { try RelativePositions(TokenGrid(sides: [])) }
    expect("sides.count") { try RelativePositions(TokenGrid(sides: [1, 1, 1, 1])) }
    expect("sides[1]") { try RelativePositions(TokenGrid(sides: [2, 0])) }
    expect("sides[0] x sides[1]") { try RelativePositions(TokenGrid(sides: [1 << 20, 1 << 20])) }
    expect("grid") { try RelativePositions(TokenGrid(sides: [1 << 15, 1 << 15])) }
  }

  @Test("Elements of a table follow the offsets of the cells")
  func relativeElements() throws {
    let grid = try RelativePositions(TokenGrid(sides: [3, 4]))
    #expect(grid.tableCount == 35)
    let codes = grid.codes.map(Int.init)
    for query in 0..<12 {
      for key in 0..<12 {
        let expected = (query / 4 - key / 4 + 2) * 7 + query % 4 - key % 4 + 3
        #expect(codes[query] - codes[key] + grid.center == expected)
      }
    }
  }

  @Test("Masks by head")
  func headMasks() throws {
    let mask = try BlockMask.causal(queryLength: 6, keyLength: 6, blockSize: 2)
    let others = [
      ("queryLength", try BlockMask.causal(queryLength: 5, keyLength: 6, blockSize: 2)),
      ("keyLength", try BlockMask.causal(queryLength: 6, keyLength: 5, blockSize: 2)),
      ("queryBlock", try BlockMask.causal(queryLength: 6, keyLength: 6, queryBlock: 3, keyBlock: 2)),
      ("keyBlock", try BlockMask.causal(queryLength: 6, keyLength: 6, queryBlock: 2, keyBlock: 3)),
    ]
    for (name, other) in others {
      expect("masks[1].\(name)") { try HeadBlockMasks(masks: [mask, other], heads: 2) }
    }
    expect("masks.count") { try HeadBlockMasks(masks: [], heads: 1) }
    expect("heads") { try HeadBlockMasks(masks: [mask], heads: 0) }
    expect("batch") { try HeadBlockMasks(masks: [mask], batch: -1, heads: 1) }
    expect("indices.count") { try HeadBlockMasks(masks: [mask], heads: 2) }
    expect("indices.count") { try HeadBlockMasks(masks: [mask], heads: 2, indices: [0]) }
    expect("indices[1]") { try HeadBlockMasks(masks: [mask], heads: 2, indices: [0, 1]) }
    expect("mask.heads") { try problem(mask: .headBlocks(.init(masks: [mask], heads: 3, indices: [0, 0, 0]))) }
    expect("mask.batch") { try problem(mask: .headBlocks(.init(masks: [mask, mask, mask], batch: 3, heads: 1))) }
    expect("mask.queryLength") { try problem(queryLength: 5, mask: .headBlocks(.init(masks: [mask, mask], heads: 2))) }
  }

  @Test("Sequences must fit the tensors, and go with no other order")
  func sequences() throws {
    let packed = try AttentionSequences.packed(cumulativeQueryLengths: [0, 2, 6])
    let padded = try AttentionSequences.padded(queryLengths: [6, 6], keyLengths: [3, 6])
    expect("batch") { try problem(sequences: packed) }
    expect("sequences.cumulativeQueryLengths[2]") { try problem(batch: 1, queryLength: 7, sequences: packed) }
    expect("sequences.cumulativeKeyLengths[2]") { try problem(batch: 1, keyLength: 5, sequences: packed) }
    expect("sequences.keyLengths.count") { try problem(batch: 3, sequences: padded) }
    expect("sequences.queryLengths[0]") { try problem(queryLength: 5, sequences: padded) }
    expect("sequences.keyLengths[1]") { try problem(keyLength: 5, sequences: padded) }
    expect("sequences") {
      try problem(mask: .blocks(.causal(queryLength: 6, keyLength: 6)), sequences: padded)
    }
    expect("sequences") { try problem(sequences: padded, tokenOrder: .hilbert(height: 2, width: 3)) }
  }

  @Test("Captures of user code")
  func captures() throws {
    func make(_ captures: [Capture]) throws -> MaskModification {
      try MaskModification("mask", captures: captures, source: "return 1;", reference: { _, _ in true })
    }
    for name in ["", "1st", "a-b", "é", "score", "key_row", "tilecl_x"] {
      expect("captures[1].name") { try make([.float("a"), .int32(name)]) }
    }
    let words = [
      "int", "float", "kernel", "global", "half", "double", "if", "return", "while", "bool", "uchar", "true", "float4",
      "uint16", "half3", "size_t", "image2d_t", "vec_t", "__global", "_Bool",
    ]
    for name in words {
      let error = #expect(throws: TileCLError.self) { try make([.float(name)]) }
      #expect(error?.message.contains("no word of OpenCL C") == true, "\(name)")
    }
    for name in ["MASK", "BIAS", "HEAD_DIM", "VECTOR", "STORAGE_FLOAT16", "M_PI", "X2", "_A"] {
      let error = #expect(throws: TileCLError.self) { try make([.float(name)]) }
      #expect(error?.argument == "captures[0].name")
      #expect(error?.description.contains("try \(name.lowercased())") == true, "\(name)")
    }
    for name in ["a", "N", "Kq", "HEAD_dim", "float5", "floats", "int32", "kernel_size", "t", "_a"] {
      #expect(throws: Never.self, "\(name)") { try make([.float(name)]) }
    }
    expect("captures[1].name") { try make([.float("a"), .tensor("a")]) }
    expect("captures[0].kind") { try make([.tensor("a", .float16)]) }
    func modify(_ captures: [Capture], gradients: [ScoreModification.Gradient] = [], derivative: String? = nil) throws
      -> ScoreModification
    {
      try ScoreModification(
        "score", captures: captures, source: "return score;", derivative: derivative, gradients: gradients,
        reference: { score, _, _ in score })
    }
    let gradient = ScoreModification.Gradient(
      of: "a", index: "return 0;", factor: "return 1.0f;", referenceIndex: { _, _ in 0 },
      referenceFactor: { _, _, _ in 1 })
    for captures in [[], [.tensor("a", .int32)], [.float("a")]] as [[Capture]] {
      expect("gradients[0].capture") { try modify(captures, gradients: [gradient]) }
    }
    expect("derivative") { try modify([], derivative: "return 1.0f;") }
    expect("score.modification.captures") {
      try problem(maskModification: make([.float("a")]), score: .init(modification: modify([.int32("a")])))
    }
  }

  @Test("Arrays of the wrong size are named")
  func wrongCounts() throws {
    let example = AttentionExample(
      try problem(
        maskModification: AttentionCode.mask(),
        score: .init(
          hasALiBi: true, bias: .init(), relativePositions: .init(TokenGrid(sides: [2, 3])),
          modification: AttentionCode.score(),
          hasSinks: true)),
      captures: AttentionCode.captures(rows: 6, heads: 2))
    for (name, path) in [
      ("query", \.query), ("key", \.key), ("value", \.value), ("bias", \.bias), ("alibiSlopes", \.alibiSlopes),
      ("sinks", \.sinks), ("relativeBias", \.relativeBias), ("captures[\"sharpness\"]", \.captures["sharpness"]),
    ] as [(String, WritableKeyPath<AttentionOperands, [Double]>)] {
      var wrong = example
      wrong.operands[keyPath: path].append(0)
      expect("\(name).count") { try wrong.forward() }
      expect("\(name).count") { try wrong.gradients() }
    }
    var wrong = example
    wrong.operands.captures["gain"] = []
    expect("captures[\"gain\"]") { try wrong.forward() }
    wrong = example
    wrong.operands.captures["sharpness"] = [.nan]
    expect("captures[\"sharpness\"]") { try wrong.forward() }
    var plain = AttentionExample(try problem())
    plain.operands.sinks = [1, 2]
    expect("sinks.count") { try plain.forward() }
  }

  @Test("What a backward pass starts from is checked")
  func backward() throws {
    let example = AttentionExample(try problem())
    let values = AttentionValues(
      query: example.operands.query.map { Float($0) }, key: example.operands.key.map { Float($0) },
      value: example.operands.value.map { Float($0) })
    let right = example.outputGradient.map { Float($0) }
    expect("outputGradient.count") {
      try Reference.attentionGradients(example.problem, values, outputGradient: [1])
    }
    expect("lseGradient.count") {
      try Reference.attentionGradients(example.problem, values, outputGradient: right, lseGradient: [1])
    }
    let forward = try example.forward()
    expect("forward.output.count") {
      try example.gradients(forward: .init(output: [], lse: forward.lse))
    }
    expect("forward.lse.count") {
      try example.gradients(forward: .init(output: forward.output, lse: []))
    }
    let one = try ScoreModification("double", source: "return 2.0f * score;", reference: { score, _, _ in 2 * score })
    expect("score.modification.derivative") {
      try AttentionExample(problem(score: .init(modification: one))).gradients()
    }
  }
}
