import Testing
import TileCLCore
import TileCLReference

@Suite("Linear cross-entropy: problem descriptor")
struct LinearCrossEntropyDescriptorTests {
  @Test(
    "A size outside 1...2^31 - 1 names its argument",
    arguments: [
      ("tokens", 0, 4, 5), ("tokens", -1, 4, 5), ("tokens", 1 << 31, 1, 1), ("hiddenSize", 3, 0, 5),
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
}
