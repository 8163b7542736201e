// Matrix product for NVIDIA Ampere and newer, fp16 or bf16 with fp32 sums.
//
// Formula, layouts and arguments are those of tiles.clh. A warp has WARP_ROWS x WARP_COLUMNS sums in registers, to
// which its matrix instructions add 16 of the depth at a time; the group's warps share tiles of A and B in local
// memory, which asynchronous copies bring while others are in use.
//
// A tile in local memory has the rows of its matrix, which are STEP_DEPTH, TILE_ROWS or TILE_COLUMNS elements long, in
// chunks of 16 bytes that are moved about within rows so that the eight rows of a matrix begin in different banks.
// Where rows run along the depth the matrices are loaded as they are, elsewhere transposed. Behind the ends of A and B
// are zeros.
//
// Work-group (32 * WARPS_DOWN * WARPS_ACROSS, 1, 1): TILE_ROWS x TILE_COLUMNS elements of C.
//
// Local memory, in bytes: STAGES * 2 * STEP_DEPTH * (TILE_ROWS + TILE_COLUMNS).
//
// Tunables: WARPS_DOWN, WARPS_ACROSS, WARP_ROWS and WARP_COLUMNS (multiples of 16), STAGES (at least 2).
//
// Preconditions: TILE_ROWS and TILE_COLUMNS are multiples of 64; addresses, distances between rows and rows of A and B
// are multiples of 16 bytes; STEP_DEPTH divides split_depth.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh
// Needs: ../ampere/instructions.ampere.clh
// Check: -D TRANSPOSE_A=1 -D TRANSPOSE_B=1 -D OUTPUT=0
// Check: -D TRANSPOSE_B=1 -D WARP_ROWS=32 -D WARP_COLUMNS=32 -D STAGES=4

#ifndef WARPS_DOWN
#define WARPS_DOWN 2
#endif
#ifndef WARPS_ACROSS
#define WARPS_ACROSS 2
#endif
#ifndef WARP_ROWS
#define WARP_ROWS 64
#endif
#ifndef WARP_COLUMNS
#define WARP_COLUMNS 64
#endif
#ifndef STAGES
#define STAGES 3
#endif

#define STEP_DEPTH 32
#define GROUP_ITEMS (32 * WARPS_DOWN * WARPS_ACROSS)
#define TILE_ROWS (WARPS_DOWN * WARP_ROWS)
#define TILE_COLUMNS (WARPS_ACROSS * WARP_COLUMNS)
#define A_BYTES (2 * STEP_DEPTH * TILE_ROWS)
#define STAGE_BYTES (A_BYTES + 2 * STEP_DEPTH * TILE_COLUMNS)
// Matrices of 16 x 16 and of 16 x 8 elements that cover a warp's sums.
#define ROW_BLOCKS (WARP_ROWS / 16)
#define COLUMN_BLOCKS (WARP_COLUMNS / 8)

// Where a chunk of a tile's row stands, in bytes. Two rows of four chunks share 128 bytes, the width of all banks.
static inline uint chunk_place(const int chunks, const int row, const int chunk)
{
  return chunks == 4 ? (uint)(row * 4 + (chunk ^ (row >> 1 & 3))) << 4 : tile_place(chunks, row, chunk);
}

// Copies a tile of `height` rows of `chunks` chunks, of which `rows` rows and `width` elements of each exist.
static inline void copy_tile(const uint target, const int height, const int chunks, __global const storage_t *source,
                             const ulong stride, const uint rows, const uint width)
{
#pragma unroll
  for (int i = 0; i < CEIL_DIV(height * chunks, GROUP_ITEMS); ++i) {
    const int number = GROUP_ITEMS * i + (int)get_local_id(0);
    const int row = number / chunks;
    const int chunk = number % chunks;
    const int exists = ((uint)row < rows) & ((uint)(8 * chunk) < width);
    if (height * chunks % GROUP_ITEMS == 0 || row < height)
      copy_chunk(target + chunk_place(chunks, row, chunk), source + (exists ? row * stride + 8 * chunk : 0), exists);
  }
}

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

