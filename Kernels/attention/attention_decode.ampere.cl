// Scaled dot-product attention, forward, of few queries against many keys, for NVIDIA Ampere and newer: fp16 and bf16.
//
//   s[i,j] = scale * sum_d Q[i,d] K[j,d]               for each visible pair (i, j); scale > 0
//   O[i,:] = sum_j exp(s[i,j] - LSE[i]) V[j,:]
//   LSE[i] = ln(sum_j exp(s[i,j]) + exp(sink))         -inf, and O[i,:] = 0, if query i sees no key
//
// The work is reading K and V, so they are read once: all queries of all heads that share them are the columns of one
// tile. Products are taken transposed, S^T = K Q^T and O^T = V^T P^T, since the instruction has 16 rows and 8 columns,
// and columns are few. Each warp streams keys of its own through its own ring in local memory, and needs the others
// only at the end. The keys of a head are split among groups (Flash-Decoding, Dao et al. 2023); the last group of a
// head to finish adds the parts up, always in the same order.
//
// Tensors: Q[b, h, i, :], K[b, h / head_ratio, j, :], V likewise, by offset and strides in elements, multiples of 8;
// O[b, h, i, :] and LSE[b, h, i] contiguous, LSE may be null. Column c of a head of keys is query c % stored of its
// query head c / stored, `stored` being the sequence's rows of queries.
//
// Work-group (32 * WARPS, 1, 1). Groups run over tiles of COLUMNS columns, heads of keys, then parts: split s of batch
// entry b is part b * splits + s, or a table says whose part it is. A group takes an equal share of the keys, in tiles
// that its warps take in turn. If there are several splits it leaves in `parts`, at its own number, its sums of O
// [COLUMNS, Dv] and in `states` [COLUMNS, 2] their exponent of 2 and the sum of weights. `counters`, one for each head
// of keys and tile of columns, are 0 before and after.
//
// Local memory: SLOTS tiles of K or V for each warp; at the end what warps and groups have to add up.
//
// Tunables: COLUMN_TILES (8 columns each, 1 ... 4), KEY_TILE (16, 32), WARPS, SLOTS (tiles of a ring, at least 2).
//
// Preconditions: D and Dv are multiples of 8; at most 128 splits; lengths at most 2^30; what the mask hides is finite.
//
// Needs: ../ampere/instructions.ampere.clh
// Check: -D MASK=1 -D HEAD_DIM=128 -D VALUE_DIM=128 -D COLUMN_TILES=2
// Check: -D MASK=1 -D SEQUENCES=1 -D SINKS=1 -D HEAD_DIM=72 -D VALUE_DIM=96

#ifndef COLUMN_TILES
#define COLUMN_TILES 1
#endif
#ifndef KEY_TILE
#define KEY_TILE 16
#endif
#ifndef WARPS
#define WARPS 4
#endif
#ifndef SLOTS
#define SLOTS 3
#endif

#if SINKS
#define SINK_ARGUMENTS , sinks, sinks_offset
#else
#define SINK_ARGUMENTS
#endif

#define WORK_ITEMS (32 * WARPS)
#define COLUMNS (8 * COLUMN_TILES)
#define KEY_GROUPS (KEY_TILE / 16)
// Depths of a product are 16 channels; what D and Dv lack of that is zeros.
#define DEPTHS CEIL_DIV(HEAD_DIM, 16)
#define CHANNEL_TILES CEIL_DIV(VALUE_DIM, 16)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))

// Local memory, in bytes: rings, and later states of warps and the sums of 8 columns of each warp.
#define SLOT_BYTES (KEY_TILE * 16 * LARGER(TILE_PITCH(2 * DEPTHS), TILE_PITCH(2 * CHANNEL_TILES)))
#define RING_BYTES (SLOTS * SLOT_BYTES)
#define SUM_PITCH (16 * CHANNEL_TILES + 4)
#define STATE_FLOATS (2 * WARPS * COLUMNS)
#define SUM_FLOATS (WARPS * 8 * SUM_PITCH)
#define MERGE_FLOATS (2 * MOST_SPLITS * COLUMNS + 5 * WORK_ITEMS)
#define LOCAL_BYTES LARGER(WARPS *RING_BYTES, 4 * LARGER(STATE_FLOATS + SUM_FLOATS, MERGE_FLOATS) + 16)
#define MOST_SPLITS 128
// Parts that a work-item loads at once when they are added up.
#define MERGE_LOADS 8

