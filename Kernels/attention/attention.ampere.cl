// Scaled dot-product attention, forward, for NVIDIA Ampere and newer: fp16 and bf16, D and Dv multiples of 8.
//
//   O[i,:] = sum_j keep[i,j] exp(s[i,j] - LSE[i]) V[j,:]                   for each visible pair (i, j)
//   LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))                             -inf, and O[i,:] = 0, if query i sees no key
//
// with the scores s of scores.clh; keep is 1 without dropout, else 0 or 1 / (1 - p). After FlashAttention-2 (Dao, arXiv
// 2307.08691): a warp has 16 queries, whose scores, weights and outputs stay in its registers, and all warps of a group
// share tiles of keys and values, which asynchronous copies bring while others are in use.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, by offset and strides in elements, multiples of 8;
// O[b, h, i, :] and LSE[b, h, i] contiguous, LSE may be null. Masks speak of positions, tensors have rows: MEMORY_ROW
// leads from one to the other, for each row that is copied.
//
// Work-group (32 * WARPS, 1, 1): QUERY_TILE = 16 * WARPS queries of one head; groups run over tiles of queries, then
// heads and batches; with SEQUENCES over the tiles of a table, then heads. A group walks over its keys KEY_TILE at a
// time, and over what the block mask lists alone.
//
// Local memory: SLOTS tiles of K or V.
//
// Tunables: WARPS, KEY_TILE (a multiple of 16), SLOTS (at least 2).
//
// Preconditions: pattern words run along the keys of a query; KEY_TILE divides 32, or is a multiple of it, under a
// block mask with patterns; scale > 0 for plain scores; what the mask hides is finite; lengths at most 2^30.
//
// Needs: scores.clh
// Needs: ../ampere/instructions.ampere.clh
// Check: -D MASK=1 -D SEQUENCES=1 -D SOFTCAP=1 -D ALIBI=1 -D DROPOUT=1 -D SINKS=1
// Check: -D MASK=2 -D HAS_ORDER=1 -D BIAS=1 -D RELATIVE=1 -D HEAD_DIM=72 -D VALUE_DIM=128

#ifndef WARPS
#define WARPS 4
#endif
#ifndef KEY_TILE
#define KEY_TILE 64
#endif
#ifndef SLOTS
#define SLOTS 3
#endif

#if VECTOR != 4
#error "A work-item has pairs by fours."
#endif

#define WORK_ITEMS (32 * WARPS)
#define QUERY_TILE (16 * WARPS)
// Depths of a product are 16 channels; what D and Dv lack of that is zeros.
#define DEPTHS CEIL_DIV(HEAD_DIM, 16)
#define CHANNEL_PAIRS CEIL_DIV(VALUE_DIM, 16)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define SLOT_BYTES (KEY_TILE * 16 * LARGER(TILE_PITCH(2 * DEPTHS), TILE_PITCH(2 * CHANNEL_PAIRS)))
// Eight keys, and two rows of two of them for each work-item.
#define KEY_GROUPS (KEY_TILE / 8)

#define LN_2 0.6931471805599453f
#define LOG2_E 1.4426950408889634f
// Maxima may grow by this many powers of two before sums are rescaled.
#define LAZY_EXPONENT 8.0f

// The queries of a group, and the keys that they see.
typedef struct {
  int first_row;     // position of the first query
  int rows;          // queries that there are
  int diagonal;      // under a causal mask query i sees keys up to i + diagonal
  int row_base;      // row of position 0, of queries
  int key_base;      // and of keys
  int row_in_block;
  int keys;          // of the sequence, as far as some query sees them
  int first_entry;   // of the block mask
} tile_t;

// The keys of a step.
typedef struct {
  int first_key;
  int end;  // the first key that is not there
  int pattern;  // -1: all pairs are visible
  int key_in_block;
} step_t;

static inline step_t step_at(const int number, const tile_t *tile, const int key_length MASK_PARAMETERS)
{
  step_t step;
  step.pattern = -1;
#if MASK == MASK_BLOCKS
  const int tiles_per_block = CEIL_DIV(key_block, KEY_TILE);
  const int entry = tile->first_entry + number / tiles_per_block;
  const int column = columns[entry];
  step.key_in_block = number % tiles_per_block * KEY_TILE;
  step.first_key = column * key_block + step.key_in_block;
  step.end = min(key_length, column * key_block + key_block);
  step.pattern = patterns[entry];
#else
  step.first_key = number * KEY_TILE;
  step.end = tile->keys;
  step.key_in_block = 0;
#endif
  return step;
}

