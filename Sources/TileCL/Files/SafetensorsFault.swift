import TileCLCore

/// What is wrong with a safetensors file, before the name of the file is known.
struct SafetensorsFault: Error {
  /// The fault, with the values involved.
  var message: String
  /// The tensor at fault, if one is.
  var tensor: String?
  /// The header's field at fault, if one is.
  var field: String?
  /// What to do about it.
  var hint: String?

  init(_ message: String, tensor: String? = nil, field: String? = nil, hint: String? = nil) {
    self.message = message
    self.tensor = tensor
    self.field = field
    self.hint = hint
  }

  /// The same fault, as users see it.
  func error(path: String) -> TileCLError {
    var place = path
    if let tensor { place += ": tensor \(tensor.debugDescription)" }
    if let field { place += ": \(field)" }
    return TileCLError(.fileFormat, "\(place): \(message)", argument: field, hint: hint)
  }
}