#define LN_2 0.6931471805599453f
#define LOG2_E 1.4426950408889634f
// Maxima may grow by this many powers of two before sums are rescaled.
#define LAZY_EXPONENT 8.0f

// A tile of K or V, of which rows from `end` on are zeros, copied by one warp.
static inline void copy_tile(const uint target, const int chunks, const int channels, __global const storage_t *source,
                             const ulong row_stride, const int first, const int end, const int lane,
                             const ulong policy)
{
#pragma unroll
  for (int i = 0; i < KEY_TILE * chunks / 32; ++i) {
    const int row = (32 * i + lane) / chunks;
    const int chunk = (32 * i + lane) % chunks;
    const int exists = (first + row < end) & (8 * chunk < channels);
    copy_chunk_once(target + tile_place(chunks, row, chunk),
                    source + (exists ? (first + row) * row_stride + 8 * chunk : 0), exists, policy);
  }
}

// The softmax of a work-item's columns: columns 2 (lane % 4) and that + 1 of each tile.
typedef struct {
  float maximum[COLUMN_TILES][2];  // the reference that exponents are taken from; -inf before the first visible key
  float shift[COLUMN_TILES][2];    // the same as an exponent of 2, or 0 where it is -inf
  float ceiling[COLUMN_TILES][2];  // scores above it move the reference
  float sum[COLUMN_TILES][2];      // of the work-item's own rows
} softmax_t;

// Takes one tile in: scores become weights. Returns whether the sums of O have to shrink by `shrink`.
static inline uint weigh(float scores[KEY_GROUPS][COLUMN_TILES][4], softmax_t *state, float shrink[COLUMN_TILES][2],
                         const float scale)
{
  float top[COLUMN_TILES][2];
  uint grows = 0;
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      top[n][e] = fmax(scores[0][n][e], scores[0][n][2 + e]);
#pragma unroll
      for (int k = 1; k < KEY_GROUPS; ++k)
        top[n][e] = fmax(top[n][e], fmax(scores[k][n][e], scores[k][n][2 + e]));
      grows |= top[n][e] > state->ceiling[n][e];
    }
  grows = any_lane(grows);
  if (grows) {
#pragma unroll
    for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float grown = fmax(state->maximum[n][e], top[n][e]);
        grown = fmax(grown, from_lane_xor(grown, 4));
        grown = fmax(grown, from_lane_xor(grown, 8));
        grown = fmax(grown, from_lane_xor(grown, 16));
        const bool sees = grown != -INFINITY;
        shrink[n][e] = sees ? fast_exp2((state->maximum[n][e] - grown) * scale) : 1.0f;
        state->maximum[n][e] = grown;
        state->shift[n][e] = sees ? grown * scale : 0.0f;
        state->ceiling[n][e] = grown + LAZY_EXPONENT / scale;
        state->sum[n][e] *= shrink[n][e];
      }
  }
#pragma unroll
  for (int k = 0; k < KEY_GROUPS; ++k)
#pragma unroll
    for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        scores[k][n][e] = fast_exp2(fma(scores[k][n][e], scale, -state->shift[n][e % 2]));
        state->sum[n][e % 2] += scores[k][n][e];
      }
  return grows;
}

// What a group's columns belong to.
typedef struct {
  int first;    // column of the head of keys
  int count;    // columns that there are
  int stored;   // rows of queries of a head, padding included
  int queries;  // those that are none
  int keys;
  ulong first_head;  // query head in the tensor of all batch entries
  int first_row;     // row of position 0
  int head;          // first query head
} columns_t;

