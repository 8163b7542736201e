import TileCLRuntime

extension Device {
  /// What a work-group's kernel may declare, in bytes: drivers report what a group may ask for at launch. Of the
  /// 228 KiB of a Hopper multiprocessor, each group leaves one to the driver.
  var declarableLocalMemory: Int {
    capabilities.nvidia?.isHopper == true ? 227 << 10 : capabilities.localMemory
  }
}
