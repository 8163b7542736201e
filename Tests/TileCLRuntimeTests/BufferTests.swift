import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLRuntime

@Suite struct SizeClassTests {
  @Test(arguments: [0, 1, 255, 256, 257, 1000, 1 << 20, (1 << 20) + 1, 3 << 30, Int.max])
  func classesHoldWhatIsAskedForAndWasteLittle(byteCount: Int) {
    let capacity = BufferPool.sizeClass(byteCount)
    #expect(capacity >= byteCount)
    #expect(capacity <= 256 || capacity - byteCount <= byteCount / 4)
    #expect(BufferPool.sizeClass(capacity) == capacity)
  }
}

@Suite(.enabled(if: TestEngines.hasOpenCL)) struct BufferTests {
  @Test func releasedMemoryIsReused() throws {
    let context = try makeContext()
    for _ in 0..<3 { _ = try context.makeBuffer(byteCount: 1000) }
    var snapshot = context.pool.snapshot()
    #expect(snapshot.allocations == 1)
    #expect(snapshot.reuses == 2)
    #expect(snapshot.activeBytes == 0)
    #expect(snapshot.peakBytes == 1000)
    #expect(snapshot.cachedBytes == 1024)
    context.pool.trim()
    snapshot = context.pool.snapshot()
    #expect(snapshot.cachedBytes == 0)
  }

  /// A cache without room hands out memory in use; whoever gets it must see its own commands run last.
  @Test func memoryInUseIsReusedInOrder() throws {
    let context = try makeContext()
    context.pool.cacheLimit = 1 << 20
    let other = try Queue(context: context, profiling: false)
    let kernel = try context.program(scaleSource()).kernel("scale")
    let count = 1 << 18
    let source = try context.makeBuffer(byteCount: count * 4)
    try context.queue.fill(source)
    for round in 1...8 {
      do {
        let busy = try context.makeBuffer(byteCount: count * 4)
        try context.queue.launch(
          kernel, global: [count], local: [64], [.buffer(source), .buffer(busy), .float(Float(round))])
      }
      let buffer = try context.makeBuffer(byteCount: count * 4)
      try other.fill(buffer, with: UInt8(round))
      var bytes = [UInt8](repeating: 0, count: count * 4)
      try bytes.withUnsafeMutableBytes { try other.read(buffer, into: $0) }
      #expect(bytes.allSatisfy { $0 == UInt8(round) })
    }
    let snapshot = context.pool.snapshot()
    #expect(snapshot.allocations <= 4, "the cache holds one buffer of this size, so memory must have been reused")
    #expect(snapshot.cachedBytes <= 1 << 20)
  }

  @Test func theCacheKeepsToItsLimit() throws {
    let context = try makeContext()
    context.pool.cacheLimit = 4096
    do {
      let buffers = try (0..<8).map { _ in try context.makeBuffer(byteCount: 1024) }
      #expect(context.pool.snapshot().activeBytes == buffers.count * 1024)
    }
    #expect(context.pool.snapshot().cachedBytes == 4096)
    context.pool.cacheLimit = 1024
    #expect(context.pool.snapshot().cachedBytes == 1024)
  }

  @Test func sizesOverTheLimitAreRefusedWithNumbers() throws {
    let context = try makeContext(["TILECL_MAX_ALLOC": "1M"])
    let error = try #require(throws: TileCLError.self) { try context.makeBuffer(byteCount: (1 << 20) + 1) }
    #expect(error.code == .limitExceeded)
    #expect(error.message.contains("1048577") && error.message.contains("1048576"))
    #expect(error.device == context.device.name)
    #expect(try context.makeBuffer(byteCount: 1 << 20).byteCount == 1 << 20)
    for byteCount in [0, -1] {
      let error = #expect(throws: TileCLError.self) { try context.makeBuffer(byteCount: byteCount) }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test func rangesOutsideABufferAreRefused() throws {
    let context = try makeContext()
    let buffer = try context.makeBuffer(byteCount: 16)
    var bytes = [UInt8](repeating: 0, count: 8)
    for offset in [-1, 9, Int.max] {
      let error = bytes.withUnsafeMutableBytes { memory in
        #expect(throws: TileCLError.self) { try context.queue.read(buffer, offset: offset, into: memory) }
      }
      #expect(error?.code == .outOfRange)
    }
  }

  @Test func fillAndCopy() throws {
    let context = try makeContext()
    let source = try context.makeBuffer(byteCount: 300)
    let target = try context.makeBuffer(byteCount: 300)
    try context.queue.fill(source, with: 0xA5)
    try context.queue.fill(target)
    try context.queue.copy(source, offset: 10, to: target, offset: 100, byteCount: 7)
    var bytes = [UInt8](repeating: 1, count: 300)
    try bytes.withUnsafeMutableBytes { try context.queue.read(target, into: $0) }
    #expect(
      bytes == [UInt8](repeating: 0, count: 100) + [UInt8](repeating: 0xA5, count: 7)
        + [UInt8](repeating: 0, count: 193))
  }

  @Test func pageAlignedHostMemoryIsUsedInPlaceWhereItCanBe() throws {
    final class Pages: @unchecked Sendable {
      let bytes: UnsafeMutableRawBufferPointer
      init() {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 4096)
      }
      deinit { bytes.deallocate() }
    }
    let context = try makeContext()
    let pages = Pages()
    let floats = pages.bytes.bindMemory(to: Float.self)
    for index in floats.indices { floats[index] = Float(index) }
    let aligned = try context.makeBuffer(sharing: pages.bytes, keepingAlive: pages)
    #expect(aligned.sharesHostMemory == context.device.capabilities.sharesHostMemory)
    let odd = UnsafeMutableRawBufferPointer(rebasing: pages.bytes[64...])
    let copied = try context.makeBuffer(sharing: odd, keepingAlive: pages)
    #expect(!copied.sharesHostMemory)

    let kernel = try context.program(scaleSource()).kernel("scale")
    for (buffer, first) in [(aligned, 0), (copied, 16)] {
      let output = try context.makeBuffer(byteCount: 16)
      try context.queue.launch(kernel, global: [4], local: [1], [.buffer(buffer), .buffer(output), .float(2)])
      var result = [Float](repeating: 0, count: 4)
      try result.withUnsafeMutableBytes { try context.queue.read(output, into: $0) }
      #expect(result == (0..<4).map { Float(2 * (first + $0)) })
    }
  }
}

