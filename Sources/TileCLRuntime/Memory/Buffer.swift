import COpenCL
import Synchronization
import TileCLCore

/// A range of device memory.
///
/// Buffers come from a ``BufferPool`` and return to it when the last reference goes, even while a kernel still uses
/// them. The pool prefers memory that nothing uses any more; where it hands out memory in use, commands on the new
/// buffer run after those on the old one.
public final class Buffer: Sendable {
  let handle: Handle
  /// The size asked for, in bytes.
  public let byteCount: Int
  /// The size allocated, in bytes.
  let capacity: Int
  /// Whether the buffer is host memory that the device reads in place, without a copy.
  public let sharesHostMemory: Bool
  private let pool: BufferPool
  /// Keeps shared host memory alive.
  private let owner: (any Sendable)?
  /// Commands that used the memory before it became this buffer, and may still run. Those of the same queue come first
  /// by its order; other queues wait for them.
  let earlierUses: [Event]
  private let uses = Mutex<[Event]>([])

  init(
    _ handle: Handle, byteCount: Int, capacity: Int, pool: BufferPool, earlierUses: [Event] = [],
    sharedOwner: (any Sendable)? = nil, sharesHostMemory: Bool = false
  ) {
    self.earlierUses = earlierUses
    self.handle = handle
    self.byteCount = byteCount
    self.capacity = capacity
    self.pool = pool
    self.sharesHostMemory = sharesHostMemory
    owner = sharedOwner
  }

  deinit {
    let pending = (earlierUses + uses.withLock { $0 }).filter { !$0.isComplete }
    if sharesHostMemory {
      // The owner's memory must not go while a kernel reads it.
      for event in pending { try? event.wait() }
      pool.releaseShared(handle)
    } else {
      pool.put(handle, byteCount: byteCount, capacity: capacity, pending: pending)
    }
  }

  /// Remembers a command that reads or writes this buffer.
  func noteUse(_ event: Event) {
    uses.withLock { events in
      if events.count >= 8 { events.removeAll(where: \.isComplete) }
      events.append(event)
    }
  }

  func requireRange(offset: Int, count: Int) throws {
    guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount - offset else {
      throw TileCLError(
        .outOfRange, "bytes \(offset) ..< \(offset) + \(count) lie outside a buffer of \(byteCount) bytes",
        argument: "offset")
    }
  }
}
