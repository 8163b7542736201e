// Linear cross-entropy, forward, for NVIDIA Ampere and newer, fp16 or bf16: what
// tilecl_linear_cross_entropy_partials of linear_cross_entropy.cl writes for targets that are classes, without class
// weights or order. linear_cross_entropy_steps.cl goes on from there.
//
//   z[n, v] = softcap(scale (E[n] . C[v] + bias[v]))       with SOFTCAP, with HAS_BIAS
//
//   partials[plane][split][n] over the columns v of a split: 0 the maximum of z, 1 the sum of exp(z - maximum), 2 the
//   target's z or -inf, PLANE_WEIGHTED with SMOOTHING the sum of z, PLANE_ARGMAX with ARGMAX the bits of the first v
//   whose z is largest.
//
//   tile_maxima[column tile][n], with TILE_MAXIMA: the upper half of the largest z in the tile, rounded up; tiles of
//   WARP_COLUMNS
//
//   kept[n][v] = z, with KEEP_LOGITS, for the first classes of a multiple of 64, or up to V
//
// E is [N, D], C is [V, D], both with D contiguous; distances between rows are any multiples of 16 bytes, as are
// addresses; N and V are arbitrary.
//
// ampere/products.ampere.clh has the main loop: rows of its tiles are tokens, columns are of the vocabulary. A group
// takes a tile of tokens and a split, whose columns it walks tile by tile; copies of the next tile go on while the
// logits of one are taken. Those never leave the registers: each work-item keeps maxima and sums of its columns of
// 2 ROW_BLOCKS rows, which four work-items merge when the split ends, and then the warps that share rows, through local
// memory and in their order. Infinite logits follow the formula's limits as in the portable kernel.
//
// Bands of raster_rows tiles of tokens come one after the other, in a band split by split. So the tokens of a band,
// raster_rows * TILE_ROWS * D elements, should fit the cache.
//
// Work-group (WORK_ITEMS, 1, 1), as many as tiles of tokens times splits. Local memory: RING_BYTES.
//
// Tunables: those of the main loop; WARP_COLUMNS a multiple of 64.
//
// Preconditions: N, V, D in 1 ... 2^30, D a multiple of 8, raster_rows at least 1; columns_per_split a multiple of
// TILE_COLUMNS, splits the least number with splits * columns_per_split >= V; kept_stride a multiple of 64; targets are
// classes or -1.
//
// Needs: ../ampere/instructions.ampere.clh
// Needs: ../ampere/products.ampere.clh
// Needs: ../nvidia/tanh.nvidia.clh
// Needs: logits.nvidia.clh
// Needs: statistics.nvidia.clh
// Check: -D HAS_BIAS=1 -D SOFTCAP=1 -D SMOOTHING=1 -D ARGMAX=1
// Check: -D WARPS_ACROSS=4 -D WARP_ROWS=32 -D STAGES=4 -D TILE_MAXIMA=1 -D KEEP_LOGITS=1

#ifndef TILE_MAXIMA
#define TILE_MAXIMA 0
#endif
#ifndef KEEP_LOGITS
#define KEEP_LOGITS 0
#endif

// Rows of a work-item, counted from its first one.
#define ROWS (2 * ROW_BLOCKS)
#define ROW_OF(r) (16 * ((r) / 2) + 8 * ((r) % 2))

// The step that is to be copied next.
typedef struct {
  operands_t from;  // the tile's
  uint depth;
} cursor_t;