// A tile of K or V, of which rows from `end` on are zeros, copied by the group.
static inline void copy_tile(const uint target, const int chunks, const int channels, __global const storage_t *source,
                             const ulong row_stride, const int base, const int first, const int end ORDER_PARAMETER)
{
  const int item = (int)get_local_id(0);
#pragma unroll
  for (int i = 0; i < CEIL_DIV(KEY_TILE * chunks, WORK_ITEMS); ++i) {
    const int row = (WORK_ITEMS * i + item) / chunks;
    const int chunk = (WORK_ITEMS * i + item) % chunks;
    const int exists = (first + row < end) & (8 * chunk < channels);
    if (KEY_TILE * chunks % WORK_ITEMS == 0 || row < KEY_TILE)
      copy_chunk(target + tile_place(chunks, row, chunk),
                 source + (exists ? MEMORY_ROW(base + first + row) * row_stride + 8 * chunk : 0), exists);
  }
}

// The running softmax of a work-item's two rows.
typedef struct {
  float maximum[2];  // the reference that exponents are taken from; -inf before the first visible key
  float shift[2];    // the same as an exponent of 2, or 0 where it is -inf
  float ceiling[2];  // scores above it move the reference
  float sum[2];      // of the work-item's own columns
} softmax_t;

// Takes one tile in: scores become weights. Returns whether the sums of O have to shrink by `shrink`.
static inline uint weigh(float scores[KEY_GROUPS][4], softmax_t *rows, float shrink[2], const float scale)
{
  float top[2] = {fmax(scores[0][0], scores[0][1]), fmax(scores[0][2], scores[0][3])};
#pragma unroll
  for (int j = 1; j < KEY_GROUPS; ++j)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      top[r] = fmax(top[r], fmax(scores[j][2 * r], scores[j][2 * r + 1]));
  const uint grows = any_lane((top[0] > rows->ceiling[0]) | (top[1] > rows->ceiling[1]));
  if (grows) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float grown = fmax(top[r], from_lane_xor(top[r], 1));
      grown = fmax(rows->maximum[r], fmax(grown, from_lane_xor(grown, 2)));
      const bool sees = grown != -INFINITY;
      shrink[r] = sees ? fast_exp2((rows->maximum[r] - grown) * scale) : 1.0f;
      rows->maximum[r] = grown;
      rows->shift[r] = sees ? grown * scale : 0.0f;
      rows->ceiling[r] = grown + LAZY_EXPONENT / scale;
      rows->sum[r] *= shrink[r];
    }
  }
#pragma unroll
  for (int j = 0; j < KEY_GROUPS; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      scores[j][e] = fast_exp2(fma(scores[j][e], scale, -rows->shift[e / 2]));
      rows->sum[e / 2] += scores[j][e];
    }
  return grows;
}

// The pairs of eight keys: two keys of each of the two rows. Lanes behind the last row or key repeat it.
static inline pairs_t pairs_of(const int row, const int column, const tile_t *tile, const step_t *step ORDER_PARAMETER)
{
  pairs_t pairs;
  pairs.query = min((ivec_t)(tile->first_row + row) + 8 * ((ivec_t)LANES >> 1),
                    (ivec_t)(tile->first_row + max(tile->rows - 1, 0)));
  pairs.key = min((ivec_t)(step->first_key + column) + ((ivec_t)LANES & 1), (ivec_t)(max(step->end - 1, 0)));
  pairs.query_row = memory_rows(pairs.query + tile->row_base ORDER);
  pairs.key_row = memory_rows(pairs.key + tile->key_base ORDER);
  return pairs;
}

#if MASK == MASK_BLOCKS
#define MASK_ARGUMENTS \
  , row_offsets, columns, patterns, pattern_words, query_block, key_block, mask_rows, mask_batches, mask_heads
