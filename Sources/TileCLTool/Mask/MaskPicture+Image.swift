import TileCLPicture

extension MaskPicture {
  /// The side of the largest picture, without its frame.
  static let pixelLimit = 512

  private typealias Color = SIMD3<Int>

  private static let empty = Color(255, 255, 255)
  private static let partial = Color(126, 178, 221)
  private static let full = Color(20, 54, 106)
  private static let frame = Color(128, 128, 128)

  /// A square of pixels for each cell, in a frame of one pixel.
  ///
  /// A cell of several blocks has the mean of their colours.
  var image: RGBImage {
    let columns = cells.first?.count ?? 0
    let side = max(1, Self.pixelLimit / max(cells.count, columns, 1))
    let (width, height) = (columns * side + 2, cells.count * side + 2)
    var samples: [UInt8] = []
    samples.reserveCapacity(width * height * RGBImage.channels)
    let edge = [Color](repeating: Self.frame, count: width)
    let rows = cells.flatMap { row in
      let colors = row.flatMap { [Color](repeating: Self.color($0), count: side) }
      return [[Color]](repeating: [Self.frame] + colors + [Self.frame], count: side)
    }
    for color in ([edge] + rows + [edge]).joined() {
      for channel in 0..<RGBImage.channels { samples.append(UInt8(clamping: color[channel])) }
    }
    return RGBImage(width: width, height: height, samples: samples)
  }

  private static func color(_ cell: Cell) -> Color {
    let empty = cell.blocks - cell.partial - cell.full
    return (Self.empty &* empty &+ partial &* cell.partial &+ full &* cell.full) / max(cell.blocks, 1)
  }
}
