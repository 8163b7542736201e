import Glibc
import TileCL
import TileCLPicture

/// Joins attention over several sets of keys into attention over all of them.
///
/// Partial results (output o, LSE l) of one query merge to `sum_s exp(l_s) o_s / sum_s exp(l_s)`, which is what one
/// softmax over the union gives. A pixel that falls into several windows of a query counts as often.
struct WindowMerge: Sendable {
  /// `[S]`: the largest LSE so far, to which the sums are relative.
  private var peaks: [Double]
  /// `[S]`.
  private var weights: [Double]
  /// `[S, 3]`.
  private var colours: [Double]

  init(pixelCount: Int) {
    peaks = [Double](repeating: -.infinity, count: pixelCount)
    weights = [Double](repeating: 0, count: pixelCount)
    colours = [Double](repeating: 0, count: pixelCount * RGBImage.channels)
  }

  /// Adds a partial result: `[S, 3]` outputs and their `[S]` LSE.
  mutating func add(outputs: [Float], lse: [Float]) {
    for pixel in peaks.indices {
      add(pixel, lse: Double(lse[pixel])) { Double(outputs[pixel * RGBImage.channels + $0]) }
    }
  }

  /// Adds every pixel itself, as if it were another pixel of the same content.
  ///
  /// A patch's distance to itself is 0, to its like it is what the noise makes it. With its own weight a pixel would
  /// keep most of its noise, so it gets the weight of its like.
  mutating func addSelf(_ features: PatchFeatures, options: DenoisingOptions) {
    let discount = options.noiseDistance / options.bandwidth
    for pixel in peaks.indices {
      add(pixel, lse: features.selfScore(pixel) - discount) {
        Double(features.values[pixel * RGBImage.channels + $0])
      }
    }
  }

  private mutating func add(_ pixel: Int, lse: Double, _ colour: (Int) -> Double) {
    guard lse > -.infinity else { return }
    let peak = max(peaks[pixel], lse)
    let (old, new) = (exp(peaks[pixel] - peak), exp(lse - peak))
    peaks[pixel] = peak
    weights[pixel] = weights[pixel] * old + new
    for channel in 0..<RGBImage.channels {
      let place = pixel * RGBImage.channels + channel
      colours[place] = colours[place] * old + new * colour(channel)
    }
  }

  /// The merged colours, `[S, 3]`, in 0...1.
  var merged: [Double] {
    colours.indices.map { colours[$0] / weights[$0 / RGBImage.channels] }
  }
}
