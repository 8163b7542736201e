public import TileCLCore

extension Engine {
  /// A tensor of a file, with the shape that the file gives it.
  ///
  /// The elements go from the mapped file to the device without an array in between; the reference backend, and devices
  /// that share memory with the host where the elements start on a page, use them in place.
  ///
  /// - Parameters:
  ///   - name: The tensor's name in the file.
  ///   - file: An open file; its mapping lives as long as the tensor needs it.
  ///   - type: The type in which the elements are stored; nothing is converted.
  /// - Throws: As ``SafetensorsFile/values(_:as:)`` and ``tensor(_:shape:)->Tensor<Element>``.
  public func tensor<Element: TensorElement>(
    _ name: String, in file: SafetensorsFile, as type: Element.Type = Element.self
  ) throws -> Tensor<Element> {
    let entry = try file.entry(name, storedAs: type)
    return try file.withUnsafeBytes(of: name) { bytes in
      guard let start = bytes.baseAddress, Int(bitPattern: start) % MemoryLayout<Element>.alignment == 0 else {
        return try tensor(file.values(name, as: type), shape: entry.shape)
      }
      let elements = UnsafeMutableBufferPointer(mutating: bytes.bindMemory(to: type))
      return try tensor(sharing: elements, shape: entry.shape, keepingAlive: file)
    }
  }
}
