import COpenCL
import Synchronization
import TileCLCore

/// A queue of commands for one device, executed in the order in which they were enqueued.
///
/// Any thread may enqueue. Commands of different queues run independently unless one names the other's event.
public final class Queue: Sendable {
  private let context: ContextHandle
  private let handle: Handle
  /// Whether events record times. On NVIDIA's driver recording costs some microseconds between kernels.
  public let profiling: Bool
  /// What is enqueued while a record is kept.
  private let record = Mutex<[Event]?>(nil)

  /// - Throws: ``TileCLError/Code/openCL`` when the driver refuses.
  public convenience init(context: Context, profiling: Bool) throws {
    try self.init(context: context.handle, profiling: profiling)
  }

  init(context: ContextHandle, profiling: Bool) throws {
    var status: cl_int = 0
    let properties = profiling ? cl_command_queue_properties(CL_QUEUE_PROFILING_ENABLE) : 0
    guard
      let queue = context.table.createCommandQueue(
        context.handle.raw, context.device.handle.raw, properties, &status)
    else {
      throw TileCLError.openCL("clCreateCommandQueue", status, device: context.device)
    }
    self.context = context
    self.profiling = profiling
    handle = Handle(queue)
  }

  deinit {
    _ = table.releaseCommandQueue(handle.raw)
  }

  public var device: Device { context.device }

  var table: copencl_table { context.table }

  /// Enqueues a kernel over a range of work-items.
  ///
  /// - Parameters:
  ///   - kernel: Which kernel.
  ///   - global: Work-items along one to three axes, each a multiple of the group's.
  ///   - local: Work-items of a group along the same axes.
  ///   - arguments: One value for each of the kernel's arguments, in order.
  ///   - events: Commands of other queues that must be done first.
  /// - Throws: ``TileCLError/Code/invalidArgument`` or ``TileCLError/Code/limitExceeded`` for a range or argument list
  ///   that the kernel does not take, ``TileCLError/Code/openCL`` when the driver refuses.
  @discardableResult
  public func launch(
    _ kernel: Kernel, global: [Int], local: [Int], _ arguments: [KernelArgument], after events: [Event] = []
  ) throws -> Event {
    try kernel.validate(global: global, local: local, argumentCount: arguments.count)
    let buffers = arguments.compactMap { if case .buffer(let buffer) = $0 { buffer } else { nil } }
    let awaited = events + earlierUses(of: buffers)
    let event = try kernel.withHandle { raw in
      for (index, argument) in arguments.enumerated() {
        try argument.set(on: raw, index: index, table: table, kernel: kernel)
      }
      return try enqueue("clEnqueueNDRangeKernel", kernel: kernel.name, after: awaited) { count, list, event in
        table.enqueueNDRangeKernel(handle.raw, raw, cl_uint(global.count), nil, global, local, count, list, event)
      }
    }
    for buffer in buffers { buffer.noteUse(event) }
    return event
  }

