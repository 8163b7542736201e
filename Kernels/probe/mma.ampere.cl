// Probe: do asynchronous copies, loads of matrices and matrix products by a warp run, and are the numbers right?
//
// Formula:     C[m][n] = sum over k of A[m][k] B[k][n], bf16 inputs, fp32 accumulation; M = K = 16, N = 8.
// Layout:      A: 16 x 16, B: 16 x 8 bf16, row-major; C: 16 x 8 float, row-major.
// Work-group:  32 x 1 x 1. Local memory: 768 bytes, static. Tunables: none.
// Requires:    compute capability 8.0 or newer; no other compiler may see this file.
//
// Needs: ../ampere/instructions.ampere.clh

__attribute__((reqd_work_group_size(32, 1, 1)))
__kernel void tilecl_probe_mma(__global const ushort *a, __global const ushort *b, __global float *c)
{
  __local ushort tiles[16 * 16 + 16 * 8] __attribute__((aligned(16)));
  const int lane = (int)get_local_id(0);
  const uint tile_a = LOCAL_ADDRESS(tiles);
  const uint tile_b = tile_a + 16 * 16 * 2;

  copy_chunk(tile_a + lane * 16, a + lane * 8, 1);
  // B has but 16 chunks.
  if (lane < 16)
    copy_chunk(tile_b + lane * 16, b + lane * 8, 1);
  COMMIT_COPIES();
  WAIT_COPIES(0);
  MEET_WARP();

  uint left[4], right[4];
  load_matrices(left, tile_a + lane % 16 * 32 + lane / 16 * 16);
  // B's two matrices, twice.
  load_transposed_matrices(right, tile_b + lane % 16 * 16);
  float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  multiply_add(sums, left, transposed(transposed(right[0])), right[1]);
  for (int e = 0; e < 4; ++e)
    c[(lane / 4 + e / 2 * 8) * 8 + lane % 4 * 2 + e % 2] = sums[e];
}
