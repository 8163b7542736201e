import Testing
import TileCLCore
import TileCLReference

@Suite("Linear cross-entropy: problem descriptor")
struct LinearCrossEntropyDescriptorTests {
  @Test(
    "A size outside its range names its argument",
    arguments: [
      ("tokens", -1, 4, 5), ("tokens", 1 << 31, 1, 1), ("hiddenSize", 3, 0, 5),
      ("hiddenSize", 3, 1 << 31, 5), ("vocabulary", 3, 4, 0), ("vocabulary", 3, 4, .min), ("vocabulary", 3, 4, .max),
    ])
  func sizes(argument: String, tokens: Int, hiddenSize: Int, vocabulary: Int) throws {
    let error = try #require(throws: TileCLError.self) {
      try LinearCrossEntropyDescriptor(tokens: tokens, hiddenSize: hiddenSize, vocabulary: vocabulary)
    }
    #expect(error.code == .invalidArgument)
    #expect(error.argument == argument)
  }

  @Test("Sizes that are valid alone may be too large together", arguments: ["tokens", "vocabulary"])
  func overflow(argument: String) throws {
    let most = Int(Int32.max)
    let error = try #require(throws: TileCLError.self) {
      try LinearCrossEntropyDescriptor(
        tokens: argument == "tokens" ? most : 1, hiddenSize: most, vocabulary: argument == "vocabulary" ? most : 1)
    }
    #expect(error.code == .limitExceeded)
    #expect(error.argument == argument)
    // Half the bytes an element: the same sizes fit.
    _ = try LinearCrossEntropyDescriptor(tokens: most, hiddenSize: most, vocabulary: most, dtype: .float16)
  }

  @Test("Integers are no embeddings", arguments: [DType.int8, .uint8, .int32])
  func dtype(dtype: DType) throws {
    let error = try #require(throws: TileCLError.self) {
      try LinearCrossEntropyDescriptor(tokens: 1, hiddenSize: 1, vocabulary: 1, dtype: dtype)
    }
    #expect(error.argument == "dtype")
    #expect(error.message.contains("bfloat16"))
  }

  @Test("The logits' size saturates")
  func logits() throws {
    let most = Int(Int32.max)
    let small = try LinearCrossEntropyDescriptor(tokens: 1000, hiddenSize: 1, vocabulary: 50_264)
    #expect(small.logitsByteCount == 201_056_000)
    #expect(try LinearCrossEntropyDescriptor(tokens: most, hiddenSize: 1, vocabulary: most).logitsByteCount == .max)
  }

  @Test("An option outside its range names its argument")
  func options() throws {
    func expect(_ argument: String, _ make: () throws -> LinearCrossEntropyDescriptor) throws {
      let error = try #require(throws: TileCLError.self, performing: { _ = try make() })
      #expect(error.code == .invalidArgument)
      #expect(error.argument == argument)
    }
    func make(
      logits: LinearCrossEntropyLogits = .init(), targets: LinearCrossEntropyTargets = .classes,
      loss: LinearCrossEntropyLoss = .init(), sequenceLength: Int? = nil, shift: Int = 0,
      outputs: LinearCrossEntropyOutputs = [], selected: Int = 0, top: Int = 0, shard: VocabularyShard? = nil
    ) throws -> LinearCrossEntropyDescriptor {
      try LinearCrossEntropyDescriptor(
        tokens: 6, hiddenSize: 2, vocabulary: 5, logits: logits, targets: targets, loss: loss,
        sequenceLength: sequenceLength, shift: shift, outputs: outputs, selectedCount: selected, topCount: top,
        shard: shard)
    }
    for scale in [0, Float.nan, .infinity] { try expect("logits.scale") { try make(logits: .init(scale: scale)) } }
    for cap in [0, -1, Float.nan, .infinity] {
      try expect("logits.softcap") { try make(logits: .init(softcap: cap)) }
    }
    for smoothing in [-0.1, 1.1, Float.nan] {
      try expect("loss.labelSmoothing") { try make(loss: .init(labelSmoothing: smoothing)) }
    }
    try expect("loss.zLossWeight") { try make(loss: .init(zLossWeight: .infinity)) }
    for length in [0, 4, -1] { try expect("sequenceLength") { try make(sequenceLength: length) } }
    try expect("shift") { try make(shift: 1 << 31) }
    for count in [0, 4097] { try expect("targets.count") { try make(targets: .top(count: count)) } }
    try expect("outputs") { try make(targets: .probabilities, outputs: .accuracy) }
    try expect("selectedCount") { try make(selected: -1) }
    try expect("topCount") { try make(top: 6) }
    try expect("topCount") { try make(top: 1, shard: VocabularyShard(firstClass: 0, vocabulary: 10)) }
    for first in [-1, 6] {
      try expect("shard.firstClass") { try make(shard: VocabularyShard(firstClass: first, vocabulary: 10)) }
    }
    try expect("shard.vocabulary") { try make(shard: VocabularyShard(firstClass: 0, vocabulary: 0)) }
    _ = try make(shift: -3, selected: 3, top: 5)
  }
}
