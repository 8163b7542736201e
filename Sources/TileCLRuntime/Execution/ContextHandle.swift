import COpenCL
import Synchronization
import TileCLCore

/// Owns a `cl_context`, and with it what every object made in it needs to know.
final class ContextHandle: Sendable {
  let device: Device
  let library: OpenCLLibrary.Functions
  let handle: Handle

  init(device: Device) throws {
    guard device.isUsable else {
      var error = TileCLError(
        .unsupported, device.capabilities.isAvailable ? "the driver has no compiler" : "the device is not available",
        hint: "choose another device: TILECL_DEVICE=platform:type:name-or-index")
      error.device = device.name
      error.driver = device.driverVersion
      throw error
    }
    let library = try OpenCLLibrary.functions()
    var status: cl_int = 0
    var id: cl_device_id? = device.handle.raw
    guard let context = library.createContext(nil, 1, &id, nil, nil, &status) else {
      throw TileCLError.openCL("clCreateContext", status, device: device)
    }
    self.device = device
    self.library = OpenCLLibrary.Functions(table: library)
    handle = Handle(context)
  }

  deinit {
    _ = library.table.releaseContext(handle.raw)
  }

  var table: copencl_table { library.table }

  /// Gives cached memory back to the driver; set by the pool.
  let onMemoryShortage = Mutex<(@Sendable () -> Void)?>(nil)

  func relieveMemory() {
    onMemoryShortage.withLock { $0 }?()
  }
}
