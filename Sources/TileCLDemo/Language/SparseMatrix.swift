import TileCL

/// A sparse matrix in compressed rows.
struct SparseMatrix: Sendable {
  let columnCount: Int
  private let offsets: [Int]
  private let columns: [Int32]
  private let values: [Float]

  var rowCount: Int { offsets.count - 1 }

  struct Entry {
    var row: Int
    var column: Int
    var value: Float
  }

  /// - Parameter entries: In any order, each place at most once.
  init(rowCount: Int, columnCount: Int, _ entries: [Entry]) {
    var offsets = [Int](repeating: 0, count: rowCount + 1)
    for entry in entries { offsets[entry.row + 1] += 1 }
    for row in 0..<rowCount { offsets[row + 1] += offsets[row] }
    var next = offsets
    var columns = [Int32](repeating: 0, count: entries.count)
    var values = [Float](repeating: 0, count: entries.count)
    for entry in entries {
      columns[next[entry.row]] = Int32(entry.column)
      values[next[entry.row]] = entry.value
      next[entry.row] += 1
    }
    self.columnCount = columnCount
    self.offsets = offsets
    self.columns = columns
    self.values = values
  }

  /// The product with a matrix of as many rows as this one has columns.
  func times(_ matrix: DenseColumns) -> DenseColumns {
    let rows = rowCount
    let product = Parallel.rows(matrix.count, stride: rows, zero: Float(0)) { index, target in
      matrix.withColumn(index) { source in
        for row in 0..<rows {
          var sum: Float = 0
          for place in offsets[row]..<offsets[row + 1] { sum += values[place] * source[Int(columns[place])] }
          target[row] = sum
        }
      }
    }
    return DenseColumns(length: rows, elements: product)
  }
}
