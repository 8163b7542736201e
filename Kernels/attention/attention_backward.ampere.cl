// Scaled dot-product attention, backward, for NVIDIA Ampere and newer: fp16 and bf16, D and Dv multiples of 8.
//
//   P[i,j]  = exp(scale Q[i,:].K[j,:] - LSE[i])         for each visible pair (i, j), 0 where LSE[i] is -inf; scale > 0
//   g[i,j]  = P[i,j] (dO[i,:].V[j,:] - delta[i])
//   dQ[i,:] = scale sum_j g[i,j] K[j,:]      dK[j,:] = scale sum_i g[i,j] Q[i,:]      dV[j,:] = sum_i P[i,j] dO[i,:]
//
// Compiled twice, as attention_backward.cl, which says more of the formulas: a work-group *owns* a tile of queries,
// whose dQ it sums over all keys, or a tile of keys, whose dK and dV it sums over all queries of all heads that share
// them. So there are seven products in place of five, and no atomics; each sum has one order. P and g become 16-bit
// elements, as operands of products; everything else is fp32.
//
//   OWNER_QUERIES 1   own: Q (heads), dO (values)    other: K, V     writes dQ
//   OWNER_QUERIES 0   own: K (heads), V (values)     other: Q, dO    writes dK, dV; block masks are transposed
//
// A warp has 16 own rows. Their scores, P, g and sums stay in its registers, where P and g, as they come from the first
// two products, are left operands of the last; own heads are there too, and own values unless OWN_VALUES_LOCAL. All
// warps of a group share tiles of the other side, which asynchronous copies bring while others are in use.
//
// Tensors: Q[b, h, i, :], dO likewise, K[b, h / head_ratio, j, :], V likewise, by offset and strides in elements,
// multiples of 8; gradients contiguous. LSE and delta as attention/gradient_rows.clh writes them.
//
// Work-group (32 * WARPS, 1, 1): OWN_TILE = 16 * WARPS own rows of one head; groups run over own tiles, then heads and
// batches. A group walks over OTHER_TILE rows of the other side at a time, and over what the block mask lists alone.
//
// Local memory: STAGES pairs of tiles of the other side, and own values with OWN_VALUES_LOCAL.
//
// Tunables: WARPS, OTHER_TILE (a multiple of 16), STAGES (at least 2), OWN_VALUES_LOCAL.
//
// Preconditions: blocks are multiples of 16 along both sides; OTHER_TILE divides 32 or is a multiple of it; pattern
// words run along the other side; what the mask hides is finite, dO and delta too; scale in 2^-64 ... 2^64; lengths at
// most 2^30; `pitch` is even and leaves room for a tile of either side behind the last query.
//
// Needs: ../ampere/instructions.ampere.clh
// Needs: gradient_rows.clh
// Check: -D OWNER_QUERIES=0
// Check: -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D OTHER_TILE=32
// Check: -D OWNER_QUERIES=0 -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D OTHER_TILE=32 -D OWN_VALUES_LOCAL=1
// Check: -D MASK=2 -D HEAD_DIM=72 -D VALUE_DIM=40 -D WARPS=2
// Check: -D OWNER_QUERIES=0 -D MASK=2 -D WARPS=1 -D OTHER_TILE=16 -D STAGES=3

#ifndef OWNER_QUERIES
#define OWNER_QUERIES 1
#endif
#ifndef WARPS
#define WARPS 4
#endif
#ifndef OTHER_TILE
#define OTHER_TILE 64
#endif
#ifndef STAGES
#define STAGES 2
#endif
#ifndef OWN_VALUES_LOCAL
#define OWN_VALUES_LOCAL 0
#endif

// Of a thing of queries and one of keys, what a work-group owns, and what it walks over.
#if OWNER_QUERIES
#define OWN(of_queries, of_keys) (of_queries)
#else
#define OWN(of_queries, of_keys) (of_keys)
#endif

#define WORK_ITEMS (32 * WARPS)
#define OWN_TILE (16 * WARPS)
// Depths of a product are 16 channels; what D and Dv lack of that is zeros.
#define HEAD_DEPTHS CEIL_DIV(HEAD_DIM, 16)
#define VALUE_DEPTHS CEIL_DIV(VALUE_DIM, 16)
// Eight rows of the other side, and two of them for each of a work-item's two own rows.
#define GROUPS (OTHER_TILE / 8)

