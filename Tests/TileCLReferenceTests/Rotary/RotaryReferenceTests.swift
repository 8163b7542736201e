import Testing
import TileCLCore
import TileCLReference

@Suite("Rotary position embedding: descriptor and reference")
struct RotaryReferenceTests {
  @Test("Pairs of the two kinds, turned by 1 and 1/100 a position")
  func handWorked() throws {
    let x: [Float] = [1, 1, 0, 0]
    func turned(_ pairing: RotaryDescriptor.Pairing) throws -> [Double] {
      let problem = try RotaryDescriptor(heads: 1, tokens: 1, headDimension: 4, pairing: pairing, positionOffset: 1)
      return try Reference.rotary(problem, x: x)
    }
    // cos 1, sin 1, cos 0.01, sin 0.01.
    let (c, s, near, small) = (0.5403023058681398, 0.8414709848078965, 0.9999500004166653, 0.009999833334166664)
    for (value, expected) in zip(try turned(.halves), [c, near, s, small]) { #expect(abs(value - expected) < 1e-15) }
    for (value, expected) in zip(try turned(.interleaved), [c - s, c + s, 0, 0]) {
      #expect(abs(value - expected) < 1e-15)
    }
  }

  @Test("Products of queries and keys depend on distances alone", arguments: RotaryDescriptor.Pairing.allCases)
  func relative(pairing: RotaryDescriptor.Pairing) throws {
    let vectors = [FiniteDifferences.values(8, seed: 8), FiniteDifferences.values(8, seed: 9)]
    func product(_ first: Int, _ second: Int) throws -> Double {
      let turned = try zip(vectors, [first, second]).map { vector, position in
        try Reference.rotary(
          RotaryDescriptor(heads: 1, tokens: 1, headDimension: 8, pairing: pairing, positionOffset: position), x: vector
        )
      }
      return zip(turned[0], turned[1]).reduce(0) { $0 + $1.0 * $1.1 }
    }
    #expect(abs(try product(3, 10) - product(1003, 1010)) < 1e-12)
    #expect(abs(try product(-5, 5) - product(0, 10)) < 1e-12)
  }

  @Test("The inverse undoes it, and is the transpose that gradients want", arguments: RotaryDescriptor.Pairing.allCases)
  func inverse(pairing: RotaryDescriptor.Pairing) throws {
    let problem = try RotaryDescriptor(
      batch: 2, heads: 2, tokens: 3, headDimension: 7, rotaryDimension: 6, pairing: pairing, positionOffset: 2)
    let (x, dy) = (FiniteDifferences.values(84, seed: 10), FiniteDifferences.values(84, seed: 11))
    let y = try Reference.rotary(problem, x: x)
    let dx = try Reference.rotary(problem, x: dy, isInverse: true)
    let slopes = try FiniteDifferences.gradient(x) { FiniteDifferences.dot(try Reference.rotary(problem, x: $0), dy) }
    #expect(FiniteDifferences.agree(slopes, dx, within: 1e-9))
    let back = try Reference.rotary(problem, x: y.map { Float($0) }, isInverse: true)
    #expect(FiniteDifferences.agree(back, x.map(Double.init), within: 1e-6))
    // The last channel takes no part.
    #expect(stride(from: 6, to: 84, by: 7).allSatisfy { y[$0] == Double(x[$0]) })
  }

  @Test("Bad problems and arrays are named")
  func errors() throws {
    func problem(
      heads: Int = 1, tokens: Int = 4, dimension: Int = 8, rotary: Int? = nil, base: Double = 10, offset: Int = 0
    ) throws -> RotaryDescriptor {
      try RotaryDescriptor(
        heads: heads, tokens: tokens, headDimension: dimension, rotaryDimension: rotary, base: base,
        positionOffset: offset)
    }
    #expect(faultyArgument { try problem() } == nil)
    #expect(faultyArgument { try problem(heads: 0) } == "heads")
    #expect(faultyArgument { try problem(dimension: 7) } == "rotaryDimension")
    #expect(faultyArgument { try problem(dimension: 1) } == "rotaryDimension")
    for rotary in [0, 3, 10, -2] { #expect(faultyArgument { try problem(rotary: rotary) } == "rotaryDimension") }
    for base in [0, -1, Double.infinity, .nan] { #expect(faultyArgument { try problem(base: base) } == "base") }
    #expect(faultyArgument { try problem(offset: Int(Int32.max)) } == "positionOffset")
    #expect(faultyArgument { try problem(offset: .min) } == "positionOffset")
    let zeros = [Float](repeating: 0, count: 32)
    #expect(faultyArgument { try Reference.rotary(problem(), x: [1]) } == "x")
    #expect(faultyArgument { try Reference.rotary(problem(), x: zeros, positions: [1]) } == "positions")
  }
}
