import Testing
import TileCLCore
import TileCLReference

@Suite("Token orders of grids")
struct TokenOrderGridTests {
  @Test("A grid counts its tokens and names its sides")
  func grids() throws {
    #expect(try TokenGrid(length: 7).sides == [7])
    #expect(try TokenGrid(height: 3, width: 5).count == 15)
    #expect(try "\(TokenGrid(depth: 2, height: 3, width: 5))" == "2 x 3 x 5")
    for (argument, grid) in [
      ("length", { try TokenGrid(length: 0) }), ("width", { try TokenGrid(height: 4, width: -1) }),
      ("height x width", { try TokenGrid(height: 1 << 16, width: 1 << 16) }),
      ("depth", { try TokenGrid(depth: .max, height: 1, width: 1) }),
      ("depth x height x width", { try TokenGrid(depth: 1 << 30, height: 1 << 30, width: 2) }),
    ] as [(String, () throws -> TokenGrid)] {
      let error = #expect(throws: TileCLError.self) { try grid() }
      #expect(error?.argument == argument)
      #expect(error?.code == .invalidArgument)
    }
  }

  /// Sorts the tokens of a grid by a key: what an order is said to be, in other words.
  private func sorted(_ sides: [Int], by key: ([Int]) -> [Int]) -> [Int32] {
    let count = sides.reduce(1, *)
    let keys = (0..<count).map { key(coordinates(sides, $0)) }
    return (0..<count).sorted { keys[$0].lexicographicallyPrecedes(keys[$1]) }.map(Int32.init)
  }

  private func grid(_ sides: [Int]) throws -> TokenGrid {
    switch sides.count {
    case 1: try TokenGrid(length: sides[0])
    case 2: try TokenGrid(height: sides[0], width: sides[1])
    default: try TokenGrid(depth: sides[0], height: sides[1], width: sides[2])
    }
  }

  @Test(
    "Tiles: the whole ones first, then those that are cut",
    arguments: [
      ([8, 8], [4, 4]), ([16, 24], [8, 8]), ([9, 10], [4, 3]), ([5, 5], [8, 8]), ([1, 40], [8, 8]), ([40, 1], [8, 8]),
      ([7, 9], [1, 4]), ([23], [5]), ([4, 6, 8], [2, 2, 4]), ([5, 7, 9], [2, 3, 4]), ([3, 3, 3], [4, 1, 2]),
    ])
  func tiles(sides: [Int], tile: [Int]) throws {
    let order = try TokenOrder.tile(grid(sides), tile)
    let expected = sorted(sides) { place in
      let tiles = zip(place, tile).map { $0 / $1 }
      let isCut = tiles.indices.contains { (tiles[$0] + 1) * tile[$0] > sides[$0] }
      return [isCut ? 1 : 0] + tiles + place
    }
    #expect(order.permutation == expected)
  }

  @Test(
    "Strides: residue class by residue class",
    arguments: [
      ([12], [4]), ([11], [4]), ([3], [9]), ([6, 9], [2, 3]),
      ([7, 5], [3, 1]), ([5, 4, 7], [2, 3, 4]),
    ])
  func strides(sides: [Int], stride: [Int]) throws {
    let order = try TokenOrder.strided(grid(sides), by: stride)
    #expect(order.permutation == sorted(sides) { place in zip(place, stride).map { $0 % $1 } + place })
  }

  @Test("On a sequence a stride is the rearrangement (m s) -> (s m)")
  func stripes() throws {
    #expect(try TokenOrder.strided(TokenGrid(length: 8), by: [4]).permutation == [0, 4, 1, 5, 2, 6, 3, 7])
    #expect(try TokenOrder.strided(TokenGrid(length: 7), by: [3]).permutation == [0, 3, 6, 1, 4, 2, 5])
  }

  @Test("One value stands for all axes, other numbers of values are refused")
  func perAxis() throws {
    let grid = try TokenGrid(depth: 4, height: 6, width: 8)
    #expect(try TokenOrder.tile(grid, [2]) == TokenOrder.tile(grid, [2, 2, 2]))
    for (argument, order) in [
      ("tile.count", { try TokenOrder.tile(grid, [2, 2]) }), ("tile[1]", { try TokenOrder.tile(grid, [2, 0, 2]) }),
      ("tile.count", { try TokenOrder.tile(grid, []) }), ("stride[0]", { try TokenOrder.strided(grid, by: [-1]) }),
      ("stride.count", { try TokenOrder.strided(grid, by: [1, 1, 1, 1]) }),
    ] as [(String, () throws -> TokenOrder)] {
      let error = #expect(throws: TileCLError.self) { try order() }
      #expect(error?.argument == argument)
    }
  }

