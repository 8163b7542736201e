import TileCL

/// A value that user code captures, as the cases state it.
enum AttentionCapture: Sendable {
  case float(Float)
  case int32(Int32)
  case floats([Float])
  case integers([Int32])

  /// For the reference.
  var numbers: [Double] {
    switch self {
    case .float(let number): [Double(number)]
    case .int32(let number): [Double(number)]
    case .floats(let numbers): numbers.map(Double.init)
    case .integers(let numbers): numbers.map(Double.init)
    }
  }

  /// For a plan.
  func value<Element>(on engine: Engine) throws -> AttentionInputs<Element>.CaptureValue {
    switch self {
    case .float(let number): .float(number)
    case .int32(let number): .int32(number)
    case .floats(let numbers): .floats(try engine.tensor(numbers, shape: [numbers.count]))
    case .integers(let numbers): .integers(try engine.tensor(numbers, shape: [numbers.count]))
    }
  }
}
