import TileCL

/// What the denoising part of the demo is asked to do.
struct DenoisingOptions: Sendable {
  /// Standard deviation of the noise, in grey levels.
  var sigma: Double
  /// How many curves are laid over the picture.
  var curves: Int
  /// Dense attention over the whole picture is run if it should take no longer than this, in seconds.
  var denseLimit: Double
  /// The side w of a window: w^2 pixels that follow each other along a Hilbert curve see one another.
  var window = 16
  /// Patches have a side of 2 r + 1 pixels.
  var patchRadius = 2
  /// The width h of the weight exp(-|p - q|^2 / h^2), in units of sigma.
  ///
  /// The best of 0.4 to 0.8 on photographs with a sigma of 25.
  var filterStrength = 0.55
  /// Queries and keys of a mask's block; divides the pixels of a window.
  var blockSize = 64

  /// The squared distance at which a weight falls to 1/e, for samples in 0...1.
  var bandwidth: Double {
    let width = filterStrength * sigma / 255
    return width * width
  }

  /// The squared distance that noise alone puts between two patches of the same content.
  var noiseDistance: Double {
    2 * (sigma / 255) * (sigma / 255)
  }

  /// - Throws: `TileCLError` when a picture is too small or the noise out of range.
  func validate(width: Int, height: Int) throws {
    guard width >= window, height >= window else {
      throw TileCLError.invalid(
        "picture", "\(width) x \(height) pixels", allowed: "at least \(window) x \(window), one window")
    }
    guard sigma >= 1, sigma <= 100 else {
      throw TileCLError.invalid("sigma", sigma, allowed: "1 ... 100 grey levels")
    }
  }
}