// Writes four channels of O, and LSE with the first ones, from sums whose weights are relative to 2^exponent.
static inline void finish(const columns_t *columns, const int column, const int channel, const float exponent,
                          const float sum, const float4 total, __global storage_t *output, __global float *lse,
                          const int query_length SINK_PARAMETERS)
{
  const int head = (columns->first + column) / columns->stored;
  const int query = (columns->first + column) % columns->stored;
  float reference = exponent;
  float all = sum;
  float factor = 1.0f;
#if SINKS
  const float sink = SINK(columns->head + head) * LOG2_E;
  reference = fmax(exponent, sink);
  factor = exponent == -INFINITY ? 0.0f : fast_exp2(exponent - reference);
  all = sum * factor + (sink == -INFINITY ? 0.0f : fast_exp2(sink - reference));
#endif
  const bool exists = query < columns->queries;
  const float inverse = exists && all != 0.0f ? factor / all : 0.0f;
  const ulong row = (columns->first_head + head) * query_length + columns->first_row + query;
  const uint2 words =
      (uint2)(packed(total.x * inverse, total.y * inverse), packed(total.z * inverse, total.w * inverse));
  *(__global uint2 *)(output + row * VALUE_DIM + channel) = words;
  if (lse && channel == 0)
    lse[row] = exists ? (reference + fast_log2(all)) * LN_2 : -INFINITY;
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_attention_decode(
    __global const storage_t *query, __global const storage_t *key, __global const storage_t *value,
    __global storage_t *output, __global float *lse, __global float *parts, __global float *states,
    __global uint *counters,
    const ulong query_offset, const ulong query_batch_stride, const ulong query_head_stride,
    const ulong query_row_stride, const ulong key_offset, const ulong key_batch_stride, const ulong key_head_stride,
    const ulong key_row_stride, const ulong value_offset, const ulong value_batch_stride,
    const ulong value_head_stride, const ulong value_row_stride,
    const int query_length, const int key_length, const int key_heads, const int head_ratio,
    const int column_tiles,  // of each head of keys
    const int uniform_splits,
    const float scale  // of exponents of 2
    SEQUENCE_PARAMETERS SINK_PARAMETERS)
{
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(128)));
  const int thread = (int)get_local_id(0);
  const int lane = thread % 32;
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int group = (int)get_group_id(0);

  // Whose keys, and which of them.
  const int column_tile = group % column_tiles;
  const int head = group / column_tiles % key_heads;
  const int part = group / column_tiles / key_heads;
#if SEQUENCES
  // Three numbers a part: sequence, split, splits.
  const int number = tiles[3 * part];
  const int split = tiles[3 * part + 1];
  const int splits = tiles[3 * part + 2];
  const sequence_t sequence = sequence_at(sequences, number);
#else
  const int number = part / uniform_splits;
  const int split = part % uniform_splits;
  const int splits = uniform_splits;
  const sequence_t sequence = {number, 0, query_length, 0, key_length, query_length};
#endif
  columns_t columns;
  columns.first = column_tile * COLUMNS;
  columns.count = min(COLUMNS, head_ratio * sequence.stored_rows - columns.first);
  columns.stored = max(sequence.stored_rows, 1);
  columns.queries = sequence.queries;
  columns.keys = sequence.keys;
  columns.head = head * head_ratio;
  columns.first_head = (ulong)sequence.batch * key_heads * head_ratio + columns.head;
  columns.first_row = sequence.first_query;
  const int all_tiles = sequence.queries > 0 && columns.count > 0 ? CEIL_DIV(sequence.keys, KEY_TILE) : 0;
  const int share = all_tiles / splits;
  const int longer = all_tiles % splits;  // as many parts, the first ones, have one tile more
  const int first_tile = split * share + min(split, longer) + warp;
  const int end_tile = (split + 1) * share + min(split + 1, longer);
  const int my_tiles = CEIL_DIV(max(end_tile - first_tile, 0), WARPS);

  __global const storage_t *keys =
      key + key_offset + sequence.batch * key_batch_stride + head * key_head_stride +
      sequence.first_key * key_row_stride;
  __global const storage_t *values = value + value_offset + sequence.batch * value_batch_stride +
                                     head * value_head_stride + sequence.first_key * value_row_stride;
  const uint ring = LOCAL_ADDRESS(memory) + warp * RING_BYTES;
  const ulong policy = read_once();

  // K and V of a tile follow each other through the ring; copy c is half c % 2 of the warp's tile c / 2.
