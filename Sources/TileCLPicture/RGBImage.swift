/// A picture of 8-bit sRGB samples, row by row, the three channels of a pixel next to each other.
package struct RGBImage: Hashable, Sendable {
  package static let channels = 3

  package let width: Int
  package let height: Int
  /// `height * width * 3` samples.
  package var samples: [UInt8]

  package var pixelCount: Int { width * height }

  /// Copies other pictures of the same height into one, from left to right, with a white gap between them.
  package init(strip pictures: [RGBImage], gap: Int) {
    let height = pictures.map(\.height).min() ?? 0
    let width = pictures.reduce(gap * max(pictures.count - 1, 0)) { $0 + $1.width }
    var samples = [UInt8](repeating: .max, count: width * height * Self.channels)
    var left = 0
    for picture in pictures {
      let run = picture.width * Self.channels
      for y in 0..<height {
        let target = (y * width + left) * Self.channels
        samples.replaceSubrange(target..<target + run, with: picture.samples[y * run..<(y + 1) * run])
      }
      left += picture.width + gap
    }
    self.init(width: width, height: height, samples: samples)
  }

  package init(width: Int, height: Int, samples: [UInt8]) {
    self.width = width
    self.height = height
    self.samples = samples
  }
}
