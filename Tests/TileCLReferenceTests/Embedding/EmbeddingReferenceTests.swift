import Testing
import TileCLCore
import TileCLReference

@Suite("Embedding: descriptor and reference")
struct EmbeddingReferenceTests {
  @Test("Rows by token, and their gradients' sums")
  func handWorked() throws {
    let problem = try EmbeddingDescriptor(tokenShape: [2, 2], vocabulary: 3, hiddenSize: 2)
    #expect(problem.tableShape == [3, 2] && problem.outputShape == [2, 2, 2])
    let tokens: [Int32] = [2, 0, 2, 2]
    #expect(
      try Reference.embedding(problem, table: [1, 2, 3, 4, 5, 6], tokens: tokens) == [5, 6, 1, 2, 5, 6, 5, 6])
    let dy: [Float] = [1, 10, 2, 20, 3, 30, 4, 40]
    #expect(
      try Reference.embeddingGradient(problem, tokens: tokens, outputGradient: dy) == [2, 20, 0, 0, 8, 80])
    #expect(
      try Reference.embeddingGradient(
        problem, tokens: tokens, outputGradient: dy, before: [1, 1, 1, 1, 1, 1]) == [3, 21, 1, 1, 9, 81])
  }

  @Test("A token that is no row names its position and value", arguments: [-1, 3, Int32.max, .min])
  func outOfRange(token: Int32) throws {
    let problem = try EmbeddingDescriptor(tokenShape: [3], vocabulary: 3, hiddenSize: 1)
    for error in [
      try #require(throws: TileCLError.self) {
        try Reference.embedding(problem, table: [1, 2, 3], tokens: [0, token, token])
      },
      try #require(throws: TileCLError.self) {
        try Reference.embeddingGradient(problem, tokens: [0, token, token], outputGradient: [1, 2, 3])
      },
    ] {
      #expect(error.code == .outOfRange && error.argument == "tokens")
      #expect(error.message.contains("tokens[1] is \(token);"))
    }
  }

  @Test("Bad problems are named")
  func errors() throws {
    func argument(_ tokens: [Int] = [1], _ vocabulary: Int = 1, _ hidden: Int = 1, _ dtype: DType = .float32) -> String?
    {
      faultyArgument {
        try EmbeddingDescriptor(tokenShape: tokens, vocabulary: vocabulary, hiddenSize: hidden, gradientDType: dtype)
      }
    }
    #expect(argument() == nil)
    #expect(argument([1 << 31]) == "tokenShape")
    #expect(argument([1], 0) == "vocabulary")
    #expect(argument([1], 1, 0) == "hiddenSize")
    #expect(argument([1], 1, 1, .int8) == "gradientDType")
  }
}