#define COPY(c, slot)                                                                                      \
  if ((c) / 2 < my_tiles) {                                                                                \
    const int first = (first_tile + (c) / 2 * WARPS) * KEY_TILE;                                           \
    const uint target = ring + (slot) * SLOT_BYTES;                                                        \
    if ((c) % 2 == 0)                                                                                      \
      copy_tile(target, 2 * DEPTHS, HEAD_DIM, keys, key_row_stride, first, sequence.keys, lane, policy);    \
    else                                                                                                   \
      copy_tile(target, 2 * CHANNEL_TILES, VALUE_DIM, values, value_row_stride, first, sequence.keys, lane, \
                policy);                                                                                   \
  }                                                                                                        \
  COMMIT_COPIES()
#pragma unroll
  for (int c = 0; c < SLOTS - 1; ++c) {
    COPY(c, c);
  }

  // The queries, as right operands.
  uint queries[COLUMN_TILES][DEPTHS][2];
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n) {
    const int column = columns.first + 8 * n + lane / 4;
    const int row = column % columns.stored;
    const bool exists = 8 * n + lane / 4 < columns.count && row < sequence.queries;
    __global const storage_t *source =
        query + query_offset + sequence.batch * query_batch_stride +
        (exists ? (columns.head + column / columns.stored) * query_head_stride +
                      (sequence.first_query + row) * query_row_stride
                : 0);
#pragma unroll
    for (int d = 0; d < DEPTHS; ++d)
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const int channel = 16 * d + 8 * k + 2 * (lane % 4);
        queries[n][d][k] = exists && 16 * d + 8 * k < HEAD_DIM ? *(__global const uint *)(source + channel) : 0;
      }
  }

  // The first key that a column does not see, and the least of them all.
  int limits[COLUMN_TILES][2];
  int least_limit = sequence.keys;
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      limits[n][e] = sequence.keys;
#if MASK == MASK_CAUSAL
      const int row = (columns.first + 8 * n + 2 * (lane % 4) + e) % columns.stored;
      limits[n][e] = min(sequence.keys, row + sequence.keys - sequence.queries + 1);
#endif
    }
#if MASK == MASK_CAUSAL
  least_limit = sequence.keys - sequence.queries + 1;
#endif

  softmax_t state;
  float outputs[CHANNEL_TILES][COLUMN_TILES][4];
  float shrink[COLUMN_TILES][2];
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      state.maximum[n][e] = state.ceiling[n][e] = -INFINITY;
      state.shift[n][e] = state.sum[n][e] = 0.0f;
      shrink[n][e] = 1.0f;
    }
#pragma unroll
    for (int m = 0; m < CHANNEL_TILES; ++m)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        outputs[m][n][e] = 0.0f;
  }

  // A slot is filled anew as soon as the whole warp has read it.
  int slot = 0;
  int free_slot = SLOTS - 1;
