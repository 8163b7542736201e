import Foundation

/// Numbers as reports print them.
package enum Format {
  /// So many digits behind the point.
  package static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  /// Two digits and an exponent.
  package static func scientific(_ value: Double) -> String {
    value == 0 ? "0" : String(format: "%.1e", value)
  }

  /// A part of 1, in hundredths.
  package static func percent(_ part: Double, digits: Int = 2) -> String {
    fixed(100 * part, digits) + " %"
  }

  /// Seconds with three significant digits, in the unit that suits.
  package static func seconds(_ value: Double) -> String {
    switch value {
    case ..<1e-3: significant(value * 1e6) + " us"
    case ..<1: significant(value * 1e3) + " ms"
    case ..<600: significant(value) + " s"
    default: significant(value / 60) + " min"
    }
  }

  /// Bytes in decimal units.
  package static func bytes(_ count: Int) -> String {
    switch count {
    case ..<1_000: "\(count) B"
    case ..<1_000_000: significant(Double(count) / 1e3) + " kB"
    case ..<1_000_000_000: significant(Double(count) / 1e6) + " MB"
    default: significant(Double(count) / 1e9) + " GB"
    }
  }

  /// Thousands set apart by spaces.
  package static func count(_ value: Int) -> String {
    var digits = String(value)
    var place = digits.index(digits.endIndex, offsetBy: -3, limitedBy: digits.startIndex) ?? digits.startIndex
    while place > digits.startIndex {
      digits.insert(" ", at: place)
      place = digits.index(place, offsetBy: -3, limitedBy: digits.startIndex) ?? digits.startIndex
    }
    return digits
  }

  private static func significant(_ value: Double) -> String {
    fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0)
  }
}

extension String {
  /// The string with spaces before it, or behind it, up to a width.
  package func padded(to width: Int, left: Bool = true) -> String {
    let padding = String(repeating: " ", count: max(width - count, 0))
    return left ? padding + self : self + padding
  }
}
