// Linear cross-entropy, forward, for NVIDIA Hopper, fp16 or bf16: what tilecl_linear_cross_entropy_partials of
// linear_cross_entropy.cl writes for targets that are classes, without class weights or order.
// linear_cross_entropy_steps.cl goes on from there.
//
//   z[n, v] = softcap(scale (E[n] . C[v] + bias[v]))       with SOFTCAP, with HAS_BIAS
//
//   partials[plane][split][n] over the columns v of a split: 0 the maximum of z, 1 the sum of exp(z - maximum), 2 the
//   target's z or -inf, PLANE_WEIGHTED with SMOOTHING the sum of z, PLANE_ARGMAX with ARGMAX the bits of the first v
//   whose z is largest.
//
//   tile_maxima[column tile][n], with TILE_MAXIMA: the upper half of the largest z in the tile, rounded up
//
//   kept[n][v] = z, with KEEP_LOGITS, for the first classes of a multiple of 64, or up to V
//
// E is [N, D], C is [V, D], both with D contiguous; distances between rows are any multiples of 16 bytes, as are
// addresses; N, V and D are arbitrary. Both go through tensor maps (tilecl_product_maps, without C of that kernel).
//
// hopper/products.hopper.clh has the main loop: rows of its tiles are tokens, columns are of the vocabulary. An item is
// a tile of tokens and a split, whose columns a group walks tile by tile. Logits never leave the registers: each
// work-item has some columns of two rows for each block, and keeps their maxima and sums, which four work-items merge
// when the item ends. Infinite logits follow the formula's limits as in the portable kernel.
//
// Groups take every get_num_groups(0)-th item; bands of raster_rows tiles of tokens come one after the other, in a band
// split by split. So the tokens of a band, raster_rows * TILE_ROWS * D elements, should fit the cache.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of both operands,
// barriers.
//
// Tunables: those of the main loop.
//
// Preconditions: N, V, D in 1 ... 2^30, raster_rows at least 1; columns_per_split a multiple of TILE_COLUMNS, splits
// the least number with splits * columns_per_split >= V; no operand transposed; targets are classes or -1.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../nvidia/tanh.nvidia.clh
// Needs: ../hopper/products.hopper.clh
// Needs: logits.nvidia.clh
// Needs: statistics.nvidia.clh
// Check: -D CONSUMERS=3 -D TILE_COLUMNS=256 -D SELF_FED=1 -D HAS_BIAS=1 -D SOFTCAP=1 -D SMOOTHING=1 -D ARGMAX=1
// Check: -D ROW_BLOCKS=2 -D TILE_COLUMNS=192 -D STAGES=4 -D TILE_MAXIMA=1 -D KEEP_LOGITS=1

#ifndef TILE_MAXIMA
#define TILE_MAXIMA 0
#endif
#ifndef KEEP_LOGITS
#define KEEP_LOGITS 0
#endif

// Rows of a work-item, counted from its first one.
#define ROWS (2 * ROW_BLOCKS)
#define ROW_OF(r) (64 * ((r) / 2) + 8 * ((r) % 2))

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_partials_hopper(
    __global const uchar *maps, __global const int *targets, const int tokens, const int vocabulary,
    const int hidden_size, const int columns_per_split, const int splits, const int raster_rows, const float scale,
    __global float *partials, __global ushort *tile_maxima, __global float *kept,
    const int kept_stride BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - !SELF_FED;
  const work_t work = {(ulong)maps, CEIL_DIV(tokens, TILE_ROWS), splits, (uint)columns_per_split, (uint)vocabulary,
                       raster_rows, CEIL_DIV(hidden_size, STEP_DEPTH)};
  cursor_t next;
  start_ring(base, &next, &work);

#if !SELF_FED
  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0)
      fill_stages(base, &next, &work);
  } else
#endif
  {
#if !SELF_FED
    TAKE_REGISTERS(COMPUTING_REGISTERS);
#endif
    const ulong a = own_rows(base, warpgroup);
    const ulong b = all_columns(base);
    const int lane = thread % 32;
    const int own_row = warpgroup * OWN_ROWS + warp % 4 * 16 + lane / 4;
    const int own_column = 2 * (lane % 4);
    const ulong plane = (ulong)splits * tokens;
    float logits[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
    FOR_EACH_ITEM(number, work) {
      const item_t item = item_of(number, &work);
      const int first_row = item.row + own_row;
      row_t rows[ROWS];
      uint target[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const int token = min(first_row + ROW_OF(r), tokens - 1);
        target[r] = (uint)targets[token];
        start_row(&rows[r]);
      }
      for (uint column = item.column; column < item.end; column += TILE_COLUMNS) {
        release_stage(base, multiply(base, &ring, logits, a, b, work.steps, &next, &work), &next, &work);
        const int first = (int)column + own_column;
        const int left = (int)(item.end - column) - own_column;
#pragma unroll
        for (int i = 0; i < ROW_BLOCKS; ++i) {
#pragma unroll
          for (int g = 0; g < TILE_COLUMNS / 64; ++g)
            finish_logits(logits[i] + 32 * g, left - 64 * g, scale BIAS_ARGUMENT(first + 64 * g) SOFTCAP_ARGUMENT);
          if (item.end - column < TILE_COLUMNS) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
              if (8 * (k / 4) + k % 2 >= left)
                logits[i][k] = -INFINITY;
          }
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const int token = first_row + ROW_OF(2 * i + r);
            if (KEEP_LOGITS && token < tokens)
              keep_logits(kept + (ulong)token * kept_stride + first, logits[i], r, min(left, kept_stride - first));
            const float top =
                take_logits(&rows[2 * i + r], logits[i], r, first, target[2 * i + r] - (uint)first, left);
            if (TILE_MAXIMA)
              store_tile_maximum(tile_maxima + (ulong)(column / TILE_COLUMNS) * tokens + token, top, token < tokens);
          }
        }
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        merge_row(&rows[r], 1);
        merge_row(&rows[r], 2);
        const int token = first_row + ROW_OF(r);
        if (lane % 4 == 0 && token < tokens)
          store_row(partials + (ulong)item.split * tokens + token, plane, &rows[r]);
      }
    }
  }
}
