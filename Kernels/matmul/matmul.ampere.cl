// Matrix product for NVIDIA Ampere and newer, fp16 or bf16 with fp32 sums.
//
// Formula, layouts and arguments are those of tiles.clh; ampere/products.ampere.clh has the main loop.
//
// Work-group (WORK_ITEMS, 1, 1): TILE_ROWS x TILE_COLUMNS elements of C. Local memory: RING_BYTES.
//
// Tunables: those of the main loop.
//
// Preconditions: those of the main loop; STEP_DEPTH divides split_depth.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh
// Needs: ../ampere/instructions.ampere.clh
// Needs: ../ampere/products.ampere.clh
// Check: -D TRANSPOSE_A=1 -D TRANSPOSE_B=1 -D OUTPUT=0
// Check: -D TRANSPOSE_B=1 -D WARP_ROWS=32 -D WARP_COLUMNS=32 -D STAGES=4

// Sums of two neighbours in a row, as they are to be in C, or as a part of it.
static inline void store_pair(const float2 sums, const ulong row, const uint column, const place_t *place,
                              RESULT_PARAMETERS)
{
  const bool are_two = column + 1 < columns;
  if (parts) {
    __global float *part = parts + ((place->split * (ulong)batch + place->entry) * rows + row) * columns + column;
    part[0] = sums.x;
    if (are_two)
      part[1] = sums.y;
    return;
  }
  const ulong target = c_offset + place->entry * c_batch_stride + row * c_row_stride + column;
  const float first = FINISHED(sums.x, target, column);
  if (!are_two) {
    store_output(c, target, first);
    return;
  }
  const float second = FINISHED(sums.y, target + 1, column + 1);
#if OUTPUT == STORAGE
  // Both at once where the pair begins at a multiple of its size.
  if (((ulong)(c + target) & 3) == 0) {
    *(__global uint *)(c + target) = packed(first, second);
    return;
  }
#else
  if (((ulong)(c + target) & 7) == 0) {
    *(__global float2 *)(c + target) = (float2)(first, second);
    return;
  }
#endif
  store_output(c, target, first);
  store_output(c, target + 1, second);
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_matmul(MATMUL_PARAMETERS)
{
  __local uchar memory[RING_BYTES] __attribute__((aligned(128)));
  const uint ring = LOCAL_ADDRESS(memory);
  const int lane = (int)get_local_id(0) % 32;
  const place_t place = find_place(TILE_ROWS, TILE_COLUMNS, rows, columns, depth, split_depth, splits);
  const ulong a_step = TRANSPOSE_A ? a_row_stride : 1;
  const ulong b_step = TRANSPOSE_B ? 1 : b_row_stride;
  const operands_t from = {
      a + a_offset + place.entry * a_batch_stride + place.first_depth * a_step
          + place.first_row * (TRANSPOSE_A ? 1 : a_row_stride),
      b + b_offset + place.entry * b_batch_stride + place.first_depth * b_step
          + place.first_column * (TRANSPOSE_B ? b_row_stride : 1),
      a_row_stride, b_row_stride, rows - place.first_row, columns - place.first_column,
      place.end_depth - place.first_depth};
  float sums[ROW_BLOCKS][SUMS];
  multiply_tile(sums, ring, &from, 0, TRANSPOSE_A, !TRANSPOSE_B);

#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint row = place.first_row + first_row_of_warp() + 16 * i + 8 * r + lane / 4;
      if (row >= rows)
        continue;
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS; ++j) {
        const uint column = place.first_column + first_column_of_warp() + 8 * j + 2 * (lane % 4);
        if (column < columns)
          store_pair((float2)(sums[i][4 * j + 2 * r], sums[i][4 * j + 2 * r + 1]), row, column, &place, c, c_offset,
                     c_batch_stride, c_row_stride, bias, bias_offset, parts, alpha, beta, batch, rows, columns);
      }
    }
}
