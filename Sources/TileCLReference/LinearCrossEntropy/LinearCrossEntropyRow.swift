import Glibc

/// The statistics of one token over some classes; see ``LinearCrossEntropyStatistic``.
package struct LinearCrossEntropyRow: BitwiseCopyable, Hashable, Sendable {
  package var maximum = -Double.infinity
  package var sum = 0.0
  package var target = 0.0
  package var mass = 0.0
  package var weighted = 0.0
  package var spread = 0.0
  package var argmax = Int32(0)

  package init() {}

  /// Takes in the logit of a class; classes come in rising order.
  mutating func add(_ z: Double, class index: Int32) {
    if z > maximum {
      let step = maximum - z
      let factor = exp(step)
      // 0 before the first class, whose step is infinite.
      spread = factor == 0 ? 0 : factor * (spread + step * sum)
      sum = sum * factor + 1
      maximum = z
      argmax = index
    } else if z == maximum {
      // Apart from the next branch because inf - inf is not 0.
      if sum == 0 { argmax = index }
      sum += 1
    } else {
      let term = exp(z - maximum)
      sum += term
      // Where the exponential is 0, the product's limit is too.
      spread += term == 0 ? 0 : term * (z - maximum)
    }
  }

  /// Takes in the statistics of other classes.
  package mutating func merge(_ other: LinearCrossEntropyRow, hasClassTargets: Bool) {
    let largest = max(maximum, other.maximum)
    func scaled(_ row: LinearCrossEntropyRow) -> (sum: Double, spread: Double) {
      // Apart because inf - inf is not 0.
      guard row.maximum != largest else { return (row.sum, row.spread) }
      let step = row.maximum - largest
      let factor = exp(step)
      return (row.sum * factor, factor == 0 ? 0 : factor * (row.spread + step * row.sum))
    }
    let (own, new) = (scaled(self), scaled(other))
    sum = own.sum + new.sum
    spread = own.spread + new.spread
    if other.maximum > maximum || (other.maximum == maximum && other.argmax < argmax) { argmax = other.argmax }
    maximum = maximum.isNaN || other.maximum.isNaN ? .nan : largest
    target = hasClassTargets ? max(target, other.target) : target + other.target
    mass += other.mass
    weighted += other.weighted
  }

  package var lse: Double { log(sum) + maximum }

  /// LSE - Σ p z.
  package var entropy: Double { log(sum) - spread / sum }

  /// The logarithm of a class target's probability. The difference first: a small one beside large logits keeps its
  /// digits.
  package var targetLogProbability: Double { (target - maximum) - log(sum) }

  package subscript(statistic: LinearCrossEntropyStatistic) -> Double {
    get {
      switch statistic {
      case .maximum: maximum
      case .sum: sum
      case .target: target
      case .mass: mass
      case .weighted: weighted
      case .spread: spread
      case .argmax: Double(argmax)
      }
    }
    set {
      switch statistic {
      case .maximum: maximum = newValue
      case .sum: sum = newValue
      case .target: target = newValue
      case .mass: mass = newValue
      case .weighted: weighted = newValue
      case .spread: spread = newValue
      case .argmax: argmax = Int32(newValue)
      }
    }
  }
}
