import TileCLCore

/// Builds OpenCL C for NVIDIA's `sm_90a`, whose instructions the driver refuses in OpenCL C.
///
/// NVIDIA's driver compiles OpenCL C to PTX for `.target sm_90`, which lacks `wgmma` and `setmaxnreg`, and has no
/// option for another target. It hands that PTX out as the program's binary, though, and takes PTX back. So:
///
/// 1. The kernel writes such instructions as PTX comments in inline assembly, `__asm volatile("//@90a wgmma...\n" :
///    ...)`; the first build puts registers into the comment and passes.
/// 2. The PTX is rewritten (``rewrite(_:)``): the target becomes `sm_90a`, and the prefix `//@90a ` goes.
/// 3. The result is built as a program binary.
///
/// Seen with driver 580.159.04. Because no document promises any of this, ``Probes/wgmma`` runs a kernel that went this
/// way, and compares its numbers, before anything relies on it.
enum Retargeting {
  /// Changes with what ``rewrite(_:)`` makes of the same PTX, so that older results in the cache are not used.
  static let version = "retargeting 2"

  /// What stands before an instruction for `sm_90a`.
  static let marker = "//@90a "

  /// What stands before the number of work-groups that a compute unit is to hold at once.
  static let groupsMarker = "//@groups-at-once "

  static func build(
    _ text: String, options: String, name: String, context: ContextHandle
  ) throws -> (program: ProgramHandle, log: String) {
    guard context.device.capabilities.nvidia?.isHopper == true else {
      var error = TileCLError(
        .unsupported, "\(name) is built for NVIDIA Hopper, and this device is something else", argument: "target",
        hint: "use the portable kernel")
      error.device = context.device.name
      throw error
    }
    let first = try ProgramHandle.compiling(text, context: context)
    let firstLog = try first.build(options, name: name)
    let rewritten = try rewrite(try first.binary())
    let second = try ProgramHandle.loading(rewritten, context: context)
    let secondLog = try second.build(options, name: name)
    return (second, [firstLog, secondLog].filter { !$0.isEmpty }.joined(separator: "\n"))
  }

  /// PTX for `sm_90` with marked comments, as PTX for `sm_90a` with instructions.
  ///
  /// A kernel of fixed work-group size also gets `.minnctapersm`, without which `setmaxnreg` is ignored: 1, or the
  /// number behind ``groupsMarker`` in its body.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` when the binary is not PTX for `sm_90`.
  static func rewrite(_ binary: [UInt8]) throws -> [UInt8] {
    // The driver ends its PTX with a zero byte.
    let text = String(decoding: binary.prefix { $0 != 0 }, as: UTF8.self)
    var isRetargeted = false
    var lines: [Substring] = []
    var groupsLine: Int?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let trimmed = line.drop { $0 == " " || $0 == "\t" }
      if trimmed.hasPrefix(".target ") {
        let targets = trimmed.dropFirst(".target ".count).drop { $0 == " " }
        let name = targets.prefix { $0 != "," && $0 != " " }
        if name == "sm_90" || name == "sm_90a" {
          isRetargeted = true
          lines.append(".target sm_90a" + targets.dropFirst(name.count))
          continue
        }
      } else if trimmed.hasPrefix(marker) {
        lines.append(trimmed.dropFirst(marker.count))
        continue
      } else if trimmed.hasPrefix(".reqntid") {
        groupsLine = lines.count
        lines.append(".minnctapersm 1")
      } else if trimmed.hasPrefix(groupsMarker), let groupsLine {
        lines[groupsLine] = ".minnctapersm " + trimmed.dropFirst(groupsMarker.count).prefix { $0.isNumber }
      }
      lines.append(line)
    }
    guard isRetargeted else {
      throw TileCLError(
        .unsupported, "the driver's program binary is not PTX for sm_90, so it cannot be retargeted",
        hint: "use the portable kernel, and report the driver's version")
    }
    return Array(lines.joined(separator: "\n").utf8)
  }
}
