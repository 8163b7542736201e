import Glibc

/// A learning rate that rises in a line for some steps, and then falls along half a cosine to a tenth of its peak.
struct LearningRate: Hashable, Sendable {
  let peak: Double
  /// The steps of the rise; the last of them has the peak.
  let warmup: Int
  /// All steps; the last of them has the tenth.
  let steps: Int

  private static let rest = 0.1

  /// The rate of a step, which count from 1.
  func callAsFunction(_ step: Int) -> Double {
    if step <= warmup { return peak * Double(step) / Double(warmup) }
    let part = Double(step - warmup) / Double(max(steps - warmup, 1))
    return peak * (Self.rest + (1 - Self.rest) * (1 + cos(.pi * min(part, 1))) / 2)
  }
}
