import Foundation
import Testing
import TileCLCore
import TileCLReference

@Suite("The attention reference")
struct AttentionReferenceTests {
  /// Two keys with scores ln 3 and 0 weigh 3/4 and 1/4.
  @Test("A worked example")
  func workedExample() throws {
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 1, keyLength: 2, headDimension: 2, valueDimension: 3, scale: 0.5, returnsLSE: true)
    let result = try Reference.attention(
      problem, query: [2, 1], key: [Float(log(3.0)), 0, 1, -2], value: [4, 8, 0, 0, 4, -4])
    for (value, expected) in zip(result.output, [3.0, 7.0, -1.0]) {
      #expect(abs(value - expected) < 1e-6)
    }
    #expect(abs(result.lse[0] - log(4.0)) < 1e-6)
  }

  @Test("The causal mask ends in the bottom right corner, and rows that see nothing are zero")
  func causalAlignment() throws {
    let tall = try AttentionDescriptor(
      queryHeads: 1, queryLength: 4, keyLength: 2, headDimension: 1, mask: .causal, returnsLSE: true)
    let hidden = try Reference.attention(tall, query: [0, 0, 0, 0], key: [5, 7], value: [10, 20])
    #expect(hidden.output == [0, 0, 10, 15])
    #expect(hidden.lse == [-.infinity, -.infinity, 0, log(2.0)])
    let wide = try AttentionDescriptor(queryHeads: 1, queryLength: 2, keyLength: 4, headDimension: 1, mask: .causal)
    let seen = try Reference.attention(wide, query: [0, 0], key: [1, 2, 3, 4], value: [3, 6, 9, 22])
    #expect(seen.output == [6, 10])
  }

  @Test("Grouped heads share keys and values, and batches do not")
  func groupedHeads() throws {
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 1, keyLength: 1, headDimension: 1)
    let result = try Reference.attention(
      problem, query: [Float](repeating: 1, count: 8), key: [1, 1, 1, 1], value: [10, 20, 30, 40])
    #expect(result.output == [10, 10, 20, 20, 30, 30, 40, 40])
  }

  @Test("A token order only moves rows")
  func tokenOrder() throws {
    var random = SplitMix64(seed: 7)
    let order = try TokenOrder.hilbert(height: 5, width: 6)
    let mask = try BlockMask.hilbertWindow(height: 5, width: 6, window: 2, blockSize: 8)
    let values = (0..<3).map { _ in (0..<30 * 4).map { _ in Float(random.uniform() - 0.5) } }
    let gathered = values.map { tensor in
      order.permutation.flatMap { tensor[Int($0) * 4..<Int($0) * 4 + 4] }
    }
    func run(_ order: TokenOrder?, _ tensors: [[Float]]) throws -> AttentionReferenceResult {
      let problem = try AttentionDescriptor(
        queryHeads: 1, queryLength: 30, headDimension: 4, mask: .blocks(mask), tokenOrder: order)
      return try Reference.attention(problem, query: tensors[0], key: tensors[1], value: tensors[2])
    }
    let direct = try run(order, values)
    let moved = try run(nil, gathered)
    for (position, row) in order.permutation.enumerated() {
      #expect(direct.output[Int(row) * 4..<Int(row) * 4 + 4] == moved.output[position * 4..<position * 4 + 4])
      #expect(direct.lse[Int(row)] == moved.lse[position])
    }
  }

  @Test("A causal block mask equals the causal mask")
  func causalBlocks() throws {
    var random = SplitMix64(seed: 3)
    let tensors = [21 * 9, 34 * 9, 34 * 5].map { count in (0..<count).map { _ in Float(random.uniform() * 4 - 2) } }
    let mask = try BlockMask.causal(queryLength: 21, keyLength: 34, blockSize: 16)
    let results = try [AttentionMask.causal, .blocks(mask)].map { mask in
      let problem = try AttentionDescriptor(
        queryHeads: 1, queryLength: 21, keyLength: 34, headDimension: 9, valueDimension: 5, mask: mask)
      return try Reference.attention(problem, query: tensors[0], key: tensors[1], value: tensors[2])
    }
    #expect(results[0] == results[1])
  }

  @Test("Infinite scores and NaN")
  func specialValues() throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 1, keyLength: 2, headDimension: 1, scale: 1)
    let one = try Reference.attention(problem, query: [1], key: [-.infinity, 3], value: [5, 6])
    #expect(one.output == [6])
    let none = try Reference.attention(problem, query: [1], key: [-.infinity, -.infinity], value: [5, 6])
    #expect(none.output == [0])
    #expect(none.lse == [-.infinity])
    let unknown = try Reference.attention(problem, query: [1], key: [.nan, 1], value: [5, 6])
    #expect(unknown.output[0].isNaN)
    #expect(unknown.lse[0].isNaN)
  }

  @Test("An array of the wrong size is named")
  func wrongCounts() throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 2, headDimension: 2)
    let right = [Float](repeating: 0, count: 4)
    for (index, argument) in ["query.count", "key.count", "value.count"].enumerated() {
      var tensors = [right, right, right]
      tensors[index].append(0)
      let error = #expect(throws: TileCLError.self) {
        try Reference.attention(problem, query: tensors[0], key: tensors[1], value: tensors[2])
      }
      #expect(error?.argument == argument)
    }
  }
}
