// Roof: how fast the device multiplies and adds in fp32, out of registers.
//
// Formula:     x <- x * factor + addend, `rounds` times, for 16 CHAINS numbers in each work-item; out[item] is the sum
//              of their distances to `limit`, which is small after many rounds if limit * factor + addend = limit.
// Layout:      out: one float for each work-item.
// Work-group:  any x 1 x 1. Local memory: none.
// Tunables:    CHAINS, vectors that do not wait for each other: enough to fill the pipeline where a work-item has a
//              core for itself. FUSED, 1 if the device has an instruction for fma: there mad may be two, elsewhere fma
//              a long emulation.
// Requires:    x86/vectors.avx512.clh before it on a CPU that has such vectors, else nothing.

#ifndef CHAINS
#define CHAINS 1
#endif
#ifndef FUSED
#define FUSED 0
#endif

#if FUSED
#define MULTIPLY_ADD fma
#else
#define MULTIPLY_ADD mad
#endif

__kernel void tilecl_roof_fma(__global float *out, const int rounds, const float factor, const float addend,
                              const float limit)
{
#ifdef WIDE_VECTORS
  WIDE_VECTORS();
#endif
  float16 x[CHAINS];
#pragma unroll
  for (int i = 0; i < CHAINS; i++) x[i] = (float16)((float)(i + 1) * 0.125f);
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < CHAINS; i++) x[i] = MULTIPLY_ADD(x[i], (float16)(factor), (float16)(addend));
  }
  float16 distance = (float16)(0.0f);
#pragma unroll
  for (int i = 0; i < CHAINS; i++) distance += fabs(x[i] - limit);
  const float8 half_distance = distance.lo + distance.hi;
  const float4 quarter = half_distance.lo + half_distance.hi;
  out[get_global_id(0)] = (quarter.x + quarter.y) + (quarter.z + quarter.w);
}
