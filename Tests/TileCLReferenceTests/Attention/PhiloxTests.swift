import Testing
import TileCLReference

@Suite("Philox4x32-10 and dropout")
struct PhiloxTests {
  /// The known answers that the authors publish with Random123 (`kat_vectors`).
  @Test(
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [.max, .max, .max, .max], [.max, .max], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func knownAnswers(counter: [UInt32], key: [UInt32], answer: [UInt32]) {
    #expect(Philox.words(counter: SIMD4(counter), key: SIMD2(key)) == SIMD4(answer))
  }

  @Test("Each key takes its own word of its counter")
  func counters() {
    let words = Philox.words(counter: SIMD4(7, 3, 5, 2), key: SIMD2(0x89ab_cdef, 0x0123_4567))
    for lane in 0..<4 {
      for (threshold, isKept) in [(words[lane], true), (words[lane] + 1, false)] {
        let keeps = Philox.keeps(
          seed: 0x0123_4567_89ab_cdef, headNumber: 2 << 32 + 5, queryRow: 7, keyRow: 12 + lane, threshold: threshold)
        #expect(keeps == isKept)
      }
    }
  }

  @Test("The dropped fraction is the probability", arguments: [0.1, 0.25, 0.5, 0.9] as [Float])
  func fraction(probability: Float) {
    let threshold = Philox.threshold(dropout: probability)
    var dropped = 0
    for query in 0..<256 {
      for key in 0..<256
      where !Philox.keeps(seed: 42, headNumber: 3, queryRow: query, keyRow: key, threshold: threshold) {
        dropped += 1
      }
    }
    #expect((Float(dropped) / 65536 - probability).magnitude <= 0.01)
  }

  @Test("With unit vectors as values the outputs are the weights: dropped, or 1 / (1 - p) times as large")
  func weights() throws {
    let size = 16
    func weights(_ dropout: Float) throws -> [Double] {
      var example = AttentionExample(
        try .init(batch: 2, queryHeads: 2, queryLength: size, headDimension: size, score: .init(dropout: dropout)))
      for index in example.operands.value.indices {
        example.operands.value[index] = index / size % size == index % size ? 1 : 0
      }
      return try example.forward().output
    }
    let threshold = Philox.threshold(dropout: 0.25)
    for (index, (weight, whole)) in zip(try weights(0.25), try weights(0)).enumerated() {
      let row = index / size
      let isKept = Philox.keeps(
        seed: 1, headNumber: row / size, queryRow: row % size, keyRow: index % size, threshold: threshold)
      #expect((weight - (isKept ? whole / 0.75 : 0)).magnitude < 1e-15)
    }
  }
}