#define NEXT_SLOT(c)                           \
  WAIT_COPIES(SLOTS - 2);                      \
  MEET_WARP();                                 \
  COPY((c) + SLOTS - 1, free_slot);            \
  const uint place = ring + slot * SLOT_BYTES; \
  free_slot = slot;                            \
  slot = slot == SLOTS - 1 ? 0 : slot + 1
  for (int t = 0; t < my_tiles; ++t) {
    float scores[KEY_GROUPS][COLUMN_TILES][4];
    uint weights[KEY_GROUPS][COLUMN_TILES][2];
    {
      NEXT_SLOT(2 * t);
#pragma unroll
      for (int k = 0; k < KEY_GROUPS; ++k) {
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            scores[k][n][e] = 0.0f;
#pragma unroll
        for (int d = 0; d < DEPTHS; ++d) {
          uint left[4];
          load_matrices(left, place + tile_place(2 * DEPTHS, 16 * k + lane % 16, 2 * d + lane / 16));
#pragma unroll
          for (int n = 0; n < COLUMN_TILES; ++n)
            multiply_add(scores[k][n], left, queries[n][d][0], queries[n][d][1]);
        }
      }
    }
    const int first_key = (first_tile + t * WARPS) * KEY_TILE;
    if (first_key + KEY_TILE > least_limit) {
#pragma unroll
      for (int k = 0; k < KEY_GROUPS; ++k)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            if (first_key + 16 * k + e / 2 * 8 + lane / 4 >= limits[n][e % 2])
              scores[k][n][e] = -INFINITY;
    }
    if (weigh(scores, &state, shrink, scale)) {
#pragma unroll
      for (int m = 0; m < CHANNEL_TILES; ++m)
#pragma unroll
        for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            outputs[m][n][e] *= shrink[n][e % 2];
    }
#pragma unroll
    for (int k = 0; k < KEY_GROUPS; ++k)
#pragma unroll
      for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
        for (int r = 0; r < 2; ++r)
          weights[k][n][r] = transposed(packed(scores[k][n][2 * r], scores[k][n][2 * r + 1]));
    {
      NEXT_SLOT(2 * t + 1);
#pragma unroll
      for (int k = 0; k < KEY_GROUPS; ++k)
#pragma unroll
        for (int m = 0; m < CHANNEL_TILES; ++m) {
          uint left[4];
          load_transposed_matrices(left, place + tile_place(2 * CHANNEL_TILES, 16 * k + lane % 8 + lane / 16 * 8,
                                                            2 * m + lane / 8 % 2));
#pragma unroll
          for (int n = 0; n < COLUMN_TILES; ++n)
            multiply_add(outputs[m][n], left, weights[k][n][0], weights[k][n][1]);
        }
    }
  }

  // The warps agree on a reference for each column.
  __local float *warp_states = (__local float *)memory;
  __local float *warp_sums = warp_states + STATE_FLOATS;
  MEET_GROUP();
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float sum = state.sum[n][e];
      sum += from_lane_xor(sum, 4);
      sum += from_lane_xor(sum, 8);
      sum += from_lane_xor(sum, 16);
      if (lane < 4) {
        __local float *target = warp_states + 2 * (warp * COLUMNS + 8 * n + 2 * lane + e);
        target[0] = state.maximum[n][e] * scale;
        target[1] = sum;
      }
    }
  MEET_GROUP();
  const ulong part_base = (ulong)group * COLUMNS;
