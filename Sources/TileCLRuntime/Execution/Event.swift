import COpenCL
import Dispatch
import TileCLCore

/// A command on its way through a queue.
///
/// An event keeps its queue alive; device memory that the command uses is kept by its buffers and their pool.
public final class Event: Sendable {
  let handle: Handle
  let queue: Queue
  /// The OpenCL call that enqueued the command, and its kernel, for error messages.
  private let call: String
  private let kernel: String?

  /// The kernel, or where there is none the OpenCL call.
  package var name: String { kernel ?? call }

  init(_ handle: Handle, queue: Queue, call: String, kernel: String?) {
    self.handle = handle
    self.queue = queue
    self.call = call
    self.kernel = kernel
  }

  deinit {
    _ = queue.table.releaseEvent(handle.raw)
  }

  /// Blocks the calling thread until the command is done.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the command, or the device, failed.
  public func wait() throws {
    var event: cl_event? = handle.raw
    let status = queue.table.waitForEvents(1, &event)
    // A failed command makes the wait fail with a code that does not say why; the event itself does.
    let outcome = try executionStatus()
    try check(min(outcome, 0), call, device: queue.device, kernel: kernel)
    try check(status, "clWaitForEvents", device: queue.device)
  }

  /// Suspends the task until the command is done, without blocking a thread.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the command, or the device, failed.
  public func completed() async throws {
    // Without a flush the command may never start (OpenCL 1.2, section 5.13).
    try queue.flush()
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let waiter = Unmanaged.passRetained(Waiter(event: self, continuation: continuation))
      let status = queue.table.setEventCallback(
        handle.raw, CL_COMPLETE,
        { _, outcome, pointer in
          guard let pointer else { return }
          let waiter = Unmanaged<Waiter>.fromOpaque(pointer).takeRetainedValue()
          // The task may drop the last reference to the context, which must not be released inside a callback.
          DispatchQueue.global().async { waiter.resume(outcome) }
        }, waiter.toOpaque())
      if status != CL_SUCCESS {
        waiter.release()
        continuation.resume(throwing: TileCLError.openCL("clSetEventCallback", status, device: queue.device))
      }
    }
  }

  /// Whether the command is done, well or badly.
  public var isComplete: Bool {
    guard let status = try? executionStatus() else { return true }
    return status <= CL_COMPLETE
  }

  /// When the command was enqueued, submitted, started and done, by the device's clock.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` unless the queue records times (`TILECL_PROFILE=1`, or
  ///   ``Queue/init(context:profiling:)``).
  public func profile() throws -> EventProfile {
    guard queue.profiling else {
      throw TileCLError(
        .unsupported, "this queue does not record event times",
        hint: "make the queue with profiling: true, or set TILECL_PROFILE=1")
    }
    func time(_ parameter: Int32) throws -> UInt64 {
      var value: cl_ulong = 0
      let status = queue.table.getEventProfilingInfo(
        handle.raw, cl_profiling_info(parameter), MemoryLayout<cl_ulong>.size, &value, nil)
      try check(status, "clGetEventProfilingInfo", device: queue.device)
      return value
    }
    return EventProfile(
      queued: try time(CL_PROFILING_COMMAND_QUEUED), submitted: try time(CL_PROFILING_COMMAND_SUBMIT),
      started: try time(CL_PROFILING_COMMAND_START), ended: try time(CL_PROFILING_COMMAND_END))
  }

  private func executionStatus() throws -> Int32 {
    var status: cl_int = 0
    try check(
      queue.table.getEventInfo(
        handle.raw, cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS), MemoryLayout<cl_int>.size, &status, nil),
      "clGetEventInfo", device: queue.device)
    return status
  }

  /// What the driver's callback needs: the event, which must outlive it, and whom to wake.
  private final class Waiter: Sendable {
    let event: Event
    let continuation: CheckedContinuation<Void, any Error>

    init(event: Event, continuation: CheckedContinuation<Void, any Error>) {
      self.event = event
      self.continuation = continuation
    }

    func resume(_ outcome: Int32) {
      if outcome == CL_COMPLETE {
        continuation.resume()
      } else {
        continuation.resume(
          throwing: TileCLError.openCL(
            event.call, outcome, device: event.queue.device, kernel: event.kernel))
      }
    }
  }
}

/// Times of one command, in nanoseconds of the device's clock.
public struct EventProfile: Hashable, Sendable {
  public let queued: UInt64
  public let submitted: UInt64
  public let started: UInt64
  public let ended: UInt64

  /// From start to end, in seconds.
  public var duration: Double {
    ended > started ? Double(ended - started) * 1e-9 : 0
  }
}
