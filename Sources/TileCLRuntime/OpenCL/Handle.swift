/// An OpenCL handle: a pointer that the driver gave and that only the driver reads.
struct Handle: Hashable, @unchecked Sendable {
  // Unchecked because the pointer is never followed here, and OpenCL lets any thread use any handle.
  let raw: OpaquePointer

  init(_ raw: OpaquePointer) {
    self.raw = raw
  }
}

/// Reads a value whose size the driver tells first, as all clGet...Info functions do.
///
/// - Parameter query: Calls the function with (size, memory, where to put the needed size).
func infoBytes(
  _ query: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> Int32, _ call: @autoclosure () -> String
) throws -> [UInt8] {
  var size = 0
  try check(query(0, nil, &size), call())
  guard size > 0 else { return [] }
  var bytes = [UInt8](repeating: 0, count: size)
  try check(bytes.withUnsafeMutableBytes { query(size, $0.baseAddress, nil) }, call())
  return bytes
}

/// Text of a clGet...Info function, without its terminator and surrounding blanks.
func infoString(
  _ query: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> Int32, _ call: @autoclosure () -> String
) throws -> String {
  let bytes = try infoBytes(query, call()).prefix { $0 != 0 }
  let text = String(decoding: bytes, as: UTF8.self)
  return String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
}
