import Glibc
import TileCL
import TileCLPicture

extension RGBImage {
  /// The picture with white Gaussian noise, rounded and clamped to 8 bits again: what its file holds is what is
  /// denoised.
  ///
  /// - Parameters:
  ///   - sigma: Standard deviation in grey levels of 0...255.
  ///   - seed: The same seed gives the same noise on every machine.
  func addingNoise(sigma: Double, seed: UInt64) -> RGBImage {
    var generator = SplitMix64(seed: seed)
    var noisy = self
    for index in samples.indices {
      // Box and Muller; 1 - uniform lies in (0, 1], where the logarithm is finite.
      let radius = (-2 * log(1 - generator.uniform())).squareRoot()
      let normal = radius * cos(2 * .pi * generator.uniform())
      noisy.samples[index] = Self.sample(Double(samples[index]) + sigma * normal)
    }
    return noisy
  }

  /// The nearest 8-bit sample to a value.
  static func sample(_ value: Double) -> UInt8 {
    UInt8(min(max(value.rounded(), 0), 255))
  }

  /// Peak signal-to-noise ratio against a picture of the same size, `10 log10(255^2 / mean squared error)`, in dB.
  func psnr(against other: RGBImage) -> Double {
    var squares = 0.0
    for (first, second) in zip(samples, other.samples) {
      let difference = Double(first) - Double(second)
      squares += difference * difference
    }
    return 10 * log10(255 * 255 * Double(samples.count) / squares)
  }
}
