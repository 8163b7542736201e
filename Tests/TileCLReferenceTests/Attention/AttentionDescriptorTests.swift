import Testing
import TileCLCore
import TileCLReference

@Suite("Attention descriptors")
struct AttentionDescriptorTests {
  private func expect(
    _ argument: String, _ code: TileCLError.Code = .invalidArgument, _ body: () throws -> AttentionDescriptor
  ) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.argument == argument)
    #expect(error?.code == code)
  }

  @Test("What is left out follows from the rest")
  func defaults() throws {
    let problem = try AttentionDescriptor(queryHeads: 4, queryLength: 10, headDimension: 16)
    #expect(problem.keyValueHeads == 4)
    #expect(problem.keyLength == 10)
    #expect(problem.valueDimension == 16)
    #expect(problem.scale == 0.25)
    #expect(problem.outputShape == [1, 4, 10, 16])
    let grouped = try AttentionDescriptor(
      batch: 2, queryHeads: 8, keyValueHeads: 2, queryLength: 3, keyLength: 5, headDimension: 7, valueDimension: 9,
      dtype: .bfloat16, scale: 1, mask: .causal, returnsLSE: true)
    #expect(grouped.headRatio == 4)
    #expect(grouped.keyShape == [2, 2, 5, 7])
    #expect(grouped.valueShape == [2, 2, 5, 9])
    #expect(grouped.lseShape == [2, 8, 3])
  }

  @Test("Sizes, type and scale are checked")
  func badSizes() {
    expect("batch") { try .init(batch: 0, queryHeads: 1, queryLength: 1, headDimension: 1) }
    expect("batch") { try .init(batch: .max, queryHeads: 1, queryLength: 1, headDimension: 1) }
    expect("queryHeads") { try .init(queryHeads: -1, queryLength: 1, headDimension: 1) }
    expect("keyValueHeads") { try .init(queryHeads: 4, keyValueHeads: 0, queryLength: 1, headDimension: 1) }
    expect("keyValueHeads") { try .init(queryHeads: 4, keyValueHeads: 3, queryLength: 1, headDimension: 1) }
    expect("keyValueHeads") { try .init(queryHeads: 2, keyValueHeads: 4, queryLength: 1, headDimension: 1) }
    expect("queryLength") { try .init(queryHeads: 1, queryLength: 0, headDimension: 1) }
    expect("keyLength") { try .init(queryHeads: 1, queryLength: 1, keyLength: 1 << 31, headDimension: 1) }
    expect("headDimension") { try .init(queryHeads: 1, queryLength: 1, headDimension: 257) }
    expect("headDimension") { try .init(queryHeads: 1, queryLength: 1, headDimension: 0) }
    expect("valueDimension") { try .init(queryHeads: 1, queryLength: 1, headDimension: 1, valueDimension: 0) }
    expect("dtype") { try .init(queryHeads: 1, queryLength: 1, headDimension: 1, dtype: .int8) }
    for scale in [Float.nan, .infinity] {
      expect("scale") { try .init(queryHeads: 1, queryLength: 1, headDimension: 1, scale: scale) }
    }
    expect("query", .limitExceeded) {
      try .init(batch: 1 << 30, queryHeads: 1 << 30, queryLength: 8, headDimension: 1)
    }
  }

  @Test("Masks and orders must be made for the lengths")
  func badMasks() throws {
    let mask = try BlockMask.causal(queryLength: 8, keyLength: 12)
    expect("mask.queryLength") {
      try .init(queryHeads: 1, queryLength: 9, keyLength: 12, headDimension: 1, mask: .blocks(mask))
    }
    expect("mask.keyLength") {
      try .init(queryHeads: 1, queryLength: 8, keyLength: 13, headDimension: 1, mask: .blocks(mask))
    }
    let order = try TokenOrder.hilbert(height: 2, width: 4)
    expect("tokenOrder") {
      try .init(queryHeads: 1, queryLength: 8, keyLength: 12, headDimension: 1, tokenOrder: order)
    }
    expect("tokenOrder.count") { try .init(queryHeads: 1, queryLength: 9, headDimension: 1, tokenOrder: order) }
  }
}