#else
#define MASK_ARGUMENTS
#endif

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_forward_ampere(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global storage_t *output, __global float *lse,
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride,
    const int query_length, const int key_length, const int query_heads, const int head_ratio, const int query_tiles
    MASK_PARAMETERS ORDER_PARAMETER SEQUENCE_PARAMETERS SCORE_PARAMETERS SINK_PARAMETERS)
{
  __local uchar memory[SLOTS * SLOT_BYTES] __attribute__((aligned(128)));
  const uint ring = LOCAL_ADDRESS(memory);
  const int lane = (int)get_local_id(0) % 32;
  const int warp = (int)get_local_id(0) / 32;
  const int tile_number = (int)(get_group_id(0) % (ulong)query_tiles);
  const ulong head_of_all = get_group_id(0) / (ulong)query_tiles;
  const ulong head = head_of_all % (ulong)query_heads;
  tile_t tile;

  // The queries of this group, the batch entry of its tensors, and which sequence this is.
#if SEQUENCES
  const int number = tiles[2 * (ulong)tile_number];
  const sequence_t sequence = sequence_at(sequences, number);
  const ulong batch = (ulong)sequence.batch;
  tile.first_row = tiles[2 * (ulong)tile_number + 1];
  tile.rows = clamp(sequence.queries - tile.first_row, 0, QUERY_TILE);
  tile.row_base = sequence.first_query;
  tile.key_base = sequence.first_key;
  tile.row_in_block = 0;
  const int stored_rows = min(QUERY_TILE, sequence.stored_rows - tile.first_row);
  const int sequence_queries = sequence.queries;
  const int sequence_keys = sequence.keys;
#else
  const ulong batch = head_of_all / (ulong)query_heads;
#if MASK == MASK_BLOCKS
  const int tiles_per_row = CEIL_DIV(query_block, QUERY_TILE);
  const int block_row = tile_number / tiles_per_row;
  tile.row_in_block = tile_number % tiles_per_row * QUERY_TILE;
  tile.first_row = block_row * query_block + tile.row_in_block;
  tile.rows = max(min(min(QUERY_TILE, query_block - tile.row_in_block), query_length - tile.first_row), 0);
#else
  // Under a causal mask the last tiles have the most keys: started first, they leave no long tail.
  tile.first_row = (MASK == MASK_CAUSAL ? query_tiles - 1 - tile_number : tile_number) * QUERY_TILE;
  tile.row_in_block = 0;
  tile.rows = min(QUERY_TILE, query_length - tile.first_row);
#endif
  tile.row_base = 0;
  tile.key_base = 0;
  const int stored_rows = tile.rows;
  const int sequence_queries = query_length;
  const int sequence_keys = key_length;
#endif
  tile.diagonal = sequence_keys - sequence_queries;
  tile.first_entry = 0;
  tile.keys = sequence_keys;
#if MASK == MASK_CAUSAL
  tile.keys = clamp(tile.first_row + tile.rows + tile.diagonal, 0, sequence_keys);
#endif
  int steps = tile.rows > 0 ? CEIL_DIV(tile.keys, KEY_TILE) : 0;
#if MASK == MASK_BLOCKS
  __global const int *row_entries = row_offsets + MASK_ROW(batch, head) + block_row;
  tile.first_entry = row_entries[0];
  steps = tile.rows > 0 ? (row_entries[1] - tile.first_entry) * CEIL_DIV(key_block, KEY_TILE) : 0;
#endif

  const ulong kv_head = head / (ulong)head_ratio;
  const ulong head_number = batch * (ulong)query_heads + head;
  __global const storage_t *keys = key + key_offset + batch * key_batch_stride + kv_head * key_head_stride;
  __global const storage_t *values = value + value_offset + batch * value_batch_stride + kv_head * value_head_stride;
#if MODIFIED || DROPOUT
#if !SEQUENCES
  const ulong number = batch;
#endif
  const score_t score = SCORE_STATE(number, head, head_number, sequence_queries, sequence_keys);
#endif

  // K and V of a step follow each other through the ring; copy c is half c % 2 of step c / 2. The last keys come first,
  // since these the diagonal and the end of the sequence cut.
#define STEP(t) step_at(steps - 1 - (t), &tile, sequence_keys MASK_ARGUMENTS)
#define COPY(c, slot)                                                                                          \
  if ((c) / 2 < steps) {                                                                                       \
    const step_t its = STEP((c) / 2);                                                                          \
    if ((c) % 2 == 0)                                                                                          \
      copy_tile(ring + (slot) * SLOT_BYTES, 2 * DEPTHS, HEAD_DIM, keys, key_row_stride, tile.key_base,          \
                its.first_key, its.end ORDER);                                                                 \
    else                                                                                                       \
      copy_tile(ring + (slot) * SLOT_BYTES, 2 * CHANNEL_PAIRS, VALUE_DIM, values, value_row_stride, tile.key_base, \
                its.first_key, its.end ORDER);                                                                 \
  }                                                                                                            \
  COMMIT_COPIES()
#pragma unroll
  for (int c = 0; c < SLOTS - 1; ++c) {
    COPY(c, c);
  }

  // The work-item's rows of the tile, and their queries as left operands.
  const int row = 16 * warp + lane / 4;
  const int column = 2 * (lane % 4);
  uint queries[DEPTHS][4];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const bool exists = row + 8 * r < tile.rows;
    __global const storage_t *source =
        query + query_offset + batch * query_batch_stride + head * query_head_stride + column +
        (exists ? MEMORY_ROW(tile.row_base + tile.first_row + row + 8 * r) * query_row_stride : 0);
#pragma unroll
    for (int d = 0; d < DEPTHS; ++d)
#pragma unroll
      for (int k = 0; k < 2; ++k)
        queries[d][2 * k + r] =
            exists && 16 * d + 8 * k < HEAD_DIM ? *(__global const uint *)(source + 16 * d + 8 * k) : 0;
  }

