import ArgumentParser
import TileCL

/// `tilecl cache`: shows and empties the cache of built programs.
struct CacheCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache", abstract: "Shows or empties the cache of built programs.",
    subcommands: [ListCommand.self, ClearCommand.self], defaultSubcommand: ListCommand.self)

  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the built programs.")

    func run() throws {
      let cache = try CacheCommand.cache()
      let entries = cache.entries()
      for entry in entries { print("\(entry.name)  \(formatBytes(entry.byteCount))") }
      print("\(cache.directory): \(entries.count) programs, \(formatBytes(entries.reduce(0) { $0 + $1.byteCount }))")
    }
  }

  struct ClearCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "clear", abstract: "Removes all built programs.")

    func run() throws {
      let cache = try CacheCommand.cache()
      print("\(cache.directory): removed \(try cache.clear()) programs")
    }
  }

  fileprivate static func cache() throws -> ProgramCache {
    guard let directory = try Environment.current().cacheDirectory else {
      throw ValidationError("the cache is off: TILECL_NO_CACHE is set, or no home folder is known")
    }
    return ProgramCache(directory: directory)
  }
}