  /// Copies host memory into a buffer and returns when the copy is done.
  ///
  /// - Throws: ``TileCLError/Code/outOfRange`` when the bytes do not fit, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func write(
    _ bytes: UnsafeRawBufferPointer, to buffer: Buffer, offset: Int = 0, after events: [Event] = []
  ) throws {
    try buffer.requireRange(offset: offset, count: bytes.count)
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    _ = try enqueue("clEnqueueWriteBuffer", after: events + earlierUses(of: [buffer])) { count, list, event in
      table.enqueueWriteBuffer(
        handle.raw, buffer.handle.raw, cl_bool(CL_TRUE), offset, bytes.count, source, count, list, event)
    }
  }

  /// Copies a buffer into host memory and returns when the copy is done.
  ///
  /// - Throws: ``TileCLError/Code/outOfRange`` when more is asked for than there is, ``TileCLError/Code/openCL`` when
  ///   the driver fails.
  public func read(
    _ buffer: Buffer, offset: Int = 0, into bytes: UnsafeMutableRawBufferPointer, after events: [Event] = []
  ) throws {
    try buffer.requireRange(offset: offset, count: bytes.count)
    guard let target = bytes.baseAddress, bytes.count > 0 else { return }
    _ = try enqueue("clEnqueueReadBuffer", after: events + earlierUses(of: [buffer])) { count, list, event in
      table.enqueueReadBuffer(
        handle.raw, buffer.handle.raw, cl_bool(CL_TRUE), offset, bytes.count, target, count, list, event)
    }
  }

  /// Enqueues a copy between buffers.
  ///
  /// - Throws: ``TileCLError/Code/outOfRange`` when either range lies outside its buffer, ``TileCLError/Code/openCL``
  ///   when the driver refuses.
  @discardableResult
  public func copy(
    _ source: Buffer, offset: Int = 0, to target: Buffer, offset targetOffset: Int = 0, byteCount: Int,
    after events: [Event] = []
  ) throws -> Event {
    guard byteCount > 0 else { throw TileCLError.invalid("byteCount", byteCount, allowed: "1 or more") }
    try source.requireRange(offset: offset, count: byteCount)
    try target.requireRange(offset: targetOffset, count: byteCount)
    let awaited = events + earlierUses(of: [source, target])
    let event = try enqueue("clEnqueueCopyBuffer", after: awaited) { count, list, event in
      table.enqueueCopyBuffer(
        handle.raw, source.handle.raw, target.handle.raw, offset, targetOffset, byteCount, count, list, event)
    }
    source.noteUse(event)
    target.noteUse(event)
    return event
  }

  /// Enqueues setting every byte of a buffer to `value`.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the driver refuses.
  @discardableResult
  public func fill(_ buffer: Buffer, with value: UInt8 = 0, after events: [Event] = []) throws -> Event {
    let awaited = events + earlierUses(of: [buffer])
    let event = try enqueue("clEnqueueFillBuffer", after: awaited) { count, list, event in
      withUnsafeBytes(of: value) {
        table.enqueueFillBuffer(
          handle.raw, buffer.handle.raw, $0.baseAddress, 1, 0, buffer.byteCount, count, list, event)
      }
    }
    buffer.noteUse(event)
    return event
  }

  /// Hands all enqueued commands to the device.
  public func flush() throws {
    try check(table.flush(handle.raw), "clFlush", device: device)
  }

  /// Blocks the calling thread until every enqueued command is done; tasks should await an event instead.
  public func finish() throws {
    try check(table.finish(handle.raw), "clFinish", device: device)
  }

  /// The commands, in order, that are enqueued while `body` runs, those of other threads included. Records do not nest.
  package func commands(of body: () throws -> Void) rethrows -> [Event] {
    record.withLock { $0 = [] }
    do {
      try body()
    } catch {
      record.withLock { $0 = nil }
      throw error
    }
    return record.withLock { events in
      defer { events = nil }
      return events ?? []
    }
  }

  /// Commands of other queues that still use the memory from before the pool gave it to these buffers.
  private func earlierUses(of buffers: [Buffer]) -> [Event] {
    buffers.flatMap { buffer in buffer.earlierUses.filter { $0.queue !== self && !$0.isComplete } }
  }

  private func enqueue(
    _ call: String, kernel: String? = nil, after events: [Event],
    _ body: (cl_uint, UnsafePointer<cl_event?>?, UnsafeMutablePointer<cl_event?>) -> Int32
  ) throws -> Event {
    // What another queue has not been told to start may never be done (OpenCL 1.2, section 5.13).
    for event in events where event.queue !== self { try event.queue.flush() }
    let list: [cl_event?] = events.map(\.handle.raw)
    func attempt(_ event: inout cl_event?) -> Int32 {
      list.withUnsafeBufferPointer { body(cl_uint(list.count), list.isEmpty ? nil : $0.baseAddress, &event) }
    }
    var event: cl_event?
    var status = attempt(&event)
    if status == CL_MEM_OBJECT_ALLOCATION_FAILURE {
      // Drivers that allocate on first use notice only now that the pool's cache fills the device.
      context.relieveMemory()
      status = attempt(&event)
    }
    guard status == CL_SUCCESS, let event else {
      throw TileCLError.openCL(call, status, device: device, kernel: kernel)
    }
    let command = Event(Handle(event), queue: self, call: call, kernel: kernel)
    record.withLock { $0?.append(command) }
    return command
  }
}