#pragma unroll
  for (int n = 0; n < COLUMN_TILES; ++n) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int column = 2 * (lane % 4) + e;
      float exponent = -INFINITY;
      for (int w = 0; w < WARPS; ++w)
        exponent = fmax(exponent, warp_states[2 * (w * COLUMNS + 8 * n + column)]);
      const float factor = exponent == -INFINITY ? 0.0f : fast_exp2(state.maximum[n][e] * scale - exponent);
      __local float *target = warp_sums + (warp * 8 + column) * SUM_PITCH + lane / 4;
      if (8 * n + column < columns.count) {
#pragma unroll
        for (int m = 0; m < CHANNEL_TILES; ++m) {
          target[16 * m] = outputs[m][n][e] * factor;
          target[16 * m + 8] = outputs[m][n][2 + e] * factor;
        }
      }
    }
    MEET_GROUP();
    for (int i = thread; i < 8 * (VALUE_DIM / 4); i += WORK_ITEMS) {
      const int column = i / (VALUE_DIM / 4);
      const int channel = i % (VALUE_DIM / 4) * 4;
      if (8 * n + column >= columns.count)
        break;
      float exponent = -INFINITY;
      for (int w = 0; w < WARPS; ++w)
        exponent = fmax(exponent, warp_states[2 * (w * COLUMNS + 8 * n + column)]);
      float sum = 0.0f;
      float4 total = 0.0f;
      for (int w = 0; w < WARPS; ++w) {
        __local const float *from = warp_states + 2 * (w * COLUMNS + 8 * n + column);
        sum += exponent == -INFINITY ? 0.0f : from[1] * fast_exp2(from[0] - exponent);
        total += *(__local const float4 *)(warp_sums + (w * 8 + column) * SUM_PITCH + channel);
      }
      if (splits == 1) {
        finish(&columns, 8 * n + column, channel, exponent, sum, total, output, lse, query_length SINK_ARGUMENTS);
      } else {
        const ulong row = part_base + 8 * n + column;
        *(__global float4 *)(parts + row * VALUE_DIM + channel) = total;
        if (channel == 0)
          *(__global float2 *)(states + 2 * row) = (float2)(exponent, sum);
      }
    }
    if (n < COLUMN_TILES - 1)
      MEET_GROUP();
  }
  if (splits == 1)
    return;

  // The last group of these columns has everything before it.
  __local uint *is_last = (__local uint *)(memory + LOCAL_BYTES - 4);
  const int tiles_of_part = column_tiles * key_heads;
  MEET_GROUP();
  if (thread == 0) {
    __global uint *counter = counters + (ulong)number * tiles_of_part + group % tiles_of_part;
    *is_last = count_up(counter) == (uint)splits - 1;
    if (*is_last)
      *counter = 0;
  }
  MEET_GROUP();
  if (!*is_last || columns.count <= 0)
    return;
  const ulong first_row = (ulong)(group - split * tiles_of_part) * COLUMNS;
  const ulong row_step = (ulong)tiles_of_part * COLUMNS;
  __local float2 *exponents = (__local float2 *)memory;  // and sums
  __local float4 *team_totals = (__local float4 *)(exponents + MOST_SPLITS * COLUMNS);
  __local float *team_sums = (__local float *)(team_totals + WORK_ITEMS);
  // Where there are more work-items than elements, teams of them take parts in turn. All waits are for loads from
  // global memory, so as many as possible are on their way at once.
  const int elements = columns.count * (VALUE_DIM / 4);
  const int width = min(elements, WORK_ITEMS);
  const int teams = WORK_ITEMS / width;
  const int team = thread / width;
  for (int first = 0; first < elements; first += width) {
    const int element = first + thread % width;
    const bool works = team < teams && element < elements;
    const int column = works ? element / (VALUE_DIM / 4) : 0;
    const int channel = works ? element % (VALUE_DIM / 4) * 4 : 0;
    const int end = works ? splits : 0;
    __global const float *from = parts + (first_row + column) * VALUE_DIM + channel;
    float4 loaded[MERGE_LOADS];
#define LOAD_PARTS(p)                                                                              \
  _Pragma("unroll") for (int i = 0; i < MERGE_LOADS; ++i)                                          \
    if ((p) + i * teams < end)                                                                     \
      loaded[i] = *(__global const float4 *)(from + ((p) + i * teams) * row_step * VALUE_DIM)
    LOAD_PARTS(team);
    if (first == 0) {
      for (int i = thread; i < splits * COLUMNS; i += WORK_ITEMS)
        if (i % COLUMNS < columns.count)
          exponents[i] = *(__global const float2 *)(states + 2 * (first_row + i / COLUMNS * row_step + i % COLUMNS));
    }
    MEET_GROUP();
    float exponent = -INFINITY;
    for (int p = 0; p < splits; ++p)
      exponent = fmax(exponent, exponents[p * COLUMNS + column].x);
    float sum = 0.0f;
    float4 total = 0.0f;
    for (int p = team; p < end; p += MERGE_LOADS * teams) {
      if (p > team) {
        LOAD_PARTS(p);
      }
#pragma unroll
      for (int i = 0; i < MERGE_LOADS; ++i)
        if (p + i * teams < end) {
          const float2 its = exponents[(p + i * teams) * COLUMNS + column];
          const float weight = exponent == -INFINITY ? 0.0f : fast_exp2(its.x - exponent);
          sum += its.y * weight;
          total += loaded[i] * weight;
        }
    }
    if (teams > 1) {
      team_totals[thread] = total;
      team_sums[thread] = sum;
      MEET_GROUP();
      for (int t = 1; t < teams && team == 0; ++t) {
        total += team_totals[t * width + thread];
        sum += team_sums[t * width + thread];
      }
    }
    if (works && team == 0)
      finish(&columns, column, channel, exponent, sum, total, output, lse, query_length SINK_ARGUMENTS);
  }
}
