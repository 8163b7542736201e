import Testing
import TileCLCore

@Suite struct BFloat16Tests {
  @Test func everyPatternSurvivesARoundTrip() {
    for bits in UInt16.min ... .max {
      let value = BFloat16(bitPattern: bits)
      let back = BFloat16(Float(value))
      #expect(Float(value).isNaN ? Float(back).isNaN : back == value)
    }
  }

  @Test func roundsToNearestTiesToEven() {
    #expect(Float(BFloat16(1 + 0x1p-8 as Float)) == 1)
    #expect(Float(BFloat16(1 + 0x3p-8 as Float)) == 1 + 0x1p-6)
    #expect(Float(BFloat16((1 + 0x1p-8 as Float).nextUp)) == 1 + 0x1p-7)
    #expect(Float(BFloat16(-(1 + 0x3p-8) as Float)) == -(1 + 0x1p-6))
    #expect(Float(BFloat16(Float.greatestFiniteMagnitude)) == .infinity)
    #expect(Float(BFloat16(-Float.infinity)) == -.infinity)
    #expect(Float(BFloat16(Float.nan)).isNaN)
    #expect(Float(BFloat16(Float(bitPattern: 0x7F80_0001))).isNaN, "a NaN whose payload would be cut off")
  }

  @Test func roundsDoublesOnce() {
    // Just above a tie of bfloat16, but nearer to the tie than a Float can tell.
    let above = 1 + 0x1p-8 + 0x1p-40
    #expect(Float(BFloat16(rounding: above)) == 1 + 0x1p-7)
    #expect(Float(BFloat16(rounding: -above)) == -(1 + 0x1p-7))
    let below = 1 + 0x3p-8 - 0x1p-40
    #expect(Float(BFloat16(rounding: below)) == 1 + 0x1p-7)
    #expect(Float(BFloat16(rounding: 1 + 0x1p-8)) == 1)
    #expect(Float(BFloat16(rounding: 1e300)) == .infinity)
    #expect(Float(BFloat16(rounding: 0)) == 0)
    #expect(Float(BFloat16(rounding: .nan)).isNaN)
  }
}
