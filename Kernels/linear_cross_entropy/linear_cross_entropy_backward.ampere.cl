// Linear cross-entropy, backward, for NVIDIA Ampere and newer, fp16 or bf16: what linear_cross_entropy_backward.cl
// computes for targets that are classes, a dense classifier and no gradient of the entropy, by matrix units alone.
//
//   g[n, v]  = p A[n] - S[n]                       p = exp(z - LSE), z as linear_cross_entropy.ampere.cl has it
//   g[n, y]  = expm1(log p) A[n] + R[n] - S[n]     for the class target y; S with DENSE
//   x[n, v]  = f (1 - (z / softcap)^2) g[n, v], rounded to the type of E and C
//   dE[n, :] = scale / f sum_v x[n, v] C[v, :]      dC[v, :] = scale / f sum_n x[n, v] E[n, :] - smoothing
//   db[v]    = scale / f sum_n x[n, v]
//
// Waves, coefficients, f and the parts are those of linear_cross_entropy_backward.hopper.cl:
//
//   PART_TILES       computes x and notes which cells, a warp's tokens and classes, are live. Tiles all of whose cells
//                    have no flag are not computed, but zero. ..._stored_gradients makes x of kept logits, to the same
//                    bits.
//   ..._lists        lists for each tile of rows of a product which blocks of its depth are live;
//   PART_CLASSIFIER  dC of the wave's classes: rows are classes, the depth is tokens, by blocks of cells;
//   PART_EMBEDDINGS  adds to sums[n][d] what the wave gives: rows are tokens, the depth is classes.
//
// E is [N, D], C is [V, D], x is [N][wave], dC is [V, D], all with contiguous rows that begin at multiples of 16 bytes.
//
// ampere/products.ampere.clh has the main loop. A group computes one tile; bands of raster_rows tiles of rows come one
// after the other, in a band column by column. What a group needs of its tokens is read when the products are done, so
// that it takes no registers before. Each element of dC and of sums is written by one work-item in a launch, and so is
// whether a cell is live. Equal runs give equal bits.
//
// Work-group (WORK_ITEMS, 1, 1), as many as tiles. Local memory: RING_BYTES.
//
// Tunables: those of the main loop, WARP_COLUMNS of the first part a multiple of 64; BLOCK_STEPS of a product is a
// cell's side over 32, CELL_ROWS is WARP_ROWS and CELL_COLUMNS is WARP_COLUMNS of the first part. The products are
// LISTED.
//
// Preconditions: N, V, D in 1 ... 2^30, D a multiple of 8, raster_rows at least 1; columns of a wave a multiple of
// TILE_COLUMNS of the first part and of TILE_ROWS of the second, but for the last one; x has rows of so many columns.
//
// Needs: ../ampere/instructions.ampere.clh
// Needs: ../ampere/products.ampere.clh
// Needs: ../nvidia/tanh.nvidia.clh
// Needs: logits.nvidia.clh
// Needs: gradient_lists.nvidia.clh
// Needs: gradients.nvidia.clh
// Check: -D PART=0 -D HAS_BIAS=1 -D SOFTCAP=1 -D DENSE=1
// Check: -D PART=0 -D WARP_ROWS=32 -D CELL_ROWS=32 -D STAGES=4
// Check: -D PART=1 -D LISTED=1 -D BLOCK_STEPS=2 -D SMOOTHING=1
// Check: -D PART=2 -D LISTED=1 -D BLOCK_STEPS=2 -D WARP_COLUMNS=32 -D STAGES=4

// The first row and column of a group's tile. All tiles of a band come before the next one, and in it those of the same
// column first.
typedef struct {
  int row;
  int column;
} corner_t;

static inline corner_t own_corner(const int rows, const int columns, const int raster_rows)
{
  const int row_tiles = CEIL_DIV(rows, TILE_ROWS);
  const int column_tiles = CEIL_DIV(columns, TILE_COLUMNS);
  const int number = (int)get_group_id(0);
  const int band = number / (raster_rows * column_tiles);
  const int within = number - band * raster_rows * column_tiles;
  const int band_rows = min(raster_rows, row_tiles - band * raster_rows);
  const int column = within / band_rows;
  const corner_t corner = {(band * raster_rows + within - column * band_rows) * TILE_ROWS, column * TILE_COLUMNS};
  return corner;
}