// Has the next step copied to a slot, if there is one. Every work-item commits, so that commits count steps.
static inline void copy_next(cursor_t *next, const uint slot)
{
  if (next->from.columns > 0) {
    fill_slot(slot, &next->from, next->depth, false, false);
    next->depth += STEP_DEPTH;
    if (next->depth >= next->from.depth) {
      next->depth = 0;
      next->from.b += TILE_COLUMNS * next->from.b_stride;
      next->from.columns -= min(next->from.columns, (uint)TILE_COLUMNS);
    }
  }
  COMMIT_COPIES();
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_partials_ampere(
    __global const storage_t *embeddings, const ulong embedding_offset, const ulong embedding_stride,
    __global const storage_t *classes, const ulong class_offset, const ulong class_stride, __global const int *targets,
    const int tokens, const int vocabulary, const int hidden_size, const int columns_per_split, const int splits,
    const int raster_rows, const float scale, __global float *partials, __global ushort *tile_maxima,
    __global float *kept, const int kept_stride BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  __local uchar memory[RING_BYTES] __attribute__((aligned(128)));
  const uint ring = LOCAL_ADDRESS(memory);
  const int lane = (int)get_local_id(0) % 32;

  // All splits of a band come before the next one, and in it those of the same split first.
  const int number = (int)get_group_id(0);
  const int band = number / (raster_rows * splits);
  const int within = number - band * raster_rows * splits;
  const int band_rows = min(raster_rows, CEIL_DIV(tokens, TILE_ROWS) - band * raster_rows);
  const int split = within / band_rows;
  const int first_token = (band * raster_rows + within - split * band_rows) * TILE_ROWS;
  const uint first_column = (uint)split * columns_per_split;
  const uint end = min(first_column + columns_per_split, (uint)vocabulary);

  const int own_row = first_row_of_warp() + lane / 4;
  const int own_column = first_column_of_warp() + 2 * (lane % 4);
  row_t rows[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r)
    start_row(&rows[r]);

  cursor_t next = {{embeddings + embedding_offset + first_token * embedding_stride,
                    classes + class_offset + first_column * class_stride, embedding_stride, class_stride,
                    (uint)(tokens - first_token), end - first_column, (uint)hidden_size},
                   0};
#pragma unroll
  for (uint t = 0; t < STAGES - 1; ++t)
    copy_next(&next, ring + t * SLOT_BYTES);
  uint slot = 0;
  uint free_slot = STAGES - 1;
  for (uint column = first_column; column < end; column += TILE_COLUMNS) {
    float logits[ROW_BLOCKS][SUMS];
    clear_sums(logits);
    for (int depth = 0; depth < hidden_size; depth += STEP_DEPTH) {
      // A slot is filled anew as soon as the whole group has read it.
      WAIT_COPIES(STAGES - 2);
      MEET_GROUP();
      copy_next(&next, ring + free_slot * SLOT_BYTES);
      multiply_slot(logits, ring + slot * SLOT_BYTES, false, false);
      free_slot = slot;
      slot = slot == STAGES - 1 ? 0 : slot + 1;
    }

    const int first = (int)column + own_column;
    const int left = (int)(end - column) - own_column;
#pragma unroll
    for (int i = 0; i < ROW_BLOCKS; ++i) {
#pragma unroll
      for (int g = 0; g < WARP_COLUMNS / 64; ++g)
        finish_logits(logits[i] + 32 * g, left - 64 * g, scale BIAS_ARGUMENT(first + 64 * g) SOFTCAP_ARGUMENT);
      if (end - column < TILE_COLUMNS) {
#pragma unroll
        for (int k = 0; k < SUMS; ++k)
          if (8 * (k / 4) + k % 2 >= left)
            logits[i][k] = -INFINITY;
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int token = first_token + own_row + ROW_OF(2 * i + r);
        // Targets are read again for each tile: the cache has them, and registers are scarce.
        const uint target = (uint)targets[min(token, tokens - 1)] - (uint)first;
        if (KEEP_LOGITS && token < tokens)
          keep_logits(kept + (ulong)token * kept_stride + first, logits[i], r, min(left, kept_stride - first));
        const float top = take_logits(&rows[2 * i + r], logits[i], r, first, target, left);
        if (TILE_MAXIMA) {
          const uint warp_column = column + first_column_of_warp();
          store_tile_maximum(tile_maxima + (ulong)(warp_column / WARP_COLUMNS) * tokens + token, top,
                             token < tokens && warp_column < end);
        }
      }
    }
  }

  // What the warps have seen takes the place of the ring: [warp across][row].
  __local row_t *seen = (__local row_t *)memory;
  MEET_GROUP();
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    merge_row(&rows[r], 1);
    merge_row(&rows[r], 2);
    if (lane % 4 == 0)
      seen[own_column / WARP_COLUMNS * TILE_ROWS + own_row + ROW_OF(r)] = rows[r];
  }
  MEET_GROUP();
  for (int row = (int)get_local_id(0); row < min(TILE_ROWS, tokens - first_token); row += WORK_ITEMS) {
    row_t all = seen[row];
#pragma unroll
    for (int w = 1; w < WARPS_ACROSS; ++w) {
      const row_t other = seen[w * TILE_ROWS + row];
      add_row(&all, &other);
    }
    store_row(partials + (ulong)split * tokens + first_token + row, (ulong)splits * tokens, &all);
  }
}