  @Test("Row-major orders leave every token where it is")
  func rowMajor() throws {
    for sides in [[5], [2, 3], [2, 3, 4]] {
      let order = try TokenOrder.rowMajor(grid(sides))
      #expect(order.permutation == (0..<Int32(order.count)).map(\.self))
      #expect(order.inverted() == order)
    }
  }

  @Test("A Hilbert order of a sequence is the sequence, and of a volume with a side of 1 the picture")
  func degenerateHilbert() throws {
    #expect(try TokenOrder.hilbert(TokenGrid(length: 9)) == .rowMajor(TokenGrid(length: 9)))
    for (height, width) in [(8, 8), (7, 13), (6, 20), (31, 4)] {
      let picture = try TokenOrder.hilbert(height: height, width: width)
      #expect(try TokenOrder.hilbert(TokenGrid(depth: 1, height: height, width: width)) == picture)
      #expect(try TokenOrder.hilbert(TokenGrid(depth: height, height: 1, width: width)) == picture)
      #expect(try TokenOrder.hilbert(TokenGrid(depth: height, height: width, width: 1)) == picture)
    }
  }

  /// How far each step of a Hilbert order goes along the axes.
  private func steps(_ sides: [Int]) throws -> [[Int]] {
    let places = try TokenOrder.hilbert(grid(sides)).permutation.map { coordinates(sides, Int($0)) }
    return zip(places, places.dropFirst()).map { from, to in zip(from, to).map { abs($0 - $1) } }
  }

  @Test(
    "A Hilbert order of a volume visits every token once, from neighbour to neighbour if its sides are even",
    arguments: 1...9)
  func hilbertVolumes(depth: Int) throws {
    for height in 1...12 {
      for width in 1...12 {
        let sides = [depth, height, width]
        let order = try TokenOrder.hilbert(grid(sides))
        #expect(order.permutation.sorted() == (0..<Int32(order.count)).map(\.self), "\(sides)")
        let steps = try steps(sides)
        let isEven = sides.allSatisfy { $0.isMultiple(of: 2) }
        #expect(steps.allSatisfy { $0.reduce(0, +) <= (isEven ? 1 : 4) && $0.allSatisfy { $0 <= 3 } }, "\(sides)")
        // Steps that leave the neighbourhood are rare.
        #expect(steps.count { $0.reduce(0, +) > 1 } * 20 <= max(steps.count, 20) * 2, "\(sides)")
      }
    }
  }

  @Test("Small volumes are those of the published curve")
  func publishedVolumes() throws {
    let published: [([Int], [Int32])] = [
      ([2, 2, 2], [0, 2, 6, 4, 5, 7, 3, 1]),
      (
        [3, 3, 3],
        [
          0, 9, 10, 1, 4, 13, 12, 3, 6, 15, 7, 16, 25, 24, 21, 22, 18, 19, 20, 23, 26, 17, 8, 5, 14, 11, 2,
        ]
      ),
      (
        [2, 4, 6],
        [
          0, 24, 25, 1, 2, 26, 27, 3, 9, 33, 32, 8, 7, 31, 30, 6, 12, 18, 42, 36, 37, 43, 19, 13, 14, 20, 44, 38, 39,
          45, 21, 15, 16, 22, 46, 40, 41, 47, 23, 17, 11, 35, 34, 10, 4, 28, 29, 5,
        ]
      ),
    ]
    for (sides, expected) in published {
      #expect(try TokenOrder.hilbert(grid(sides)).permutation == expected, "\(sides)")
    }
  }

  @Test("Cubes of a Hilbert order are cubes on powers of two")
  func hilbertCubes() throws {
    let order = try TokenOrder.hilbert(TokenGrid(depth: 16, height: 16, width: 16))
    for start in stride(from: 0, to: 4096, by: 64) {
      let cubes = order.permutation[start..<start + 64].map { coordinates([16, 16, 16], Int($0)).map { $0 / 4 } }
      #expect(Set(cubes).count == 1)
    }
  }

  @Test("An inverse is computed once, leads back, and inverts to the order again")
  func inverted() throws {
    let order = try TokenOrder.hilbert(height: 12, width: 7)
    let inverse = order.inverted()
    #expect(inverse.permutation == order.inverse)
    #expect(inverse.inverse == order.permutation)
    #expect(inverse.inverted() == order)
    #expect(Set([order, inverse, inverse.inverted()]).count == 2)
    let copy = order
    #expect(
      copy.inverse.withUnsafeBufferPointer { first in
        order.inverse.withUnsafeBufferPointer { $0.baseAddress == first.baseAddress }
      })
  }
}

/// The coordinates of a row in memory.
func coordinates(_ sides: [Int], _ row: Int) -> [Int] {
  var (row, place) = (row, [Int]())
  for side in sides.reversed() {
    place.insert(row % side, at: 0)
    row /= side
  }
  return place
}