#if PART == PART_TILES

// Whether one of the tile's cells has a flag; `left` columns of the wave are there from the tile's first one on.
static inline bool has_flag(__global const uint *flags, const int token_tiles, const corner_t *tile,
                            const int first_column, const int left)
{
  bool result = false;
  for (int c = 0; c < min(TILE_COLUMNS, left); c += CELL_COLUMNS) {
    const ulong cell = (first_column + tile->column + c) / CELL_COLUMNS;
    result |= flags[cell * token_tiles + tile->row / TILE_ROWS] != 0;
  }
  return result;
}

// Makes a tile of x zero, of which `rows` rows are there.
static inline void store_zeros(__global storage_t *x, const ulong x_stride, const int rows)
{
  for (int i = (int)get_local_id(0); i < min(TILE_ROWS, rows) * (TILE_COLUMNS / 8); i += WORK_ITEMS)
    vstore4((uint4)(0), 0, (__global uint *)(x + i / (TILE_COLUMNS / 8) * x_stride + i % (TILE_COLUMNS / 8) * 8));
}

// live[cell of tokens][cell of classes] is to be 0 before the first wave.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_gradient_tiles_ampere(
    __global const storage_t *embeddings, const ulong embedding_offset, const ulong embedding_stride,
    __global const storage_t *classes, const ulong class_offset, const ulong class_stride, __global storage_t *x,
    const ulong x_offset, const ulong x_stride, const int hidden_size, __global const int *targets, const int tokens,
    const int first_column, const int columns, const int raster_rows, const float scale, __global const uint *flags,
    __global const float *coefficients, __global const float *factors, const int live_stride,
    __global int *live BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  __local uchar memory[RING_BYTES] __attribute__((aligned(128)));
  const int lane = (int)get_local_id(0) % 32;
  const corner_t tile = own_corner(tokens, columns, raster_rows);
  x += x_offset + tile.row * x_stride + tile.column;
  if (flags && !has_flag(flags, CEIL_DIV(tokens, TILE_ROWS), &tile, first_column, columns - tile.column)) {
    store_zeros(x, x_stride, tokens - tile.row);
    return;
  }

  const operands_t from = {embeddings + embedding_offset + tile.row * embedding_stride,
                           classes + class_offset + (first_column + tile.column) * class_stride,
                           embedding_stride, class_stride, (uint)(tokens - tile.row), (uint)(columns - tile.column),
                           (uint)hidden_size};
  float sums[ROW_BLOCKS][SUMS];
  multiply_tile(sums, LOCAL_ADDRESS(memory), &from, 0, false, false);

  const int warp_row = tile.row + first_row_of_warp();
  const int warp_column = tile.column + first_column_of_warp();
  const int own_row = first_row_of_warp() + lane / 4;
  const int own_column = first_column_of_warp() + 2 * (lane % 4);
  const int first = first_column + tile.column + own_column;
  const int left = columns - tile.column - own_column;
  const float factor = factors[0];
  bool exceeds = false;
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i) {
    token_t tokens_of[2];
#pragma unroll
    for (int r = 0; r < 2; ++r)
      tokens_of[r] = token_of(coefficients, targets, tile.row + own_row + 16 * i + 8 * r, tokens, first, factor);
#pragma unroll
    for (int g = 0; g < WARP_COLUMNS / 64; ++g) {
      float *logits = sums[i] + 32 * g;
      finish_logits(logits, left - 64 * g, scale BIAS_ARGUMENT(first + 64 * g) SOFTCAP_ARGUMENT);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        exceeds |= take_gradients(logits, r, &tokens_of[r], tokens_of[r].target - 64 * g,
                                  left - 64 * g SOFTCAP_ARGUMENT);
        const int row = own_row + 16 * i + 8 * r;
        // Columns behind the wave's last are zeros, for which rows of x have room.
        if (tile.row + row < tokens) {
#pragma unroll
          for (int j = 0; j < 8; ++j)
            *(__global uint *)(x + row * x_stride + own_column + 64 * g + 8 * j) =
                packed(logits[4 * j + 2 * r], logits[4 * j + 2 * r + 1]);
        }
      }
    }
  }
  // The vote is the whole warp's, which has the cell to itself.
  if (any_lane(exceeds) && lane == 0 && warp_row < tokens && warp_column < columns)
    live[(ulong)(warp_row / CELL_ROWS) * live_stride + (first_column + warp_column) / CELL_COLUMNS] = 1;
}

