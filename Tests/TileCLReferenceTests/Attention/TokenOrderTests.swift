import Testing
import TileCLCore
import TileCLReference

@Suite("Token orders")
struct TokenOrderTests {
  @Test("A Hilbert order visits every cell once, by steps between neighbours", arguments: 1...20)
  func hilbertIsAWalk(height: Int) throws {
    for width in 1...40 {
      let order = try TokenOrder.hilbert(height: height, width: width)
      #expect(order.permutation.sorted() == (0..<Int32(height * width)).map(\.self))
      let steps = zip(order.permutation, order.permutation.dropFirst()).map { from, to in
        let (fromY, fromX) = (Int(from) / width, Int(from) % width)
        let (toY, toX) = (Int(to) / width, Int(to) % width)
        return max(abs(fromY - toY), abs(fromX - toX)) == 1 ? abs(fromY - toY) + abs(fromX - toX) : .max
      }
      #expect(!steps.contains(.max), "\(height) x \(width) jumps")
      // Colouring the grid like a chessboard shows that an odd long side over an even short one needs a diagonal.
      let needsDiagonal = max(height, width) % 2 == 1 && min(height, width) % 2 == 0
      #expect(steps.filter { $0 == 2 }.count <= (needsDiagonal ? 1 : 0), "\(height) x \(width)")
    }
  }

  @Test("Windows of a Hilbert order are squares on powers of two", arguments: [(8, 2), (16, 4), (64, 8), (64, 16)])
  func hilbertWindowsAreSquares(side: Int, window: Int) throws {
    let order = try TokenOrder.hilbert(height: side, width: side)
    for start in stride(from: 0, to: side * side, by: window * window) {
      let squares = order.permutation[start..<start + window * window].map { row in
        [Int(row) / side / window, Int(row) % side / window]
      }
      #expect(Set(squares).count == 1)
    }
  }

  @Test("The smallest curve is a U")
  func smallestCurve() throws {
    #expect(try TokenOrder.hilbert(height: 2, width: 2).permutation == [0, 2, 3, 1])
    #expect(try TokenOrder.hilbert(height: 1, width: 4).permutation == [0, 1, 2, 3])
    #expect(try TokenOrder.hilbert(height: 4, width: 1).permutation == [0, 1, 2, 3])
  }

  @Test("The inverse leads back")
  func inverse() throws {
    let order = try TokenOrder.hilbert(height: 17, width: 13)
    for (row, position) in order.inverse.enumerated() {
      #expect(order.permutation[Int(position)] == Int32(row))
    }
    #expect(try TokenOrder.rowMajor(height: 3, width: 5).permutation == (0..<15).map(\.self))
  }

  @Test("A wrong permutation is refused with its first wrong entry")
  func badPermutations() throws {
    for (permutation, argument) in [
      ([], "permutation.count"), ([0, 2], "permutation[1]"), ([0, -1], "permutation[1]"),
      ([1, 0, 1], "permutation[2]"),
    ] as [([Int32], String)] {
      let error = #expect(throws: TileCLError.self) { try TokenOrder(permutation: permutation) }
      #expect(error?.argument == argument)
      #expect(error?.code == .invalidArgument)
    }
    #expect(try TokenOrder(permutation: [2, 0, 1]).count == 3)
  }

  @Test("A grid without cells, or with too many, is refused")
  func badGrids() throws {
    for (height, width, argument) in [
      (0, 4, "height"), (4, -1, "width"), (Int.max, 2, "height"), (1 << 16, 1 << 16, "height x width"),
    ] {
      let error = #expect(throws: TileCLError.self) { try TokenOrder.hilbert(height: height, width: width) }
      #expect(error?.argument == argument)
      #expect(throws: TileCLError.self) { try TokenOrder.rowMajor(height: height, width: width) }
    }
  }
}
