import Testing
import TileCLCore
import TileCLReference

@Suite("Elementwise functions: descriptor and reference")
struct ElementwiseReferenceTests {
  @Test("Each function by hand")
  func values() throws {
    func value(_ function: ElementwiseDescriptor.Function, _ z: [Float]? = [10, 20]) throws -> [Double] {
      try Reference.elementwise(ElementwiseDescriptor(shape: [2], function: function), x: [1, -3], z: z)
    }
    #expect(try value(.scaled(by: 2), nil) == [2, -6])
    #expect(try value(.sum()) == [11, 17])
    #expect(try value(.sum(alpha: 2, beta: -1)) == [-8, -26])
    #expect(try value(.product()) == [10, -60])
    #expect(try value(.product(alpha: -1)) == [-10, 60])
  }

  @Test("Bad problems and arrays are named")
  func errors() throws {
    typealias Problem = ElementwiseDescriptor
    #expect(faultyArgument { try Problem(shape: [0], function: .sum()) } == "shape.shape[0]")
    #expect(faultyArgument { try Problem(shape: [1], function: .sum(), dtype: .int8) } == "dtype")
    #expect(faultyArgument { try Problem(shape: [1], function: .sum(), outputDType: .int8) } == "outputDType")
    #expect(faultyArgument { try Problem(shape: [1], function: .scaled(by: .nan)) } == "function")
    #expect(faultyArgument { try Problem(shape: [1], function: .sum(beta: .infinity)) } == "function")
    let problem = try Problem(shape: [2], function: .sum())
    #expect(faultyArgument { try Reference.elementwise(problem, x: [1], z: [1, 2]) } == "x")
    #expect(faultyArgument { try Reference.elementwise(problem, x: [1, 2]) } == "z")
  }
}