#if MODIFIED
  const float exponent_scale = LOG2_E;
#else
  const float exponent_scale = scale * LOG2_E;
#endif
  softmax_t rows;
  float shrink[2] = {1.0f, 1.0f};
  float outputs[2 * CHANNEL_PAIRS][4];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rows.maximum[r] = rows.ceiling[r] = -INFINITY;
    rows.shift[r] = rows.sum[r] = 0.0f;
  }
#pragma unroll
  for (int m = 0; m < 2 * CHANNEL_PAIRS; ++m)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      outputs[m][e] = 0.0f;

  int slot = 0;
  int free_slot = SLOTS - 1;
  // A slot is filled anew as soon as the whole group has read it.
#define NEXT_SLOT(c)                           \
  WAIT_COPIES(SLOTS - 2);                      \
  MEET_GROUP();                                \
  COPY((c) + SLOTS - 1, free_slot);            \
  const uint place = ring + slot * SLOT_BYTES; \
  free_slot = slot;                            \
  slot = slot == SLOTS - 1 ? 0 : slot + 1
  for (int t = 0; t < steps; ++t) {
    float scores[KEY_GROUPS][4];
    const step_t step = STEP(t);
    {
      NEXT_SLOT(2 * t);
#pragma unroll
      for (int j = 0; j < KEY_GROUPS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          scores[j][e] = 0.0f;
#pragma unroll
      for (int d = 0; d < DEPTHS; ++d)
#pragma unroll
        for (int j = 0; j < KEY_GROUPS; j += 2) {
          uint right[4];
          load_matrices(right, place + tile_place(2 * DEPTHS, 8 * j + lane % 8 + lane / 16 * 8, 2 * d + lane / 8 % 2));
          multiply_add(scores[j], queries[d], right[0], right[1]);
          multiply_add(scores[j + 1], queries[d], right[2], right[3]);
        }
    }

    // The first column that each row does not see, and the columns that a pattern shows.
    int limits[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      limits[r] = step.end - step.first_key - column;
#if MASK == MASK_CAUSAL
      limits[r] = min(limits[r], tile.first_row + row + 8 * r + tile.diagonal + 1 - step.first_key - column);
#endif
    }
    uint shown[2][CEIL_DIV(KEY_TILE, 32)];
#if MASK == MASK_BLOCKS
    if (step.pattern >= 0) {
      const int pitch = CEIL_DIV(key_block, 32);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        // A tile may end behind its block, whose rows and words then end as well.
        const int row_in_block = min(tile.row_in_block + row + 8 * r, query_block - 1);
        __global const uint *words = pattern_words + ((ulong)step.pattern * query_block + row_in_block) * pitch;
#pragma unroll
        for (int w = 0; w < CEIL_DIV(KEY_TILE, 32); ++w)
          shown[r][w] = words[min(step.key_in_block / 32 + w, pitch - 1)] >> (step.key_in_block % 32 + column);
      }
    }
#endif
#define IS_SHOWN(j, e)                         \
  (8 * (j) + (e) % 2 < limits[(e) / 2] &&       \
   (step.pattern < 0 || (shown[(e) / 2][(j) / 4] >> (8 * ((j) % 4) + (e) % 2) & 1u)))
#if MODIFIED
#pragma unroll
    for (int j = 0; j < KEY_GROUPS; ++j) {
      float_lanes_t s;
      int_lanes_t visible;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s.lanes[e] = scores[j][e];
        visible.lanes[e] = IS_SHOWN(j, e) && row + e / 2 * 8 < tile.rows ? -1 : 0;
      }
      s.vector = modified_scores(s.vector, pairs_of(row, 8 * j + column, &tile, &step ORDER), visible.vector, &score);
#pragma unroll
      for (int e = 0; e < 4; ++e)
        scores[j][e] = visible.lanes[e] ? s.lanes[e] : -INFINITY;
    }