#elif PART == PART_CLASSIFIER

// A is x, transposed, B is E, transposed.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_classifier_gradient_ampere(
    __global const storage_t *x, const ulong x_offset, const ulong x_stride, __global const storage_t *embeddings,
    const ulong embedding_offset, const ulong embedding_stride, __global storage_t *gradient,
    const ulong gradient_offset, const ulong gradient_stride, const int tokens, const int hidden_size,
    const int first_column, const int columns, const int raster_rows, __global const int *lists, const int list_stride,
    const float scale, __global const float *factors, __global const float *smoothing)
{
  __local uchar memory[RING_BYTES] __attribute__((aligned(128)));
  const int lane = (int)get_local_id(0) % 32;
  const corner_t tile = own_corner(columns, hidden_size, raster_rows);
  const operands_t from = {x + x_offset + tile.row, embeddings + embedding_offset + tile.column, x_stride,
                           embedding_stride, (uint)(columns - tile.row), (uint)(hidden_size - tile.column),
                           (uint)tokens};
  float sums[ROW_BLOCKS][SUMS];
  multiply_tile(sums, LOCAL_ADDRESS(memory), &from, lists + (ulong)(tile.row / TILE_ROWS) * list_stride, true, true);

  const float alpha = scale * factors[1];
  gradient += gradient_offset;
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = tile.row + first_row_of_warp() + 16 * i + 8 * r + lane / 4;
      if (row >= columns)
        continue;
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS; ++j) {
        const int column = tile.column + first_column_of_warp() + 8 * j + 2 * (lane % 4);
        if (column < hidden_size) {
          float2 result = alpha * (float2)(sums[i][4 * j + 2 * r], sums[i][4 * j + 2 * r + 1]);
#if SMOOTHING
          result -= (float2)(smoothing[column], smoothing[column + 1]);
#endif
          *(__global uint *)(gradient + (ulong)(first_column + row) * gradient_stride + column) =
              packed(result.x, result.y);
        }
      }
    }
}

#else

// A is x, B is C, transposed.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_embedding_gradient_ampere(
    __global const storage_t *x, const ulong x_offset, const ulong x_stride, __global const storage_t *classes,
    const ulong class_offset, const ulong class_stride, const int columns, const int tokens, const int hidden_size,
    const int first_column, const int raster_rows, __global const int *lists, const int list_stride,
    __global const float *factors, __global float *embedding_sums)
{
  __local uchar memory[RING_BYTES] __attribute__((aligned(128)));
  const int lane = (int)get_local_id(0) % 32;
  const corner_t tile = own_corner(tokens, hidden_size, raster_rows);
  __global const int *list = lists + (ulong)(tile.row / TILE_ROWS) * list_stride;
  if (list[0] == 0)
    return;
  const operands_t from = {x + x_offset + tile.row * x_stride,
                           classes + class_offset + first_column * class_stride + tile.column, x_stride, class_stride,
                           (uint)(tokens - tile.row), (uint)(hidden_size - tile.column), (uint)columns};
  float sums[ROW_BLOCKS][SUMS];
  multiply_tile(sums, LOCAL_ADDRESS(memory), &from, list, false, true);

  const float alpha = factors[1];
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int token = tile.row + first_row_of_warp() + 16 * i + 8 * r + lane / 4;
      if (token >= tokens)
        continue;
      const int first = tile.column + first_column_of_warp() + 2 * (lane % 4);
      __global float2 *own = (__global float2 *)(embedding_sums + (ulong)token * hidden_size + first);
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS; ++j)
        if (first + 8 * j < hidden_size)
          own[4 * j] += alpha * (float2)(sums[i][4 * j + 2 * r], sums[i][4 * j + 2 * r + 1]);
    }
}

#endif
