import Testing
import TileCLCore

@Suite struct ShapeTests {
  @Test func productsThatOverflowAreRefused() throws {
    #expect(try checkedProduct([3, 5, 7], argument: "x") == 105)
    #expect(try checkedProduct([], argument: "x") == 1)
    let error = try #require(throws: TileCLError.self) { try checkedProduct([1 << 40, 1 << 40], argument: "keys") }
    #expect(error.code == .limitExceeded)
    #expect(error.argument == "keys")
  }

  @Test(arguments: [[0], [4, 0, 2]])
  func aSizeMayBeZero(shape: [Int]) throws {
    #expect(try Shape.elementCount(shape, argument: "query") == 0)
  }

  @Test(arguments: [[-1], [4, -2, 0]])
  func sizesBelowZeroAreRefused(shape: [Int]) throws {
    let error = try #require(throws: TileCLError.self) { try Shape.elementCount(shape, argument: "query") }
    #expect(error.code == .invalidArgument)
    #expect(error.argument?.hasPrefix("query.shape[") == true)
  }

  @Test func rowMajorStrides() {
    #expect(Shape.rowMajorStrides([2, 3, 4]) == [12, 4, 1])
    #expect(Shape.rowMajorStrides([]) == [])
  }
}

@Suite struct ParallelTests {
  @Test(arguments: [0, 1, 2, 1000])
  func everyRowIsWrittenOnce(count: Int) {
    let rows = Parallel.rows(count, stride: 3, zero: -1) { row, memory in
      for index in memory.indices { memory[index] += 1 + row * 3 + index }
    }
    #expect(rows == Array(0..<count * 3))
  }

  @Test func rowsWithoutElements() {
    #expect(Parallel.rows(5, stride: 0, zero: 0) { _, _ in }.isEmpty)
  }
}

@Suite struct TileCLErrorTests {
  @Test func descriptionHoldsEveryField() {
    var error = TileCLError.invalid("heads", 5, allowed: "a multiple of 2", hint: "add a head")
    error.call = "clBuildProgram"
    error.kernel = "k"
    error.device = "d"
    error.driver = "1.2"
    error.options = "-DX=1"
    error.log = "line 1\nline 2"
    let text = error.description
    for part in [
      "invalidArgument", "heads is 5", "a multiple of 2", "add a head", "clBuildProgram", "k", "d, driver 1.2", "-DX=1",
      "line 1\nline 2",
    ] {
      #expect(text.contains(part))
    }
    #expect(error.argument == "heads")
  }
}

@Suite struct SplitMix64Tests {
  /// The first outputs for seed 0 in Vigna's reference implementation (prng.di.unimi.it/splitmix64.c).
  @Test func followsItsDefinition() {
    var generator = SplitMix64(seed: 0)
    #expect(generator.next() == 0xE220_A839_7B1D_CDAF)
    #expect(generator.next() == 0x6E78_9E6A_A1B9_65F4)
  }
}
