// Roof: how fast an NVIDIA GPU runs mma.sync (m16n8k16, bf16 into fp32), out of registers.
//
// Formula:     D_i <- A B + D_i, `rounds` times, with CHAINS accumulators in each warp; out[item] is the sum of its
//              accumulators. A and B have random signs and digits, which equal numbers would spare the circuits.
// Layout:      out: one float for each work-item.
// Work-group:  a multiple of 32 x 1 x 1. Local memory: none.
// Tunables:    CHAINS, products of a warp that do not wait for each other.
// Requires:    compute capability 8.0 or newer; no other compiler may see this file.
// Source:      NVIDIA, "Parallel Thread Execution ISA" 9.0, section on mma.

#ifndef CHAINS
#define CHAINS 8
#endif

// Two bf16 of magnitude 1 ... 2.
static inline uint noise(const uint seed)
{
  uint x = seed * 0x9e3779b9u + 0x7f4a7c15u;
  x = (x ^ x >> 15) * 0x2c1b3c6du;
  return ((x ^ x >> 13) & 0x807f807fu) | 0x3f803f80u;
}

__kernel void tilecl_roof_mma(__global float *out, const int rounds)
{
  const uint item = (uint)get_global_id(0);
  uint a[4], b[2];
#pragma unroll
  for (uint i = 0; i < 4; i++) a[i] = noise(8 * item + i);
#pragma unroll
  for (uint i = 0; i < 2; i++) b[i] = noise(8 * item + 4 + i);
  float d[CHAINS][4];
#pragma unroll
  for (int i = 0; i < CHAINS; i++) {
#pragma unroll
    for (int e = 0; e < 4; e++) d[i][e] = 0.0f;
  }
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < CHAINS; i++) {
      __asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < CHAINS; i++) sum += (d[i][0] + d[i][1]) + (d[i][2] + d[i][3]);
  out[item] = sum;
}