#define ROW_BYTES(depths) (16 * TILE_PITCH(2 * (depths)))
#define HEADS_BYTES (OTHER_TILE * ROW_BYTES(HEAD_DEPTHS))
#define STAGE_BYTES (HEADS_BYTES + OTHER_TILE * ROW_BYTES(VALUE_DEPTHS))
#define OWN_BYTES (OWN_VALUES_LOCAL * OWN_TILE * ROW_BYTES(VALUE_DEPTHS))

#if MASK == MASK_BLOCKS
#define MASK_ARGUMENTS \
  , row_offsets, columns, patterns, pattern_words, query_block, key_block, mask_rows, mask_batches, mask_heads
#else
#define MASK_ARGUMENTS
#endif

// ---- What a group computes ----

// Of a block mask, which is the transposed one if keys are owned, "query" says own and "key" says other.
typedef struct {
  int first;  // position of the first own row
  int rows;   // own rows that there are
  int row_in_block;
  int block_row;
  int head;   // of the own side
  ulong batch;
} own_t;

// Where a group is: the head of the other side, counted from the first that shares the own one's rows, and the step of
// that head.
typedef struct {
  int member;
  int step;
  int steps;
  int start;  // the first entry of the block mask, or the first tile
} cursor_t;

typedef struct {
  int first;    // position of the first row of the other side
  int end;      // of the first one that is not there
  int pattern;  // -1: all pairs are visible
  int in_block;
} step_t;

static inline int other_head(const own_t *own, const int member, const int head_ratio)
{
  return OWN(own->head / head_ratio, own->head * head_ratio + member);
}

// Goes on to the next head that has steps, if there is none left of this one. Returns whether there is a step.
static inline bool find_step(cursor_t *at, const own_t *own, const int query_length, const int key_length,
                             const int head_ratio MASK_PARAMETERS)
{
  while (at->step >= at->steps) {
    if (++at->member >= OWN(1, head_ratio))
      return false;
    at->step = 0;
    at->start = 0;
#if MASK == MASK_BLOCKS
    const int head = OWN(own->head, other_head(own, at->member, head_ratio));
    __global const int *entries = row_offsets + MASK_ROW(own->batch, head) + own->block_row;
    at->start = entries[0];
    at->steps = (entries[1] - at->start) * CEIL_DIV(key_block, OTHER_TILE);
#elif OWNER_QUERIES
    const int end =
        MASK == MASK_CAUSAL ? clamp(own->first + own->rows + (key_length - query_length), 0, key_length) : key_length;
    at->steps = CEIL_DIV(end, OTHER_TILE);
#else
    if (MASK == MASK_CAUSAL)
      at->start = max(own->first - (key_length - query_length), 0) / OTHER_TILE;
    at->steps = max(CEIL_DIV(query_length, OTHER_TILE) - at->start, 0);
#endif
    if (own->rows <= 0)
      at->steps = 0;
  }
  return true;
}

static inline step_t step_at(const cursor_t *at, const int query_length, const int key_length MASK_PARAMETERS)
{
  const int length = OWN(key_length, query_length);
  step_t step;
#if MASK == MASK_BLOCKS
  const int tiles_per_block = CEIL_DIV(key_block, OTHER_TILE);
  const int entry = at->start + at->step / tiles_per_block;
  const int column = columns[entry];
  step.in_block = at->step % tiles_per_block * OTHER_TILE;
  step.first = column * key_block + step.in_block;
  step.end = min(length, column * key_block + key_block);
  step.pattern = patterns[entry];
#else
  step.in_block = 0;
  step.first = (at->start + at->step) * OTHER_TILE;
  step.end = length;
  step.pattern = -1;
#endif
  return step;
}

// ---- Operands ----

// The matrices of one head.
typedef struct {
  __global const storage_t *rows;
  ulong stride;
} matrix_t;

#define MATRIX_PARAMETERS(name)                                                                                  \
  __global const storage_t *name, const ulong name##_offset, const ulong name##_batch_stride,                   \
      const ulong name##_head_stride, const ulong name##_row_stride
