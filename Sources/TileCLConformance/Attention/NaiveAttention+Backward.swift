import TileCL

/// A gradient, and for each element the sum of the magnitudes that it was summed from.
struct NaiveGradient {
  var values: [Float]
  var magnitudes: [Float]

  init(count: Int) {
    values = [Float](repeating: 0, count: count)
    magnitudes = values
  }

  /// Adds a product one factor of which was itself a sum of the given magnitude.
  mutating func add(_ sum: Float, _ magnitude: Float, times factor: Float = 1, at place: Int) {
    values[place] += sum * factor
    magnitudes[place] += magnitude * abs(factor)
  }
}

/// The gradients of attention as an unfused program computes them.
struct NaiveAttentionGradients {
  var query: NaiveGradient
  var key: NaiveGradient
  var value: NaiveGradient
  var bias: NaiveGradient
  var alibiSlopes: NaiveGradient
  var sinks: NaiveGradient
  var relativeBias: NaiveGradient
  var captures: [String: NaiveGradient]
}

extension NaiveAttention {
  /// Every tensor of an unfused backward pass is rounded: the weights' gradients, those of the scores at each step, and
  /// the results of the dtype. Sums over scores that give fp32 results stay in fp32.
  func gradients(outputGradient: [Float], lseGradient: [Float]) -> NaiveAttentionGradients {
    let width = problem.headDimension
    var all = NaiveAttentionGradients(
      query: NaiveGradient(count: values.query.count), key: NaiveGradient(count: values.key.count),
      value: NaiveGradient(count: values.value.count), bias: NaiveGradient(count: values.bias.count),
      alibiSlopes: NaiveGradient(count: values.alibiSlopes.count), sinks: NaiveGradient(count: values.sinks.count),
      relativeBias: NaiveGradient(count: values.relativeBias.count), captures: [:])
    let declared = problem.score.modification?.gradients ?? []
    for gradient in declared {
      all.captures[gradient.capture] = NaiveGradient(count: values.captures[gradient.capture].count)
    }

    forEachRow { row in
      guard row.lse > -.infinity else { return }
      let weightGradients = row.pairs.map { weightGradient($0, row, outputGradient) }
      let lseGradient = lseGradient.isEmpty ? 0 : lseGradient[row.index]
      var (delta, mass) = (-lseGradient, abs(lseGradient))
      for (weight, gradient) in zip(row.weights, weightGradients) {
        delta += weight * gradient.value
        mass += weight * gradient.magnitude
      }
      if problem.score.hasSinks {
        all.sinks.add(rounded(-row.sinkWeight * delta), row.sinkWeight * mass, at: row.head)
      }
      for (index, pair) in row.pairs.enumerated() {
        let weight = row.weights[index]
        // The magnitude is carried through the same factors as the gradient.
        let magnitude = weight * (weightGradients[index].magnitude + mass)
        let new = rounded(weight * (weightGradients[index].value - delta))
        var (old, oldMagnitude) = (new, magnitude)
        if let code = problem.score.modification {
          let slope = Float(code.derivative(Double(pair.old), pair.pair, values.captures) ?? .nan)
          (old, oldMagnitude) = (rounded(new * slope), magnitude * abs(slope))
          for gradient in declared {
            guard let place = gradient.element(pair.pair, values.captures) else { continue }
            let factor = Float(gradient.derivative(Double(pair.old), pair.pair, values.captures))
            all.captures[gradient.capture]?.add(rounded(new * rounded(factor)), magnitude * abs(factor), at: place)
          }
        }
        if problem.score.hasALiBi {
          all.alibiSlopes.add(old, oldMagnitude, times: -pair.distance, at: row.head)
        }
        if let place = biasElement(pair.pair, row.entry) { all.bias.add(old, oldMagnitude, at: place) }
        if let place = tableElement(pair.pair) { all.relativeBias.add(old, oldMagnitude, at: place) }
        let capFactor = 1 - pair.tangent * pair.tangent
        let product = rounded(rounded(old * capFactor) * problem.scale)
        let productMagnitude = oldMagnitude * capFactor * abs(problem.scale)
        for channel in 0..<width {
          all.query.add(
            product, productMagnitude, times: values.key[pair.key * width + channel], at: row.index * width + channel)
          all.key.add(
            product, productMagnitude, times: values.query[row.index * width + channel],
            at: pair.key * width + channel)
        }
        let kept = problem.score.dropout > 0 ? rounded(weight * pair.keep) : weight
        for channel in 0..<problem.valueDimension {
          all.value.add(
            kept, kept, times: outputGradient[row.index * problem.valueDimension + channel],
            at: pair.key * problem.valueDimension + channel)
        }
      }
    }
    for path in [\.query, \.key, \.value, \.bias] as [WritableKeyPath<NaiveAttentionGradients, NaiveGradient>] {
      all[keyPath: path].values = all[keyPath: path].values.map(rounded)
    }
    return all
  }

  /// The gradient by a pair's weight after dropout, then by the weight itself.
  private func weightGradient(
    _ pair: Pair, _ row: Row, _ outputGradient: [Float]
  ) -> (value: Float, magnitude: Float) {
    let width = problem.valueDimension
    var (sum, magnitude): (Float, Float) = (0, 0)
    for channel in 0..<width {
      let term = outputGradient[row.index * width + channel] * values.value[pair.key * width + channel]
      sum += term
      magnitude += abs(term)
    }
    return (rounded(rounded(sum) * pair.keep), magnitude * pair.keep)
  }
}
