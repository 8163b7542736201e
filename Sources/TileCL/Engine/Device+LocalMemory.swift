import TileCLRuntime

extension Device {
  /// What a work-group's kernel may declare, in bytes: drivers report what a group may ask for at launch.
  var declarableLocalMemory: Int {
    capabilities.nvidia?.isHopper == true ? 224 << 10 : capabilities.localMemory
  }
}
