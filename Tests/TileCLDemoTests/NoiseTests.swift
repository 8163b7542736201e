import Testing
import TileCLPicture

@testable import TileCLDemo

@Suite struct NoiseTests {
  @Test func noiseHasItsSigmaAndItsSeed() {
    let grey = RGBImage(width: 100, height: 100, samples: [UInt8](repeating: 128, count: 30_000))
    let noisy = grey.addingNoise(sigma: 20, seed: 1)
    #expect(noisy == grey.addingNoise(sigma: 20, seed: 1))
    #expect(noisy != grey.addingNoise(sigma: 20, seed: 2))
    // 20 log10(255 / 20) = 22.11 dB.
    #expect((noisy.psnr(against: grey) - 22.11).magnitude < 0.1)
  }
}
