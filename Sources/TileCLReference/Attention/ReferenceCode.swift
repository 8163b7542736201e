/// A Swift function that equals only itself, so that what holds it can be compared and hashed.
final class ReferenceCode<Function: Sendable>: Hashable, Sendable {
  let function: Function

  init(_ function: Function) {
    self.function = function
  }

  static func == (first: ReferenceCode, second: ReferenceCode) -> Bool { first === second }

  func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(self))
  }
}
