import TileCLCore

/// What a program is compiled from; equal sources give the same program.
public struct ProgramSource: Hashable, Sendable {
  /// Which code the compiler is to make.
  public enum Target: String, Hashable, Sendable {
    /// What the driver makes of OpenCL C.
    case device
    /// NVIDIA Hopper with its own instructions (`wgmma`, `setmaxnreg`), which the driver refuses in OpenCL C.
    ///
    /// Such instructions are written as PTX comments, `//@90a instruction`, in inline assembly. The driver's PTX is
    /// then rewritten for `sm_90a`, with the comments made instructions, and built again. See `Retargeting`.
    case hopper
  }

  /// A piece of source text, with the name that build logs show.
  public enum Part: Hashable, Sendable {
    /// A file of ``KernelLibrary``.
    case file(String)
    case text(name: String, String)
  }

  /// A name for logs and errors: the last file's unless given.
  public var name: String
  /// Concatenated in order.
  public var parts: [Part]
  /// Preprocessor definitions, given as -D options in the order of their names.
  public var defines: [String: Int]
  /// Further build options.
  public var options: [String]
  public var target: Target

  public init(
    name: String, parts: [Part], defines: [String: Int] = [:], options: [String] = [], target: Target = .device
  ) {
    self.name = name
    self.parts = parts
    self.defines = defines
    self.options = options
    self.target = target
  }

  /// A program of embedded kernel files.
  public init(
    files: [String], defines: [String: Int] = [:], options: [String] = [], target: Target = .device
  ) {
    self.init(
      name: files.last ?? "", parts: files.map { .file($0) }, defines: defines, options: options, target: target)
  }

  /// The whole text, each part under a `#line` of its own so that logs name our files.
  func expanded(directory: String?) throws -> String {
    try parts.map { part in
      switch part {
      case .file(let path): "#line 1 \"\(path)\"\n\(try KernelLibrary.text(path, directory: directory))\n"
      case .text(let name, let text): "#line 1 \"\(name)\"\n\(text)\n"
      }
    }.joined()
  }

  /// The option string: language version, definitions, own options, then those of the environment.
  func optionString(_ environment: Environment) -> String {
    let definitions = defines.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
    let extra = environment.buildOptions.isEmpty ? [] : [environment.buildOptions]
    return (["-cl-std=CL1.2"] + definitions + options + extra).joined(separator: " ")
  }
}
