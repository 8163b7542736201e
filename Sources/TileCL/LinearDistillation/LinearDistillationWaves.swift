/// How many classes' products are held at a time.
///
///     most  = max(1, floor(budget / bytes of a class))
///     waves = ceil(V / most)
///     size  = min(most, ceil(V / waves) rounded up to a multiple of 64)
///
/// Waves of one size let all but the last share their plans, and multiples of 64 suit every kernel of products.
struct LinearDistillationWaves: Hashable, Sendable {
  /// The classes of each wave.
  let ranges: [Range<Int>]
  /// Classes of a wave; the last may have less.
  let size: Int

  /// What a wave takes at most unless one class takes more, 64 MiB.
  static let usualBudget = 1 << 26

  /// - Parameter classByteCount: What one class takes, above 0.
  init(vocabulary: Int, classByteCount: Int, budget: Int?) {
    let most = max((budget ?? Self.usualBudget) / classByteCount, 1)
    let count = 1 + (vocabulary - 1) / most
    // Neither step passes 2^32.
    let size = min(most, (1 + (vocabulary - 1) / count + 63) / 64 * 64, vocabulary)
    self.size = size
    ranges = stride(from: 0, to: vocabulary, by: size).map { $0..<min($0 + size, vocabulary) }
  }

  /// The number of classes of each kind of wave: all but the last, and the last.
  var widths: Set<Int> { Set(ranges.map(\.count)) }
}
