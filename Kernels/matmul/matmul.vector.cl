// Matrix product on CPUs: a work-item is a core, and a tile fits its cache.
//
// Formula, layouts and arguments are those of tiles.clh. A *word* is what one lane takes of the depth at a time: an
// element, which becomes fp32 when it is copied, or with pairs.avx512bf16.clh before this file WORD = 2 of them. Sums
// are fp32, each along the depth without a break.
//
// Work-group (1, 1, 1): TILE_ROWS x TILE_COLUMNS elements of C, DEPTH of the depth at a time. A *micro-tile* of
// MICRO_ROWS x COLUMNS vectors of sums stays in registers over that depth; it takes a vector of B's columns times one
// word of A at a time. For this B's tile is kept in panels as wide as a micro-tile, [panel][k][column], so that one
// panel stays in the first cache while all rows pass. A's tile has no need of panels if its rows lie along the depth;
// with TRANSPOSE_A it is kept as [panel][k][row], for which nothing is transposed either. B is, with TRANSPOSE_B, by
// squares of vectors. In all of them k counts words.
//
// Local memory, in floats (see the declarations): TILE_ROWS * DEPTH / WORD, TILE_COLUMNS * DEPTH / WORD, TILE_ROWS *
// TILE_COLUMNS, and with TRANSPOSE_A a vector for each panel.
//
// Tunables: VECTOR (4, 8 or 16), MICRO_ROWS, TILE_ROWS, TILE_COLUMNS, DEPTH.
//
// Preconditions: MICRO_ROWS divides TILE_ROWS; COLUMNS * VECTOR divides TILE_COLUMNS; WORD * VECTOR divides DEPTH.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh
// Check: -D TRANSPOSE_A=1 -D TRANSPOSE_B=1 -D VECTOR=8
// Check: -D TRANSPOSE_B=1 -D VECTOR=16 -D MICRO_ROWS=12 -D OUTPUT=0

#ifndef MICRO_ROWS
#define MICRO_ROWS 4
#endif
#ifndef TILE_ROWS
#define TILE_ROWS 96
#endif
#ifndef TILE_COLUMNS
#define TILE_COLUMNS 64
#endif
#ifndef DEPTH
#define DEPTH 64
#endif

#define WORDS (DEPTH / WORD)
#define COLUMNS 2  // vectors of columns of a micro-tile
#define PANEL (COLUMNS * VECTOR)
// The distance between elements of A's tile in neighbouring rows of a panel, and along the depth.
#define ROW_STEP (TRANSPOSE_A ? 1 : WORDS)
#define DEPTH_STEP (TRANSPOSE_A ? MICRO_ROWS : 1)
// The distance between panels of A's tile, with a gap behind each if they are such.
#define PANEL_PITCH (MICRO_ROWS * WORDS + (TRANSPOSE_A ? VECTOR : 0))

#ifndef WORD
#define WORD 1

// VECTOR words along the depth, from element i on, `count` of whose elements are there.
INLINE vec_t load_along(__global const storage_t *p, const ulong i, const ulong count)
{
  return load_some(p, i, count);
}

// A word of each of VECTOR columns, `width` of which are there. The depth, `count` of it, goes by `stride`.
INLINE vec_t load_across(__global const storage_t *p, const ulong i, const ulong stride, const ulong width,
                         const ulong count)
{
  return load_some(p, i, width);
}

// sums + word * words.
INLINE vec_t multiply_add(const float word, const vec_t words, const vec_t sums)
{
  return fma((vec_t)(word), words, sums);
}
#endif

// Copies `rows` rows of `count` elements to tile[row][WORDS], with zeros up to a multiple of MICRO_ROWS rows.
INLINE void copy_rows(__local float *tile, __global const storage_t *source, const ulong from, const ulong stride,
                      const uint rows, const uint count)
{
  for (uint r = 0; r < CEIL_DIV(rows, MICRO_ROWS) * MICRO_ROWS; ++r)
    for (uint k = 0; k < count; k += WORD * VECTOR)
      STORE(r < rows ? load_along(source, from + r * stride + k, count - k) : (vec_t)(0.0f), 0,
            tile + r * WORDS + k / WORD);
}

