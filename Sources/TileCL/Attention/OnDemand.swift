import Synchronization

/// A value that is made when it is first needed; if several threads need it at once, the first one made stays.
final class OnDemand<Value: Sendable>: Sendable {
  private let make: @Sendable () throws -> Value
  private let made = Mutex<Value?>(nil)

  init(_ make: @escaping @Sendable () throws -> Value) {
    self.make = make
  }

  func value() throws -> Value {
    if let value = made.withLock({ $0 }) { return value }
    let new = try make()
    return made.withLock { value in
      let kept = value ?? new
      value = kept
      return kept
    }
  }
}
