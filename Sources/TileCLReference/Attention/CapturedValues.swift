/// What was captured, as the reference's closures see it.
public struct CapturedValues: Hashable, Sendable {
  private var values: [String: [Double]]

  public init(_ values: [String: [Double]] = [:]) {
    self.values = values
  }

  /// The elements of a tensor; a scalar has one. Empty for a name that was not captured.
  public subscript(name: String) -> [Double] {
    get { values[name] ?? [] }
    set { values[name] = newValue }
  }

  /// One element of a tensor; NaN for a name or place that there is not.
  public subscript(name: String, index: Int) -> Double {
    guard let elements = values[name], elements.indices.contains(index) else { return .nan }
    return elements[index]
  }

  /// A scalar; NaN for a name that was not captured.
  public func scalar(_ name: String) -> Double { self[name, 0] }
}
