/// The product of sizes.
///
/// - Parameters:
///   - factors: Sizes; the product of none is 1.
///   - argument: What the error names.
/// - Throws: ``TileCLError/Code/limitExceeded`` when the product passes the range of `Int`.
package func checkedProduct(_ factors: [Int], argument: String) throws -> Int {
  var product = 1
  for factor in factors {
    let (partial, overflow) = product.multipliedReportingOverflow(by: factor)
    guard !overflow else {
      throw TileCLError(
        .limitExceeded, "\(argument) of sizes \(factors) has more elements than a 64-bit integer counts",
        argument: argument, hint: "use smaller sizes")
    }
    product = partial
  }
  return product
}

/// The sum of sizes.
///
/// - Parameters:
///   - terms: Sizes; the sum of none is 0.
///   - argument: What the error names.
/// - Throws: ``TileCLError/Code/limitExceeded`` when the sum passes the range of `Int`.
package func checkedSum(_ terms: [Int], argument: String) throws -> Int {
  var sum = 0
  for term in terms {
    let (partial, overflow) = sum.addingReportingOverflow(term)
    guard !overflow else {
      throw TileCLError(
        .limitExceeded, "\(argument), the sum of \(terms), is more than a 64-bit integer counts",
        argument: argument, hint: "use smaller sizes")
    }
    sum = partial
  }
  return sum
}

/// Facts about shapes: sizes along axes, outermost first.
package enum Shape {
  /// Checks a size of a problem, which kernels count in 32 bits.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a size outside 1...2^31 - 1.
  package static func requireSize(_ size: Int, argument: String) throws {
    guard size >= 1, size <= Int(Int32.max) else {
      throw TileCLError.invalid(argument, size, allowed: "1...\(Int32.max)")
    }
  }

  /// How many elements a tensor of that shape has.
  ///
  /// - Parameter least: The smallest size of an axis; a tensor may have no elements.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a size below that, ``TileCLError/Code/limitExceeded`` for a
  ///   count that no 64-bit integer holds.
  package static func elementCount(_ shape: [Int], argument: String, least: Int = 0) throws -> Int {
    for (axis, size) in shape.enumerated() where size < least {
      throw TileCLError.invalid("\(argument).shape[\(axis)]", size, allowed: "\(least) or more")
    }
    return try checkedProduct(shape, argument: argument)
  }

  /// Strides, in elements, of a tensor whose last axis is contiguous and whose rows follow each other.
  ///
  /// The shape must have passed ``elementCount(_:argument:least:)``.
  package static func rowMajorStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in strides.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }
}