// Copies `count` rows of the depth, each of `width` elements, to panels of `panel` elements, tile[panel][k][element],
// `pitch` apart. Rows are read as they lie. A vector may reach beyond its panel's row: what it spills is written again
// with the next row, or lies in the gap behind the panel.
INLINE void copy_panels(__local float *tile, const uint panel, const uint pitch, __global const storage_t *source,
                        const ulong from, const ulong stride, const uint width, const uint count)
{
  for (uint k = 0; k < count; k += WORD)
    for (uint p = 0; p * panel < width; ++p)
#pragma unroll
      for (uint i = 0; i < panel; i += VECTOR) {
        const uint first = p * panel + i;
        STORE(load_across(source, from + k * stride + first, stride, first < width ? width - first : 0, count - k), 0,
              tile + p * pitch + k / WORD * panel + i);
      }
}

// Copies `width` rows of `count` elements of the depth to panels of their columns, tile[panel][k][row].
INLINE void transpose_panels(__local float *tile, __global const storage_t *source, const ulong from,
                             const ulong stride, const uint width, const uint count)
{
  for (uint first = 0; first < CEIL_DIV(width, PANEL) * PANEL; first += VECTOR) {
    __local float *target = tile + first / PANEL * (PANEL * WORDS) + first % PANEL;
    for (uint k = 0; k < count; k += WORD * VECTOR) {
      vec_t square[VECTOR];
#pragma unroll
      for (uint i = 0; i < VECTOR; ++i)
        square[i] = first + i < width ? load_along(source, from + (first + i) * stride + k, count - k) : (vec_t)(0.0f);
      transpose(square);
#pragma unroll
      for (uint i = 0; i < VECTOR; ++i)
        STORE(square[i], 0, target + (k / WORD + i) * PANEL);
    }
  }
}

// Asks for one of `parts` parts of `rows` rows of `count` elements, where PREFETCH(address) asks for a cache line.
INLINE void prefetch_part(__global const storage_t *source, const ulong from, const ulong stride, const uint rows,
                          const uint count, const uint part, const uint parts)
{
#ifdef PREFETCH
  for (uint r = part * rows / parts; r < (part + 1) * rows / parts; ++r)
    for (uint i = 0; i < count; i += 64 / sizeof(storage_t))
      PREFETCH(source + from + r * stride + i);
#endif
}