__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void tilecl_matmul(MATMUL_PARAMETERS)
{
  __local uchar memory[STAGES * STAGE_BYTES] __attribute__((aligned(128)));
  const uint ring = LOCAL_ADDRESS(memory);
  const int lane = (int)get_local_id(0) % 32;
  const int warp = (int)get_local_id(0) / 32;
  // The first row and column of the warp in the tile.
  const int warp_row = warp / WARPS_ACROSS * WARP_ROWS;
  const int warp_column = warp % WARPS_ACROSS * WARP_COLUMNS;
  const place_t place = find_place(TILE_ROWS, TILE_COLUMNS, rows, columns, depth, split_depth, splits);
  const uint end_row = rows - place.first_row;
  const uint end_column = columns - place.first_column;
  const ulong a_step = TRANSPOSE_A ? a_row_stride : 1;
  const ulong b_step = TRANSPOSE_B ? 1 : b_row_stride;
  __global const storage_t *a_tile = a + a_offset + place.entry * a_batch_stride + place.first_depth * a_step
                                     + place.first_row * (TRANSPOSE_A ? 1 : a_row_stride);
  __global const storage_t *b_tile = b + b_offset + place.entry * b_batch_stride + place.first_depth * b_step
                                     + place.first_column * (TRANSPOSE_B ? b_row_stride : 1);
  const uint own_depth = place.end_depth - place.first_depth;
  const uint steps = CEIL_DIV(own_depth, STEP_DEPTH);

  float sums[ROW_BLOCKS][COLUMN_BLOCKS][4];
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
    for (int j = 0; j < COLUMN_BLOCKS; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        sums[i][j][e] = 0.0f;

#define COPY_STEP(t, slot)                                                                                        \
  if ((t) < steps) {                                                                                              \
    const uint first = (t) * STEP_DEPTH;                                                                          \
    const uint target = ring + (slot) * STAGE_BYTES;                                                              \
    if (TRANSPOSE_A)                                                                                              \
      copy_tile(target, STEP_DEPTH, TILE_ROWS / 8, a_tile + first * a_step, a_row_stride, own_depth - first,       \
                end_row);                                                                                         \
    else                                                                                                          \
      copy_tile(target, TILE_ROWS, STEP_DEPTH / 8, a_tile + first * a_step, a_row_stride, end_row,                 \
                own_depth - first);                                                                               \
    if (TRANSPOSE_B)                                                                                              \
      copy_tile(target + A_BYTES, TILE_COLUMNS, STEP_DEPTH / 8, b_tile + first * b_step, b_row_stride, end_column, \
                own_depth - first);                                                                               \
    else                                                                                                          \
      copy_tile(target + A_BYTES, STEP_DEPTH, TILE_COLUMNS / 8, b_tile + first * b_step, b_row_stride,             \
                own_depth - first, end_column);                                                                   \
  }                                                                                                               \
  COMMIT_COPIES()
#pragma unroll
  for (uint t = 0; t < STAGES - 1; ++t) {
    COPY_STEP(t, t);
  }

  uint slot = 0;
  uint free_slot = STAGES - 1;
  for (uint t = 0; t < steps; ++t) {
    // A slot is filled anew as soon as the whole group has read it.
    WAIT_COPIES(STAGES - 2);
    MEET_GROUP();
    COPY_STEP(t + STAGES - 1, free_slot);
    const uint a_place = ring + slot * STAGE_BYTES;
    const uint b_place = a_place + A_BYTES;
    free_slot = slot;
    slot = slot == STAGES - 1 ? 0 : slot + 1;
#pragma unroll
    for (int k = 0; k < STEP_DEPTH; k += 16) {
      uint left[ROW_BLOCKS][4];
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; ++i) {
        const int row = warp_row + 16 * i;
        if (TRANSPOSE_A)
          load_transposed_matrices(
              left[i],
              a_place + chunk_place(TILE_ROWS / 8, k + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
        else
          load_matrices(left[i], a_place + chunk_place(STEP_DEPTH / 8, row + lane % 16, k / 8 + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS; j += 2) {
        const int column = warp_column + 8 * j;
        uint right[4];
        if (TRANSPOSE_B)
          load_matrices(
              right,
              b_place + chunk_place(STEP_DEPTH / 8, column + lane % 8 + lane / 16 * 8, k / 8 + lane / 8 % 2));
        else
          load_transposed_matrices(
              right, b_place + chunk_place(TILE_COLUMNS / 8, k + lane % 16, column / 8 + lane / 16));
#pragma unroll
        for (int i = 0; i < ROW_BLOCKS; ++i) {
          multiply_add(sums[i][j], left[i], right[0], right[1]);
          multiply_add(sums[i][j + 1], left[i], right[2], right[3]);
        }
      }
    }
  }

#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint row = place.first_row + warp_row + 16 * i + 8 * r + lane / 4;
      if (row >= rows)
        continue;
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS; ++j) {
        const uint column = place.first_column + warp_column + 8 * j + 2 * (lane % 4);
        if (column < columns)
          store_pair((float2)(sums[i][j][2 * r], sums[i][j][2 * r + 1]), row, column, &place, c, c_offset,
                     c_batch_stride, c_row_stride, bias, bias_offset, parts, alpha, beta, batch, rows, columns);
      }
    }
}