#define MATRIX_OF(name, batch, head) \
  {name + name##_offset + (batch) * name##_batch_stride + (ulong)(head) * name##_head_stride, name##_row_stride}

// Has a tile of `height` rows, a constant, copied, of which those from `end` on are zeros; the group does.
static inline void copy_rows(const uint target, const int height, const int chunks, const int channels,
                             const matrix_t *source, const int first, const int end)
{
#pragma unroll
  for (int i = 0; i < CEIL_DIV(height * chunks, WORK_ITEMS); ++i) {
    const int number = WORK_ITEMS * i + (int)get_local_id(0);
    const int row = number / chunks;
    const int chunk = number % chunks;
    const int exists = (first + row < end) & (8 * chunk < channels);
    if (height * chunks % WORK_ITEMS == 0 || row < height)
      copy_chunk(target + tile_place(chunks, row, chunk),
                 source->rows + (exists ? (ulong)(first + row) * source->stride + 8 * chunk : 0), exists);
  }
}

// Loads a warp's own rows as left operands.
static inline void load_own(uint operands[][4], const int depths, const int channels, const matrix_t *source,
                            const own_t *own, const int row, const int column)
{
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const bool exists = row + 8 * r < own->rows;
    __global const storage_t *from =
        source->rows + (exists ? (ulong)(own->first + row + 8 * r) * source->stride : 0) + column;
#pragma unroll
    for (int d = 0; d < depths; ++d)
#pragma unroll
      for (int k = 0; k < 2; ++k)
        operands[d][2 * k + r] =
            exists && 16 * d + 8 * k < channels ? *(__global const uint *)(from + 16 * d + 8 * k) : 0;
  }
}

// ---- Products of a warp's own rows and a tile of the other side ----

// Adds the products of 16 channels: own rows times rows of the tile.
static inline void multiply_pairs(float pairs[GROUPS][4], const uint own[4], const uint tile, const int depths,
                                  const int depth)
{
  const int lane = (int)get_local_id(0) % 32;
#pragma unroll
  for (int j = 0; j < GROUPS; j += 2) {
    uint right[4];
    load_matrices(right, tile + tile_place(2 * depths, 8 * j + lane % 8 + lane / 16 * 8, 2 * depth + lane / 8 % 2));
    multiply_add(pairs[j], own, right[0], right[1]);
    multiply_add(pairs[j + 1], own, right[2], right[3]);
  }
}

// Adds the tile's rows, weighed by pairs that become 16-bit elements.
static inline void add_rows(float sums[][4], float pairs[GROUPS][4], const uint tile, const int depths)
{
  const int lane = (int)get_local_id(0) % 32;
#pragma unroll
  for (int k = 0; k < GROUPS / 2; ++k) {
    uint left[4];
#pragma unroll
    for (int e = 0; e < 4; ++e)
      left[e] = packed(pairs[2 * k + e / 2][e % 2 * 2], pairs[2 * k + e / 2][e % 2 * 2 + 1]);
#pragma unroll
    for (int m = 0; m < depths; ++m) {
      uint right[4];
      load_transposed_matrices(right, tile + tile_place(2 * depths, 16 * k + lane % 16, 2 * m + lane / 16));
      multiply_add(sums[2 * m], left, right[0], right[1]);
      multiply_add(sums[2 * m + 1], left, right[2], right[3]);
    }
  }
}

static inline void clear(float sums[][4], const int count)
{
#pragma unroll
  for (int m = 0; m < count; ++m)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      sums[m][e] = 0.0f;
}

