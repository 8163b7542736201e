import Testing
import TileCLCore
import TileCLReference

@Suite struct QuantizationFormatTests {
  @Test(arguments: [0, -1, 1, 16, 33, 256, Int.max])
  func otherGroupSizesAreRefused(groupSize: Int) throws {
    let error = try #require(throws: TileCLError.self) { try QuantizationFormat(bits: .int4, groupSize: groupSize) }
    #expect(error.code == .invalidArgument && error.argument == "groupSize")
    #expect(error.message.contains("\(groupSize)") && error.message.contains("32, 64, 128"))
  }

  @Test func levels() throws {
    #expect(try QuantizationFormat(bits: .int4, groupSize: 32).levels == 16)
    #expect(try QuantizationFormat(bits: .int8, groupSize: nil).midpoint == 128)
    let affine = try QuantizationFormat(bits: .int8, groupSize: 64, scheme: .affine)
    #expect(affine.description == "int8 affine, groups of 64")
  }

  @Test func rowsArePaddedToSixteenBytes() throws {
    let int4 = try QuantizationFormat(bits: .int4, groupSize: 32)
    let int8 = try QuantizationFormat(bits: .int8, groupSize: nil, scheme: .affine)
    let expected = [(1, 4, 1, 4), (16, 4, 1, 4), (17, 4, 1, 8), (32, 4, 1, 8), (33, 8, 2, 12)]
    for (depth, words4, groups4, words8) in expected {
      let layout4 = try QuantizedLayout(columns: 3, depth: depth, format: int4)
      #expect(layout4.wordsPerRow == words4 && layout4.groupsPerRow == groups4)
      #expect(layout4.byteCount == 4 * 3 * (words4 + groups4))
      let layout8 = try QuantizedLayout(columns: 3, depth: depth, format: int8)
      #expect(layout8.wordsPerRow == words8 && layout8.groupsPerRow == 1)
      #expect(layout8.byteCount == 4 * 3 * (words8 + 2))
    }
  }

  @Test func sizesAreChecked() throws {
    let format = try QuantizationFormat(bits: .int4, groupSize: 32)
    func argument(_ rows: Int, _ columns: Int, _ depth: Int, _ dtype: DType = .float32) -> String? {
      do {
        _ = try QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format, dtype: dtype)
        return nil
      } catch { return (error as? TileCLError)?.argument }
    }
    let limit = Int(Int32.max)
    #expect(argument(1, 1, 1) == nil)
    #expect(argument(0, 1, 1) == "rows")
    #expect(argument(limit + 1, 1, 1) == "rows")
    #expect(argument(1, -1, 1) == "columns")
    #expect(argument(1, 1, 0) == "depth")
    #expect(argument(1, 1, .max) == "depth")
    #expect(argument(1, limit, limit) == "columns x depth")
    #expect(argument(limit, 1, limit) == "rows x depth")
    #expect(argument(limit, limit, 1) == "rows x columns")
    #expect(argument(1, 1, 1, .int8) == "dtype")
    #expect(argument(limit, 4, 4) == nil)
  }
}
