import CPNG
import Glibc
import TileCLCore

extension RGBImage {
  /// The most pixels that are read, so that a mistaken path does not fill the memory.
  private static let mostPixels = 1 << 24

  /// Reads a PNG of any colour type; transparency is laid on white.
  ///
  /// - Throws: `TileCLError` of code `file` for a path that cannot be read, `fileFormat` for what is no PNG, and
  ///   `limitExceeded` for a picture of more than 16 million pixels.
  package init(png path: String) throws {
    guard access(path, R_OK) == 0 else {
      throw TileCLError(
        .file, "cannot read \(path): \(String(cString: strerror(errno)))", argument: "path",
        hint: "give the path of a PNG file")
    }
    var header = png_image()
    header.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { png_image_free(&header) }
    guard png_image_begin_read_from_file(&header, path) != 0 else {
      throw TileCLError(
        .fileFormat, "\(path) is not a readable PNG: \(header.reason)", argument: "path",
        hint: "convert the picture to PNG first")
    }
    let (width, height) = (Int(header.width), Int(header.height))
    guard width * height <= Self.mostPixels else {
      throw TileCLError(
        .limitExceeded, "\(path) has \(width) x \(height) pixels; allowed: at most \(Self.mostPixels)",
        argument: "path", hint: "scale the picture down")
    }
    header.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
    var white = png_color(red: .max, green: .max, blue: .max)
    var samples = [UInt8](repeating: 0, count: width * height * Self.channels)
    guard png_image_finish_read(&header, &white, &samples, 0, nil) != 0 else {
      throw TileCLError(.fileFormat, "\(path) is a damaged PNG: \(header.reason)", argument: "path")
    }
    self.init(width: width, height: height, samples: samples)
  }

  /// Writes an 8-bit RGB PNG, over whatever was there.
  ///
  /// - Throws: `TileCLError` of code `file`.
  package func write(png path: String) throws {
    var header = png_image()
    header.version = png_uint_32(PNG_IMAGE_VERSION)
    header.width = png_uint_32(width)
    header.height = png_uint_32(height)
    header.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
    defer { png_image_free(&header) }
    guard png_image_write_to_file(&header, path, 0, samples, 0, nil) != 0 else {
      throw TileCLError(
        .file, "cannot write \(path): \(header.reason)", argument: "path", hint: "choose a folder that can be written"
      )
    }
  }
}

extension png_image {
  /// What libpng says about the last failure.
  fileprivate var reason: String {
    withUnsafeBytes(of: message) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
