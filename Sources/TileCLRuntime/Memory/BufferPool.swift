import COpenCL
import Synchronization
import TileCLCore

/// Reuses device memory between buffers of like size.
///
/// Sizes are rounded up to classes, four to each power of two, so that at most a quarter is wasted. Released memory
/// stays cached until ``cacheLimit`` is passed (oldest first) or ``trim()`` is called.
public final class BufferPool: Sendable {
  /// What the pool holds at one moment.
  public struct Snapshot: Hashable, Sendable {
    /// Bytes asked for by living buffers.
    public var activeBytes = 0
    /// Bytes kept for reuse.
    public var cachedBytes = 0
    /// The highest ``activeBytes`` so far, or since ``BufferPool/resetPeak()``.
    public var peakBytes = 0
    /// Buffers that the driver allocated.
    public var allocations = 0
    /// Buffers that were served from the cache.
    public var reuses = 0
  }

  private struct Entry {
    let handle: Handle
    let capacity: Int
    let pending: [Event]

    var isIdle: Bool { pending.allSatisfy(\.isComplete) }
  }

  private struct State {
    /// Oldest first.
    var cached: [Entry] = []
    var snapshot = Snapshot()
    var cacheLimit: Int

    /// The place of memory to hand out: idle, or else in use where the cache has no room for more. A host that enqueues
    /// faster than the device works would otherwise allocate without bound.
    func reusable(_ capacity: Int) -> Int? {
      cached.firstIndex { $0.capacity == capacity && $0.isIdle }
        ?? (snapshot.cachedBytes + capacity > cacheLimit ? cached.firstIndex { $0.capacity == capacity } : nil)
    }
  }

  private let context: ContextHandle
  /// The most bytes that one buffer may have: the device's limit, or a lower one that was asked for.
  public let maximumAllocation: Int
  private let state: Mutex<State>

  init(context: ContextHandle, maximumAllocation: Int?) {
    let capabilities = context.device.capabilities
    self.context = context
    self.maximumAllocation = min(capabilities.maximumAllocation, maximumAllocation ?? Int.max)
    state = Mutex(State(cacheLimit: capabilities.globalMemory / 4))
  }

  deinit {
    release(state.withLock { $0.cached })
  }

  /// The most bytes to keep for reuse; a quarter of the device's memory by default.
  public var cacheLimit: Int {
    get { state.withLock { $0.cacheLimit } }
    set {
      let evicted = state.withLock { state in
        state.cacheLimit = max(newValue, 0)
        return Self.evict(&state)
      }
      release(evicted)
    }
  }

  public func snapshot() -> Snapshot {
    state.withLock { $0.snapshot }
  }

  /// Counts ``Snapshot/peakBytes`` from what is in use now, and returns it.
  @discardableResult
  public func resetPeak() -> Int {
    state.withLock { state in
      state.snapshot.peakBytes = state.snapshot.activeBytes
      return state.snapshot.peakBytes
    }
  }

  /// Gives all cached memory back to the driver, once the commands that still use it are done.
  public func trim() {
    let evicted = state.withLock { state in
      defer { state.cached = [] }
      state.snapshot.cachedBytes = 0
      return state.cached
    }
    // A failed command is reported to whoever waits for it; here it only matters that it is over.
    for entry in evicted { for event in entry.pending { try? event.wait() } }
    release(evicted)
  }

  /// A buffer of at least `byteCount` bytes, with unspecified content.
  func take(byteCount: Int) throws -> Buffer {
    guard byteCount > 0 else { throw TileCLError.invalid("byteCount", byteCount, allowed: "1 or more") }
    guard byteCount <= maximumAllocation else {
      var error = TileCLError(
        .limitExceeded,
        "a buffer of \(byteCount) bytes exceeds the device's limit of \(maximumAllocation) bytes for one buffer",
        argument: "byteCount", hint: "split the tensor, or store it in a smaller type")
      error.device = context.device.name
      error.driver = context.device.driverVersion
      throw error
    }
    let capacity = min(Self.sizeClass(byteCount), maximumAllocation)
    let reused = state.withLock { state -> Entry? in
      guard let index = state.reusable(capacity) else { return nil }
      let entry = state.cached.remove(at: index)
      state.snapshot.cachedBytes -= entry.capacity
      state.snapshot.reuses += 1
      return entry
    }
    let handle = try reused?.handle ?? allocate(capacity)
    state.withLock { state in
      state.snapshot.activeBytes += byteCount
      state.snapshot.peakBytes = max(state.snapshot.peakBytes, state.snapshot.activeBytes)
    }
    return Buffer(
      handle, byteCount: byteCount, capacity: capacity, pool: self, earlierUses: reused?.pending ?? [])
  }

