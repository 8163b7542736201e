import COpenCL
import TileCLCore

/// Owns a `cl_context`, and with it what every object made in it needs to know.
final class ContextHandle: Sendable {
  let device: Device
  let library: OpenCLLibrary.Functions
  let handle: Handle

  init(device: Device) throws {
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
}
