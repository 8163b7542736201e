import TileCL
import TileCLPicture

/// Non-local means written as attention: queries, keys and values of a picture's pixels.
///
/// Non-local means replaces a pixel i by `sum_j w(i, j) v_j / sum_j w(i, j)` with `w = exp(-|p_i - p_j|^2 / h^2)`,
/// where p is the patch around a pixel and v its colour. Since `|p_i - p_j|^2 = |p_i|^2 + |p_j|^2 - 2 p_i . p_j` and
/// the softmax over j cancels what depends on i alone, attention computes the same with
///
///     q_i = (p_i, 1)      k_j = (p_j, -|p_j|^2 / 2)      v_j = colour      scale = 2 / h^2
///
/// Patches are centred on the picture's mean colour, which leaves distances alone and scores small, and scaled so that
/// a squared distance is the mean over the patch's samples, in 0...1. Beyond the border the picture is mirrored.
///
/// Source: Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005.
struct PatchFeatures: Sendable {
  let width: Int
  let height: Int
  /// D: the samples of a patch, and one for the norm.
  let dimension: Int
  let scale: Float
  /// `[S, D]`.
  let queries: [Float]
  /// `[S, D]`.
  let keys: [Float]
  /// `[S, 3]`, in 0...1.
  let values: [Float]

  var pixelCount: Int { width * height }

  init(_ image: RGBImage, options: DenoisingOptions) {
    let (width, height, radius) = (image.width, image.height, options.patchRadius)
    let side = 2 * radius + 1
    let dimension = side * side * RGBImage.channels + 1
    let values = image.samples.map { Float($0) / 255 }
    let mean = Self.meanColour(values)
    let factor = 1 / Float(dimension - 1).squareRoot()

    let patches = Parallel.rows(height, stride: width * dimension, zero: Float(0)) { y, row in
      for x in 0..<width {
        var place = x * dimension
        for dy in -radius...radius {
          let line = Self.mirrored(y + dy, height) * width
          for dx in -radius...radius {
            let source = (line + Self.mirrored(x + dx, width)) * RGBImage.channels
            for channel in 0..<RGBImage.channels {
              row[place] = (values[source + channel] - mean[channel]) * factor
              place += 1
            }
          }
        }
        row[place] = 1
      }
    }
    self.width = width
    self.height = height
    self.dimension = dimension
    self.values = values
    scale = Float(2 / options.bandwidth)
    queries = patches
    keys = Parallel.rows(width * height, stride: dimension, zero: Float(0)) { pixel, key in
      var norm = 0.0
      for index in 0..<dimension - 1 {
        let feature = patches[pixel * dimension + index]
        key[index] = feature
        norm += Double(feature) * Double(feature)
      }
      key[dimension - 1] = Float(-norm / 2)
    }
  }

  /// The score of a pixel with itself, scale |p|^2 / 2, the largest of its row.
  func selfScore(_ pixel: Int) -> Double {
    -Double(keys[(pixel + 1) * dimension - 1]) * Double(scale)
  }

  /// Rows of a table of features, in the order asked for.
  static func gather(_ table: [Float], stride: Int, rows: [Int32]) -> [Float] {
    rows.flatMap { table[Int($0) * stride..<(Int($0) + 1) * stride] }
  }

  /// The index of a line beyond the border, reflected at the border's line; the picture is wider than a patch.
  private static func mirrored(_ index: Int, _ count: Int) -> Int {
    index < 0 ? -index : index < count ? index : 2 * count - 2 - index
  }

  private static func meanColour(_ values: [Float]) -> [Float] {
    var sums = [Double](repeating: 0, count: RGBImage.channels)
    for (index, value) in values.enumerated() { sums[index % RGBImage.channels] += Double(value) }
    return sums.map { Float($0 * Double(RGBImage.channels) / Double(max(values.count, 1))) }
  }
}