// Writes a work-item's columns of its two own rows, times a factor.
static inline void store_rows(__global storage_t *gradient, float sums[][4], const int channels,
                              const own_t *own, const int row, const int column, const float factor)
{
#pragma unroll
  for (int r = 0; r < 2; ++r)
    if (row + 8 * r < own->rows) {
      __global uint *target =
          (__global uint *)(gradient + (ulong)(own->first + row + 8 * r) * channels + column);
#pragma unroll
      for (int m = 0; m < channels / 8; ++m)
        target[4 * m] = packed(sums[m][2 * r] * factor, sums[m][2 * r + 1] * factor);
    }
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_backward_ampere(
    MATRIX_PARAMETERS(own_heads), MATRIX_PARAMETERS(own_values), MATRIX_PARAMETERS(other_heads),
    MATRIX_PARAMETERS(other_values), __global const float *rows, __global storage_t *head_gradient,
    __global storage_t *value_gradient,  // dV, if keys are owned
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int own_tiles,
    const ulong delta_offset, const int pitch,  // of rows
    const float scale, const float exponent_scale  // of scores, and of exponents of 2
    MASK_PARAMETERS)
{
  __local uchar memory[OWN_BYTES + STAGES * STAGE_BYTES] __attribute__((aligned(128)));
  const uint base = LOCAL_ADDRESS(memory);
  const uint ring = base + OWN_BYTES;
  const int lane = (int)get_local_id(0) % 32;
  const int warp = (int)get_local_id(0) / 32;
  const int row = 16 * warp + lane / 4;
  const int column = 2 * (lane % 4);

  const int tile_number = (int)(get_group_id(0) % (ulong)own_tiles);
  const ulong head_of_all = get_group_id(0) / (ulong)own_tiles;
  const int own_head_count = OWN(query_heads, query_heads / head_ratio);
  const int own_length = OWN(query_length, key_length);
  own_t own;
  own.batch = head_of_all / (ulong)own_head_count;
  own.head = (int)(head_of_all % (ulong)own_head_count);
#if MASK == MASK_BLOCKS
  const int tiles_per_row = CEIL_DIV(query_block, OWN_TILE);
  own.block_row = tile_number / tiles_per_row;
  own.row_in_block = tile_number % tiles_per_row * OWN_TILE;
  own.first = own.block_row * query_block + own.row_in_block;
  own.rows = max(min(min(OWN_TILE, query_block - own.row_in_block), own_length - own.first), 0);
#else
  // Under a causal mask the last queries and the first keys have most of the other side: started first, they leave no
  // long tail.
  own.first = (MASK == MASK_CAUSAL ? OWN(own_tiles - 1 - tile_number, tile_number) : tile_number) * OWN_TILE;
  own.row_in_block = 0;
  own.block_row = 0;
  own.rows = min(OWN_TILE, own_length - own.first);
#endif

#define FIND_STEP(cursor) find_step(cursor, &own, query_length, key_length, head_ratio MASK_ARGUMENTS)
#define STEP_AT(cursor) step_at(cursor, query_length, key_length MASK_ARGUMENTS)
  cursor_t at = {-1, 0, 0, 0};
  bool has_step = FIND_STEP(&at);
  cursor_t next = at;
  bool has_next = has_step;
#define COPY_NEXT(stage)                                                                                        \
  if (has_next) {                                                                                               \
    const step_t its = STEP_AT(&next);                                                                          \
    const int its_head = other_head(&own, next.member, head_ratio);                                             \
    const matrix_t heads = MATRIX_OF(other_heads, own.batch, its_head);                                         \
    const matrix_t values = MATRIX_OF(other_values, own.batch, its_head);                                       \
    copy_rows(stage, OTHER_TILE, 2 * HEAD_DEPTHS, HEAD_DIM, &heads, its.first, its.end);                        \
    copy_rows((stage) + HEADS_BYTES, OTHER_TILE, 2 * VALUE_DEPTHS, VALUE_DIM, &values, its.first, its.end);     \
    ++next.step;                                                                                                \
    has_next = FIND_STEP(&next);                                                                                \
  }                                                                                                             \
  COMMIT_COPIES()

  const matrix_t heads_of_own = MATRIX_OF(own_heads, own.batch, own.head);
  const matrix_t values_of_own = MATRIX_OF(own_values, own.batch, own.head);
#if OWN_VALUES_LOCAL
  // Nobody would wait for them before the end.
  if (has_step)
    copy_rows(base, OWN_TILE, 2 * VALUE_DEPTHS, VALUE_DIM, &values_of_own, own.first, own.first + own.rows);
#endif
#pragma unroll
  for (int i = 0; i < STAGES - 1; ++i) {
    COPY_NEXT(ring + i * STAGE_BYTES);
  }
  uint left_heads[HEAD_DEPTHS][4];
  load_own(left_heads, HEAD_DEPTHS, HEAD_DIM, &heads_of_own, &own, row, column);
#if !OWN_VALUES_LOCAL
  uint left_values[VALUE_DEPTHS][4];
  load_own(left_values, VALUE_DEPTHS, VALUE_DIM, &values_of_own, &own, row, column);
#endif
#if OWNER_QUERIES
  __global const float *own_numbers = rows + head_of_all * (ulong)pitch + own.first + row;
  const float lse[2] = {own_numbers[0], own_numbers[8]};
  const float delta[2] = {own_numbers[delta_offset], own_numbers[delta_offset + 8]};
#endif

  float head_sums[2 * HEAD_DEPTHS][4];
  clear(head_sums, 2 * HEAD_DEPTHS);
#if !OWNER_QUERIES
  float value_sums[2 * VALUE_DEPTHS][4];
  clear(value_sums, 2 * VALUE_DEPTHS);
#endif
  int stage = 0;
  int free_stage = STAGES - 1;
  while (has_step) {
    // A stage is filled anew as soon as the whole group has read it.
    WAIT_COPIES(STAGES - 2);
    MEET_GROUP();
    COPY_NEXT(ring + free_stage * STAGE_BYTES);
    const uint heads = ring + stage * STAGE_BYTES;
    const uint values = heads + HEADS_BYTES;
    const step_t step = STEP_AT(&at);
#if !OWNER_QUERIES
    __global const float *numbers =
        rows + (own.batch * (ulong)query_heads + other_head(&own, at.member, head_ratio)) * (ulong)pitch +
        step.first + column;
#endif

    float scores[GROUPS][4];
    clear(scores, GROUPS);
#pragma unroll
    for (int d = 0; d < HEAD_DEPTHS; ++d)
      multiply_pairs(scores, left_heads[d], heads, HEAD_DEPTHS, d);

    // The columns that each row sees, and those that a pattern shows.
    int first[2], end[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      first[r] = 0;
      end[r] = step.end - step.first - column;
#if MASK == MASK_CAUSAL
      const int own_row = own.first + row + 8 * r;
#if OWNER_QUERIES
      end[r] = min(end[r], own_row + (key_length - query_length) + 1 - step.first - column);
#else
      first[r] = own_row - (key_length - query_length) - step.first - column;
#endif
#endif
    }
    uint shown[2][CEIL_DIV(OTHER_TILE, 32)];
#if MASK == MASK_BLOCKS
    if (step.pattern >= 0) {
      const int words_of_row = CEIL_DIV(key_block, 32);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        // A tile may end behind its block, whose rows and words then end as well.
        const int row_in_block = min(own.row_in_block + row + 8 * r, query_block - 1);
        __global const uint *words =
            pattern_words + ((ulong)step.pattern * query_block + row_in_block) * words_of_row;
#pragma unroll
        for (int w = 0; w < CEIL_DIV(OTHER_TILE, 32); ++w)
          shown[r][w] = words[min(step.in_block / 32 + w, words_of_row - 1)] >> (step.in_block % 32 + column);
      }
    }
#endif
    const int last = step.first + OTHER_TILE;
    const bool cuts = step.pattern >= 0 || last > step.end
#if MASK == MASK_CAUSAL && OWNER_QUERIES
                      || last > own.first + 16 * warp + (key_length - query_length) + 1
#elif MASK == MASK_CAUSAL
                      || step.first < own.first + 16 * warp + 15 - (key_length - query_length)
#endif
        ;
    if (cuts) {
#pragma unroll
      for (int j = 0; j < GROUPS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int c = 8 * j + e % 2;
          if (c < first[e / 2] || c >= end[e / 2] ||
              (step.pattern >= 0 && (shown[e / 2][j / 4] >> (8 * (j % 4) + e % 2) & 1u) == 0))
            scores[j][e] = -INFINITY;
        }
    }

    // Scores become P.
#pragma unroll
    for (int j = 0; j < GROUPS; ++j) {
#if !OWNER_QUERIES
      const float2 lse = *(__global const float2 *)(numbers + 8 * j);
#endif
#pragma unroll
      for (int e = 0; e < 4; ++e)
        scores[j][e] = fast_exp2(fma(scores[j][e], exponent_scale, -OWN(lse[e / 2], e % 2 ? lse.y : lse.x)));
    }
#if !OWNER_QUERIES
    add_rows(value_sums, scores, values, VALUE_DEPTHS);
#endif

    float products[GROUPS][4];
    clear(products, GROUPS);
#pragma unroll
    for (int d = 0; d < VALUE_DEPTHS; ++d) {
#if OWN_VALUES_LOCAL
      uint left[4];
      load_matrices(left, base + tile_place(2 * VALUE_DEPTHS, 16 * warp + lane % 16, 2 * d + lane / 16));
      multiply_pairs(products, left, values, VALUE_DEPTHS, d);
#else
      multiply_pairs(products, left_values[d], values, VALUE_DEPTHS, d);
#endif
    }
#pragma unroll
    for (int j = 0; j < GROUPS; ++j) {
#if !OWNER_QUERIES
      const float2 delta = *(__global const float2 *)(numbers + delta_offset + 8 * j);
#endif
#pragma unroll
      for (int e = 0; e < 4; ++e)
        products[j][e] = scores[j][e] * (products[j][e] - OWN(delta[e / 2], e % 2 ? delta.y : delta.x));
    }
    add_rows(head_sums, products, heads, HEAD_DEPTHS);

    free_stage = stage;
    stage = stage == STAGES - 1 ? 0 : stage + 1;
    ++at.step;
    has_step = FIND_STEP(&at);
  }

  store_rows(head_gradient + head_of_all * own_length * HEAD_DIM, head_sums, HEAD_DIM, &own, row, column, scale);
#if !OWNER_QUERIES
  store_rows(value_gradient + head_of_all * own_length * VALUE_DIM, value_sums, VALUE_DIM, &own, row, column, 1.0f);
#endif
}
