import Testing
import TileCLCore
import TileCLReference

@Suite("Matmul: descriptor and reference")
struct MatmulReferenceTests {
  @Test(
    "A size outside 1...2^31 - 1 names its argument",
    arguments: [("rows", 0, 1, 1, 1), ("columns", 1, -1, 1, 1), ("depth", 1, 1, 1 << 31, 1), ("batch", 1, 1, 1, 0)])
  func sizes(argument: String, rows: Int, columns: Int, depth: Int, batch: Int) throws {
    let error = try #require(throws: TileCLError.self) {
      try MatmulDescriptor(rows: rows, columns: columns, depth: depth, batch: batch)
    }
    #expect(error.code == .invalidArgument)
    #expect(error.argument == argument)
  }

  @Test("Matrices beyond the address space, other types and factors are named")
  func badProblems() throws {
    let most = Int(Int32.max)
    let large = try #require(throws: TileCLError.self) {
      try MatmulDescriptor(rows: most, columns: 1, depth: most)
    }
    #expect(large.code == .limitExceeded && large.argument == "a")
    func argument(_ body: () throws -> MatmulDescriptor) throws -> String? {
      try #require(throws: TileCLError.self) { try body() }.argument
    }
    #expect(try argument { try MatmulDescriptor(rows: 1, columns: 1, depth: 1, dtype: .int32) } == "dtype")
    #expect(
      try argument { try MatmulDescriptor(rows: 1, columns: 1, depth: 1, outputDType: .bfloat16) } == "outputDType")
    #expect(try argument { try MatmulDescriptor(rows: 1, columns: 1, depth: 1, alpha: .nan) } == "alpha")
    #expect(try argument { try MatmulDescriptor(rows: 1, columns: 1, depth: 1, beta: .infinity) } == "beta")
  }

  /// [[1, 2, 3], [4, 5, 6]] times [[1, 0], [2, 1], [0, 3]].
  @Test("A product worked by hand, whichever way it is stored", arguments: [false, true], [false, true])
  func handWorked(transposeA: Bool, transposeB: Bool) throws {
    let problem = try MatmulDescriptor(
      rows: 2, columns: 2, depth: 3, transposeA: transposeA, transposeB: transposeB, alpha: 2, beta: -1, hasBias: true)
    let product = try Reference.matmul(
      problem, a: transposeA ? [1, 4, 2, 5, 3, 6] : [1, 2, 3, 4, 5, 6],
      b: transposeB ? [1, 2, 0, 0, 1, 3] : [1, 0, 2, 1, 0, 3], c: [1, 1, 2, 2], bias: [10, 20])
    // 2 * [[5, 11], [14, 23]] - c + bias.
    #expect(product == [19, 41, 36, 64])
  }

  @Test("The products of a batch are those of its entries")
  func batch() throws {
    let problem = try MatmulDescriptor(rows: 2, columns: 1, depth: 2, batch: 2, transposeB: true)
    #expect(problem.aShape == [2, 2, 2] && problem.bShape == [2, 1, 2] && problem.cShape == [2, 2, 1])
    let product = try Reference.matmul(problem, a: [1, 2, 3, 4, 5, 6, 7, 8], b: [1, 1, 1, -1])
    #expect(product == [3, 7, -1, -1])
  }

  @Test("An array of a wrong length names the argument")
  func counts() throws {
    let problem = try MatmulDescriptor(rows: 2, columns: 3, depth: 4, beta: 1, hasBias: true)
    func argument(a: Int = 8, b: Int = 12, c: Int = 6, bias: Int = 3) throws -> String? {
      func zeros(_ count: Int) -> [Float] { [Float](repeating: 0, count: count) }
      do {
        _ = try Reference.matmul(problem, a: zeros(a), b: zeros(b), c: zeros(c), bias: zeros(bias))
        return nil
      } catch { return (error as? TileCLError)?.argument }
    }
    #expect(try argument() == nil)
    #expect(try argument(a: 7) == "a")
    #expect(try argument(b: 0) == "b")
    #expect(try argument(c: 5) == "c")
    #expect(try argument(bias: 4) == "bias")
  }
}
