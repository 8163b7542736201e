// Roof: how fast an NVIDIA Hopper GPU runs wgmma (m64n128k16, bf16 into fp32), A from registers, B from local memory.
//
// Formula:     D <- A B + D, 16 `rounds` times in each warpgroup; out[item] is the sum of its accumulators. A and B
//              have random signs and digits, which equal numbers would spare the circuits.
// Layout:      out: one float for each work-item.
// Work-group:  256 x 1 x 1, two warpgroups, so that one computes while the other waits. Local memory: 16 KiB, static.
// Tunables:    none.
// Requires:    compute capability 9.0, built with the Hopper target, after hopper/instructions.hopper.clh; no other
//              compiler may see this file.
// Needs: ../hopper/instructions.hopper.clh

// Rows of B in local memory; a product takes 16 of them.
#define DEPTH 64

// Two bf16 of magnitude 1 ... 2.
static inline uint noise(const uint seed)
{
  uint x = seed * 0x9e3779b9u + 0x7f4a7c15u;
  x = (x ^ x >> 15) * 0x2c1b3c6du;
  return ((x ^ x >> 13) & 0x807f807fu) | 0x3f803f80u;
}

__attribute__((reqd_work_group_size(256, 1, 1)))
__kernel void tilecl_roof_wgmma(__global float *out, const int rounds)
{
  __local uint tile[DEPTH * 64] __attribute__((aligned(1024)));
  const uint item = (uint)get_global_id(0);
  for (uint i = (uint)get_local_id(0); i < DEPTH * 64; i += 256) tile[i] = noise(i);
  FENCE_ASYNC();
  barrier(CLK_LOCAL_MEM_FENCE);

  float d[64];
#pragma unroll
  for (int i = 0; i < 64; i++) d[i] = 0.0f;
  uint fragment[4];
#pragma unroll
  for (uint i = 0; i < 4; i++) fragment[i] = noise(4 * item + i);
  // Two tiles of 64 columns.
  const ulong matrix_b = matrix(LOCAL_ADDRESS(tile), DEPTH * 128);
  for (int round = 0; round < rounds; round++) {
    FENCE_PRODUCT();
#pragma unroll
    for (int i = 0; i < 16; i++) {
      PRODUCT_REGISTERS_128(d, fragment, matrix_b + (i % 4) * MATRIX_STEP(16 * 128), 1);
    }
    COMMIT_PRODUCT();
    WAIT_PRODUCT(0);
    SETTLE_64(d);
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 64; i++) sum += d[i];
  out[item] = sum;
}