  /// A buffer that is the given host memory where the device shares it; nil where it does not, or where
  /// the driver refuses this memory.
  func share(_ memory: UnsafeMutableRawBufferPointer, keepingAlive owner: some Sendable) -> Buffer? {
    guard context.device.capabilities.sharesHostMemory, let base = memory.baseAddress, memory.count > 0,
      memory.count <= maximumAllocation, Int(bitPattern: base) % Self.pageSize == 0
    else { return nil }
    var status: cl_int = 0
    let flags = cl_mem_flags(CL_MEM_READ_WRITE) | cl_mem_flags(CL_MEM_USE_HOST_PTR)
    // Some drivers refuse memory that they cannot write, such as a read-only mapping.
    guard let memoryObject = context.table.createBuffer(context.handle.raw, flags, memory.count, base, &status) else {
      return nil
    }
    return Buffer(
      Handle(memoryObject), byteCount: memory.count, capacity: memory.count, pool: self, sharedOwner: owner,
      sharesHostMemory: true)
  }

  func put(_ handle: Handle, byteCount: Int, capacity: Int, pending: [Event]) {
    let evicted = state.withLock { state in
      state.snapshot.activeBytes -= byteCount
      state.snapshot.cachedBytes += capacity
      state.cached.append(Entry(handle: handle, capacity: capacity, pending: pending))
      return Self.evict(&state)
    }
    release(evicted)
  }

  func releaseShared(_ handle: Handle) {
    _ = context.table.releaseMemObject(handle.raw)
  }

  private func allocate(_ capacity: Int) throws -> Handle {
    func create(_ status: inout cl_int) -> cl_mem? {
      context.table.createBuffer(context.handle.raw, cl_mem_flags(CL_MEM_READ_WRITE), capacity, nil, &status)
    }
    var status: cl_int = 0
    var memory = create(&status)
    if memory == nil {
      // The cache may be what fills the device.
      trim()
      memory = create(&status)
    }
    guard let memory else {
      var error = TileCLError.openCL("clCreateBuffer", status, device: context.device)
      error.message += " for \(capacity) bytes, with \(snapshot().activeBytes) in use"
      throw error
    }
    state.withLock { $0.snapshot.allocations += 1 }
    return Handle(memory)
  }

  /// The driver keeps a released memory object until the commands that use it are done (OpenCL 1.2, section 5.4.1).
  private func release(_ entries: [Entry]) {
    for entry in entries { _ = context.table.releaseMemObject(entry.handle.raw) }
  }

  private static func evict(_ state: inout State) -> [Entry] {
    var evicted: [Entry] = []
    while state.snapshot.cachedBytes > state.cacheLimit, !state.cached.isEmpty {
      let entry = state.cached.removeFirst()
      state.snapshot.cachedBytes -= entry.capacity
      evicted.append(entry)
    }
    return evicted
  }

  /// The smallest class that holds `byteCount`: 256 bytes, then 4/4, 5/4, 6/4 and 7/4 of each power of two.
  static func sizeClass(_ byteCount: Int) -> Int {
    guard byteCount > 256 else { return 256 }
    let step = 1 << max(Int.bitWidth - 1 - (byteCount - 1).leadingZeroBitCount - 2, 0)
    let rounded = (byteCount - 1).addingReportingOverflow(step)
    return rounded.overflow ? byteCount : rounded.partialValue / step * step
  }

  static let pageSize = 4096
}
