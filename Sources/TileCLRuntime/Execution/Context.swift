public import Logging
import Synchronization
import TileCLCore

/// One device made ready: its memory, its programs, and a queue.
///
/// A context holds exactly one device; several devices take several contexts, because moving buffers between devices
/// of one context is slow on the drivers seen.
public final class Context: Sendable {
  let handle: ContextHandle
  /// Where buffers come from.
  public let pool: BufferPool
  /// The queue that is used where no other is named.
  public let queue: Queue
  /// A queue for short answers that must not wait for what is enqueued behind them in ``queue``.
  package let answers: Queue
  /// The settings in force.
  public let environment: Environment
  public let logger: Logger
  private let programs: ProgramStore

  /// - Parameters:
  ///   - device: The device to use.
  ///   - environment: Settings; those of the process by default.
  ///   - logger: Receives builds and cache decisions at debug level.
  /// - Throws: ``TileCLError/Code/openCL`` when the driver refuses, ``TileCLError/Code/environment`` for a bad
  ///   variable.
  public init(device: Device, environment: Environment? = nil, logger: Logger = Logger(label: "tilecl")) throws {
    let environment = try environment ?? Environment.current()
    handle = try ContextHandle(device: device)
    let pool = BufferPool(context: handle, maximumAllocation: environment.maximumAllocation)
    handle.onMemoryShortage.withLock { $0 = { [weak pool] in pool?.trim() } }
    self.pool = pool
    queue = try Queue(context: handle, profiling: environment.profiling)
    answers = try Queue(context: handle, profiling: false)
    // PoCL caches what it builds, and asking it for binaries compiles once more.
    let cache = device.platform.isPoCL ? nil : environment.cacheDirectory.map(ProgramCache.init(directory:))
    programs = ProgramStore(context: handle, environment: environment, logger: logger, cache: cache)
    self.environment = environment
    self.logger = logger
  }

  public var device: Device { handle.device }

  /// A buffer with unspecified content.
  ///
  /// - Throws: ``TileCLError/Code/limitExceeded`` above the device's limit, with both numbers;
  ///   ``TileCLError/Code/openCL`` when the device's memory is full.
  public func makeBuffer(byteCount: Int) throws -> Buffer {
    try pool.take(byteCount: byteCount)
  }

  /// A buffer with the content of host memory: in place where the device shares memory with the host and the memory is
  /// page-aligned (``Buffer/sharesHostMemory`` tells), else a copy.
  ///
  /// - Parameters:
  ///   - memory: The bytes. Kernels must not write a buffer over read-only memory.
  ///   - owner: Kept until the buffer is gone and no kernel uses it, where the memory is used in place.
  /// - Throws: As ``makeBuffer(byteCount:)``.
  public func makeBuffer(
    sharing memory: UnsafeMutableRawBufferPointer, keepingAlive owner: some Sendable
  ) throws -> Buffer {
    if let buffer = pool.share(memory, keepingAlive: owner) { return buffer }
    let buffer = try makeBuffer(byteCount: memory.count)
    try queue.write(UnsafeRawBufferPointer(memory), to: buffer)
    return buffer
  }

  /// A built program: from this process, else from the cache on disk, else compiled now.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's whole log; ``TileCLError/Code/file`` for a missing
  ///   kernel file; ``TileCLError/Code/unsupported`` for a build target that the device does not have.
  public func program(_ source: ProgramSource) throws -> Program {
    try programs.program(source)
  }

  /// How many times a program was built, or taken from the cache on disk, since the context was made.
  public var programBuildCount: Int { programs.buildCount }

  /// What running small kernels on this device has shown; each is run on first use.
  public var probes: Probes { Probes(context: self) }

  let probeResults = ProbeResults()
}