#else
    int least_end = step.end;
#if MASK == MASK_CAUSAL
    least_end = min(least_end, tile.first_row + 16 * warp + tile.diagonal + 1);
#endif
    if (step.pattern >= 0 || step.first_key + KEY_TILE > least_end) {
#pragma unroll
      for (int j = 0; j < KEY_GROUPS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (!IS_SHOWN(j, e))
            scores[j][e] = -INFINITY;
    }
#endif

    if (weigh(scores, &rows, shrink, exponent_scale)) {
#pragma unroll
      for (int m = 0; m < 2 * CHANNEL_PAIRS; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          outputs[m][e] *= shrink[e / 2];
    }
#if DROPOUT
#pragma unroll
    for (int j = 0; j < KEY_GROUPS; ++j) {
      float_lanes_t factors;
      factors.vector = dropout_factors(pairs_of(row, 8 * j + column, &tile, &step ORDER), &score);
#pragma unroll
      for (int e = 0; e < 4; ++e)
        scores[j][e] *= factors.lanes[e];
    }
#endif
    uint weights[KEY_GROUPS / 2][4];
#pragma unroll
    for (int k = 0; k < KEY_GROUPS / 2; ++k)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        weights[k][e] = packed(scores[2 * k + e / 2][e % 2 * 2], scores[2 * k + e / 2][e % 2 * 2 + 1]);
    {
      NEXT_SLOT(2 * t + 1);
#pragma unroll
      for (int k = 0; k < KEY_GROUPS / 2; ++k)
#pragma unroll
        for (int m = 0; m < CHANNEL_PAIRS; ++m) {
          uint right[4];
          load_transposed_matrices(right,
                                   place + tile_place(2 * CHANNEL_PAIRS, 16 * k + lane % 16, 2 * m + lane / 16));
          multiply_add(outputs[2 * m], weights[k], right[0], right[1]);
          multiply_add(outputs[2 * m + 1], weights[k], right[2], right[3]);
        }
    }
  }

#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float sum = rows.sum[r] + from_lane_xor(rows.sum[r], 1);
    sum += from_lane_xor(sum, 2);
    float reference = rows.maximum[r] * exponent_scale;
    float factor = 1.0f;
#if SINKS
    const float sink = SINK(head) * LOG2_E;
    const float exponent = reference;
    reference = fmax(exponent, sink);
    factor = exponent == -INFINITY ? 0.0f : fast_exp2(exponent - reference);
    sum = sum * factor + (sink == -INFINITY ? 0.0f : fast_exp2(sink - reference));
#endif
    const bool exists = row + 8 * r < tile.rows;
    const float inverse = exists && sum != 0.0f ? factor / sum : 0.0f;
    if (row + 8 * r < stored_rows) {
      const ulong stored =
          head_number * query_length + MEMORY_ROW(tile.row_base + tile.first_row + row + 8 * r);
      if (lse && lane % 4 == 0)
        lse[stored] = exists ? (reference + fast_log2(sum)) * LN_2 : -INFINITY;
      __global uint *target = (__global uint *)(output + stored * VALUE_DIM + column);
#pragma unroll
      for (int m = 0; m < VALUE_DIM / 8; ++m)
        target[4 * m] = packed(outputs[m][2 * r] * inverse, outputs[m][2 * r + 1] * inverse);
    }
  }
}
