import TileCL

/// The argument that an error names; nil if there is none.
func faultyArgument(_ body: () throws -> some Any) -> String? {
  do {
    _ = try body()
    return nil
  } catch { return (error as? TileCLError)?.argument }
}