@Suite(.enabled(if: TestEngines.hasOpenCL)) struct EventTests {
  @Test func eventsCanBeAwaited() async throws {
    let context = try makeContext()
    let kernel = try context.program(scaleSource()).kernel("scale")
    let buffer = try context.makeBuffer(byteCount: 4096)
    try context.queue.fill(buffer)
    let event = try context.queue.launch(
      kernel, global: [1024], local: [1], [.buffer(buffer), .buffer(buffer), .float(1)])
    try await event.completed()
    #expect(event.isComplete)
    try event.wait()
    try await event.completed()
  }

  @Test func profilesNeedAProfilingQueue() throws {
    let context = try makeContext()
    let buffer = try context.makeBuffer(byteCount: 64)
    let event = try context.queue.fill(buffer)
    let error = try #require(throws: TileCLError.self) { try event.profile() }
    #expect(error.code == .unsupported)
    let queue = try Queue(context: context, profiling: true)
    let timed = try queue.fill(buffer)
    try timed.wait()
    let profile = try timed.profile()
    #expect(profile.ended >= profile.started && profile.started >= profile.queued)
  }

  @Test func queuesCanWaitForEachOther() throws {
    let context = try makeContext()
    let other = try Queue(context: context, profiling: false)
    let kernel = try context.program(scaleSource()).kernel("scale")
    let buffer = try context.makeBuffer(byteCount: 4)
    try [Float(3)].withUnsafeBytes { try context.queue.write($0, to: buffer) }
    let first = try context.queue.launch(
      kernel, global: [1], local: [1], [.buffer(buffer), .buffer(buffer), .float(2)])
    try other.launch(kernel, global: [1], local: [1], [.buffer(buffer), .buffer(buffer), .float(5)], after: [first])
    var result: [Float] = [0]
    try result.withUnsafeMutableBytes { try other.read(buffer, into: $0) }
    #expect(result == [30])
  }
}
