import TileCL

public enum LinearCrossEntropyCases {
  public static let all: [ConformanceCase] = []
}