// Adds a panel of A times a panel of B, `count` words deep, to a micro-tile of sums, or begins it.
INLINE void multiply(__local vec_t *sums, __local const float *a, __local const vec_t *b, const uint count,
                     const bool begins)
{
  vec_t x[MICRO_ROWS][COLUMNS];
#pragma unroll
  for (int i = 0; i < MICRO_ROWS; ++i)
#pragma unroll
    for (int v = 0; v < COLUMNS; ++v)
      x[i][v] = begins ? (vec_t)(0.0f) : sums[i * COLUMNS + v];
#pragma unroll 4
  for (ulong k = 0; k < count; ++k) {
    vec_t columns[COLUMNS];
#pragma unroll
    for (int v = 0; v < COLUMNS; ++v)
      columns[v] = b[k * COLUMNS + v];
#pragma unroll
    for (int i = 0; i < MICRO_ROWS; ++i) {
      const float row = a[i * ROW_STEP + k * DEPTH_STEP];
#pragma unroll
      for (int v = 0; v < COLUMNS; ++v)
        x[i][v] = multiply_add(row, columns[v], x[i][v]);
    }
  }
#pragma unroll
  for (int i = 0; i < MICRO_ROWS; ++i)
#pragma unroll
    for (int v = 0; v < COLUMNS; ++v)
      sums[i * COLUMNS + v] = x[i][v];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void tilecl_matmul(MATMUL_PARAMETERS)
{
  // [row][k] or [panel][k][row].
  __local float a_tile[TILE_ROWS / MICRO_ROWS * PANEL_PITCH] __attribute__((aligned(64)));
  __local vec_t b_tile[TILE_COLUMNS / VECTOR * WORDS];       // [panel][k][vector]
  __local vec_t sums[TILE_ROWS * (TILE_COLUMNS / VECTOR)];   // [panel][row][vector]

  WIDE_VECTORS();
  const place_t place = find_place(TILE_ROWS, TILE_COLUMNS, rows, columns, depth, split_depth, splits);
  const uint tile_rows = min((uint)TILE_ROWS, rows - place.first_row);
  const uint tile_columns = min((uint)TILE_COLUMNS, columns - place.first_column);
  const ulong a_first = a_offset + place.entry * a_batch_stride + place.first_row * (TRANSPOSE_A ? 1 : a_row_stride);
  const ulong b_first = b_offset + place.entry * b_batch_stride + place.first_column * (TRANSPOSE_B ? b_row_stride : 1);
  // The distance between elements of the depth.
  const ulong a_step = TRANSPOSE_A ? a_row_stride : 1;
  const ulong b_step = TRANSPOSE_B ? 1 : b_row_stride;

  for (uint k = place.first_depth; k < place.end_depth; k += DEPTH) {
    const uint count = min((uint)DEPTH, place.end_depth - k);
#if TRANSPOSE_A
    copy_panels(a_tile, MICRO_ROWS, PANEL_PITCH, a, a_first + k * a_step, a_row_stride, tile_rows, count);
#else
    copy_rows(a_tile, a, a_first + k * a_step, a_row_stride, tile_rows, count);
#endif
#if TRANSPOSE_B
    transpose_panels((__local float *)b_tile, b, b_first + k * b_step, b_row_stride, tile_columns, count);
#else
    copy_panels((__local float *)b_tile, PANEL, PANEL * WORDS, b, b_first + k * b_step, b_row_stride,
                tile_columns, count);
#endif
    // Each micro-tile asks for its share of what is copied next.
    const uint micro_tiles = CEIL_DIV(tile_columns, PANEL) * CEIL_DIV(tile_rows, MICRO_ROWS);
    const uint next_count = min((uint)DEPTH, place.end_depth - k - count);
    uint micro_tile = 0;
    for (uint q = 0; q * PANEL < tile_columns; ++q)
      for (uint r = 0; r < tile_rows; r += MICRO_ROWS, ++micro_tile) {
        prefetch_part(a, a_first + (k + count) * a_step, a_row_stride, TRANSPOSE_A ? next_count : tile_rows,
                      TRANSPOSE_A ? tile_rows : next_count, micro_tile, micro_tiles);
        prefetch_part(b, b_first + (k + count) * b_step, b_row_stride, TRANSPOSE_B ? tile_columns : next_count,
                      TRANSPOSE_B ? next_count : tile_columns, micro_tile, micro_tiles);
        multiply(sums + (q * TILE_ROWS + r) * COLUMNS, a_tile + r / MICRO_ROWS * PANEL_PITCH,
                 b_tile + q * WORDS * COLUMNS, CEIL_DIV(count, WORD), k == place.first_depth);
      }
  }

  for (uint q = 0; q * PANEL < tile_columns; ++q)
    for (uint r = 0; r < tile_rows; ++r) {
      __local const float *row_sums = (__local const float *)(sums + (q * TILE_ROWS + r) * COLUMNS);
      const ulong row = place.first_row + r;
      const uint first = place.first_column + q * PANEL;
      const uint count = min((uint)PANEL, columns - first);
      if (parts) {
        __global float *target = parts + ((place.split * (ulong)batch + place.entry) * rows + row) * columns + first;
        for (uint i = 0; i < count; ++i)
          target[i] = row_sums[i];
        continue;
      }
      const ulong start = c_offset + place.entry * c_batch_stride + row * c_row_stride + first;
      uint i = 0;
      for (; i + VECTOR <= count; i += VECTOR) {
        vec_t x = alpha * LOAD(0, row_sums + i);
        if (beta != 0.0f)
          x += beta * load_outputs(c, start + i);
        if (bias)
          x += load_elements(bias, bias_offset + first + i);
        store_outputs(c, start + i, x);
      }
      for (; i < count; ++i)
        store_output(c, start + i, FINISHED(row_sums[i], start + i, first + i));
    }
}
