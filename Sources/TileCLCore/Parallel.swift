import Dispatch

/// Loops over all cores of the host.
package enum Parallel {
  /// Runs `body` once for every index below `count`, on all cores, and returns when all are done.
  package static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    guard count > 1 else {
      if count == 1 { body(0) }
      return
    }
    DispatchQueue.concurrentPerform(iterations: count, execute: body)
  }

  /// An array whose consecutive runs of `stride` elements are written by one iteration each.
  ///
  /// - Parameters:
  ///   - count: The number of runs.
  ///   - stride: The length of a run.
  ///   - zero: What every element is before its run is written.
  ///   - body: Receives a run's index and the memory of that run alone.
  package static func rows<Element: BitwiseCopyable & Sendable>(
    _ count: Int, stride: Int, zero: Element,
    _ body: @Sendable (Int, UnsafeMutableBufferPointer<Element>) -> Void
  ) -> [Element] {
    [Element](unsafeUninitializedCapacity: count * stride) { memory, initialized in
      memory.initialize(repeating: zero)
      initialized = count * stride
      guard stride > 0 else { return }
      let shared = SharedPointer(memory)
      forEach(count) { row in
        body(row, UnsafeMutableBufferPointer(rebasing: shared.buffer[row * stride..<(row + 1) * stride]))
      }
    }
  }

  /// An array that iterations of a loop fill in whatever way, each at places of its own.
  ///
  /// - Parameters:
  ///   - count: The length of the array.
  ///   - zero: What every element is before.
  ///   - body: Receives the memory, and may write it from several threads until it returns.
  package static func collect<Element: BitwiseCopyable & Sendable>(
    _ count: Int, _ zero: Element, _ body: (SharedPointer<Element>) -> Void
  ) -> [Element] {
    [Element](unsafeUninitializedCapacity: count) { memory, initialized in
      memory.initialize(repeating: zero)
      initialized = count
      body(SharedPointer(memory))
    }
  }
}

/// Memory that several threads write, each to places of its own.
package struct SharedPointer<Element>: @unchecked Sendable {
  // Unchecked because the compiler cannot see that the writers' index ranges are disjoint; every use says why they are.
  package let buffer: UnsafeMutableBufferPointer<Element>

  package init(_ buffer: UnsafeMutableBufferPointer<Element>) {
    self.buffer = buffer
  }
}
