import Glibc
import TileCLCore
package import TileCLRuntime

/// Host memory that holds a tensor.
package final class HostMemory: @unchecked Sendable {
  // Unchecked because operations on the reference backend run in the caller's thread. They write tensors that no other
  // thread has yet, or those that they are told to write, which the caller then keeps from other threads.
  let bytes: UnsafeMutableRawBufferPointer
  /// Keeps borrowed memory; nil when the memory is this object's own.
  private let owner: (any Sendable)?

  init(byteCount: Int) throws {
    let (padded, overflow) = byteCount.addingReportingOverflow(Self.alignment - 1)
    guard !overflow, let base = aligned_alloc(Self.alignment, padded & ~(Self.alignment - 1)) else {
      throw TileCLError(
        .limitExceeded, "the host has no memory for a tensor of \(byteCount) bytes", argument: "tensor",
        hint: "use smaller tensors, or release some")
    }
    bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    owner = nil
  }

  init(borrowing bytes: UnsafeMutableRawBufferPointer, owner: some Sendable) {
    self.bytes = bytes
    self.owner = owner
  }

  deinit {
    if owner == nil { free(bytes.baseAddress) }
  }

  private static let alignment = 4096
}

/// Where a tensor's elements are.
package enum TensorStorage: Sendable {
  case device(Buffer, Queue)
  case host(HostMemory)

  package var byteCount: Int {
    switch self {
    case .device(let buffer, _): buffer.byteCount
    case .host(let memory): memory.bytes.count
    }
  }

  /// What two storages over the same memory have in common.
  var identity: ObjectIdentifier {
    switch self {
    case .device(let buffer, _): ObjectIdentifier(buffer)
    case .host(let memory): ObjectIdentifier(memory)
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) throws {
    switch self {
    case .device(let buffer, let queue): try queue.write(bytes, to: buffer, offset: offset)
    case .host(let memory):
      UnsafeMutableRawBufferPointer(rebasing: memory.bytes[offset..<offset + bytes.count]).copyMemory(from: bytes)
    }
  }

  func clear() throws {
    switch self {
    case .device(let buffer, let queue): try queue.fill(buffer)
    case .host(let memory): memory.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  /// Copies out elements first ..< first + count, after all work enqueued before.
  func elements<Element: BitwiseCopyable>(_ type: Element.Type, first: Int, count: Int) throws -> [Element] {
    let size = MemoryLayout<Element>.stride
    return try [Element](unsafeUninitializedCapacity: count) { target, initialized in
      let bytes = UnsafeMutableRawBufferPointer(target)
      switch self {
      case .device(let buffer, let queue): try queue.read(buffer, offset: first * size, into: bytes)
      case .host(let memory):
        bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory.bytes[first * size..<(first + count) * size]))
      }
      initialized = count
    }
  }
}
