import Glibc
import TileCL
import TileCLPicture

extension DenoisingRun {
  /// The largest error allowed in a colour of 0...1: a hundredth of a grey level is 4e-5.
  static let colourTolerance = 4e-5

  /// One window in this many is recomputed by the reference.
  private static let windowStride = 8
  /// As many pixels are recomputed from the definition.
  private static let checkedPixels = 2048

  /// Windows of every pass against the reference engine, which gets their pixels gathered and no token order. The last,
  /// ragged window is among them.
  func checkWindows(_ passes: [PassResult]) throws -> Check {
    var worst = Check(deviation: 0, allowed: Self.colourTolerance)
    for pass in passes {
      let windows = self.windows(of: pass.order)
      for (index, window) in windows.enumerated() where index % Self.windowStride == 0 || index == windows.count - 1 {
        guard window.count > 1 else { continue }
        let mask = try BlockMask(queryLength: window.count, keyLength: window.count) { $0 != $1 }
        let expected = try attention(
          over: tensors(on: .reference, queries: window, keys: window), mask: .blocks(mask))
        let found = PatchFeatures.gather(pass.outputs, stride: RGBImage.channels, rows: window)
        worst = try worst.orWorse(
          Check(found.map(Double.init), expected.output.array().map(Double.init), allowed: Self.colourTolerance))
      }
    }
    return worst
  }

  /// Pixels of the merged picture against non-local means from its definition, in fp64: distances between patches of
  /// the 8-bit picture and sums over the pixel's windows, without the dot products and merges by which attention gets
  /// there.
  func checkPixels(_ colours: [Double], orders: [TokenOrder]) -> Check {
    let size = options.window * options.window
    let positions = orders.map(\.inverse)
    let step = max(features.pixelCount / Self.checkedPixels, 1)
    let count = features.pixelCount / step
    let expected = Parallel.rows(count, stride: RGBImage.channels, zero: 0.0) { sample, colour in
      let pixel = sample * step
      var total = exp(-options.noiseDistance / options.bandwidth)
      for channel in 0..<RGBImage.channels { colour[channel] = total * value(pixel, channel) }
      for (order, positions) in zip(orders, positions) {
        let start = Int(positions[pixel]) / size * size
        for position in start..<min(start + size, order.count) {
          let other = Int(order.permutation[position])
          guard other != pixel else { continue }
          let weight = exp(-distance(pixel, other) / options.bandwidth)
          total += weight
          for channel in 0..<RGBImage.channels { colour[channel] += weight * value(other, channel) }
        }
      }
      for channel in 0..<RGBImage.channels { colour[channel] /= total }
    }
    let found = (0..<count).flatMap { sample in
      (0..<RGBImage.channels).map { colours[sample * step * RGBImage.channels + $0] }
    }
    return Check(found, expected, allowed: Self.colourTolerance)
  }

  /// The pixels of each window of an order.
  private func windows(of order: TokenOrder) -> [[Int32]] {
    let size = options.window * options.window
    return stride(from: 0, to: order.count, by: size).map {
      Array(order.permutation[$0..<min($0 + size, order.count)])
    }
  }

  private func value(_ pixel: Int, _ channel: Int) -> Double {
    Double(noisy.samples[pixel * RGBImage.channels + channel]) / 255
  }

  /// The mean squared difference of two patches.
  private func distance(_ first: Int, _ second: Int) -> Double {
    let radius = options.patchRadius
    let (width, height) = (noisy.width, noisy.height)
    func mirrored(_ index: Int, _ count: Int) -> Int {
      index < 0 ? -index : index < count ? index : 2 * count - 2 - index
    }
    var sum = 0.0
    for dy in -radius...radius {
      let lines = (mirrored(first / width + dy, height) * width, mirrored(second / width + dy, height) * width)
      for dx in -radius...radius {
        let a = lines.0 + mirrored(first % width + dx, width)
        let b = lines.1 + mirrored(second % width + dx, width)
        for channel in 0..<RGBImage.channels {
          let difference = value(a, channel) - value(b, channel)
          sum += difference * difference
        }
      }
    }
    return sum / Double(features.dimension - 1)
  }
}
