// Roof: how fast an x86 CPU takes dot products of pairs of bf16 out of registers.
//
// Formula:     x <- x + 0.5 * 1 + 0.25 * 2, `rounds` times, for 16 CHAINS sums in each work-item; out[item] is 1 and
//              the sum of their distances to x + rounds, which are 0 up to 2^23 rounds.
// Layout:      out: one float for each work-item.
// Work-group:  any x 1 x 1. Local memory: none.
// Tunables:    CHAINS, vectors that do not wait for each other: enough to fill the pipeline.
// Requires:    an x86 CPU whose flags name avx512_bf16.
//
// Needs: ../common/vectors.clh
// Needs: ../x86/dot.avx512bf16.clh

#ifndef CHAINS
#define CHAINS 12
#endif

__kernel void tilecl_roof_dot(__global float *out, const int rounds)
{
  // Two bf16 in a word, the first one in the lower half.
  const uint16 pairs = 0x3e803f00u;
  const uint word = 0x40003f80u;
  float16 x[CHAINS];
#pragma unroll
  for (int i = 0; i < CHAINS; i++) x[i] = (float)i;
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < CHAINS; i++) x[i] = dot_pairs(x[i], pairs, word);
  }
  float16 distance = 0.0f;
#pragma unroll
  for (int i = 0; i < CHAINS; i++) distance += fabs(x[i] - (float)i - (float)rounds);
  const float8 half_distance = distance.lo + distance.hi;
  const float4 quarter = half_distance.lo + half_distance.hi;
  out[get_global_id(0)] = 1.0f + (quarter.x + quarter.y) + (quarter.z + quarter.w);
}
